package backup_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/cell"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

func TestSnapshotIsOfOneMoment(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE a_account (id INT PRIMARY KEY, balance INT, pad VARCHAR(200))", "CREATE TABLE z_account (id INT PRIMARY KEY, balance INT)", "CREATE TABLE m_log (id INT PRIMARY KEY, amount INT)")
		const accounts = 3000
		for from := 0; from < accounts; from += 500 {
			var a, z []string
			for id := from; id < from+500; id++ {
				a = append(a, fmt.Sprintf("(%d, 100, '%0150d')", id, id))
				z = append(z, fmt.Sprintf("(%d, 100)", id))
			}
			exec(t, pool, "INSERT INTO a_account VALUES "+strings.Join(a, ","), "INSERT INTO z_account VALUES "+strings.Join(z, ","))
		}
		ctx, stop := context.WithCancel(t.Context())
		var writer sync.WaitGroup
		moved := 0
		writer.Go(func() {
			for ; ctx.Err() == nil; moved++ {
				transfer(t, pool, moved, accounts)
			}
		})
		store, kek := backup.NewMemory(), backuptest.NewKEK(t)
		during := 0
		slow := &watched{Store: store, before: func(op, key string) error {
			if op == "put" && strings.HasPrefix(key, "chunk/") {
				time.Sleep(20 * time.Millisecond) // the writer gets its turns between tables
				during++
			}
			return nil
		}}
		r := open(t, slow, kek, sourceOf(t, db))
		for range 3 {
			run(t, r)
		}
		stop()
		writer.Wait()
		require.Greater(t, moved, 20, "the writer was at work")
		require.Greater(t, during, 6)
		seen := map[string]bool{}
		for id := backup.ID(1); id <= 3; id++ {
			to := restored(t, store, kek, id, db.Engine)
			require.Equal(t, fmt.Sprint(2*100*accounts), one(t, to, "SELECT (SELECT sum(balance) FROM a_account) + (SELECT sum(balance) FROM z_account)"), "money is neither made nor lost")
			count := one(t, to, "SELECT count(*) FROM m_log")
			require.Equal(t, one(t, to, "SELECT 100 * 3000 - sum(balance) FROM a_account"), count, "each transfer that is seen is seen in all three tables")
			seen[count] = true
		}
		require.Greater(t, len(seen), 1, "the snapshots differ, so there was something to tear")
	})
}

// transfer moves 1 from a to z and logs it.
func transfer(t *testing.T, pool *sql.DB, n, accounts int) {
	tx, err := pool.Begin()
	if err != nil {
		t.Errorf("begin: %v", err)
		return
	}
	defer tx.Rollback()
	for _, s := range []string{
		fmt.Sprintf("UPDATE a_account SET balance = balance - 1 WHERE id = %d", n*7919%accounts),
		fmt.Sprintf("INSERT INTO m_log VALUES (%d, 1)", n),
		fmt.Sprintf("UPDATE z_account SET balance = balance + 1 WHERE id = %d", n*104729%accounts),
	} {
		if _, err := tx.Exec(s); err != nil {
			t.Errorf("%s: %v", s, err)
			return
		}
	}
	if err := tx.Commit(); err != nil {
		t.Errorf("commit: %v", err)
	}
}

func TestOpenRefusesAnIncompleteConfig(t *testing.T) {
	good := backup.Config{Store: backup.NewMemory(), KEK: backuptest.NewKEK(t), DataSet: "crm", Record: backup.Discard}
	for text, change := range map[string]func(*backup.Config){
		"Config.Store is nil; use dirstore.Open":        func(c *backup.Config) { c.Store = nil },
		"Config.KEK is nil":                             func(c *backup.Config) { c.KEK = nil },
		"Config.Record is nil; pass an audit log":       func(c *backup.Config) { c.Record = nil },
		"Config.DataSet must be 1 to 63 of a-z":         func(c *backup.Config) { c.DataSet = "" },
		"Config.DataSet must be 1 to 63 of a-z, 0-9":    func(c *backup.Config) { c.DataSet = "CRM" },
		"DataSet must be 1 to 63 of a-z, 0-9, '-' and ": func(c *backup.Config) { c.DataSet = strings.Repeat("x", 64) },
	} {
		cfg := good
		change(&cfg)
		_, err := backup.Open(t.Context(), cfg)
		require.ErrorContains(t, err, text)
	}
	r, err := backup.Open(t.Context(), good)
	require.NoError(t, err)
	require.Empty(t, keysOf(t, good.Store, ""), "Open writes nothing")
	_, err = r.Run(t.Context(), backup.RunOptions{})
	require.ErrorContains(t, err, "Config.Source is nil")
}

func TestEmptyRepository(t *testing.T) {
	r := open(t, backup.NewMemory(), backuptest.NewKEK(t), nil)
	list, err := r.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = r.Verify(t.Context(), backup.Newest, backup.VerifyOptions{})
	require.ErrorIs(t, err, backup.ErrNoSnapshot)
	report, err := r.Verify(t.Context(), backup.Every, backup.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, report.OK)
	report, err = r.Verify(t.Context(), backup.Every, backup.VerifyOptions{Heads: []backup.Head{{ID: 1, Hash: "x"}}})
	require.ErrorIs(t, err, backup.ErrDamaged, "a store that shows nothing is not simply empty")
	require.False(t, report.OK)
	_, err = r.Restore(t.Context(), backup.Newest, nil, backup.RestoreOptions{})
	require.ErrorIs(t, err, backup.ErrNoSnapshot)
	pruned, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Zero(t, pruned)
}

func TestDataSetsAreNotMixed(t *testing.T) {
	store, kek := small(t)
	_, err := backup.Open(t.Context(), backup.Config{Store: store, KEK: kek, DataSet: "keys", Record: backup.Discard})
	require.ErrorContains(t, err, `the repository holds data set "crm", not "keys"`)
}

func TestNumbersAndUnknownSnapshots(t *testing.T) {
	store, kek := small(t)
	r := open(t, store, kek, nil)
	list, err := r.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, backup.ID(1), list[0].ID)
	require.Equal(t, backup.ID(2), list[1].ID)
	require.Equal(t, []backup.TableInfo{{Name: "a", Rows: 3, Bytes: list[1].Tables[0].Bytes, Chunks: 1}, {Name: "b", Rows: 2, Bytes: list[1].Tables[1].Bytes, Chunks: 1}}, list[1].Tables)
	for _, id := range []backup.ID{3, backup.Every} {
		_, err = r.Restore(t.Context(), id, nil, backup.RestoreOptions{})
		require.ErrorIs(t, err, backup.ErrNoSnapshot)
	}
	_, err = r.Verify(t.Context(), 3, backup.VerifyOptions{})
	require.ErrorIs(t, err, backup.ErrNoSnapshot)
	report, err := r.Verify(t.Context(), 1, backup.VerifyOptions{})
	require.NoError(t, err)
	require.Equal(t, []backup.ID{1}, report.Snapshots)
	require.Equal(t, int64(4), report.Rows)
	to := restored(t, store, kek, 1, testdb.SQLite)
	require.Equal(t, "2", one(t, to, "SELECT count(*) FROM a"), "the first snapshot, not the newest")
}

func TestRecorderIsTold(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	log := &recorder{}
	r, err := backup.Open(t.Context(), backup.Config{Source: sourceOf(t, db), Store: backup.NewMemory(), KEK: backuptest.NewKEK(t), DataSet: "crm", Record: log})
	require.NoError(t, err)
	s := run(t, r)
	require.Equal(t, s.Hash, log.attrs["hash"].String())
	require.Equal(t, uint64(1), log.attrs["snapshot"].Uint64())
	require.Equal(t, "crm", log.attrs["dataset"].String())
	run(t, r)

	to := sourceOf(t, testdb.New(t, testdb.SQLite))
	log.fail = true
	_, err = r.Restore(t.Context(), 1, to, backup.RestoreOptions{})
	require.ErrorContains(t, err, "record backup.restore of snapshot 1: log is full")
	require.Empty(t, rowsOf(t, to), "what is not in the log did not happen")
	_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.ErrorContains(t, err, "nothing pruned: record backup.prune: log is full")
	list, err := r.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	s, err = r.Run(t.Context(), backup.RunOptions{})
	require.ErrorContains(t, err, "record backup.run of snapshot 3: log is full")
	require.Equal(t, backup.ID(3), s.ID, "the snapshot exists all the same, and is returned")

	log.fail = false
	_, err = r.Restore(t.Context(), 1, to, backup.RestoreOptions{})
	require.NoError(t, err)
	_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"backup.run", "backup.run", "backup.restore", "backup.prune"}, log.events)
}

func TestPruneKeepsTheNewestAndNeverNothing(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE secret (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO secret VALUES (1, 'key of an erased person'), (2, 'key of another')")
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	r := open(t, store, kek, sourceOf(t, db))
	for _, keep := range []int{0, -1} {
		_, err := r.Prune(t.Context(), backup.PruneOptions{Keep: keep})
		require.ErrorContains(t, err, "must be at least 1; Prune never removes everything")
	}
	run(t, r)
	old := keysOf(t, store, "chunk/")
	exec(t, poolOf(t, db), "DELETE FROM secret WHERE id = 1")
	run(t, r)
	run(t, r)

	pruned, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Equal(t, []backup.ID{1, 2}, pruned.Snapshots)
	for _, key := range keysOf(t, store, "chunk/") {
		require.NotContains(t, old, key, "what the old snapshots held is gone")
	}
	require.Equal(t, []backup.ID{3}, requireWhole(t, store, kek).Snapshots)
	pruned, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Empty(t, pruned.Snapshots)
	require.Zero(t, pruned.Objects)
	pruned, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 5})
	require.NoError(t, err)
	require.Zero(t, pruned.Objects)
	require.Equal(t, backup.ID(4), run(t, r).ID, "numbers go on")
	requireWhole(t, store, kek)

	// Numbers that were pruned are not missing, but others are.
	require.NoError(t, store.Delete(t.Context(), "manifest/00000000000000000003"))
	requireNamed(t, store, kek, "manifest/00000000000000000003", "hidden after a prune")
}

func TestPruneRecordRemembersTheNewest(t *testing.T) {
	store, kek := small(t)
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	r := open(t, store, kek, sourceOf(t, db))
	run(t, r)
	_, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 2})
	require.NoError(t, err)
	newest := "manifest/00000000000000000003"
	for _, key := range append(keysOf(t, store, "chunk/00000000000000000003/"), newest) {
		require.NoError(t, store.Delete(t.Context(), key))
	}
	requireNamed(t, store, kek, newest, "the tail hidden after a prune")
	_, err = r.Run(t.Context(), backup.RunOptions{})
	require.ErrorContains(t, err, newest+" is missing")
}

func TestPruneRefusesWhenWhatItKeepsIsNotWhole(t *testing.T) {
	store, kek := small(t)
	key := keysOf(t, store, "chunk/00000000000000000002/")[0]
	require.NoError(t, store.Delete(t.Context(), key))
	_, err := open(t, store, kek, nil).Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.ErrorIs(t, err, backup.ErrDamaged)
	require.ErrorContains(t, err, "nothing pruned: "+key)
	require.Len(t, keysOf(t, store, "manifest/"), 2)
}

func TestPruneLeavesARunUnderWayAlone(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	r := open(t, store, kek, sourceOf(t, db))
	run(t, r)
	run(t, r)
	w := &watched{Store: store, before: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, "manifest/") {
			_, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
			require.NoError(t, err)
		}
		return nil
	}}
	require.Equal(t, backup.ID(3), run(t, open(t, w, kek, sourceOf(t, db))).ID)
	require.Equal(t, []backup.ID{2, 3}, requireWhole(t, store, kek).Snapshots)
}

func TestOfRunsAtOnceOneWins(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 3000)
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	const runs = 4
	results := make([]error, runs)
	var all, gate sync.WaitGroup
	gate.Add(runs)
	for i := range runs {
		all.Go(func() {
			once := sync.OnceFunc(func() { gate.Done(); gate.Wait() })
			w := &watched{Store: store, before: func(op, key string) error {
				if op == "put" && strings.HasPrefix(key, "manifest/") {
					once() // all of them are about to commit
				}
				return nil
			}}
			results[i] = crashedRun(t, w, kek, sourceOf(t, db))
			once() // one that fails early must not keep the others waiting
		})
	}
	all.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
			continue
		}
		require.ErrorContains(t, err, "another run finished snapshot 1 first; run again")
	}
	require.Equal(t, 1, won)
	require.Equal(t, []backup.ID{1}, requireWhole(t, store, kek).Snapshots)
	restored(t, store, kek, 1, testdb.SQLite)
}

func TestOvertakenRunSaysSo(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	r := open(t, store, kek, sourceOf(t, db))
	w := &watched{Store: store, before: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, "manifest/") {
			run(t, r)
			run(t, r)
			_, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
			require.NoError(t, err)
		}
		return nil
	}}
	err := crashedRun(t, w, kek, sourceOf(t, db))
	require.ErrorContains(t, err, "snapshot 1 was overtaken by newer ones and pruned; run again")
	require.Equal(t, []backup.ID{2}, requireWhole(t, store, kek).Snapshots)
}

func TestBoundariesDependOnKeysAlone(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 20000)
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	r := open(t, store, kek, sourceOf(t, db))
	names := func(id backup.ID) (out []string) {
		for _, key := range keysOf(t, store, fmt.Sprintf("chunk/%020d/", id)) {
			out = append(out, strings.Split(key, "/")[2])
		}
		return out
	}
	changed := func(a, b backup.ID) (n int) {
		before := names(a)
		for _, name := range names(b) {
			if !slices.Contains(before, name) {
				n++
			}
		}
		return n
	}
	big := run(t, r).Tables[0]
	require.Greater(t, big.Chunks, 2) // 3 MB, and a boundary is all but certain soon after each MB
	require.Greater(t, big.Bytes/int64(big.Chunks), int64(256<<10), "objects worth their overhead")
	require.Less(t, big.Bytes/int64(big.Chunks), int64(2<<20), "and not too much memory")
	exec(t, poolOf(t, db), "UPDATE big SET body = 'changed' WHERE id = 10000")
	run(t, r)
	require.Equal(t, 1, changed(1, 2), "an update changes the chunk it is in")
	exec(t, poolOf(t, db), "DELETE FROM big WHERE id = 5000", "INSERT INTO big VALUES (-1, 'new')")
	run(t, r)
	require.LessOrEqual(t, changed(2, 3), 4, "an insert and a delete change their surroundings")
	require.Empty(t, func() (same []string) {
		other := backup.NewMemory()
		run(t, open(t, other, kek, sourceOf(t, db)))
		for _, key := range keysOf(t, other, "chunk/") {
			if slices.Contains(names(3), strings.Split(key, "/")[2]) {
				same = append(same, key)
			}
		}
		return same
	}(), "another repository names the same content differently")
}

func TestNothingReadableInTheStore(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		exec(t, poolOf(t, db), "CREATE TABLE very_private_table (id INT PRIMARY KEY, unusual_column VARCHAR(100))", "INSERT INTO very_private_table VALUES (1, 'luisg@embraer.com.br'), (2, 'Bitterkeit Schöneberg')")
		store, err := dirstore.Open(t.Context(), t.TempDir())
		require.NoError(t, err)
		kek := backuptest.NewKEK(t)
		run(t, open(t, store, kek, sourceOf(t, db)))
		requireWhole(t, store, kek)
		for _, key := range keysOf(t, store, "") {
			for _, known := range []string{"luisg", "embraer", "Bitterkeit", "very_private_table", "unusual_column", "VARCHAR", "varchar"} {
				require.NotContains(t, key+string(content(t, store, key)), known)
			}
		}
	})
}

func TestRestoreIntoAFullDatabaseIsRefused(t *testing.T) {
	kek := backuptest.NewKEK(t)
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		exec(t, poolOf(t, db), "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a VALUES (1)")
		store := backup.NewMemory()
		r := open(t, store, kek, sourceOf(t, db))
		run(t, r)
		to := testdb.New(t, db.Engine)
		exec(t, poolOf(t, to), "CREATE TABLE unrelated (id INT PRIMARY KEY)", "INSERT INTO unrelated VALUES (7)")
		for _, target := range []testdb.DB{db, to} {
			before := rowsOf(t, sourceOf(t, target))
			_, err := r.Restore(t.Context(), backup.Newest, sourceOf(t, target), backup.RestoreOptions{})
			require.ErrorIs(t, err, backup.ErrNotEmpty)
			require.Equal(t, before, rowsOf(t, sourceOf(t, target)))
		}
	})
}

func TestTwoDataSetsRestoreIntoOneDatabase(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE data (id INT PRIMARY KEY)", "INSERT INTO data VALUES (1)", "CREATE TABLE confide_subject_keys (id INT PRIMARY KEY)", "INSERT INTO confide_subject_keys VALUES (5)")
		kek := backuptest.NewKEK(t)
		to := testdb.New(t, db.Engine)
		for _, part := range []sqlsource.Config{{Exclude: []string{"confide_subject_keys"}}, {Include: []string{"confide_subject_keys"}}} {
			from, into := part, part
			from.DB, from.Engine, into.DB, into.Engine = pool, db.Engine, poolOf(t, to), db.Engine
			source, err := sqlsource.New(from)
			require.NoError(t, err)
			target, err := sqlsource.New(into)
			require.NoError(t, err)
			r := open(t, backup.NewMemory(), kek, source)
			s := run(t, r)
			require.Len(t, s.Tables, 1)
			require.Len(t, s.Omitted, 1)
			_, err = r.Restore(t.Context(), s.ID, target, backup.RestoreOptions{})
			require.NoError(t, err)
		}
		require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))
	})
}

func TestNullInAPrimaryKeyIsRefused(t *testing.T) {
	// SQLite allows it, and several such rows; they have no order.
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id TEXT PRIMARY KEY)", "INSERT INTO a VALUES (NULL), (NULL)")
	store := backup.NewMemory()
	_, err := open(t, store, backuptest.NewKEK(t), sourceOf(t, db)).Run(t.Context(), backup.RunOptions{})
	require.ErrorIs(t, err, backup.ErrUnsupported)
	require.ErrorContains(t, err, `row of table "a": backup: cannot be copied exactly: column "id" of the primary key is NULL; give each row a key, or exclude the table`)
	require.Empty(t, keysOf(t, store, "manifest/"))
}

// careless is a KEK that does not check associated data.
type careless struct{ tink.AEADWithContext }

func (k careless) EncryptWithContext(ctx context.Context, plaintext, _ []byte) ([]byte, error) {
	return k.AEADWithContext.EncryptWithContext(ctx, plaintext, nil)
}

func (k careless) DecryptWithContext(ctx context.Context, ciphertext, _ []byte) ([]byte, error) {
	return k.AEADWithContext.DecryptWithContext(ctx, ciphertext, nil)
}

func TestCarelessKEKIsRefused(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	store := backup.NewMemory()
	_, err := open(t, store, careless{backuptest.NewKEK(t)}, sourceOf(t, db)).Run(t.Context(), backup.RunOptions{})
	require.ErrorContains(t, err, "the key encryption key ignores associated data; use another one")
	require.Empty(t, keysOf(t, store, ""))
}

// lying is a source whose schema or rows are not what it declares.
type lying struct {
	schema backup.Schema
	row    backup.Row
}

func (l lying) Snapshot(context.Context) (backup.View, error) { return l, nil }
func (l lying) Schema() backup.Schema                         { return l.schema }
func (l lying) Close() error                                  { return nil }
func (l lying) Rows(context.Context, string) iter.Seq2[backup.Row, error] {
	return func(yield func(backup.Row, error) bool) { yield(l.row, nil) }
}

func TestLyingSourceIsRefused(t *testing.T) {
	table := backup.Table{Name: "a", Columns: []backup.Column{{Name: "id"}, {Name: "v"}}, Key: []int{0}}
	good := row(cell.AppendInt(nil, 1), cell.AppendNull(nil))
	for text, l := range map[string]lying{
		"declares no engine":                                {backup.Schema{}, good},
		`declares table "a" twice`:                          {backup.Schema{Engine: "x", Tables: []backup.Table{table, table}}, good},
		`table "b" has no primary key; add one`:             {backup.Schema{Engine: "x", Tables: []backup.Table{{Name: "b"}}}, good},
		`table "b": primary key names column 1 of 1`:        {backup.Schema{Engine: "x", Tables: []backup.Table{{Name: "b", Columns: table.Columns[:1], Key: []int{1}}}}, good},
		"is not valid UTF-8; rename it":                     {backup.Schema{Engine: "x", Tables: []backup.Table{{Name: "\xff", Columns: table.Columns, Key: []int{0}}}}, good},
		`row of table "a": has 1 cells for 2 columns`:       {backup.Schema{Engine: "x", Tables: []backup.Table{table}}, good[:2]},
		`row of table "a": cell: row ends inside a cell`:    {backup.Schema{Engine: "x", Tables: []backup.Table{table}}, good[:1]},
		`row of table "a": cell: unknown kind 99`:           {backup.Schema{Engine: "x", Tables: []backup.Table{table}}, backup.Row{99, 0}},
		`row of table "a": cell: integer not in its shorte`: {backup.Schema{Engine: "x", Tables: []backup.Table{table}}, backup.Row{2, 0x80, 0}},
	} {
		store := backup.NewMemory()
		_, err := open(t, store, backuptest.NewKEK(t), l).Run(t.Context(), backup.RunOptions{})
		require.ErrorContains(t, err, text)
		require.Empty(t, keysOf(t, store, "manifest/"), text)
	}
}

func row(cells ...[]byte) backup.Row { return slices.Concat(cells...) }

func TestProgressAddsUp(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 5000)
	last := map[string]backup.Progress{}
	progress := func(p backup.Progress) {
		require.GreaterOrEqual(t, p.Rows, last[p.Phase].Rows, "progress does not go back")
		last[p.Phase] = p
	}
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	r := open(t, store, kek, sourceOf(t, db))
	_, err := r.Run(t.Context(), backup.RunOptions{Progress: progress})
	require.NoError(t, err)
	_, err = r.Verify(t.Context(), backup.Newest, backup.VerifyOptions{Progress: progress})
	require.NoError(t, err)
	_, err = r.Restore(t.Context(), backup.Newest, sourceOf(t, testdb.New(t, testdb.SQLite)), backup.RestoreOptions{Progress: progress})
	require.NoError(t, err)
	for _, phase := range []string{"copy", "verify", "restore", "prove"} {
		require.Equal(t, int64(5001), last[phase].Rows, phase)
		require.Equal(t, int64(5001), last[phase].Total, phase)
		require.Equal(t, "other", last[phase].Table, phase)
		require.Greater(t, last[phase].Bytes, int64(500000), phase)
	}
}

func TestCancelledRunEndsCleanly(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		manyChunks(t, db, 4000)
		store, kek := backup.NewMemory(), backuptest.NewKEK(t)
		ctx, cancel := context.WithCancel(t.Context())
		w := &watched{Store: store, before: func(op, key string) error {
			if op == "put" && strings.HasPrefix(key, "chunk/") {
				cancel()
			}
			return nil
		}}
		_, err := open(t, w, kek, sourceOf(t, db)).Run(ctx, backup.RunOptions{})
		require.ErrorIs(t, err, context.Canceled)
		requireWhole(t, store, kek)
		exec(t, poolOf(t, db), "DROP TABLE other") // would wait for a transaction left open
		run(t, open(t, store, kek, sourceOf(t, db)))
	})
}
