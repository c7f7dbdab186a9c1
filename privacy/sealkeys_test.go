package privacy_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func customers(ids ...string) []*Customer {
	var out []*Customer
	for _, id := range ids {
		out = append(out, customer(id, "N"+id, "138"+id, id+"@example.com"))
	}
	return out
}

// A batch of new persons of whom one is known already keeps that one's key.
func TestNewPersonsOfWhomOneIsKnown(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		h := openHouse(t, db, kek, nil)
		require.NoError(t, h.gorm().Create(&Invoice{ID: "i", CustomerID: "2", BillingName: privacy.New("before")}).Error)
		batch := customers("3", "1", "2", "ü\\\"'{},")
		require.NoError(t, h.gorm().Create(batch).Error)
		for _, c := range batch {
			require.Equal(t, "N"+c.ID, reveal(t, c.Name), "what the program holds opens")
		}

		other := openHouse(t, db.Reopen(t), kek, nil)
		var i Invoice
		require.NoError(t, other.gorm().First(&i).Error)
		require.Equal(t, "before", reveal(t, i.BillingName))
		var list []Customer
		require.NoError(t, other.gorm().Find(&list).Error)
		require.Len(t, list, len(batch))
		for _, c := range list {
			require.Equal(t, "N"+c.ID, reveal(t, c.Name), "what is stored opens for another process")
		}
	})
}

// A batch of new persons of whom one was erased is refused whole, and leaves no key behind.
func TestNewPersonsOfWhomOneWasErased(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		_, err := h.vault.Erase(h.ctx, h.db.DB, "customer:2")
		require.NoError(t, err)
		require.ErrorIs(t, h.gorm().Create(customers("1", "2", "3")).Error, privacy.ErrErased)
		require.Equal(t, privacy.NeverSeen, state(t, h, "customer:1"))
		require.Equal(t, privacy.NeverSeen, state(t, h, "customer:3"))
		var n int64
		require.NoError(t, h.gorm().Model(&Customer{}).Count(&n).Error)
		require.Zero(t, n)
	})
}

// Processes that create the same persons at the same time: of each batch one gets through, and what it
// wrote opens. The others fail on the row, never by waiting for each other in a circle.
func TestProcessesThatCreateTheSamePersons(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		houses := []*house{openHouse(t, db, kek, nil), openHouse(t, db.Reopen(t), kek, nil)}
		require.NoError(t, houses[0].gorm().Create(customer("first", "", "", "")).Error)
		for round := range 4 {
			var wg sync.WaitGroup
			errs := make([]error, 4)
			for w := range errs {
				wg.Go(func() {
					var ids []string
					for i := range 8 {
						ids = append(ids, fmt.Sprintf("%d-%d", round, (i*3+w)%8))
					}
					errs[w] = houses[w%2].gorm().Create(customers(ids...)).Error
				})
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				}
			}
			require.Equal(t, 1, won, "%v", errs)
		}
		third := openHouse(t, db.Reopen(t), kek, nil)
		var list []Customer
		require.NoError(t, third.gorm().Find(&list, "id <> ?", "first").Error)
		require.Len(t, list, 32)
		for _, c := range list {
			require.Equal(t, "N"+c.ID, reveal(t, c.Name))
		}
	})
}
