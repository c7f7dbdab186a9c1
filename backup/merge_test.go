package backup_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// shop is a database with tenants, customers and what belongs to them.
func shop(t testing.TB, db testdb.DB) {
	t.Helper()
	exec(t, poolOf(t, db),
		"CREATE TABLE region (id INT PRIMARY KEY, name VARCHAR(20))",
		"CREATE TABLE customer (id INT PRIMARY KEY, tenant VARCHAR(10), region_id INT, email VARCHAR(40) UNIQUE, name VARCHAR(40), FOREIGN KEY (region_id) REFERENCES region (id))",
		"CREATE TABLE invoice (id INT PRIMARY KEY, tenant VARCHAR(10), customer_id INT NOT NULL, total DECIMAL(10,2), FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE)",
		"CREATE TABLE line (invoice_id INT, n INT, what VARCHAR(40), PRIMARY KEY (invoice_id, n), FOREIGN KEY (invoice_id) REFERENCES invoice (id) ON DELETE CASCADE)",
		"CREATE TABLE note (id INT PRIMARY KEY, about INT, body VARCHAR(40))", // no foreign key: GORM without constraints
		"CREATE TABLE noise (id INT PRIMARY KEY, n INT)",
		"INSERT INTO region VALUES (1, 'north'), (2, 'south')",
	)
	var customers, invoices, lines, notes []string
	for c := 1; c <= 20; c++ {
		customers = append(customers, fmt.Sprintf("(%d, 't%d', %d, 'c%d@x', 'Customer %d')", c, c%3, 1+c%2, c, c))
		for i := range 3 {
			id := c*10 + i
			invoices = append(invoices, fmt.Sprintf("(%d, 't%d', %d, %d.50)", id, c%3, c, id))
			for n := range 2 {
				lines = append(lines, fmt.Sprintf("(%d, %d, 'thing %d')", id, n, n))
			}
		}
		notes = append(notes, fmt.Sprintf("(%d, %d, 'note about %d')", c, c, c))
	}
	exec(t, poolOf(t, db), "INSERT INTO customer VALUES "+strings.Join(customers, ", "), "INSERT INTO invoice VALUES "+strings.Join(invoices, ", "),
		"INSERT INTO line VALUES "+strings.Join(lines, ", "), "INSERT INTO note VALUES "+strings.Join(notes, ", "), "INSERT INTO noise VALUES (1, 0)")
}

// aboutCustomers declares what the database does not.
func aboutCustomers() []backup.Relation {
	return []backup.Relation{{Table: "note", Reference: backup.Reference{Columns: []string{"about"}, Table: "customer", To: []string{"id"}}}}
}

func oneCustomer(id string) backup.MergeOptions {
	return backup.MergeOptions{
		Select:   []backup.Selection{{Table: "customer", Where: map[string]string{"id": id}}},
		Children: true, Relations: aboutCustomers(), Erasures: backup.NobodyErased,
	}
}

// shopped returns a shop, its backup and the rows that are in it.
func shopped(t testing.TB, engine string) (db testdb.DB, store *backup.Memory, kek tink.AEADWithContext, rows map[string][]backup.Row) {
	t.Helper()
	db, store, kek = testdb.New(t, engine), backup.NewMemory(), backuptest.NewKEK(t)
	shop(t, db)
	run(t, open(t, store, kek, sourceOf(t, db)))
	return db, store, kek, rowsOf(t, sourceOf(t, db))
}

func TestOneCustomerComesBackIntoALiveDatabaseUnderLoad(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			db, store, kek, before := shopped(t, engine)
			pool := poolOf(t, db)
			exec(t, pool, "DELETE FROM note WHERE about = 7", "DELETE FROM customer WHERE id = 7", "DELETE FROM customer WHERE id = 8")
			require.Equal(t, "0", one(t, db, "SELECT count(*) FROM line WHERE invoice_id >= 70 AND invoice_id < 80"))

			ctx, stop := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			var written atomic.Int64
			for w := range 3 {
				writers.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						if _, err := pool.Exec(fmt.Sprintf("INSERT INTO noise VALUES (%d, 1)", 1000000*(w+1)+n)); err != nil {
							t.Errorf("writer: %v", err)
							return
						}
						written.Add(1)
						time.Sleep(time.Millisecond) // a busy application, not a flood
					}
				})
			}
			r := open(t, store, kek, nil)
			dry := oneCustomer("7")
			dry.DryRun = true
			plan, err := r.Merge(t.Context(), 1, sourceOf(t, db), dry)
			require.NoError(t, err)
			require.Equal(t, 1+3+6+1, plan.Count(backup.Insert))
			require.Equal(t, len(plan.Changes), plan.Count(backup.Insert))
			require.Equal(t, "0", one(t, db, "SELECT count(*) FROM customer WHERE id = 7"), "a dry run changes nothing")

			opts := oneCustomer("7")
			opts.Expect = plan.Digest
			during := written.Load()
			diff, err := r.Merge(t.Context(), 1, sourceOf(t, db), opts)
			require.NoError(t, err)
			require.Equal(t, plan, diff, "done is what the dry run said")
			require.Eventually(t, func() bool { return written.Load() >= during+5 || t.Failed() }, 30*time.Second, time.Millisecond, "the writers go on")
			stop()
			writers.Wait()

			exec(t, pool, "DELETE FROM noise WHERE id <> 1")
			_, err = r.Merge(t.Context(), 1, sourceOf(t, db), oneCustomer("8")) // of whom only the note was left
			require.NoError(t, err)
			require.Equal(t, before, rowsOf(t, sourceOf(t, db)), "everything is as it was")
		})
	}
}

func TestRecordBringsTheParentsItNeeds(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			db, store, kek, before := shopped(t, engine)
			exec(t, poolOf(t, db), "DELETE FROM customer", "DELETE FROM region", "UPDATE note SET body = 'newer'", "INSERT INTO region VALUES (1, 'renamed')")
			opts := backup.MergeOptions{Select: []backup.Selection{{Table: "line", Where: map[string]string{"invoice_id": "51", "n": "1"}}}, Erasures: backup.NobodyErased}
			diff, err := open(t, store, kek, nil).Merge(t.Context(), backup.Newest, sourceOf(t, db), opts)
			require.NoError(t, err)
			var got []string
			for _, c := range diff.Changes {
				got = append(got, fmt.Sprint(c.Table, c.Key, c.Action, c.Needed))
			}
			require.Equal(t, []string{"region[2]inserttrue", "customer[5]inserttrue", "invoice[51]inserttrue", "line[51 1]insertfalse"}, got)
			after := rowsOf(t, sourceOf(t, db))
			require.Len(t, after["line"], 1, "no child of a parent that was only needed")
			require.Len(t, after["customer"], 1)
			require.Contains(t, before["line"], after["line"][0])
			require.Contains(t, before["customer"], after["customer"][0])
			require.Equal(t, "renamed", one(t, db, "SELECT name FROM region WHERE id = 1"), "nobody needed it")

			// Again: everything is there, and nothing happens.
			diff, err = open(t, store, kek, nil).Merge(t.Context(), backup.Newest, sourceOf(t, db), opts)
			require.NoError(t, err)
			require.Equal(t, len(diff.Changes), diff.Count(backup.Equal))
		})
	}
}

func TestChildrenOfAParentThatWasOnlyNeededStayAway(t *testing.T) {
	db, store, kek, _ := shopped(t, testdb.SQLite)
	exec(t, poolOf(t, db), "DELETE FROM note", "DELETE FROM customer")
	opts := backup.MergeOptions{Select: []backup.Selection{{Table: "invoice", Where: map[string]string{"id": "51"}}}, Children: true, Relations: aboutCustomers(), Erasures: backup.NobodyErased}
	diff, err := open(t, store, kek, nil).Merge(t.Context(), backup.Newest, sourceOf(t, db), opts)
	require.NoError(t, err)
	require.Equal(t, 1+2+1, diff.Count(backup.Insert), "the invoice, its lines and its customer, none of whose other invoices and notes")
	require.Equal(t, "1", one(t, db, "SELECT count(*) FROM invoice"))
	require.Equal(t, "0", one(t, db, "SELECT count(*) FROM note"))
}

func TestOneTenantComesBack(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			db, store, kek, before := shopped(t, engine)
			exec(t, poolOf(t, db), "DELETE FROM customer WHERE tenant = 't1'", "UPDATE customer SET name = 'changed' WHERE tenant = 't2'")
			opts := backup.MergeOptions{Select: []backup.Selection{{Where: map[string]string{"tenant": "t1"}}}, Children: true, Relations: aboutCustomers(), Erasures: backup.NobodyErased}
			diff, err := open(t, store, kek, nil).Merge(t.Context(), backup.Newest, sourceOf(t, db), opts)
			require.NoError(t, err)
			require.Equal(t, 7+21+42, diff.Count(backup.Insert))
			require.Equal(t, 7, diff.Count(backup.Equal), "their notes")
			after := rowsOf(t, sourceOf(t, db))
			require.Equal(t, before["invoice"], after["invoice"])
			require.Equal(t, before["line"], after["line"])
			require.Equal(t, "6", one(t, db, "SELECT count(*) FROM customer WHERE name <> 'changed' AND tenant <> 't1'"), "other tenants are left alone")
		})
	}
}

func TestConflictsAreDecidedByTheCaller(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			db, store, kek, before := shopped(t, engine)
			pool := poolOf(t, db)
			exec(t, pool, "UPDATE customer SET name = 'newer', region_id = 1 WHERE id = 7", "DELETE FROM line WHERE invoice_id = 70")
			now := rowsOf(t, sourceOf(t, db))
			r := open(t, store, kek, nil)

			opts := oneCustomer("7")
			diff, err := r.Merge(t.Context(), 1, sourceOf(t, db), opts)
			require.ErrorContains(t, err, `the database has 1 of the rows in another form, e.g. in table "customer"; nothing was changed; choose to skip or to overwrite them`)
			require.Equal(t, now, rowsOf(t, sourceOf(t, db)))
			i := slices.IndexFunc(diff.Changes, func(c backup.Change) bool { return c.Table == "customer" })
			require.Equal(t, backup.Change{Table: "customer", Key: []string{"7"}, Action: backup.Overwrite, Columns: []string{"region_id", "name"}}, diff.Changes[i])

			opts.Conflict = backup.SkipConflicts
			diff, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
			require.NoError(t, err)
			require.Equal(t, 1, diff.Count(backup.Skip))
			require.Equal(t, 2, diff.Count(backup.Insert))
			require.Equal(t, "newer", one(t, db, "SELECT name FROM customer WHERE id = 7"))
			require.Equal(t, before["line"], rowsOf(t, sourceOf(t, db))["line"])

			opts.Conflict, opts.DryRun = backup.OverwriteConflicts, true
			plan, err := r.Merge(t.Context(), 1, sourceOf(t, db), opts)
			require.NoError(t, err)
			opts.DryRun, opts.Expect = false, plan.Digest
			exec(t, pool, "UPDATE customer SET name = 'newest' WHERE id = 7")
			_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
			require.ErrorContains(t, err, "the database has changed since the dry run; nothing was changed")
			require.Equal(t, "newest", one(t, db, "SELECT name FROM customer WHERE id = 7"))
			opts.Expect = ""
			_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
			require.NoError(t, err)
			require.Equal(t, before, rowsOf(t, sourceOf(t, db)))

			// A conflict that only the database knows: another row has the address now.
			exec(t, pool, "DELETE FROM customer WHERE id = 7", "INSERT INTO customer VALUES (99, 't0', 1, 'c7@x', 'somebody else')")
			now = rowsOf(t, sourceOf(t, db))
			_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "c7@x", "no value in an error")
			require.Equal(t, now, rowsOf(t, sourceOf(t, db)), "all or nothing")
		})
	}
}

func TestRowsThatReferToEachOtherInACircleComeBack(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			db, store, kek := testdb.New(t, engine), backup.NewMemory(), backuptest.NewKEK(t)
			pool := poolOf(t, db)
			exec(t, pool, "CREATE TABLE tree (id INT PRIMARY KEY, parent INT REFERENCES tree (id), v INT)")
			if engine == testdb.MySQL {
				exec(t, pool, "ALTER TABLE tree ADD FOREIGN KEY (parent) REFERENCES tree (id)")
			}
			exec(t, pool, "INSERT INTO tree VALUES (1, NULL, 1), (2, 1, 2), (3, 2, 3), (5, NULL, 5), (4, 5, 4)", "UPDATE tree SET parent = 3 WHERE id = 1")
			before := rowsOf(t, sourceOf(t, db))
			run(t, open(t, store, kek, sourceOf(t, db)))
			exec(t, pool, "UPDATE tree SET parent = NULL", "DELETE FROM tree")
			opts := backup.MergeOptions{Select: []backup.Selection{{Table: "tree", Where: map[string]string{"id": "2"}}, {Table: "tree", Where: map[string]string{"id": "4"}}}, Erasures: backup.NobodyErased}
			_, err := open(t, store, kek, nil).Merge(t.Context(), backup.Newest, sourceOf(t, db), opts)
			require.NoError(t, err)
			require.Equal(t, before, rowsOf(t, sourceOf(t, db)))
		})
	}
}

// gone is a ledger.
type gone []string

func (g gone) Erased(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, id := range g {
			if id == "broken" {
				yield("", errors.New("the ledger does not open"))
				return
			}
			if !yield(id, nil) {
				return
			}
		}
	}
}

func TestErasedPeopleDoNotComeBackInParts(t *testing.T) {
	db, store, kek, _ := shopped(t, testdb.SQLite)
	exec(t, poolOf(t, db), "DELETE FROM customer WHERE id IN (7, 9)")
	now := rowsOf(t, sourceOf(t, db))
	r := open(t, store, kek, nil)
	opts := oneCustomer("7")
	opts.Erasures = gone{"3", "7"}
	_, err := r.Merge(t.Context(), 1, sourceOf(t, db), opts)
	require.ErrorContains(t, err, "MergeOptions.Subjects does not say which column")

	opts.Subjects = map[string]string{"customer": "id", "invoice": "customer_id", "note": "about"}
	for _, dry := range []bool{true, false} {
		opts.DryRun = dry
		_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
		var erased *backup.ErasedError
		require.ErrorAs(t, err, &erased)
		require.Equal(t, 1+3+1, erased.Rows)
	}
	// Also as a parent that a record needs.
	opts = backup.MergeOptions{Select: []backup.Selection{{Table: "line", Where: map[string]string{"invoice_id": "71"}}}, Erasures: gone{"7"}, Subjects: map[string]string{"customer": "id"}}
	_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
	require.ErrorContains(t, err, "1 of the rows, e.g. of table \"customer\", are of people who were erased; nothing was changed")
	opts.Erasures = gone{"broken"}
	_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
	require.ErrorContains(t, err, "the ledger does not open")
	opts.Erasures, opts.Subjects = gone{"7"}, map[string]string{"customer": "idd"}
	_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
	require.ErrorContains(t, err, `names column "idd" of table "customer", which it has not`)
	require.Equal(t, now, rowsOf(t, sourceOf(t, db)))

	opts = oneCustomer("9")
	opts.Erasures, opts.Subjects = gone{"7"}, map[string]string{"customer": "id"}
	_, err = r.Merge(t.Context(), 1, sourceOf(t, db), opts)
	require.NoError(t, err, "others do")
}

func TestMergeRefusesWhatItCannotDo(t *testing.T) {
	db, store, kek, _ := shopped(t, testdb.SQLite)
	r := open(t, store, kek, nil)
	for text, change := range map[string]func(*backup.MergeOptions){
		"MergeOptions.Select is empty":                                    func(o *backup.MergeOptions) { o.Select = nil },
		"MergeOptions.Erasures is nil; pass the erasure ledger":           func(o *backup.MergeOptions) { o.Erasures = nil },
		"a Selection without Where would be a whole table":                func(o *backup.MergeOptions) { o.Select[0].Where = nil },
		"MergeOptions.Conflict is none of the policies":                   func(o *backup.MergeOptions) { o.Conflict = "maybe" },
		"no table of the snapshot has the columns that selection 1 names": func(o *backup.MergeOptions) { o.Select[0].Where = map[string]string{"idd": "7"} },
		"it has no row that is selected":                                  func(o *backup.MergeOptions) { o.Select[0].Where = map[string]string{"id": "700"} },
	} {
		opts := oneCustomer("7")
		change(&opts)
		_, err := r.Merge(t.Context(), 1, sourceOf(t, db), opts)
		require.ErrorContains(t, err, text)
	}
	_, err := r.Merge(t.Context(), 9, sourceOf(t, db), oneCustomer("7"))
	require.ErrorIs(t, err, backup.ErrNoSnapshot)

	exec(t, poolOf(t, db), "ALTER TABLE customer DROP COLUMN name")
	_, err = r.Merge(t.Context(), 1, sourceOf(t, db), oneCustomer("7"))
	require.ErrorIs(t, err, backup.ErrUnsupported)
	require.ErrorContains(t, err, `table "customer" of the database has no column "name" any more`)

	// A trigger that changes what is put is seen by the proof.
	db, store, kek, _ = shopped(t, testdb.SQLite)
	exec(t, poolOf(t, db), "DELETE FROM customer WHERE id = 7", "CREATE TRIGGER meddle AFTER INSERT ON customer BEGIN UPDATE customer SET name = 'x' WHERE id = new.id; END")
	now := rowsOf(t, sourceOf(t, db))
	_, err = open(t, store, kek, nil).Merge(t.Context(), 1, sourceOf(t, db), oneCustomer("7"))
	require.ErrorContains(t, err, `table "customer" does not hold what was put into it; nothing was changed`)
	require.Equal(t, now, rowsOf(t, sourceOf(t, db)))
}

func TestMergeCrashesAtEveryStoreOperation(t *testing.T) {
	db, store, kek, before := shopped(t, testdb.SQLite)
	exec(t, poolOf(t, db), "DELETE FROM note WHERE about = 7", "DELETE FROM customer WHERE id = 7")
	now := rowsOf(t, sourceOf(t, db))
	at := 1
	for ; ; at++ {
		w, _ := dying(store, at, true)
		r, err := backup.Open(t.Context(), backup.Config{Store: w, KEK: kek, DataSet: "crm", Record: backup.Discard})
		if err == nil {
			_, err = r.Merge(t.Context(), 1, sourceOf(t, db), oneCustomer("7"))
		}
		if err == nil {
			break
		}
		require.ErrorIs(t, err, errKilled)
		require.Equal(t, now, rowsOf(t, sourceOf(t, db)), "operation %d: nothing has happened", at)
	}
	require.Greater(t, at, 6)
	require.Equal(t, before, rowsOf(t, sourceOf(t, db)))
}

func TestMaliciousStoreCannotMergeAnythingWrong(t *testing.T) {
	db, store, kek, before := shopped(t, testdb.SQLite)
	exec(t, poolOf(t, db), "DELETE FROM customer WHERE id = 7")
	now := rowsOf(t, sourceOf(t, db))
	for _, key := range keysOf(t, store, "") {
		if strings.HasPrefix(key, "keys/") {
			continue // of which the other copy does
		}
		good := content(t, store, key)
		for _, i := range []int{0, 1, len(good) / 3, len(good) / 2, len(good) - 1} {
			bad := slices.Clone(good)
			bad[i] ^= 0x40
			replace(t, store, key, bad)
			_, err := open(t, store, kek, nil).Merge(t.Context(), 1, sourceOf(t, db), oneCustomer("7"))
			if err == nil { // a chunk that nothing asked for, such as that of "noise"
				require.True(t, strings.HasPrefix(key, "chunk/"), key)
				require.Equal(t, before, rowsOf(t, sourceOf(t, db)))
				exec(t, poolOf(t, db), "DELETE FROM customer WHERE id = 7")
				continue
			}
			require.ErrorIs(t, err, backup.ErrDamaged)
			require.ErrorContains(t, err, key)
			require.Equal(t, now, rowsOf(t, sourceOf(t, db)))
		}
		replace(t, store, key, good)
	}
}
