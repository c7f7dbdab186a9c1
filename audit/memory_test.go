package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

func TestMemoryStore(t *testing.T) {
	audittest.RunStore(t, func(*testing.T) audit.Store { return audit.NewMemory() })
}

func TestMemoryStoreRefusesTransactions(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	require.NoError(t, db.Transaction(func(tx *gorm.DB) error {
		ctx := audit.WithTx(t.Context(), tx)
		err := audit.NewMemory().Enqueue(ctx, nil)
		require.ErrorIs(t, err, audit.ErrInvalid)
		require.ErrorContains(t, err, "use audit/gormstore")
		_, err = audit.NewMemory().Revise(ctx, "t", "r", []string{"1"})
		require.ErrorIs(t, err, audit.ErrInvalid)
		return nil
	}))
}
