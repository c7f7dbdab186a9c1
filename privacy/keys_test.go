package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/privacytest"
)

// deafKEK ignores associated data, as some services do without an error.
type deafKEK struct{ *countingKEK }

func (k deafKEK) EncryptWithContext(ctx context.Context, p, _ []byte) ([]byte, error) {
	return k.countingKEK.EncryptWithContext(ctx, p, nil)
}

func (k deafKEK) DecryptWithContext(ctx context.Context, c, _ []byte) ([]byte, error) {
	return k.countingKEK.DecryptWithContext(ctx, c, nil)
}

func TestOpenRefuses(t *testing.T) {
	kek := newKEK(t)
	for want, cfg := range map[string]privacy.Config{
		"Config.KEK is missing":     {Gate: privacy.AllowAll, Record: privacy.Discard},
		"privacy.AllowAll":          {KEK: kek, Record: privacy.Discard},
		"privacy.Discard":           {KEK: kek, Gate: privacy.AllowAll},
		"has no telephone rules":    {KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard, Region: "ATLANTIS"},
		"ignores associated data":   {KEK: deafKEK{kek}, Gate: privacy.AllowAll, Record: privacy.Discard},
		"does not encrypt: offline": {KEK: brokenKEK{}, Gate: privacy.AllowAll, Record: privacy.Discard},
	} {
		_, err := privacy.Open(t.Context(), cfg)
		require.ErrorContains(t, err, want)
	}
}

type brokenKEK struct{}

func (brokenKEK) EncryptWithContext(context.Context, []byte, []byte) ([]byte, error) {
	return nil, errors.New("offline")
}

func (brokenKEK) DecryptWithContext(context.Context, []byte, []byte) ([]byte, error) {
	return nil, errors.New("offline")
}

func TestAnotherKEKIsNoticedAtStart(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "2")).Error)
		again := db.Reopen(t)
		v, err := privacy.Open(t.Context(), privacy.Config{KEK: newKEK(t), Gate: privacy.AllowAll, Record: privacy.Discard})
		require.NoError(t, err)
		require.NoError(t, again.Use(v))
		err = v.Migrate(t.Context(), again.DB, &Customer{})
		require.ErrorIs(t, err, privacy.ErrKey)
		require.ErrorContains(t, err, "not the one this database was made with")
	})
}

func TestAVaultBelongsToOneDatabase(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	require.ErrorContains(t, testdb.New(t, testdb.SQLite).Use(h.vault), "one database")
	v, err := privacy.Open(t.Context(), privacy.Config{KEK: newKEK(t), Gate: privacy.AllowAll, Record: privacy.Discard})
	require.NoError(t, err)
	require.ErrorContains(t, v.Migrate(t.Context(), h.db.DB), "db.Use(vault)")
	require.ErrorContains(t, v.Register(t.Context(), h.db.DB), "db.Use(vault)")
}

// One call of the key service per tenant however many goroutines start cold, none when warm, and one key
// query per result set whatever its size.
func TestKeyServiceAndKeyQueriesAreCounted(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	kek := newKEK(t)
	store := privacytest.NewMemory()
	use := func(c *privacy.Config) { c.Keys = store }
	h := openHouse(t, db, kek, use)
	var list []*Customer
	for i := range 100 {
		list = append(list, customer(fmt.Sprint(i), "Ana", fmt.Sprint(i), "x"))
	}
	require.NoError(t, h.gorm().Create(list).Error)

	cold := openHouse(t, db.Reopen(t), kek, use)
	opens := kek.opens
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs {
		wg.Go(func() {
			var c Customer
			errs[i] = cold.gorm().Where(&Customer{Phone: privacy.New(fmt.Sprint(i))}).First(&c).Error
			if errs[i] == nil {
				_, errs[i] = c.Name.Reveal(cold.ctx, "test")
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 1, kek.opens-opens, "calls of the key service, cold")

	loads := store.Loads()
	var all []Customer
	require.NoError(t, cold.gorm().Preload("Invoices").Find(&all).Error)
	for _, c := range all {
		require.Equal(t, "Ana", reveal(t, c.Name))
	}
	require.Equal(t, 1, kek.opens-opens, "calls of the key service, warm")
	require.Equal(t, 1, store.Loads()-loads, "key queries for one result set")
	loads = store.Loads()
	var n int64
	require.NoError(t, cold.gorm().Model(&Customer{}).Where(&Customer{Phone: privacy.New("1")}).Count(&n).Error)
	require.Equal(t, 0, store.Loads()-loads, "key queries where nothing sealed is read")
}

// A tenant's keys that were made in a transaction that rolled back must not be remembered.
func TestTenantKeysOfARolledBackTransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		h := openHouse(t, db, kek, nil)
		boom := errors.New("boom")
		for range 2 {
			require.ErrorIs(t, h.gorm().Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Create(customer("1", "lost", "1", "2")).Error)
				require.NoError(t, tx.Session(&gorm.Session{PrepareStmt: true}).Create(customer("2", "lost", "1", "2")).Error)
				require.NoError(t, tx.First(&Customer{}, "id = ?", "1").Error)
				return boom
			}), boom)
		}
		require.NoError(t, h.gorm().Create(customer("1", "kept", "13800138000", "2")).Error)

		// Another process has only what is stored.
		other := openHouse(t, db.Reopen(t), kek, nil)
		var c Customer
		require.NoError(t, other.gorm().Where(&Customer{Phone: privacy.New("13800138000")}).First(&c).Error)
		require.Equal(t, "kept", reveal(t, c.Name))
	})
}

// A row that cannot be written takes its key along.
func TestKeyAndRowAreOneTransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create(&Invoice{ID: "i1", CustomerID: "1", BillingName: privacy.New("x")}).Error)
		for name, tx := range map[string]*gorm.DB{"default": h.gorm(), "skipped": h.gorm().Session(&gorm.Session{SkipDefaultTransaction: true})} {
			t.Run(name, func(t *testing.T) {
				require.Error(t, tx.Create(&Invoice{ID: "i1", CustomerID: "2", BillingName: privacy.New("x")}).Error)
				require.Equal(t, privacy.NeverSeen, state(t, h, "customer:2"))
			})
		}
		var n int64
		require.NoError(t, h.gorm().Model(&Invoice{}).Count(&n).Error, "the connection is usable after the failure")
	})
}

// Two processes that create the same persons at the same time end with one key per person.
func TestProcessesAgreeOnKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		houses := []*house{openHouse(t, db, kek, nil), openHouse(t, db.Reopen(t), kek, nil)}
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for w := range errs {
			wg.Go(func() {
				for i := range 10 {
					h := houses[w%2]
					// Each batch names the same persons in another order.
					batch := []Invoice{}
					for k := range 3 {
						person := fmt.Sprint((i + k*w) % 10)
						batch = append(batch, Invoice{ID: fmt.Sprintf("%d-%d-%d", w, i, k), CustomerID: person, BillingName: privacy.New("N" + person)})
					}
					if err := h.gorm().Create(&batch).Error; err != nil {
						errs[w] = err
						return
					}
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		third := openHouse(t, db.Reopen(t), kek, nil)
		var list []Invoice
		require.NoError(t, third.gorm().Find(&list).Error)
		require.Len(t, list, 240)
		for _, i := range list {
			require.Equal(t, "N"+i.CustomerID, reveal(t, i.BillingName))
		}
	})
}

// Whoever wins, an erased person has no index afterwards and no key.
func TestEraseAgainstWriters(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		writer, eraser := openHouse(t, db, kek, nil), openHouse(t, db.Reopen(t), kek, nil)
		for i := range 12 {
			id := fmt.Sprint(i)
			require.NoError(t, writer.gorm().Create(customer(id, "Ana", "1", "a@example.com")).Error)
			start := make(chan struct{})
			var wg sync.WaitGroup
			var writeErr, eraseErr error
			wg.Go(func() {
				<-start
				writeErr = writer.gorm().Model(&Customer{ID: id}).Updates(Customer{Phone: privacy.New("2"), Email: privacy.New("b@example.com")}).Error
			})
			wg.Go(func() {
				<-start
				_, eraseErr = eraser.vault.Erase(eraser.ctx, eraser.db.DB, "customer:"+id)
			})
			close(start)
			wg.Wait()
			require.NoError(t, eraseErr)
			if writeErr != nil {
				require.ErrorIs(t, writeErr, privacy.ErrErased)
			}
		}
		findings, err := writer.vault.Doctor(writer.ctx, db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
		var n int64
		require.NoError(t, writer.gorm().Model(&Customer{}).Where("phone_index IS NOT NULL").Count(&n).Error)
		require.Zero(t, n)
	})
}
