package audit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

func TestLagNamesTheBlockingTransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		lag, err := b.log.Lag(b.ctx)
		require.NoError(t, err)
		require.Equal(t, audit.Lag{}, lag)
		for range 3 {
			require.NoError(t, b.log.Record(b.ctx, "a.b"))
		}
		lag, err = b.log.Lag(b.ctx)
		require.NoError(t, err)
		require.EqualValues(t, 3, lag.Waiting)
		require.GreaterOrEqual(t, lag.Oldest, 3*time.Second, "the clock of the test moves a second a call")
		require.Empty(t, lag.Blockers)

		if db.Engine == testdb.SQLite { // it can tell nothing of others
			return
		}
		tx := b.DB.DB.Begin()
		defer tx.Rollback()
		require.NoError(t, tx.Exec("UPDATE confide_audit_heads SET tip = tip, note = note WHERE log_id = ''").Error)
		if db.Engine == testdb.MySQL {
			require.NoError(t, tx.Exec("SELECT size FROM confide_audit_heads WHERE log_id = '' FOR UPDATE").Error)
		}
		var session string
		require.NoError(t, tx.Raw(map[string]string{testdb.Postgres: "SELECT pg_backend_pid()", testdb.MySQL: "SELECT CONNECTION_ID()"}[db.Engine]).Scan(&session).Error)
		ctx, cancel := context.WithTimeout(b.ctx, 300*time.Millisecond)
		defer cancel()
		_, err = b.log.Seal(ctx)
		require.Error(t, err, "the head is held")
		lag, err = b.log.Lag(b.ctx)
		require.NoError(t, err)
		require.EqualValues(t, 3, lag.Waiting)
		require.NotEmpty(t, lag.Blockers)
		require.Equal(t, session, lag.Blockers[0].Session)
		require.Contains(t, lag.String(), "3 events wait, the oldest for ")
		require.Contains(t, lag.String(), "session "+session+" ")
		require.NotContains(t, lag.String(), "UPDATE", "a statement may hold personal values")
		require.NoError(t, tx.Rollback().Error)
		require.Equal(t, 3, b.seal(t))
	})
}

func TestLagOfAStoreThatCannotTell(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	for range 1001 {
		require.NoError(t, log.RecordApart(t.Context(), "a.b"))
	}
	require.NoError(t, log.Flush(t.Context()))
	lag, err := log.Lag(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1001, lag.Waiting)
	require.Positive(t, lag.Oldest)
}
