package signin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/internal/testdb"
)

const password = "correct horse"

// cheap is the password's hash with parameters that cost nothing: these tests
// guess a lot.
const cheap = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$3j0+S6gGV20Zdm+eoztdkLUvOKbucBG7gA8asDqV4P8"

// staff is the people of a test, by login.
type staff struct {
	mu   sync.Mutex
	by   map[string]signin.Account
	fail error
}

func (s *staff) Account(_ context.Context, login string) (signin.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acc, ok := s.by[strings.ToLower(strings.ReplaceAll(login, " ", ""))]
	if !ok {
		return signin.Account{}, fmt.Errorf("staff: %w", signin.ErrUnknown)
	}
	return acc, s.fail
}

func (s *staff) AccountByID(_ context.Context, id string) (signin.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, acc := range s.by {
		if acc.ID == id {
			return acc, s.fail
		}
	}
	return signin.Account{}, signin.ErrUnknown
}

func (s *staff) change(login string, f func(*signin.Account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acc := s.by[login]
	f(&acc)
	s.by[login] = acc
}

// record keeps what was written down.
type record struct {
	mu    sync.Mutex
	lines []string
	fail  error
}

func (r *record) RecordApart(_ context.Context, action string, attrs ...slog.Attr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := action
	for _, a := range attrs {
		line += " " + a.String()
	}
	r.lines = append(r.lines, line)
	return r.fail
}

func (r *record) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

// clock stands until a test moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// hall is a door with everything around it.
type hall struct {
	*signin.Door
	staff  *staff
	record *record
	clock  *clock
	config signin.Config
}

func newHall(t *testing.T, db *gorm.DB) *hall {
	t.Helper()
	h := &hall{
		staff: &staff{by: map[string]signin.Account{
			"jane@example.com":   {ID: "3", Tenant: "main", Name: "Jane Peacock", Hash: cheap},
			"left@example.com":   {ID: "4", Tenant: "main", Hash: cheap, Disabled: true},
			"nohash@example.com": {ID: "5", Tenant: "main"},
			"broken@example.com": {ID: "6", Tenant: "main", Hash: "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$dGFn"},
		}},
		record: &record{}, clock: &clock{at: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)},
	}
	h.config = signin.Config{DB: db, Accounts: h.staff, Record: h.record, Now: h.clock.now, Key: []byte(strings.Repeat("k", 32))}
	var err error
	h.Door, err = signin.Open(t.Context(), h.config)
	require.NoError(t, err)
	return h
}

func sqlite(t *testing.T) *hall { return newHall(t, testdb.New(t, testdb.SQLite).DB) }

func TestOpenNamesWhatIsMissing(t *testing.T) {
	h := sqlite(t)
	for want, change := range map[string]func(*signin.Config){
		"Config.DB is nil":           func(c *signin.Config) { c.DB = nil },
		"Config.Accounts is nil":     func(c *signin.Config) { c.Accounts = nil },
		"Config.Record is nil":       func(c *signin.Config) { c.Record = nil },
		"Config.Key has 3 bytes":     func(c *signin.Config) { c.Key = []byte("abc") },
		"create the table of sessio": func(c *signin.Config) { c.DB = closed(t) },
	} {
		c := h.config
		change(&c)
		_, err := signin.Open(t.Context(), c)
		require.ErrorContains(t, err, want)
	}
}

func closed(t *testing.T) *gorm.DB {
	db := testdb.New(t, testdb.SQLite).DB
	pool, err := db.DB()
	require.NoError(t, err)
	require.NoError(t, pool.Close())
	return db
}

func TestWhoMayComeIn(t *testing.T) {
	h := sqlite(t)
	token, err := h.SignIn(t.Context(), "jane@example.com", password)
	require.NoError(t, err)
	s, err := h.Session(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, "3", s.UserID)
	require.Equal(t, "main", s.Tenant)
	require.Equal(t, "Jane Peacock", s.Name)
	require.Equal(t, []string{"login.succeeded resource=user result=ok row=3"}, h.record.take())

	// Everybody else gets one and the same answer, and the log never has what was
	// typed.
	for login, noted := range map[string]string{
		"jane@example.com":          "login.failed resource=user result=refused row=3",
		"left@example.com":          "login.failed resource=user result=refused row=4",
		"nohash@example.com":        "login.failed resource=user result=refused row=5",
		"nobody@example.com":        "login.failed resource=user result=refused",
		"":                          "login.failed resource=user result=refused",
		strings.Repeat("long", 999): "login.failed resource=user result=refused",
	} {
		guess := password
		if login == "jane@example.com" {
			guess = "correct horse " // a space is part of a password
		}
		_, err := h.SignIn(t.Context(), login, guess)
		require.Equal(t, signin.ErrCredentials, err, login)
		require.Equal(t, []string{noted}, h.record.take())
	}
	_, err = h.SignIn(t.Context(), "jane@example.com", strings.Repeat("x", 2000))
	require.Equal(t, signin.ErrCredentials, err)
}

func TestNobodyIsLetInWithoutARecord(t *testing.T) {
	h := sqlite(t)
	h.record.fail = errors.New("disk full")
	_, err := h.SignIn(t.Context(), "jane@example.com", password)
	require.ErrorContains(t, err, "write login.succeeded to the audit log: disk full")
	var n int64
	require.NoError(t, h.config.DB.Table("crm_sessions").Count(&n).Error)
	require.Zero(t, n)
	_, err = h.SignIn(t.Context(), "jane@example.com", "wrong guess")
	require.ErrorContains(t, err, "write login.failed to the audit log")
}

func TestBrokenParts(t *testing.T) {
	h := sqlite(t)
	_, err := h.SignIn(t.Context(), "broken@example.com", password)
	require.ErrorContains(t, err, "not an Argon2id PHC string; set the password anew")
	require.NotContains(t, err.Error(), "c2FsdA")

	token, err := h.SignIn(t.Context(), "jane@example.com", password)
	require.NoError(t, err)
	h.staff.fail = errors.New("no database")
	_, err = h.SignIn(t.Context(), "jane@example.com", password)
	require.ErrorContains(t, err, "look up the account: no database")
	_, err = h.Session(t.Context(), token)
	require.ErrorContains(t, err, "look up the account: no database")
	require.NotErrorIs(t, err, signin.ErrNoSession)
	h.staff.fail = nil
	_, err = h.Session(t.Context(), token)
	require.NoError(t, err, "a failure ends no session")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.SignIn(over, "jane@example.com", password)
	require.Error(t, err)
	require.NotErrorIs(t, err, signin.ErrCredentials)
}

// The hash costs the same whoever it is for. Compared with itself: this machine,
// this moment.
func TestUnknownLoginTakesAsLong(t *testing.T) {
	h := sqlite(t)
	hash, err := signin.HashPassword(password)
	require.NoError(t, err)
	for _, login := range []string{"jane@example.com", "left@example.com"} {
		h.staff.change(login, func(a *signin.Account) { a.Hash = hash })
	}
	fastest := func(login string) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			_, err := h.SignIn(t.Context(), login, "wrong guess")
			require.Equal(t, signin.ErrCredentials, err)
			best = min(best, time.Since(start))
		}
		return best
	}
	known := fastest("jane@example.com")
	for _, login := range []string{"nobody@example.com", "left@example.com", "nohash@example.com"} {
		// Without the decoy it is a hundredth; on a busy machine a half proves nothing.
		require.Greater(t, fastest(login), known/10, login)
	}
}
