// Package kmstest holds what every recipe must do, as tests: keep the rules of a KEK, carry a vault on SQLite,
// and fail in a way that a person on call understands.
package kmstest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/privacytest"
)

// Customer is the model of the tests.
type Customer struct {
	ID         string         `gorm:"primaryKey" privacy:"subject=customer"`
	Name       privacy.String `privacy:"mask=name"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
}

// Faults switches the service's troubles on and off.
type Faults interface {
	Down(bool)      // it cannot be reached
	Throttle(n int) // the next n requests are told to come back later
	Hang(bool)      // it takes requests and never answers
}

// A Service is one recipe with the service behind it.
type Service struct {
	// Client returns a new client of the service, as another process would have, for one of two keys.
	Client func(t *testing.T, second bool, timeout time.Duration) tink.AEADWithContext
	Faults Faults
}

// KEK is a client with all the time in the world.
func (s Service) KEK(t *testing.T, second bool) tink.AEADWithContext {
	return s.Client(t, second, time.Minute)
}

type tenantKey struct{}

func withTenant(tenant string) context.Context {
	return context.WithValue(context.Background(), tenantKey{}, tenant)
}

// counting counts the calls that the service would bill.
type counting struct {
	tink.AEADWithContext
	decrypts atomic.Int64
}

func (c *counting) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	c.decrypts.Add(1)
	return c.AEADWithContext.DecryptWithContext(ctx, ciphertext, associatedData)
}

func config(kek tink.AEADWithContext) privacy.Config {
	return privacy.Config{
		KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard, Region: "CN",
		Tenant: func(ctx context.Context) (string, error) { t, _ := ctx.Value(tenantKey{}).(string); return t, nil },
	}
}

// open connects to the SQLite file as another process would.
func open(t *testing.T, path string, kek tink.AEADWithContext) (*gorm.DB, error) {
	t.Helper()
	v, err := privacy.Open(t.Context(), config(kek))
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(sqlite.Open("file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	t.Cleanup(func() { pool.Close() })
	require.NoError(t, db.Use(v))
	return db, v.Migrate(t.Context(), db, &Customer{})
}

func find(db *gorm.DB, tenant, phone string) (string, error) {
	ctx := withTenant(tenant)
	var c Customer
	if err := db.WithContext(ctx).Where(&Customer{Phone: privacy.New(phone)}).First(&c).Error; err != nil {
		return "", err
	}
	return c.Name.Reveal(ctx, "test")
}

func create(db *gorm.DB, tenant string) error {
	return db.WithContext(withTenant(tenant)).Create(&Customer{ID: tenant + "-1", Name: privacy.New("王小明"), Phone: privacy.New("138 0013 8000")}).Error
}

// Run tests a service in good health.
func Run(t *testing.T, s Service) {
	t.Run("rules of a KEK", func(t *testing.T) { privacytest.TestKEK(t, s.KEK(t, false)) })
	t.Run("a vault creates, finds and reveals, cold with one call per tenant", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "crm.db")
		db, err := open(t, path, s.KEK(t, false))
		require.NoError(t, err)
		for _, tenant := range []string{"a", "b"} {
			require.NoError(t, create(db, tenant))
		}

		kek := &counting{AEADWithContext: s.KEK(t, false)}
		cold, err := open(t, path, kek)
		require.NoError(t, err)
		before := kek.decrypts.Load()
		var wg sync.WaitGroup
		errs := make([]error, 64)
		for i := range errs {
			wg.Go(func() {
				name, err := find(cold, string("ab"[i%2]), "+86 138-0013-8000")
				if errs[i] = err; err == nil && name != "王小明" {
					errs[i] = fmt.Errorf("another name")
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, kek.decrypts.Load()-before, "calls of the service for two tenants and 64 goroutines")
	})
	t.Run("another key is noticed before anything is written", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "crm.db")
		db, err := open(t, path, s.KEK(t, false))
		require.NoError(t, err)
		require.NoError(t, create(db, "a"))
		_, err = open(t, path, s.KEK(t, true))
		require.ErrorIs(t, err, privacy.ErrKey)
		require.ErrorContains(t, err, "not the one this database was made with")
		box, err := s.KEK(t, false).EncryptWithContext(t.Context(), secret, []byte("ad"))
		require.NoError(t, err)
		_, err = s.KEK(t, true).DecryptWithContext(t.Context(), box, []byte("ad"))
		require.ErrorContains(t, err, "made under another key")
	})
	t.Run("limits are said without asking the service", func(t *testing.T) {
		kek := s.KEK(t, false)
		_, err := kek.EncryptWithContext(t.Context(), make([]byte, 4097), []byte("ad"))
		require.ErrorContains(t, err, "4097 bytes are more than")
		_, err = kek.EncryptWithContext(t.Context(), secret, nil)
		require.ErrorContains(t, err, "0 bytes of associated data")
		_, err = kek.EncryptWithContext(t.Context(), secret, make([]byte, 5000))
		require.ErrorContains(t, err, "5000 bytes of associated data")
		_, err = kek.DecryptWithContext(t.Context(), []byte("x"), []byte("ad"))
		require.Error(t, err)
		silent(t, err)
	})
	t.Run("the largest that is allowed works", func(t *testing.T) {
		kek := s.KEK(t, false)
		plain, ad := []byte(strings.Repeat("p", 4096)), []byte(strings.Repeat("a", 2048))
		box, err := kek.EncryptWithContext(t.Context(), plain, ad)
		require.NoError(t, err)
		back, err := kek.DecryptWithContext(t.Context(), box, ad)
		require.NoError(t, err)
		require.Equal(t, plain, back)
	})
	t.Run("a cancelled context is an error", func(t *testing.T) {
		kek := s.KEK(t, false)
		box, err := kek.EncryptWithContext(t.Context(), secret, []byte("ad"))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = kek.EncryptWithContext(ctx, secret, []byte("ad"))
		require.Error(t, err)
		silent(t, err)
		_, err = kek.DecryptWithContext(ctx, box, []byte("ad"))
		require.Error(t, err)
	})
}

// RunFaults tests a service in trouble.
func RunFaults(t *testing.T, s Service) {
	t.Run("down at start: the program does not start and says why", func(t *testing.T) {
		s.Faults.Down(true)
		defer s.Faults.Down(false)
		_, err := open(t, filepath.Join(t.TempDir(), "crm.db"), s.Client(t, false, time.Second))
		require.ErrorIs(t, err, privacy.ErrKey)
		require.ErrorContains(t, err, "reachable from here")
		silent(t, err)
	})
	t.Run("down later: what is warm goes on, what is cold is an error and heals", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "crm.db")
		db, err := open(t, path, s.KEK(t, false))
		require.NoError(t, err)
		require.NoError(t, create(db, "cold"))
		db, err = open(t, path, s.Client(t, false, 3*time.Second))
		require.NoError(t, err)
		require.NoError(t, create(db, "warm"))
		s.Faults.Down(true)
		name, err := find(db, "warm", "13800138000")
		require.NoError(t, err)
		require.Equal(t, "王小明", name)
		_, err = find(db, "cold", "13800138000")
		require.ErrorIs(t, err, privacy.ErrKey)
		require.NotErrorIs(t, err, gorm.ErrRecordNotFound)
		require.ErrorIs(t, create(db, "new"), privacy.ErrKey)
		s.Faults.Down(false)
		require.Eventually(t, func() bool {
			name, err := find(db, "cold", "13800138000")
			return err == nil && name == "王小明"
		}, time.Minute, 50*time.Millisecond)
		require.NoError(t, create(db, "new"))
	})
	t.Run("throttled: the client comes back by itself", func(t *testing.T) {
		kek := s.KEK(t, false)
		s.Faults.Throttle(1)
		defer s.Faults.Throttle(0)
		box, err := kek.EncryptWithContext(t.Context(), secret, []byte("ad"))
		require.NoError(t, err)
		s.Faults.Throttle(1)
		_, err = kek.DecryptWithContext(t.Context(), box, []byte("ad"))
		require.NoError(t, err)
	})
	t.Run("hangs: the caller's deadline holds, and the recipe's own", func(t *testing.T) {
		s.Faults.Hang(true)
		defer s.Faults.Hang(false)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := s.KEK(t, false).EncryptWithContext(ctx, secret, []byte("ad"))
		require.Error(t, err)
		require.Error(t, ctx.Err())
		silent(t, err)
		_, err = s.Client(t, false, 50*time.Millisecond).EncryptWithContext(context.Background(), secret, []byte("ad"))
		require.Error(t, err)
		silent(t, err)
	})
}

// secret is what no error may show.
var secret = []byte("a keyset that nobody may see in a log")

// silent fails if an error holds the plaintext in any spelling.
func silent(t *testing.T, err error) {
	t.Helper()
	for _, spelling := range []string{string(secret), base64.StdEncoding.EncodeToString(secret), hex.EncodeToString(secret)} {
		require.NotContains(t, fmt.Sprintf("%v %+v", err, err), spelling)
	}
}
