package privacy_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// flakyKEK is a key service that can be offline.
type flakyKEK struct {
	*countingKEK
	down atomic.Bool
}

func (k *flakyKEK) DecryptWithContext(ctx context.Context, c, ad []byte) ([]byte, error) {
	if k.down.Load() {
		k.mu.Lock()
		k.opens++
		k.mu.Unlock()
		return nil, errors.New("offline")
	}
	return k.countingKEK.DecryptWithContext(ctx, c, ad)
}

func flaky(kek *flakyKEK, c *clock) func(*privacy.Config) {
	return func(cfg *privacy.Config) { cfg.KEK, cfg.Now = kek, c.Now }
}

func (h *house) find(phone string) (Customer, error) {
	var c Customer
	err := h.gorm().Where(&Customer{Phone: privacy.New(phone)}).First(&c).Error
	return c, err
}

func TestKeysExpire(t *testing.T) {
	c, kek := newClock(), &flakyKEK{countingKEK: newKEK(t)}
	h := openHouse(t, testdb.New(t, testdb.SQLite), kek.countingKEK, flaky(kek, c))
	require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "a@example.com")).Error)
	opens := kek.opens
	look := func() error { _, err := h.find("1"); return err }
	require.NoError(t, look())
	c.pass(5*time.Minute - time.Second)
	require.NoError(t, look())
	require.Equal(t, opens, kek.opens, "warm for KeyTTL")
	c.pass(time.Second)
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs {
		wg.Go(func() { errs[i] = look() })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, opens+1, kek.opens, "one call when they expire, whatever the concurrency")

	kek.down.Store(true)
	c.pass(5*time.Minute + 59*time.Second)
	require.NoError(t, look(), "a short failure is borne")
	require.Greater(t, kek.opens, opens+1, "but the KEK was asked")
	c.pass(time.Second)
	require.ErrorIs(t, look(), privacy.ErrKey, "a longer one is not")
	require.ErrorIs(t, h.gorm().Create(customer("2", "Eva", "2", "e@example.com")).Error, privacy.ErrKey)
	kek.down.Store(false)
	require.NoError(t, look())
}

func TestKeyUsesAndGraceCanBeSet(t *testing.T) {
	c, kek := newClock(), &flakyKEK{countingKEK: newKEK(t)}
	h := openHouse(t, testdb.New(t, testdb.SQLite), kek.countingKEK, func(cfg *privacy.Config) {
		flaky(kek, c)(cfg)
		cfg.KeyUses, cfg.KeyGrace, cfg.KeyTTL = 3, -1, time.Hour
	})
	require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "a@example.com")).Error)
	opens := kek.opens
	for range 12 {
		_, err := h.find("1")
		require.NoError(t, err)
	}
	got := kek.opens - opens
	require.GreaterOrEqual(t, got, 3, "a use count of 3 asks again and again")
	kek.down.Store(true)
	c.pass(time.Hour)
	_, err := h.find("1")
	require.ErrorIs(t, err, privacy.ErrKey, "no grace")

	for _, bad := range []privacy.Config{{KeyTTL: -1}, {KeyUses: -1}} {
		bad.KEK, bad.Gate, bad.Record = kek, privacy.AllowAll, privacy.Discard
		_, err := privacy.Open(t.Context(), bad)
		require.ErrorContains(t, err, "may not be negative")
	}
}

func TestForgetAndClose(t *testing.T) {
	kek := &flakyKEK{countingKEK: newKEK(t)}
	h := openHouse(t, testdb.New(t, testdb.SQLite), kek.countingKEK, flaky(kek, newClock()))
	require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "a@example.com")).Error)
	before, err := h.find("1")
	require.NoError(t, err)
	require.Equal(t, "Ana", reveal(t, before.Name))

	kek.down.Store(true) // the permission on the KEK was withdrawn
	h.vault.Forget()
	_, err = before.Name.Reveal(h.ctx, "test")
	require.ErrorIs(t, err, privacy.ErrKey, "not even what was read before")
	_, err = h.find("1")
	require.ErrorIs(t, err, privacy.ErrKey)
	require.ErrorIs(t, h.gorm().Create(customer("2", "Eva", "2", "e@example.com")).Error, privacy.ErrKey)

	kek.down.Store(false)
	again, err := h.find("1")
	require.NoError(t, err)
	require.Equal(t, "Ana", reveal(t, again.Name))

	require.NoError(t, h.vault.Close())
	_, err = again.Name.Reveal(h.ctx, "test")
	require.ErrorIs(t, err, privacy.ErrKey)
	_, err = h.find("1")
	require.ErrorIs(t, err, privacy.ErrKey)
	require.ErrorContains(t, err, "closed")
	require.NoError(t, h.vault.Close())
}
