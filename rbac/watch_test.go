package rbac_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/gormpolicy"
	"github.com/confide-go/confide/rbac/gormpolicy/pglisten"
)

// clock is a clock that only the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// lockedStore is a store that can be switched off while others use it.
type lockedStore struct {
	*rbac.Memory
	mu    sync.Mutex
	err   error
	asked chan struct{}
}

func (s *lockedStore) Version(ctx context.Context) (int64, error) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	select {
	case s.asked <- struct{}{}:
	default:
	}
	if err != nil {
		return 0, err
	}
	return s.Memory.Version(ctx)
}

func (s *lockedStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// After MaxStale without a confirmation nothing is decided any more, by any way of asking.
func TestMaxStaleRefusesEverything(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	c := &clock{t: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	cfg := crmConfig(&journal{})
	store := &lockedStore{Memory: rbac.NewMemory(crmPolicy())}
	cfg.Policies, cfg.Now, cfg.MaxStale = store, c.now, time.Minute
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, db.AutoMigrate(&User{}, &Customer{}, &Invoice{}))
	require.NoError(t, db.Create(&User{ID: "ann"}).Error)
	require.NoError(t, db.Use(a))
	row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
	require.NoError(t, db.WithContext(as("ann")).Create(&row).Error)

	ways := map[string]func(ctx context.Context) error{
		"Check":     func(ctx context.Context) error { return a.Check(ctx, "read", &row) },
		"View":      func(ctx context.Context) error { _, err := a.View(ctx, &row); return err },
		"Explain":   func(ctx context.Context) error { _, err := a.Explain(ctx, "read", &row); return err },
		"RolesOf":   func(ctx context.Context) error { _, err := a.RolesOf(ctx); return err },
		"MayReveal": func(ctx context.Context) error { return a.MayReveal(ctx, "customer", []string{"1"}, []string{"phone"}) },
		"Find":      func(ctx context.Context) error { return db.WithContext(ctx).Find(&[]Customer{}).Error },
		"Update": func(ctx context.Context) error {
			return db.WithContext(ctx).Model(&Customer{}).Where("id = ?", "1").Update("name", "x").Error
		},
		"Create": func(ctx context.Context) error {
			return db.WithContext(ctx).Create(&Customer{ID: "new" + fmt.Sprint(c.now().UnixNano()), Email: fmt.Sprint(c.now().UnixNano()), TenantID: "t1", OwnerID: "ann"}).Error
		},
		"Delete": func(ctx context.Context) error {
			return db.WithContext(ctx).Where("id = 'none'").Delete(&Customer{}).Error
		},
	}
	all := func(check func(name string, err error), ctx context.Context) {
		for name, ask := range ways {
			check(name, ask(ctx))
		}
	}
	yes := func(name string, err error) { require.NoError(t, err, name) }
	no := func(name string, err error) {
		var stale *rbac.Stale
		require.ErrorAs(t, err, &stale, name)
		require.EqualValues(t, 1, stale.Version)
	}
	all(yes, as("ann"))
	c.add(time.Minute)
	all(yes, as("ann"))
	c.add(time.Millisecond)
	all(no, as("ann"))
	require.EqualError(t, a.Check(as("ann"), "read", &row), "rbac: policy version 1 was last known to be current 1m0.001s ago, which is more than Config.MaxStale: keep Authorizer.Watch running, or call Reload")
	store.fail(errors.New("store is down"))
	require.Error(t, a.Reload(t.Context()))
	all(no, as("ann"))
	store.fail(nil)
	require.NoError(t, a.Reload(t.Context()))
	c.add(time.Second)
	all(yes, as("ann"))
	c.add(-time.Hour) // a clock that was set back confirms nothing
	all(no, as("ann"))
	require.NoError(t, a.Reload(t.Context()))
	all(no, as("ann"))
	c.add(time.Hour)

	// A policy that cannot be used is no confirmation either.
	require.NoError(t, a.Reload(t.Context()))
	p, err := store.Load(t.Context())
	require.NoError(t, err)
	p.Rules[0].When = "row.nope"
	_, err = store.Save(t.Context(), p)
	require.NoError(t, err)
	c.add(2 * time.Minute)
	require.ErrorIs(t, a.Reload(t.Context()), rbac.ErrPolicy)
	all(no, as("ann"))

	// System decides nothing by the policy.
	require.NoError(t, db.WithContext(rbac.System(t.Context(), "job")).Find(&[]Customer{}).Error)
}

// Under Fresh a decision knows the newest version, or there is none.
func TestFreshAsksTheStore(t *testing.T) {
	cfg := crmConfig(&journal{})
	store := &lockedStore{Memory: rbac.NewMemory(crmPolicy())}
	cfg.Policies = store
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
	fresh := rbac.Fresh(as("ann"))
	require.NoError(t, a.Check(fresh, "read", &row))

	p, err := store.Load(t.Context())
	require.NoError(t, err)
	p.Assignments = nil
	_, err = store.Save(t.Context(), p)
	require.NoError(t, err)
	require.NoError(t, a.Check(as("ann"), "read", &row), "nothing told this instance")
	require.ErrorIs(t, a.Check(fresh, "read", &row), rbac.ErrDenied)
	require.ErrorIs(t, a.Check(as("ann"), "read", &row), rbac.ErrDenied)

	boom := errors.New("store is down")
	store.fail(boom)
	err = a.Check(fresh, "read", &row)
	require.ErrorIs(t, err, boom)
	require.EqualError(t, err, "rbac: policy version 2 could not be confirmed: rbac: policy version: store is down")
	_, err = a.View(fresh, &row)
	require.ErrorIs(t, err, boom)
}

// Inside a transaction Fresh decides by what the transaction sees, and nobody else does.
func TestFreshInATransactionStaysInIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		store, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		cfg := crmConfig(&journal{})
		cfg.Policies = store
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, a.Edit(as("root"), func(p *rbac.Policy) error { v := p.Version; *p = crmPolicy(); p.Version = v; return nil }))
		row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
		require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
			in := rbac.WithTx(rbac.Fresh(as("ann")), tx)
			require.NoError(t, a.Check(in, "read", &row))
			require.NoError(t, a.Edit(in, func(p *rbac.Policy) error { p.Assignments = nil; return nil }))
			require.ErrorIs(t, a.Check(in, "read", &row), rbac.ErrDenied)
			require.NoError(t, a.Check(as("ann"), "read", &row), "not committed")
			require.ErrorContains(t, a.Reload(in), "rbac: Reload inside a transaction")
			return errRollback
		}), errRollback)
		require.EqualValues(t, 1, a.Version())
		// The same version number, with another content.
		require.NoError(t, a.Edit(as("root"), func(p *rbac.Policy) error { p.Assignments = p.Assignments[:1]; return nil }))
		require.NoError(t, a.Check(rbac.Fresh(as("ann")), "read", &row))
		require.EqualValues(t, 2, a.Version())
		list, err := store.History(t.Context())
		require.NoError(t, err)
		require.Equal(t, "root", list[2].Who)

		require.NoError(t, a.Rollback(as("mia"), 1, "too much was taken away"))
		require.EqualValues(t, 3, a.Version())
		got, err := store.Load(t.Context())
		require.NoError(t, err)
		require.Len(t, got.Assignments, len(crmPolicy().Assignments))
		list, err = store.History(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"mia", "too much was taken away"}, []string{list[3].Who, list[3].Reason})
		require.EqualError(t, a.Rollback(as("mia"), 77, ""), "gormpolicy: the history has no version 77: History lists those it has")
	})
}

func TestRollbackNeedsAHistoryAndAValidPolicy(t *testing.T) {
	a, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	require.EqualError(t, a.Rollback(as("mia"), 1, ""), "rbac: rollback: *rbac.Memory keeps no history: use gormpolicy.Store")
	db := testdb.New(t, testdb.SQLite)
	store, err := gormpolicy.Open(t.Context(), db.DB)
	require.NoError(t, err)
	p := crmPolicy()
	p.Version, p.Rules[0].When = 0, "row.column_of_long_ago == 'x'"
	_, err = store.Save(t.Context(), p)
	require.NoError(t, err)
	_, err = store.Save(t.Context(), rbac.Policy{Version: 1})
	require.NoError(t, err)
	cfg := crmConfig(&journal{})
	cfg.Policies = store
	a, err = rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.ErrorIs(t, a.Rollback(as("mia"), 1, ""), rbac.ErrPolicy)
	require.EqualValues(t, 2, a.Version())
}

// Watch notices a change, tells an outage once and its end once, and ends with its context.
func TestWatch(t *testing.T) {
	cfg := crmConfig(&journal{})
	store := &lockedStore{Memory: rbac.NewMemory(crmPolicy()), asked: make(chan struct{})}
	cfg.Policies = store
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	told := make(chan error, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Watch(ctx, rbac.Watch{Every: time.Millisecond, Failed: func(err error) { told <- err }})
	}()
	next := func() { // two, so that one of them began after what we did
		<-store.asked
		<-store.asked
		<-store.asked
	}
	next()
	require.Empty(t, told)
	p, err := store.Load(t.Context())
	require.NoError(t, err)
	_, err = store.Save(t.Context(), p)
	require.NoError(t, err)
	next()
	require.EqualValues(t, 2, a.Version())
	boom := errors.New("store is down")
	store.fail(boom)
	next()
	next()
	require.ErrorIs(t, <-told, boom)
	require.Empty(t, told)
	store.fail(nil)
	require.NoError(t, <-told)
	next()
	require.Empty(t, told)
	store.fail(boom)
	require.ErrorIs(t, <-told, boom)
	cancel()
	<-ended
	require.Empty(t, told)
}

// hint is a Hint that the test pulls.
type hint chan error

func (h hint) Wait(ctx context.Context) error {
	select {
	case err := <-h:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A hint makes Watch look at once; a broken hint is told, and polls go on without it.
func TestWatchFollowsAHint(t *testing.T) {
	cfg := crmConfig(&journal{})
	store := &lockedStore{Memory: rbac.NewMemory(crmPolicy()), asked: make(chan struct{}, 10)}
	cfg.Policies = store
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	h, told := make(hint), make(chan error, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Watch(ctx, rbac.Watch{Every: time.Hour, Hint: h, Failed: func(err error) { told <- err }})
	}()
	<-store.asked // the first look
	h <- nil
	<-store.asked
	h <- errors.New("redis is away")
	require.EqualError(t, <-told, "rbac: hint of policy changes: redis is away")
	cancel()
	<-ended
}

// TestProcessThatWatches is one of the processes of TestTimeToRevoke, not a test of its own.
func TestProcessThatWatches(t *testing.T) {
	engine, dsn, found := strings.Cut(os.Getenv("CONFIDE_WATCH"), "=")
	if !found {
		return
	}
	db, err := gorm.Open(testdb.Dialector(engine, dsn), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	store, err := gormpolicy.Open(t.Context(), db)
	require.NoError(t, err)
	cfg := crmConfig(&journal{})
	cfg.Policies = store
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	w := rbac.Watch{Every: 20 * time.Millisecond}
	if os.Getenv("CONFIDE_WATCH_HINT") != "" {
		w.Every, w.Hint = time.Hour, pglisten.New(dsn)
	}
	go a.Watch(t.Context(), w)
	row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
	allowed := func() bool { return a.Check(as("ann"), "read", &row) == nil }
	// "version" waits until Watch brought it and answers when; "confirm" polls once and answers what it sees.
	in := bufio.NewScanner(os.Stdin)
	fmt.Println("> ready")
	for in.Scan() {
		var v int64
		if _, err := fmt.Sscanf(in.Text(), "wait %d", &v); err == nil {
			for a.Version() < v {
				time.Sleep(time.Millisecond)
			}
			fmt.Println(">", time.Now().UnixNano(), allowed())
			continue
		}
		require.NoError(t, a.Reload(t.Context()))
		fmt.Println(">", time.Now().UnixNano(), allowed())
	}
}

// watcher is a process that watches.
type watcher struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

func startWatcher(t *testing.T, db testdb.DB, hint string) *watcher {
	cmd := exec.Command(os.Args[0], "-test.run=^TestProcessThatWatches$")
	cmd.Env = append(os.Environ(), "CONFIDE_WATCH="+db.Engine+"="+db.DSN, "CONFIDE_WATCH_HINT="+hint)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	w := &watcher{in, bufio.NewScanner(out)}
	require.Equal(t, "ready", w.answer(t))
	return w
}

func (w *watcher) tell(t *testing.T, line string) {
	_, err := io.WriteString(w.in, line+"\n")
	require.NoError(t, err)
}

func (w *watcher) answer(t *testing.T) string {
	for w.out.Scan() {
		if text, ok := strings.CutPrefix(w.out.Text(), "> "); ok {
			return text
		}
	}
	t.Fatal("a watching process ended")
	return ""
}

// TestTimeToRevoke: one process revokes and grants, three others watch. How long a revocation takes is
// printed; that a reader who polled once after Edit returned never says yes is required.
func TestTimeToRevoke(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	for _, c := range []struct{ engine, hint string }{{testdb.SQLite, ""}, {testdb.Postgres, ""}, {testdb.Postgres, "notify"}} {
		t.Run(strings.Trim(c.engine+"-"+c.hint, "-"), func(t *testing.T) {
			db := testdb.New(t, c.engine)
			setup := gormpolicy.Config{DB: db.DB}
			if c.hint != "" {
				setup.Notify = pglisten.Notify
			}
			store, err := gormpolicy.New(t.Context(), setup)
			require.NoError(t, err)
			cfg := crmConfig(&journal{})
			cfg.Policies = store
			a, err := rbac.Open(t.Context(), cfg)
			require.NoError(t, err)
			set := func(p *rbac.Policy, list []rbac.Assignment) {
				v := p.Version
				*p = crmPolicy()
				p.Version, p.Assignments = v, list
			}
			edit := func(list []rbac.Assignment) time.Time {
				require.NoError(t, a.Edit(as("root"), func(p *rbac.Policy) error { set(p, list); return nil }))
				return time.Now()
			}
			edit(crmPolicy().Assignments)
			var processes []*watcher
			for range 3 {
				processes = append(processes, startWatcher(t, db, c.hint))
			}
			var took []time.Duration
			for range rounds {
				edit(nil)
				for _, p := range processes {
					p.tell(t, "confirm")
				}
				for _, p := range processes {
					require.Contains(t, p.answer(t), "false", "allowed after Edit returned and one poll")
				}
				edit(crmPolicy().Assignments)
				for _, p := range processes {
					p.tell(t, fmt.Sprint("wait ", a.Version()))
				}
				for _, p := range processes {
					require.Contains(t, p.answer(t), "true")
				}
				done := edit(nil)
				for _, p := range processes {
					p.tell(t, fmt.Sprint("wait ", a.Version()))
				}
				for _, p := range processes {
					var at int64
					var allowed bool
					_, err := fmt.Sscan(p.answer(t), &at, &allowed)
					require.NoError(t, err)
					require.False(t, allowed)
					took = append(took, time.Unix(0, at).Sub(done))
				}
			}
			slices.Sort(took)
			t.Logf("time to revoke, %d in 3 other processes: p50 %v, p99 %v, longest %v", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
		})
	}
}
