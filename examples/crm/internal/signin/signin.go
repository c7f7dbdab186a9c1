package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"gorm.io/gorm"
)

var (
	// ErrUnknown is returned by an [Accounts] that has no such account. It does not
	// leave this package.
	ErrUnknown = errors.New("signin: no such account")
	// ErrCredentials is returned by [Door.SignIn] for a wrong password, an unknown
	// login and a disabled account alike. Ask again.
	ErrCredentials = errors.New("signin: wrong login or password")
	// ErrNoSession is returned by [Door.Session] when the token is not, or no
	// longer, one of a session. Show the login page.
	ErrNoSession = errors.New("signin: no session; sign in")
)

// Throttled is the error of [Door.SignIn] when there were too many wrong guesses
// for a login or from an address.
type Throttled struct{ RetryAfter time.Duration }

func (t *Throttled) Error() string {
	return fmt.Sprintf("signin: too many attempts; try again in %s", t.RetryAfter)
}

// Accounts is where the people are.
type Accounts interface {
	Account(ctx context.Context, login string) (Account, error)  // ErrUnknown if there is none
	AccountByID(ctx context.Context, id string) (Account, error) // ErrUnknown if there is none
}

// An Account is one person who may sign in.
type Account struct {
	ID, Tenant, Name string
	Hash             string // as HashPassword made it; empty: cannot sign in
	Disabled         bool
}

// Recorder writes down who came in, who did not, and who left: login.succeeded,
// login.failed, login.throttled, logout. It never gets a login as typed: people
// type passwords there.
type Recorder interface {
	RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error
}

// Config says what a Door works with.
type Config struct {
	DB       *gorm.DB         // required; gets the table crm_sessions
	Accounts Accounts         // required
	Record   Recorder         // required
	Key      []byte           // 32 secret bytes kept outside the database; nil: random, so that sessions end with the process
	Now      func() time.Time // nil: time.Now
}

// A Door lets people in.
type Door struct {
	db        *gorm.DB
	accounts  Accounts
	record    Recorder
	key       []byte
	now       func() time.Time
	decoy     string // a hash nobody's password fits
	hashing   chan struct{}
	byLogin   *throttle
	byAccount *throttle
	byAddress *throttle
}

// Open creates the table of sessions if it is not there and returns the door.
func Open(ctx context.Context, c Config) (*Door, error) {
	switch {
	case c.DB == nil:
		return nil, errors.New("signin: Config.DB is nil; give the application's database")
	case c.Accounts == nil:
		return nil, errors.New("signin: Config.Accounts is nil; give where the people are")
	case c.Record == nil:
		return nil, errors.New("signin: Config.Record is nil; give the audit log")
	case c.Key != nil && len(c.Key) != keyLen:
		return nil, fmt.Errorf("signin: Config.Key has %d bytes; give %d random ones, or nil", len(c.Key), keyLen)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Key == nil {
		c.Key = make([]byte, keyLen)
		rand.Read(c.Key)
	}
	err := c.DB.WithContext(ctx).AutoMigrate(&session{})
	for attempt := 0; err != nil && attempt < 5; attempt++ { // another process may be making it, and its indexes, at the same moment
		err = c.DB.WithContext(ctx).AutoMigrate(&session{})
	}
	if err != nil {
		return nil, fmt.Errorf("signin: create the table of sessions: %w", err)
	}
	return &Door{
		db: c.DB, accounts: c.Accounts, record: c.Record, key: c.Key, now: c.Now, decoy: decoyHash(),
		// One hash takes 64 MiB: a crowd at the door waits instead of taking all memory.
		hashing:   make(chan struct{}, max(2, runtime.GOMAXPROCS(0)/argonLanes)),
		byLogin:   newThrottle(loginBurst, loginEvery),
		byAccount: newThrottle(accountBurst, accountEvery),
		byAddress: newThrottle(addressBurst, addressEvery),
	}, nil
}

// SignIn checks a login and its password and begins a session, always a new one.
// The token goes into a cookie; it cannot be asked for again.
func (d *Door) SignIn(ctx context.Context, login, password string) (token string, err error) {
	acc, err := d.account(ctx, login)
	if err != nil {
		return "", err
	}
	giveBack, err := d.admit(ctx, login, acc)
	if err != nil {
		return "", err
	}
	ok, err := d.check(ctx, acc, password)
	if err != nil {
		giveBack()
		return "", err
	}
	if !ok {
		return "", d.refuse(ctx, acc)
	}
	giveBack()
	// First the record, then the session: nobody is in without a trace.
	if err := d.note(ctx, "login.succeeded", "ok", acc); err != nil {
		return "", err
	}
	return d.begin(ctx, acc)
}

// account is the account of a login; the zero Account stands for "no such".
func (d *Door) account(ctx context.Context, login string) (Account, error) {
	if login == "" || len(login) > longestPassword {
		return Account{}, nil
	}
	acc, err := d.accounts.Account(ctx, login)
	if errors.Is(err, ErrUnknown) {
		return Account{}, nil
	}
	if err != nil {
		return Account{}, fmt.Errorf("signin: look up the account: %w", err)
	}
	return acc, nil
}

// admit takes one attempt from each limit that applies, or says how long to wait.
func (d *Door) admit(ctx context.Context, login string, acc Account) (giveBack func(), err error) {
	now := d.now()
	type attempt struct {
		t   *throttle
		key string
	}
	attempts := []attempt{{d.byAddress, addressKey(Address(ctx))}, {d.byLogin, loginKey(login[:min(len(login), longestPassword)])}}
	if acc.ID != "" {
		attempts = append(attempts, attempt{d.byAccount, acc.ID})
	}
	for _, a := range attempts {
		wait, first := a.t.take(a.key, now)
		if wait == 0 {
			continue
		}
		if first {
			if err := d.note(ctx, "login.throttled", "refused", acc); err != nil {
				return nil, err
			}
		}
		return nil, &Throttled{RetryAfter: wait}
	}
	return func() {
		for _, a := range attempts {
			a.t.give(a.key, now)
		}
	}, nil
}

// check hashes the password whoever it is for.
func (d *Door) check(ctx context.Context, acc Account, password string) (bool, error) {
	select {
	case d.hashing <- struct{}{}:
		defer func() { <-d.hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if acc.ID == "" || acc.Hash == "" {
		_, err := verify(d.decoy, password)
		return false, err
	}
	ok, err := verify(acc.Hash, password)
	return ok && !acc.Disabled, err
}

// refuse answers a wrong guess, the same for every reason.
func (d *Door) refuse(ctx context.Context, acc Account) error {
	if err := d.note(ctx, "login.failed", "refused", acc); err != nil {
		return err
	}
	return ErrCredentials
}

func (d *Door) note(ctx context.Context, action, result string, acc Account) error {
	attrs := []slog.Attr{slog.String("resource", "user"), slog.String("result", result)}
	if acc.ID != "" {
		attrs = append(attrs, slog.String("row", acc.ID))
	}
	if err := d.record.RecordApart(ctx, action, attrs...); err != nil {
		return fmt.Errorf("signin: write %s to the audit log: %w", action, err)
	}
	return nil
}

type addressContext struct{}

// WithAddress notes the network address that a request came from; the limits on
// guessing count by it.
func WithAddress(ctx context.Context, ip string) context.Context {
	return context.WithValue(ctx, addressContext{}, ip)
}

// Address returns what WithAddress noted, or "".
func Address(ctx context.Context) string {
	ip, _ := ctx.Value(addressContext{}).(string)
	return ip
}
