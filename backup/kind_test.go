package backup_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// writtenBy are the runs whose objects a restore of one snapshot reads.
func writtenBy(t *testing.T, store backup.Store, r func(backup.Store) *backup.Repository, id backup.ID, engine string) map[string]bool {
	t.Helper()
	runs := map[string]bool{}
	w := &watched{Store: store, before: func(op, key string) error {
		if rest, ok := strings.CutPrefix(key, "chunk/"); ok && op == "get" {
			runs[strings.TrimLeft(rest[:20], "0")] = true
		}
		return nil
	}}
	_, err := r(w).Restore(t.Context(), id, sourceOf(t, testdb.New(t, engine)), backup.RestoreOptions{})
	require.NoError(t, err)
	return runs
}

func TestWhatEachKindShares(t *testing.T) {
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		for _, tracked := range []bool{false, true} {
			t.Run(fmt.Sprint("tracked ", tracked), func(t *testing.T) {
				t.Parallel()
				db := testdb.New(t, db.Engine)
				pool := poolOf(t, db)
				chunksOf(t, db, 4000, 1100) // four chunks: of two, one that changed may be most
				if tracked {
					track(t, db)
				}
				kek, store := backuptest.NewKEK(t), backup.NewMemory()
				r := open(t, store, kek, sourceOf(t, db))
				change := func(id int) {
					exec(t, pool, fmt.Sprintf("UPDATE big SET body = 'changed' WHERE id = %d", id))
				}
				require.Equal(t, backup.Full, runKind(t, r, backup.Incremental).Kind, "there is nothing to share with")
				change(3990)
				require.Equal(t, backup.Incremental, runKind(t, r, backup.Incremental).Kind)
				change(1)
				require.Equal(t, backup.Differential, runKind(t, r, backup.Differential).Kind)
				s := runKind(t, r, backup.Incremental)
				require.Zero(t, s.Work.Chunks, "nothing changed")
				require.Zero(t, s.Work.Stored)
				if tracked {
					require.Less(t, s.Work.Read, int64(4001), "only what is scrubbed is read")
				}
				require.Equal(t, backup.Full, runKind(t, r, backup.Full).Kind)
				change(2000)
				last := runKind(t, r, backup.Incremental)
				reopen := func(s backup.Store) *backup.Repository { return open(t, s, kek, nil) }
				for id, want := range map[backup.ID][]string{1: {"1"}, 2: {"1", "2"}, 3: {"1", "3"}, 4: {"1", "3"}, 5: {"5"}, 6: {"5", "6"}} {
					got := writtenBy(t, store, reopen, id, db.Engine)
					require.Len(t, got, len(want), "snapshot %d: %v", id, got)
					for _, run := range want {
						require.True(t, got[run], "snapshot %d shares with %s: %v", id, run, got)
					}
				}
				requireWhole(t, store, kek)
				to := restored(t, store, kek, last.ID, db.Engine)
				require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))

				// Older snapshots can go without harm to those that share with them.
				_, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
				require.NoError(t, err)
				requireWhole(t, store, kek)
				restored(t, store, kek, last.ID, db.Engine)
				require.Equal(t, backup.Incremental, runKind(t, r, backup.Incremental).Kind)
				requireWhole(t, store, kek)
			})
		}
	})
}

func TestKindsHaveNames(t *testing.T) {
	for kind, name := range map[backup.Kind]string{backup.Full: "full", backup.Differential: "differential", backup.Incremental: "incremental"} {
		require.Equal(t, name, kind.String())
		parsed, err := backup.ParseKind(name)
		require.NoError(t, err)
		require.Equal(t, kind, parsed)
	}
	_, err := backup.ParseKind("fully")
	require.ErrorContains(t, err, "use full, differential or incremental")
	r := open(t, backup.NewMemory(), backuptest.NewKEK(t), sourceOf(t, testdb.New(t, testdb.SQLite)))
	for text, opts := range map[string]backup.RunOptions{"RunOptions.Kind is 3": {Kind: 3}, "RunOptions.Kind is -1": {Kind: -1}, "RunOptions.Scrub is negative": {Scrub: -1}} {
		_, err := r.Run(t.Context(), opts)
		require.ErrorContains(t, err, text)
	}
}
