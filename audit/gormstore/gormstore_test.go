package gormstore_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

func TestStore(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		s, err := gormstore.Open(t.Context(), db.DB)
		require.NoError(t, err)
		empty := db.Snapshot(t)
		audittest.RunStore(t, func(t *testing.T) audit.Store {
			empty.Restore(t)
			return s
		})
	})
}

// Many processes of one release start at the same moment, on an empty database.
func TestOpenIsIdempotentAndConcurrent(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		for range 2 {
			fresh := testdb.New(t, db.Engine)
			start := make(chan struct{})
			errs := make([]error, 4)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() {
					<-start
					_, errs[i] = gormstore.Open(t.Context(), fresh.DB)
				})
			}
			close(start)
			wg.Wait()
			require.NoError(t, errors.Join(errs...))
			_, err := gormstore.Open(t.Context(), fresh.DB)
			require.NoError(t, err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	_, err := gormstore.Open(t.Context(), nil)
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "nil *gorm.DB")

	db := testdb.New(t, testdb.SQLite)
	require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
		_, err := gormstore.Open(t.Context(), tx)
		require.ErrorContains(t, err, "open the store before one begins")
		return nil
	}))
}
