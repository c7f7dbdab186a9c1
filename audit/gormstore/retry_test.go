package gormstore_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

// A file that somebody else writes to is busy, and the driver does not wait
// here: the store must come back by itself.
func TestABusyFileIsTriedAgain(t *testing.T) {
	dsn := strings.Replace(testdb.SQLiteDSN(filepath.Join(t.TempDir(), "x.db")), "busy_timeout(10000)", "busy_timeout(0)", 1)
	open := func() *gorm.DB {
		db, err := gorm.Open(testdb.Dialector(testdb.SQLite, dsn), &gorm.Config{Logger: logger.Discard})
		require.NoError(t, err)
		pool, err := db.DB()
		require.NoError(t, err)
		t.Cleanup(func() { pool.Close() })
		return db
	}
	store, err := gormstore.Open(t.Context(), open())
	require.NoError(t, err)

	held := open().Begin()
	require.NoError(t, held.Error)
	released := make(chan error, 1)
	go func() {
		time.Sleep(30 * time.Millisecond) // the store's attempts last at least 225 ms
		released <- held.Rollback().Error
	}()
	require.NoError(t, store.Enqueue(t.Context(), []audit.Pending{{Event: make([]byte, 16), Data: []byte("x"), MAC: make([]byte, 32)}}))
	require.NoError(t, <-released)

	held = open().Begin()
	require.NoError(t, held.Error)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.Error(t, store.Enqueue(ctx, []audit.Pending{{Event: make([]byte, 16), Data: []byte("x"), MAC: make([]byte, 32)}}))
	require.NoError(t, held.Rollback().Error)
	p, err := store.Pending(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, p, 1)
}
