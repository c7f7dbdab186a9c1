package backup_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

func poolOf(t testing.TB, db testdb.DB) *sql.DB {
	t.Helper()
	pool, err := db.DB.DB()
	require.NoError(t, err)
	return pool
}

func exec(t testing.TB, pool *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := pool.Exec(s)
		require.NoError(t, err, s)
	}
}

func sourceOf(t testing.TB, db testdb.DB) *sqlsource.Database {
	t.Helper()
	d, err := sqlsource.New(sqlsource.Config{DB: poolOf(t, db), Engine: db.Engine})
	require.NoError(t, err)
	return d
}

// open opens a repository whose work nobody records.
func open(t testing.TB, store backup.Store, kek tink.AEADWithContext, source backup.Source) *backup.Repository {
	t.Helper()
	r, err := backup.Open(t.Context(), backup.Config{Source: source, Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard})
	require.NoError(t, err)
	return r
}

func run(t testing.TB, r *backup.Repository) backup.Snapshot {
	t.Helper()
	s, err := r.Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	return s
}

// requireWhole is the one check of a good repository.
func requireWhole(t testing.TB, store backup.Store, kek tink.AEADWithContext) backup.Report {
	t.Helper()
	report, err := open(t, store, kek, nil).Verify(t.Context(), backup.Every, backup.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, report.OK)
	require.Empty(t, report.Damage)
	return report
}

// restored restores a snapshot into a new database.
func restored(t testing.TB, store backup.Store, kek tink.AEADWithContext, id backup.ID, engine string) testdb.DB {
	t.Helper()
	to := testdb.New(t, engine)
	report, err := open(t, store, kek, nil).Restore(t.Context(), id, sourceOf(t, to), backup.RestoreOptions{})
	require.NoError(t, err)
	require.True(t, report.OK)
	return to
}

// requireRestores restores a snapshot into memory, which is all that a test of what
// is in it needs, and compares.
func requireRestores(t testing.TB, store backup.Store, kek tink.AEADWithContext, id backup.ID, want map[string][]backup.Row, what string) {
	t.Helper()
	to := &heap{rows: map[string][]string{}}
	_, err := open(t, store, kek, nil).Restore(t.Context(), id, to, backup.RestoreOptions{})
	require.NoError(t, err, what)
	require.True(t, to.committed, what)
	for table, rows := range want {
		require.Len(t, to.rows[table], len(rows), "%s: table %s", what, table)
		for i, row := range rows {
			require.Equal(t, hex.EncodeToString(row), to.rows[table][i], "%s: row %d of table %s", what, i, table)
		}
	}
}

// rowsOf reads all rows of a source.
func rowsOf(t testing.TB, source backup.Source) map[string][]backup.Row {
	t.Helper()
	view, err := source.Snapshot(t.Context())
	require.NoError(t, err)
	defer view.Close()
	all := map[string][]backup.Row{}
	for _, table := range view.Schema().Tables {
		for row, err := range view.Rows(t.Context(), table.Name) {
			require.NoError(t, err)
			all[table.Name] = append(all[table.Name], slices.Clone(row))
		}
	}
	return all
}

// small returns a repository of two tiny tables with two snapshots.
func small(t testing.TB) (*backup.Memory, tink.AEADWithContext) {
	t.Helper()
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT)",
		"INSERT INTO a VALUES (1, 'one'), (2, 'two')", "INSERT INTO b VALUES (1, 'one'), (2, 'two')")
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	r := open(t, store, kek, sourceOf(t, db))
	run(t, r)
	exec(t, poolOf(t, db), "INSERT INTO a VALUES (3, 'three')")
	run(t, r)
	return store, kek
}

func keysOf(t testing.TB, store backup.Store, prefix string) []string {
	t.Helper()
	var keys []string
	for o, err := range store.List(context.Background(), prefix, "") {
		require.NoError(t, err)
		keys = append(keys, o.Key)
	}
	return keys
}

func content(t testing.TB, store backup.Store, key string) []byte {
	t.Helper()
	data, err := store.Get(context.Background(), key, 0, -1)
	require.NoError(t, err)
	return data
}

// replace is what an attacker with full rights on the store can do.
func replace(t testing.TB, store backup.Store, key string, data []byte) {
	t.Helper()
	require.NoError(t, store.Delete(context.Background(), key))
	require.NoError(t, store.Put(context.Background(), key, data))
}

func clone(t testing.TB, store backup.Store) *backup.Memory {
	t.Helper()
	out := backup.NewMemory()
	for _, key := range keysOf(t, store, "") {
		require.NoError(t, out.Put(context.Background(), key, content(t, store, key)))
	}
	return out
}

// recorder remembers what it was told.
type recorder struct {
	events []string
	attrs  map[string]slog.Value
	fail   bool
}

func (r *recorder) Record(_ context.Context, action string, attrs ...slog.Attr) error {
	if r.fail {
		return errors.New("log is full")
	}
	r.events = append(r.events, action)
	r.attrs = map[string]slog.Value{}
	for _, a := range attrs {
		r.attrs[a.Key] = a.Value
	}
	return nil
}

// a store that counts, and calls before each operation.
type watched struct {
	backup.Store
	mu     sync.Mutex                 // a repository works with several goroutines, hooks do not have to
	before func(op, key string) error // an error keeps the operation from happening
	after  func(op, key string) error // an error replaces its result
}

func (w *watched) do(op, key string, f func() error) error {
	if err := w.hook(w.before, op, key); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return w.hook(w.after, op, key)
}

func (w *watched) hook(f func(op, key string) error, op, key string) error {
	if f == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return f(op, key)
}

func (w *watched) Put(ctx context.Context, key string, data []byte) error {
	return w.do("put", key, func() error { return w.Store.Put(ctx, key, data) })
}

func (w *watched) Get(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	err = w.do("get", key, func() (err error) { data, err = w.Store.Get(ctx, key, offset, length); return err })
	return data, err
}

func (w *watched) Stat(ctx context.Context, key string) (o backup.Object, err error) {
	err = w.do("stat", key, func() (err error) { o, err = w.Store.Stat(ctx, key); return err })
	return o, err
}

func (w *watched) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		if err := w.do("list", prefix, func() error { return nil }); err != nil {
			yield(backup.Object{}, err)
			return
		}
		w.Store.List(ctx, prefix, after)(yield)
	}
}

func (w *watched) Delete(ctx context.Context, key string) error {
	return w.do("delete", key, func() error { return w.Store.Delete(ctx, key) })
}
