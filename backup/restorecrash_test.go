package backup_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// TestRestoreCrashesAtEveryStoreOperation ends the store at each operation, in a
// restore into the same engine and into each other one: the target stays as empty
// as it was, and the next restore into it completes.
func TestRestoreCrashesAtEveryStoreOperation(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 4000)
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	run(t, open(t, store, kek, sourceOf(t, db)))
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			to := testdb.New(t, engine)
			at := 1
			for ; ; at++ {
				w, _ := dying(store, at, at%2 == 0)
				r, err := backup.Open(t.Context(), backup.Config{Store: w, KEK: kek, DataSet: "crm", Record: backup.Discard})
				if err == nil {
					_, err = r.Restore(t.Context(), backup.Newest, sourceOf(t, to), backup.RestoreOptions{})
				}
				if err == nil {
					break
				}
				require.ErrorIs(t, err, errKilled)
				require.Empty(t, rowsOf(t, sourceOf(t, to)), "operation %d", at)
			}
			require.Greater(t, at, 8, fmt.Sprint(engine))
			require.Equal(t, "4000", one(t, to, "SELECT count(*) FROM big"))
		})
	}
}

// TestCrashOfADrillLeavesNoDatabase ends the store at each operation of
// a drill.
func TestCrashOfADrillLeavesNoDatabase(t *testing.T) {
	_, origin, kek, _ := shopped(t, testdb.SQLite)
	at, made := 1, 0
	for ; ; at++ {
		store := clone(t, origin)
		w, _ := dying(store, at, true)
		r, err := backup.Open(t.Context(), backup.Config{Store: w, KEK: kek, DataSet: "crm", Record: backup.Discard})
		if err == nil {
			_, err = r.Drill(t.Context(), backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &made), Promotion: people("7")})
		}
		require.Zero(t, made)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, errKilled)
		requireWhole(t, store, kek)
		drills, err := open(t, store, kek, nil).Drills(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, len(drills), 1, "a report that was told as failed and had been stored")
	}
	require.Greater(t, at, 15)
}
