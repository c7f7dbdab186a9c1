package backup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

// Customers every day what changed, transactions every week all of it, although
// the one refers to the other; both tracked, each with its own marks.
func TestDataSetsHaveTheirOwnKindsAndTables(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(50))", "INSERT INTO customer VALUES (1, 'a'), (2, 'b')",
			"CREATE TABLE payment (id INT PRIMARY KEY, customer_id INT, FOREIGN KEY (customer_id) REFERENCES customer (id))", "INSERT INTO payment VALUES (1, 1)")
		track(t, db)
		kek := backuptest.NewKEK(t)
		set := func(table string) *backup.Repository {
			source, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: db.Engine, Include: []string{table}})
			require.NoError(t, err)
			return open(t, backup.NewMemory(), kek, source)
		}
		customers, payments := set("customer"), set("payment")
		run(t, customers)
		first := run(t, payments)
		require.Contains(t, first.Omitted, backup.Omission{Kind: "table", Name: "customer", Reason: "not included"}, "what is not in a data set is reported")
		for _, name := range []string{"one", "two"} {
			exec(t, pool, "UPDATE customer SET name = '"+name+"' WHERE id = 1", "INSERT INTO payment VALUES (1"+map[string]string{"one": "1", "two": "2"}[name]+", 2)")
			s := runKind(t, customers, backup.Incremental)
			require.Equal(t, backup.Incremental, s.Kind)
			require.Empty(t, s.Missed)
			require.Equal(t, int64(1), s.Work.Chunks)
			require.Zero(t, runKind(t, customers, backup.Incremental).Work.Chunks, "settled for the one and kept for the other")
		}
		s := runKind(t, payments, backup.Differential)
		require.Equal(t, int64(3), s.Rows)
		require.Empty(t, s.Missed)
		to := testdb.New(t, db.Engine)
		for table, r := range map[string]*backup.Repository{"customer": customers, "payment": payments} {
			target, err := sqlsource.New(sqlsource.Config{DB: poolOf(t, to), Engine: db.Engine, Include: []string{table}})
			require.NoError(t, err)
			_, err = r.Restore(t.Context(), backup.Newest, target, backup.RestoreOptions{})
			require.NoError(t, err)
		}
		require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))
	})
}

// Two repositories on one tracking: each sees that the other has settled, and
// reads everything rather than miss what only the other was told.
func TestTwoRepositoriesOnOneTrackingAreBothRight(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO a VALUES (1, 'x'), (2, 'y')")
		track(t, db)
		kek, stores := backuptest.NewKEK(t), []*backup.Memory{backup.NewMemory(), backup.NewMemory()}
		for _, store := range stores {
			run(t, open(t, store, kek, sourceOf(t, db)))
		}
		for _, v := range []string{"p", "q"} {
			exec(t, pool, "UPDATE a SET v = '"+v+"' WHERE id = 1")
			for _, store := range stores {
				s := runKind(t, open(t, store, kek, sourceOf(t, db)), backup.Incremental)
				require.Empty(t, s.Missed)
				to := restored(t, store, kek, s.ID, db.Engine)
				require.Equal(t, v, one(t, to, "SELECT v FROM a WHERE id = 1"))
			}
		}
	})
}
