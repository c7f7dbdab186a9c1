package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

var errKilled = errors.New("killed")

// dying is a store of a process that dies at one operation and does nothing any
// more from then on; the operation itself still happens if persisted is set.
func dying(store backup.Store, at int, persisted bool) (*watched, *int) {
	count := new(int)
	return &watched{Store: store,
		before: func(string, string) error {
			*count++
			if *count > at || *count == at && !persisted {
				return errKilled
			}
			return nil
		},
		after: func(string, string) error {
			if *count >= at {
				return errKilled
			}
			return nil
		},
	}, count
}

// manyChunks fills a database so that a snapshot has several chunks a table.
func manyChunks(t testing.TB, db testdb.DB, rows int) {
	t.Helper()
	chunksOf(t, db, rows, 150)
}

// chunksOf makes rows of a width: where nothing is said of single rows, wide ones
// make as many chunks of fewer rows, which is most of the time under the race
// detector.
func chunksOf(t testing.TB, db testdb.DB, rows, width int) {
	t.Helper()
	pool := poolOf(t, db)
	exec(t, pool, "CREATE TABLE big (id INT PRIMARY KEY, body VARCHAR(1200))", "CREATE TABLE other (id INT PRIMARY KEY)", "INSERT INTO other VALUES (1)")
	for from := 0; from < rows; from += 500 {
		var values []string
		for id := from; id < min(from+500, rows); id++ {
			values = append(values, fmt.Sprintf("(%d, '%0*d')", id, width, id*7919))
		}
		exec(t, pool, "INSERT INTO big VALUES "+strings.Join(values, ", "))
	}
}

func TestCrashAtEveryStoreOperation(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	chunksOf(t, db, 480, 1100)
	source, kek := sourceOf(t, db), backuptest.NewKEK(t)
	want := rowsOf(t, source)
	for _, persisted := range []bool{false, true} {
		for _, earlier := range []int{0, 1} { // snapshots before the crash
			for at := 1; ; at++ {
				store := backup.NewMemory()
				for range earlier {
					run(t, open(t, store, kek, source))
				}
				w, count := dying(store, at, persisted)
				err := crashedRun(t, w, kek, source)
				name := fmt.Sprintf("operation %d, persisted %v, %d snapshots before", at, persisted, earlier)
				if err == nil {
					require.Greater(t, at, *count, name)
					require.Greater(t, at, 12, name)
					break
				}
				require.ErrorIs(t, err, errKilled, name)
				report := requireWhole(t, store, kek)
				require.LessOrEqual(t, len(report.Snapshots), earlier+1, name)

				s := run(t, open(t, store, kek, source))
				report = requireWhole(t, store, kek)
				require.Equal(t, s.ID, report.Snapshots[len(report.Snapshots)-1], name)
				requireRestores(t, store, kek, s.ID, want, name)
			}
		}
	}
}

func crashedRun(t *testing.T, store backup.Store, kek tink.AEADWithContext, source backup.Source) error {
	r, err := backup.Open(t.Context(), backup.Config{Source: source, Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard})
	if err != nil {
		return err
	}
	_, err = r.Run(t.Context(), backup.RunOptions{})
	return err
}

func TestCrashedRunsChunksAreUsed(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 9000)
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	w := &watched{Store: store, before: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, "manifest/") {
			return errKilled
		}
		return nil
	}}
	require.ErrorIs(t, crashedRun(t, w, kek, sourceOf(t, db)), errKilled)
	had := map[string][]byte{}
	for _, key := range keysOf(t, store, "chunk/") {
		had[key] = content(t, store, key)
	}
	require.Greater(t, len(had), 2)
	require.Equal(t, len(had)+1, requireWhole(t, store, kek).Leftover, "the chunks and their data key")

	// Nothing is believed about them: a bad one stops the run by name.
	bad := keysOf(t, store, "chunk/")[1]
	replace(t, store, bad, append(bytes.Clone(had[bad][:len(had[bad])-1]), 0))
	err := crashedRun(t, store, kek, sourceOf(t, db))
	require.ErrorIs(t, err, backup.ErrDamaged)
	require.ErrorContains(t, err, bad)
	require.ErrorContains(t, err, "remove it and run again")
	require.NoError(t, store.Delete(t.Context(), bad))

	s := run(t, open(t, store, kek, sourceOf(t, db)))
	require.Equal(t, int64(1), s.Work.Chunks)
	require.Equal(t, int64(len(had)-1), s.Work.Reused)
	require.Equal(t, 1, requireWhole(t, store, kek).Leftover, "the data key of the run in between, which stored no chunk")
	for key, object := range had {
		if key != bad {
			require.Equal(t, object, content(t, store, key), "not written twice")
		}
	}
}

func TestCrashOfAPutThatPersisted(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	for _, prefix := range []string{"keys/a", "keys/b", "datakey/", "chunk/", "manifest/"} {
		store, kek := backup.NewMemory(), backuptest.NewKEK(t)
		failed := false
		w := &watched{Store: store, after: func(op, key string) error {
			if op == "put" && strings.HasPrefix(key, prefix) && !failed {
				failed = true
				return errors.New("timeout")
			}
			return nil
		}}
		err := crashedRun(t, w, kek, sourceOf(t, db))
		require.True(t, failed)
		if prefix == "manifest/" {
			require.NoError(t, err, "the manifest is there, so the snapshot exists")
		} else {
			require.ErrorContains(t, err, "timeout")
		}
		requireWhole(t, store, kek)
		run(t, open(t, w, kek, sourceOf(t, db)))
		requireWhole(t, store, kek)
	}
}

func TestCrashAtEveryStoreOperationOfAPrune(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 3000)
	kek, origin := backuptest.NewKEK(t), backup.NewMemory()
	for i := range 4 {
		run(t, open(t, origin, kek, sourceOf(t, db)))
		if i == 1 { // so that there is an older record to remove
			_, err := open(t, origin, kek, nil).Prune(t.Context(), backup.PruneOptions{Keep: 1})
			require.NoError(t, err)
		}
	}
	for _, persisted := range []bool{false, true} {
		for at := 1; ; at++ {
			store := clone(t, origin)
			w, _ := dying(store, at, persisted)
			r, err := backup.Open(t.Context(), backup.Config{Store: w, KEK: kek, DataSet: "crm", Record: backup.Discard})
			if err == nil {
				_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 2})
			}
			if err == nil {
				require.Greater(t, at, 10)
				break
			}
			require.ErrorIs(t, err, errKilled)
			requireWhole(t, store, kek)
			_, err = open(t, store, kek, nil).Prune(t.Context(), backup.PruneOptions{Keep: 2})
			require.NoError(t, err)
			require.Equal(t, []backup.ID{3, 4}, requireWhole(t, store, kek).Snapshots)
			require.Equal(t, 2, len(keysOf(t, store, "manifest/")))
			require.Equal(t, []string{"prune/00000000000000000002"}, keysOf(t, store, "prune/"))
			for _, key := range keysOf(t, store, "chunk/") {
				require.Greater(t, key, "chunk/00000000000000000003", "nothing of what was pruned is left")
			}
		}
	}
}

// A child is this test binary, run again to be killed.
type child struct {
	Keyset               []byte
	Dir, Engine, DSN, Do string
	At                   int
	After                bool
}

const childEnv = "CONFIDE_BACKUP_TEST_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := runChild(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runChild(spec string) error {
	var c child
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	ctx := context.Background()
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(c.Keyset)))
	if err != nil {
		return err
	}
	local, err := aead.New(handle)
	if err != nil {
		return err
	}
	g, err := gorm.Open(testdb.Dialector(c.Engine, c.DSN), &gorm.Config{})
	if err != nil {
		return err
	}
	pool, err := g.DB()
	if err != nil {
		return err
	}
	database, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: c.Engine})
	if err != nil {
		return err
	}
	dir, err := dirstore.Open(ctx, c.Dir)
	if err != nil {
		return err
	}
	count := 0
	die := func(string, string) error {
		if count++; count == c.At {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	store := &watched{Store: dir, before: die}
	if c.After {
		store.before, store.after = nil, die
	}
	r, err := backup.Open(ctx, backup.Config{Source: database, Store: store, KEK: localKEK{local}, DataSet: "crm", Record: backup.Discard})
	if err != nil {
		return err
	}
	switch c.Do {
	case "prune":
		_, err = r.Prune(ctx, backup.PruneOptions{Keep: 2})
	case "restore":
		_, err = r.Restore(ctx, backup.Newest, database, backup.RestoreOptions{})
	case "runs":
		for n := 0; err == nil; n++ {
			_, err = r.Run(ctx, backup.RunOptions{Kind: []backup.Kind{backup.Incremental, backup.Incremental, backup.Differential, backup.Full}[n%4], Scrub: 3})
		}
	default:
		_, err = r.Run(ctx, backup.RunOptions{})
	}
	return err
}

type localKEK struct{ tink.AEAD }

func (k localKEK) EncryptWithContext(_ context.Context, p, ad []byte) ([]byte, error) {
	return k.Encrypt(p, ad)
}
func (k localKEK) DecryptWithContext(_ context.Context, c, ad []byte) ([]byte, error) {
	return k.Decrypt(c, ad)
}

// sharedKEK returns a key and the form in which a child can be given it.
func sharedKEK(t *testing.T) (tink.AEADWithContext, []byte) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	var buf bytes.Buffer
	require.NoError(t, insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&buf)))
	local, err := aead.New(handle)
	require.NoError(t, err)
	return localKEK{local}, buf.Bytes()
}

// spawn runs a child and reports whether it was killed by itself.
func spawn(t *testing.T, c child) (killed bool) {
	t.Helper()
	spec, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	out, err := cmd.CombinedOutput()
	var exit *osexec.ExitError
	if errors.As(err, &exit) {
		status := exit.Sys().(syscall.WaitStatus)
		require.True(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%s", out)
		return true
	}
	require.NoError(t, err, "%s", out)
	return false
}

func TestCrashOfTheProcessDuringRun(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		manyChunks(t, db, 4000)
		kek, cleartext := sharedKEK(t)
		dir := filepath.Join(t.TempDir(), "repository")
		store, err := dirstore.Open(t.Context(), dir)
		require.NoError(t, err)
		kills := 0
		for at := 1; ; at++ {
			c := child{Keyset: cleartext, Dir: dir, Engine: db.Engine, DSN: db.DSN, Do: "run", At: at, After: at%2 == 0}
			if !spawn(t, c) {
				break
			}
			kills++
			requireWhole(t, store, kek) // with whatever the runs before have left
		}
		require.Greater(t, kills, 8)
		report := requireWhole(t, store, kek)
		require.Len(t, keysOf(t, store, "chunk/"), report.Chunks, "each chunk was stored once, by whichever run")
		require.LessOrEqual(t, report.Leftover, kills, "what a killed run may leave is its data key")
		to := restored(t, store, kek, backup.Newest, db.Engine)
		require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))
	})
}

func TestCrashOfTheProcessDuringRestore(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		manyChunks(t, db, 6000)
		kek, cleartext := sharedKEK(t)
		dir := filepath.Join(t.TempDir(), "repository")
		store, err := dirstore.Open(t.Context(), dir)
		require.NoError(t, err)
		run(t, open(t, store, kek, sourceOf(t, db)))

		to := testdb.New(t, db.Engine)
		// Both copies of the keys, two lists, the manifest, and into the chunks.
		require.True(t, spawn(t, child{Keyset: cleartext, Dir: dir, Engine: db.Engine, DSN: to.DSN, Do: "restore", At: 7}))
		if db.Engine == testdb.MySQL {
			// There is no way to roll CREATE TABLE back, but it cannot pass for whole.
			require.Equal(t, "0", one(t, to, "SELECT count(*) FROM confide_restore_unfinished"))
			_, err = open(t, store, kek, nil).Restore(t.Context(), backup.Newest, sourceOf(t, to), backup.RestoreOptions{})
			require.ErrorIs(t, err, backup.ErrNotEmpty)
			return
		}
		require.Eventually(t, func() bool { // the server notices that its client is gone
			_, err = open(t, store, kek, nil).Restore(t.Context(), backup.Newest, sourceOf(t, to), backup.RestoreOptions{})
			return err == nil
		}, 20*time.Second, 50*time.Millisecond, "%v", err)
		require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))
	})
}
