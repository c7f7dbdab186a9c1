package backup_test

import (
	"database/sql"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// track turns change tracking on.
func track(t testing.TB, db testdb.DB) {
	t.Helper()
	untracked, err := sourceOf(t, db).Track(t.Context())
	require.NoError(t, err)
	require.Empty(t, untracked)
}

// A ledger is a database with a tracked table of several chunks, a repository of
// it, and three naive copies of it that follow it by a watermark.
type ledger struct {
	*testing.T
	db     testdb.DB
	pool   *sql.DB
	store  *backup.Memory
	kek    tink.AEADWithContext
	copies map[string]*naive
}

// A naive copy takes what lies above its watermark, as most incremental backups do.
type naive struct {
	column string // whose greatest value seen is the watermark
	seen   string
	rows   map[int]string
}

func newLedger(t *testing.T, engine string) *ledger {
	l := &ledger{T: t, db: testdb.New(t, engine), store: backup.NewMemory(), kek: backuptest.NewKEK(t)}
	l.pool = poolOf(t, l.db)
	l.exec("CREATE TABLE ledger (id INT PRIMARY KEY, at BIGINT, mail VARCHAR(80) UNIQUE, v VARCHAR(1200))")
	l.insert(0, 2400)
	track(t, l.db)
	l.copies = map[string]*naive{"greatest id": {column: "id"}, "updated_at": {column: "at"}}
	if engine == testdb.Postgres {
		l.copies["xmin"] = &naive{column: "xmin::text::bigint"}
	}
	l.backup(backup.Full)
	return l
}

func (l *ledger) exec(statements ...string) { l.Helper(); exec(l.T, l.pool, statements...) }

func (l *ledger) insert(from, to int) {
	for ; from < to; from += 500 {
		var values []string
		for id := from; id < min(from+500, to); id++ {
			values = append(values, fmt.Sprintf("(%d, 1000, 'm%d', '%01000d')", id, id, id*7919))
		}
		l.exec("INSERT INTO ledger VALUES " + strings.Join(values, ", "))
	}
}

// backup runs, and lets the naive copies look too.
func (l *ledger) backup(kind backup.Kind) backup.Snapshot {
	l.Helper()
	return l.backupWhile(kind, func() {})
}

// backupWhile runs something after the snapshot was taken and before the source
// is told that it exists.
func (l *ledger) backupWhile(kind backup.Kind, then func()) backup.Snapshot {
	l.Helper()
	w := &watched{Store: l.store, after: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, "manifest/") {
			for _, n := range l.copies {
				n.look(l)
			}
			then()
		}
		return nil
	}}
	return runKind(l.T, open(l.T, w, l.kek, sourceOf(l.T, l.db)), kind)
}

func (n *naive) look(l *ledger) {
	l.Helper()
	query := "SELECT id, v, " + n.column + " FROM ledger"
	if n.seen != "" {
		query += " WHERE " + n.column + " > " + n.seen
	}
	rows, err := l.pool.Query(query)
	require.NoError(l, err)
	defer rows.Close()
	most := int64(-1)
	fmt.Sscan(n.seen, &most)
	for rows.Next() {
		var id int
		var v string
		var mark int64
		require.NoError(l, rows.Scan(&id, &v, &mark))
		if n.rows == nil {
			n.rows = map[int]string{}
		}
		n.rows[id] = v
		most = max(most, mark)
	}
	require.NoError(l, rows.Err())
	n.seen = fmt.Sprint(most)
}

func (l *ledger) live() map[int]string {
	n := naive{column: "id", rows: map[int]string{}}
	n.look(l)
	return n.rows
}

// requireExact restores the newest snapshot and compares it with the live rows.
func (l *ledger) requireExact(what string) {
	l.Helper()
	requireWhole(l.T, l.store, l.kek)
	requireRestores(l.T, l.store, l.kek, backup.Newest, rowsOf(l.T, sourceOf(l.T, l.db)), what)
}

// lost are the naive copies that differ from the live rows.
func (l *ledger) lost() map[string]bool {
	live, out := l.live(), map[string]bool{}
	for name, n := range l.copies {
		if !maps.Equal(live, n.rows) {
			out[name] = true
		}
	}
	return out
}

const truncated = "everything deleted and some of it written again"

type lateCommit struct {
	name   string
	change func(l *ledger) // changes rows and runs backups on the way
	lose   []string        // naive copies that are shown losing rows
	miss   string          // an engine whose triggers do not see it, so that the number of rows has to tell
}

func lateCommits(engine string) []lateCommit {
	begin := func(l *ledger) *sql.Tx {
		tx, err := l.pool.Begin()
		require.NoError(l, err)
		return tx
	}
	do := func(l *ledger, tx *sql.Tx, statements ...string) {
		for _, s := range statements {
			_, err := tx.Exec(s)
			require.NoError(l, err, s)
		}
	}
	others := func(l *ledger) { // what commits while the long transaction is open
		if engine != testdb.SQLite { // which has one writer
			l.exec("INSERT INTO ledger VALUES (20002, 3000, 'other', 'a later one')")
		}
	}
	watermarks := []string{"greatest id", "updated_at"}
	late := watermarks
	if engine == testdb.SQLite {
		late = []string{"greatest id"} // sees no update, ever
	}
	if engine == testdb.Postgres {
		late = append(late, "xmin")
	}
	all := []lateCommit{
		{"a long transaction", func(l *ledger) {
			tx := begin(l)
			do(l, tx, "INSERT INTO ledger VALUES (20001, 2000, 'late', 'late')", "UPDATE ledger SET at = 2000, v = 'late' WHERE id IN (5, 1200, 2399)")
			others(l)
			l.backupWhile(backup.Incremental, func() { require.NoError(l, tx.Commit()) })
		}, late, ""},
		{"a transaction open for three runs", func(l *ledger) {
			if engine == testdb.SQLite {
				l.exec("UPDATE ledger SET v = 'late' WHERE id = 7")
				return
			}
			tx := begin(l)
			do(l, tx, "UPDATE ledger SET at = 2000, v = 'late' WHERE id = 7")
			others(l)
			l.backup(backup.Incremental)
			l.exec("UPDATE ledger SET at = 4000, v = 'more' WHERE id = 20002")
			l.backup(backup.Differential)
			l.backupWhile(backup.Incremental, func() { require.NoError(l, tx.Commit()) })
		}, late, ""},
		{"savepoints", func(l *ledger) {
			tx := begin(l)
			do(l, tx, "SAVEPOINT a", "INSERT INTO ledger VALUES (20003, 2000, 'gone', 'gone')", "ROLLBACK TO SAVEPOINT a",
				"SAVEPOINT b", "INSERT INTO ledger VALUES (20001, 2000, 'late', 'late')", "UPDATE ledger SET at = 2000, v = 'late' WHERE id = 1200", "RELEASE SAVEPOINT b")
			others(l)
			l.backupWhile(backup.Incremental, func() { require.NoError(l, tx.Commit()) })
		}, late, ""},
		{"a clock that was put back", func(l *ledger) { l.exec("UPDATE ledger SET at = 10, v = 'early' WHERE id = 1200") }, watermarks, ""},
		{"SQL that does not set updated_at", func(l *ledger) { l.exec("UPDATE ledger SET v = 'raw' WHERE id = 1200") }, watermarks, ""},
		{"deletes", func(l *ledger) { l.exec("DELETE FROM ledger WHERE id IN (0, 1200, 2399)") }, watermarks, ""},
		{"a primary key that moves far", func(l *ledger) { l.exec("UPDATE ledger SET id = 30000, at = 5000 WHERE id = 10") }, watermarks, ""},
		{"a row exchanged for one of the same number", func(l *ledger) {
			l.exec("DELETE FROM ledger WHERE id = 1200", "INSERT INTO ledger VALUES (1200, 1, 'x', 'another')")
		}, watermarks, ""},
		{"a rollback", func(l *ledger) {
			tx := begin(l)
			do(l, tx, "UPDATE ledger SET v = 'never' WHERE id < 800")
			require.NoError(l, tx.Rollback())
		}, nil, ""},
		{truncated, func(l *ledger) {
			l.exec(map[string]string{testdb.SQLite: "DELETE FROM ledger"}[engine] + map[string]string{testdb.Postgres: "TRUNCATE ledger", testdb.MySQL: "TRUNCATE ledger"}[engine])
			l.insert(100, 200)
		}, watermarks, testdb.MySQL},
		{"an upsert", func(l *ledger) {
			l.exec(map[string]string{
				testdb.SQLite:   "INSERT OR REPLACE INTO ledger VALUES (20001, 1, 'm1200', 'replaces row 1200 by its mail')",
				testdb.Postgres: "INSERT INTO ledger VALUES (1200, 1, 'x', 'y') ON CONFLICT (id) DO UPDATE SET v = 'upserted'",
				testdb.MySQL:    "REPLACE INTO ledger VALUES (20001, 1, 'm1200', 'replaces row 1200 by its mail')",
			}[engine])
		}, watermarks, testdb.SQLite},
		{"triggers that were gone for a while", func(l *ledger) {
			require.NoError(l, sourceOf(l.T, l.db).Untrack(l.Context()))
			l.exec("UPDATE ledger SET v = 'unseen' WHERE id = 1200")
			track(l.T, l.db)
		}, watermarks, ""},
		{"new connections", func(l *ledger) {
			l.exec("UPDATE ledger SET v = 'before' WHERE id = 1")
			l.db = l.db.Reopen(l.T)
			l.pool = poolOf(l.T, l.db)
			l.exec("UPDATE ledger SET v = 'after' WHERE id = 2300")
		}, watermarks, ""},
		{"a database put back to an older state", func(l *ledger) {
			before, mark := l.live(), one(l.T, l.db, "SELECT mark FROM confide_backup_marks")
			l.exec("UPDATE ledger SET v = 'undone' WHERE id IN (3, 1300)", "INSERT INTO ledger VALUES (20001, 9, 'u', 'undone')")
			l.backup(backup.Incremental)
			// As a physical restore would do it, the tracking comes back as it was.
			l.exec("DELETE FROM ledger WHERE id = 20001", "UPDATE ledger SET v = '"+before[3]+"' WHERE id = 3", "UPDATE ledger SET v = '"+before[1300]+"' WHERE id = 1300",
				"DELETE FROM confide_changes_ledger", "UPDATE confide_backup_marks SET mark = '"+mark+"'")
		}, []string{"greatest id"}, ""},
	}
	if engine == testdb.Postgres {
		all = append(all,
			lateCommit{"a column rewritten by ALTER TABLE", func(l *ledger) {
				l.exec("ALTER TABLE ledger ALTER COLUMN v TYPE VARCHAR(1200) USING v || '!'")
			}, watermarks, ""},
			lateCommit{"a session that plays the replica", func(l *ledger) {
				tx := begin(l)
				do(l, tx, "SET LOCAL session_replication_role = replica", "UPDATE ledger SET v = 'applied' WHERE id = 1200")
				require.NoError(l, tx.Commit())
			}, watermarks, ""},
			lateCommit{"rows made by a query", func(l *ledger) {
				l.exec("INSERT INTO ledger SELECT 12000 + i, 1, 'c' || i, 'copied' FROM generate_series(1, 5) i")
			}, []string{"updated_at"}, ""},
		)
	}
	return all
}

func TestLateCommit(t *testing.T) {
	for _, engine := range testdb.EnginesInFull() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			for _, c := range lateCommits(engine) {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					l := newLedger(t, engine)
					c.change(l)
					s := l.backup(backup.Incremental)
					l.requireExact(c.name)
					if engine != testdb.MySQL || c.name != truncated { // it dates a truncated table anew, to the second
						require.Equal(t, c.miss == engine, len(s.Missed) > 0, "the tracking sees it by itself: %v", s.Missed)
					}
					lost := l.lost()
					for _, name := range c.lose {
						require.True(t, lost[name], "the watermark %q does not lose rows here, so this test shows nothing: %v", name, lost)
					}
					l.exec("UPDATE ledger SET v = 'and on' WHERE id = 150")
					require.Equal(t, backup.Incremental, l.backup(backup.Incremental).Kind, "after %v", s)
					l.requireExact("the run after " + c.name)
				})
			}
		})
	}
}

// A change that the tracking has not seen is found by reading the unchanged rows
// in turn, and then nothing of the tracking is believed.
func TestLateCommitThatTheTrackingMissedIsFoundByTheScrub(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		l := newLedger(t, db.Engine)
		l.exec("UPDATE ledger SET v = 'unseen' WHERE id = 1200", "DELETE FROM confide_changes_ledger")
		const within = 3
		var found backup.Snapshot
		for range within {
			s, err := open(t, l.store, l.kek, sourceOf(t, l.db)).Run(t.Context(), backup.RunOptions{Kind: backup.Incremental, Scrub: within})
			require.NoError(t, err)
			if len(s.Missed) > 0 {
				found = s
				break
			}
		}
		require.Equal(t, backup.Full, found.Kind, "within %d runs", within)
		require.Equal(t, "ledger", found.Missed[0].Table)
		require.Contains(t, found.Missed[0].Detail, "rows that the tracking calls unchanged")
		require.NotContains(t, found.Missed[0].Error(), "unseen")
		l.requireExact("after the finding")
		list, err := open(t, l.store, l.kek, nil).List(t.Context())
		require.NoError(t, err)
		require.Equal(t, found.Missed, list[len(list)-1].Missed, "the finding stays in the manifest")

		// Without a scrub it would have stayed lost.
		l.exec("UPDATE ledger SET v = 'unseen again' WHERE id = 1200", "DELETE FROM confide_changes_ledger")
		s, err := open(t, l.store, l.kek, sourceOf(t, l.db)).Run(t.Context(), backup.RunOptions{Kind: backup.Incremental, Scrub: 1 << 30})
		require.NoError(t, err)
		require.Empty(t, s.Missed)
		to := restored(t, l.store, l.kek, backup.Newest, db.Engine)
		require.NotEqual(t, rowsOf(t, sourceOf(t, l.db)), rowsOf(t, sourceOf(t, to)))
	})
}

func TestLateCommitByNumberOfRows(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		l := newLedger(t, db.Engine)
		l.exec("DELETE FROM ledger WHERE id = 1200", "DELETE FROM confide_changes_ledger")
		log := &recorder{}
		r, err := backup.Open(t.Context(), backup.Config{Source: sourceOf(t, l.db), Store: l.store, KEK: l.kek, DataSet: "crm", Record: log})
		require.NoError(t, err)
		s, err := r.Run(t.Context(), backup.RunOptions{Kind: backup.Incremental, Scrub: 1 << 30})
		require.NoError(t, err)
		require.Equal(t, []backup.Missed{{Table: "ledger", Detail: "it has 2399 rows, and 2400 by the changes that were tracked; all of it was read"}}, s.Missed)
		require.Equal(t, []string{"backup.missed", "backup.run"}, log.events)
		l.requireExact("all of the table was read")
	})
}

// Foreign keys' actions: what triggers do not see is not tracked at all.
func TestLateCommitByCascade(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE parent (id INT PRIMARY KEY)", "INSERT INTO parent VALUES (1), (2)",
			"CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL)", "INSERT INTO child VALUES (1, 1), (2, 2)")
		untracked, err := sourceOf(t, db).Track(t.Context())
		require.NoError(t, err)
		if db.Engine == testdb.MySQL {
			require.Equal(t, []backup.Omission{{Kind: "tracking", Name: "child", Reason: "it has a foreign key with an action, which triggers do not see"}}, untracked)
		} else {
			require.Empty(t, untracked)
		}
		store, kek := backup.NewMemory(), backuptest.NewKEK(t)
		r := open(t, store, kek, sourceOf(t, db))
		run(t, r)
		exec(t, pool, "DELETE FROM parent WHERE id = 1")
		s := runKind(t, r, backup.Incremental)
		require.Empty(t, s.Missed)
		to := restored(t, store, kek, backup.Newest, db.Engine)
		require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))
	})
}

// Writers at full speed, one incremental run after the other: whatever was
// committed before a run began is in its snapshot.
func TestLateCommitUnderLoad(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		l := newLedger(t, db.Engine)
		stop, done := make(chan struct{}), make(chan error, 4)
		for w := range 4 {
			go func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						done <- nil
						return
					default:
					}
					tx, err := l.pool.Begin()
					if err == nil {
						id := 4*(n*131%590) + w // writers keep to their own rows: no deadlocks
						_, err = tx.Exec(fmt.Sprintf("UPDATE ledger SET v = 'w%d n%d' WHERE id = %d", w, n, id))
						if err == nil && n%3 == 0 {
							_, err = tx.Exec(fmt.Sprintf("INSERT INTO ledger VALUES (%d, 1, 'load %d %d', 'new')", 50000+4*n+w, w, n))
						}
						if err == nil && n%7 == 0 {
							err = tx.Rollback()
						} else if err == nil {
							err = tx.Commit()
						} else {
							tx.Rollback()
						}
					}
					if err != nil {
						done <- err
						return
					}
					time.Sleep(time.Millisecond) // a lock without a queue, as SQLite's, is had by others too
				}
			}()
		}
		r := open(t, l.store, l.kek, sourceOf(t, l.db))
		for range 4 {
			s, err := r.Run(t.Context(), backup.RunOptions{Kind: backup.Incremental, Scrub: 1})
			require.NoError(t, err)
			require.Empty(t, s.Missed, "the scrub reads every row that was not changed, and finds none that was")
			require.Equal(t, backup.Incremental, s.Kind)
		}
		close(stop)
		for range 4 {
			require.NoError(t, <-done)
		}
		runKind(t, r, backup.Incremental)
		l.requireExact("when the writers have stopped")
	})
}
