package backup_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/internal/testdb"
)

// A run that shares chunks, killed at each of its operations on the store: what
// is there verifies, and the next run, which may build on what the killed one
// has done or not, has every row.
func TestCrashAtEveryStoreOperationOfASharingRun(t *testing.T) {
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE ledger (id INT PRIMARY KEY, v VARCHAR(1200))")
		for id := range 2000 {
			if id%100 == 0 {
				values := ""
				for i := id; i < id+100; i++ {
					values += fmt.Sprintf(", (%d, '%01000d')", i, i*7919)
				}
				exec(t, pool, "INSERT INTO ledger VALUES "+values[2:])
			}
		}
		track(t, db)
		anna, annas := recipient(t, "anna")
		origin := backup.NewMemory()
		cfg := backup.Config{Source: sourceOf(t, db), KEK: backuptest.NewKEK(t), Recipients: []backup.Recipient{anna}}
		on := func(store backup.Store) *backup.Repository {
			with := cfg
			with.Store = store
			return openWith(t, with)
		}
		run(t, on(origin))
		exec(t, pool, "UPDATE ledger SET v = 'second' WHERE id = 1999")
		require.Equal(t, backup.Incremental, runKind(t, on(origin), backup.Incremental).Kind)
		mark := one(t, db, "SELECT mark FROM confide_backup_marks")
		cfg.Recovery = annas

		kinds, persists := []backup.Kind{backup.Incremental}, []bool{false}
		if db.Engine == testdb.SQLite {
			kinds, persists = append(kinds, backup.Differential), append(persists, true)
		}
		for _, kind := range kinds {
			for _, persisted := range persists {
				if testing.Short() && persisted == (kind == backup.Incremental) {
					continue
				}
				for at := 1; ; at++ {
					name := fmt.Sprintf("%v, operation %d, persisted %v", kind, at, persisted)
					store := clone(t, origin)
					exec(t, pool, "UPDATE confide_backup_marks SET mark = '"+mark+"'", fmt.Sprintf("UPDATE ledger SET v = '%s' WHERE id IN (3, 1500)", name))
					w, _ := dying(store, at, persisted)
					with := cfg
					with.Store, with.DataSet, with.Record = w, "crm", backup.Discard
					r, err := backup.Open(t.Context(), with)
					if err == nil {
						_, err = r.Run(t.Context(), backup.RunOptions{Kind: kind})
					}
					whole := err == nil
					if !whole {
						require.ErrorIs(t, err, errKilled, name)
					}
					report, err := on(store).Verify(t.Context(), backup.Every, backup.VerifyOptions{})
					require.NoError(t, err, name)
					require.Zero(t, report.Unopened)
					exec(t, pool, "UPDATE ledger SET v = 'after the crash' WHERE id = 4")
					s := runKind(t, on(store), kind)
					require.Equal(t, kind, s.Kind, name)
					require.Empty(t, s.Missed, name)
					to := &heap{rows: map[string][]string{}}
					_, err = on(store).Restore(t.Context(), s.ID, to, backup.RestoreOptions{})
					require.NoError(t, err, name)
					require.Len(t, to.rows["ledger"], 2000)
					for i, row := range rowsOf(t, sourceOf(t, db))["ledger"] {
						require.Equal(t, hex.EncodeToString(row), to.rows["ledger"][i], name)
					}
					if whole {
						require.Greater(t, at, 10, name)
						break
					}
				}
			}
		}
	})
}

// A process that makes snapshots of all kinds without end is killed at instants
// that nobody has chosen, while rows are changed. CONFIDE_BACKUP_TEST_KILLS says
// how often.
func TestCrashAtRandomInstants(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("CONFIDE_BACKUP_TEST_KILLS"))
	if err != nil {
		kills = 4
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		manyChunks(t, db, 6000)
		track(t, db)
		kek, cleartext := sharedKEK(t)
		dir := filepath.Join(t.TempDir(), "repository")
		store, err := dirstore.Open(t.Context(), dir)
		require.NoError(t, err)
		for n := range kills {
			committed := fmt.Sprintf("committed %d", n)
			exec(t, poolOf(t, db), fmt.Sprintf("UPDATE big SET body = '%s' WHERE id = %d", committed, rand.IntN(6000)))
			before := len(keysOf(t, store, ""))
			process := startChild(t, child{Keyset: cleartext, Dir: dir, Engine: db.Engine, DSN: db.DSN, Do: "runs"})
			// It has begun to write, and gets a random time from there.
			require.Eventually(t, func() bool { return len(keysOf(t, store, "")) > before }, time.Minute, time.Millisecond)
			time.Sleep(time.Duration(rand.Int64N(int64(200 * time.Millisecond))))
			require.NoError(t, process.Process.Kill())
			_ = process.Wait() // it was killed
			requireWhole(t, store, kek)
			s := runKind(t, open(t, store, kek, sourceOf(t, db)), backup.Incremental)
			require.Empty(t, s.Missed)
			requireRestores(t, store, kek, s.ID, rowsOf(t, sourceOf(t, db)), fmt.Sprint("kill ", n))
		}
	})
}

func startChild(t *testing.T, c child) *osexec.Cmd {
	t.Helper()
	spec, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	require.NoError(t, cmd.Start())
	return cmd
}
