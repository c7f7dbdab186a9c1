package backup_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/cell"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

// A column of the random schemas: a type, and values that are hard to carry.
type columnKind struct {
	decl   string
	values []any
	key    bool // may be part of a primary key
}

func hostileText(nul bool) []any {
	out := []any{"", " ", "a", "a ", "A", "á", "ß", "ss", "tab\tnew\nline\r\\N\\.'\"`;--", "中文 😀 👨‍👩‍👧", "\\x00", "NULL", "1", "01", "1.0", "0x1", "true", "2024-01-02", "\u200f\u0000"[:3]}
	if nul {
		out = append(out, "nul\x00inside")
	}
	return out
}

// kindsOf lists what a column may be. Where both ends of the pair hold a type
// only in part, the values are those of the part; what lies outside is the
// matter of TestLossyCasesAreRefused.
func kindsOf(engine, to string) []columnKind {
	ints := []any{int64(0), int64(-1), int64(1), int64(-9223372036854775808), int64(9223372036854775807), int64(9007199254740993)}
	small := []any{int64(-32768), int64(32767), int64(0)}
	reals := []any{1.5, -0.1, 4.9e-324, 1.7976931348623157e308, 1e22, 123456789.123, 0.30000000000000004}
	bytes := []any{[]byte{}, []byte{0}, []byte("text"), []byte{0xff, 0xfe, '\\', '\'', '\n'}, []byte(strings.Repeat("x", 300))}
	text := hostileText(engine != testdb.Postgres && to != testdb.Postgres)
	dates := []any{"1970-01-01", "1969-12-31", "0001-01-01", "9999-12-31", "2024-02-29"}
	times := []any{"00:00:00", "23:59:59.999999", "12:00:00.5"}
	if engine == testdb.SQLite {
		times = []any{"00:00:00", "23:59:59.999999", "12:00:00.500000"}
	}
	clocks := []any{"1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00.000001", "9999-12-31 23:59:59"}
	json := []any{`{"b": 1, "a": [1.0, 1e5, null, "é\u0041"]}`, `[]`, `"x"`, `123`, `1.0`, `{"a":1,"a":2}`}
	switch engine {
	case testdb.SQLite:
		return []columnKind{
			{"INTEGER", ints, true}, {"BIGINT", ints, true}, {"SMALLINT", small, false}, {"REAL", reals, false}, {"TEXT", text, true}, {"VARCHAR(40)", text, true}, {"BLOB", bytes, true},
			{"BOOLEAN", []any{int64(0), int64(1)}, false}, {"DATE", dates, true}, {"TIME", times, false}, {"DATETIME", clocks, false},
			{"TIMESTAMP", []any{"1970-01-01 00:00:01+00:00", "2038-01-19 03:14:07+00:00", "2001-09-09 01:46:40.000001+00:00"}, false},
			{"DECIMAL TEXT(12,3)", []any{"0.000", "-0.001", "123456789.125"}, false}, {"JSON TEXT", json, false},
		}
	case testdb.Postgres:
		return []columnKind{
			{"BIGINT", ints, true}, {"INT", []any{int64(-2147483648), int64(2147483647), int64(0)}, true}, {"SMALLINT", small, true}, {"DOUBLE PRECISION", reals, false}, {"REAL", []any{1.5, -0.25, 1.401298464324817e-45}, false},
			{"TEXT", text, true}, {"VARCHAR(60)", text, true}, {"CHAR(40)", text, false}, {"BYTEA", bytes, true}, {"BOOLEAN", []any{true, false}, false}, {"DATE", dates, true}, {"TIME", times, false},
			{"TIMESTAMP", clocks, false}, {"TIMESTAMPTZ", []any{"1970-01-01 00:00:01+00", "2038-01-19 11:14:07+08", "2001-09-09 01:46:40.000001+00"}, true},
			{"NUMERIC(12,3)", []any{"0", "-0.001", "123456789.125"}, true}, {"JSON", json, false}, {"JSONB", json, false},
			{"NUMERIC(40,0)", []any{"0", "-1234567890123456789012345678901234567890", "9223372036854775808"}, false},
		}
	}
	return []columnKind{
		{"BIGINT", ints, true}, {"INT", []any{int64(-2147483648), int64(2147483647)}, true}, {"INT UNSIGNED", []any{int64(4294967295), int64(0)}, true}, {"BIGINT UNSIGNED", []any{int64(9223372036854775807)}, false},
		{"MEDIUMINT", []any{int64(-8388608)}, false}, {"TINYINT", []any{int64(-128), int64(127)}, false}, {"TINYINT(1)", []any{int64(0), int64(1)}, false}, {"DOUBLE", reals, false}, {"FLOAT", []any{1.5, -0.25}, false},
		{"VARCHAR(80) COLLATE utf8mb4_nopad_bin", text, true}, {"LONGTEXT", text, false}, {"VARBINARY(300)", bytes, true}, {"LONGBLOB", bytes, false}, {"DATE", dates, true}, {"TIME(6)", times, false},
		{"DATETIME(6)", clocks, true}, {"TIMESTAMP(6) NULL", []any{"1970-01-01 00:00:01", "2038-01-19 03:14:07", "2001-09-09 01:46:40.000001"}, false}, {"DECIMAL(12,3)", []any{"0", "-0.001", "123456789.125"}, true},
		{"JSON", json, false}, {"ENUM('a','it''s','')", []any{"a", "it's", ""}, false}, {"YEAR", []any{int64(1901), int64(2155)}, false}, {"BIT(9)", []any{[]byte{1, 255}}, false},
	}
}

func odd(rng *rand.Rand, n int) string {
	return []string{"plain", "select", "Ünï", "with space", `quo"te`, "back`tick", "apo'strophe", "表", "tab\tname", `back\slash`}[rng.IntN(10)] + strconv.Itoa(n)
}

// randomDatabase fills a database with random tables of hostile rows.
func randomDatabase(t *testing.T, rng *rand.Rand, db testdb.DB, to string) {
	t.Helper()
	pool := poolOf(t, db)
	pool.SetMaxOpenConns(1)
	kinds := kindsOf(db.Engine, to)
	quote, mark := "`", func(int) string { return "?" }
	if db.Engine != testdb.MySQL {
		quote = `"`
	}
	if db.Engine == testdb.Postgres {
		mark = func(i int) string { return "$" + strconv.Itoa(i) }
	}
	quoted := func(name string) string { return quote + strings.ReplaceAll(name, quote, quote+quote) + quote }
	if db.Engine == testdb.MySQL {
		exec(t, pool, "SET SESSION time_zone = '+00:00'")
	}
	for n := range 3 {
		table := quoted(odd(rng, n))
		var columns []columnKind
		var names, defs []string
		for len(columns) == 0 || !columns[0].key {
			columns = []columnKind{kinds[rng.IntN(len(kinds))]}
		}
		for range 1 + rng.IntN(8) {
			columns = append(columns, kinds[rng.IntN(len(kinds))])
		}
		for i, c := range columns {
			names = append(names, quoted(odd(rng, i)))
			null := ""
			if i == 0 || rng.IntN(4) == 0 {
				null = " NOT NULL"
				if strings.HasSuffix(c.decl, " NULL") {
					null = ""
				}
			}
			defs = append(defs, names[i]+" "+c.decl+null)
		}
		key := names[:1]
		if len(columns) > 2 && columns[1].key && rng.IntN(2) == 0 {
			key = names[:2]
		}
		exec(t, pool, "CREATE TABLE "+table+" ("+strings.Join(defs, ", ")+", PRIMARY KEY ("+strings.Join(key, ", ")+"))")
		if columns[len(columns)-1].key {
			exec(t, pool, "CREATE INDEX "+quoted(odd(rng, 100+n))+" ON "+table+" ("+names[len(names)-1]+")")
		}
		var marks []string
		for i := range columns {
			marks = append(marks, mark(i+1))
		}
		loaded := 0
		for range 40 {
			var row []any
			for i, c := range columns {
				v := c.values[rng.IntN(len(c.values))]
				if i > 1 && !strings.Contains(defs[i], " NOT NULL") && rng.IntN(5) == 0 {
					v = nil
				}
				row = append(row, v)
			}
			if _, err := pool.Exec("INSERT INTO "+table+" VALUES ("+strings.Join(marks, ", ")+")", row...); err == nil {
				loaded++ // the others have a key that is taken
			}
		}
		require.Positive(t, loaded, "CREATE TABLE %s %v", table, defs)
	}
}

// sorted orders rows by their bytes: engines sort text differently.
func sorted(all map[string][]backup.Row) map[string][]backup.Row {
	for _, rows := range all {
		slices.SortFunc(rows, func(a, b backup.Row) int { return slices.Compare(a, b) })
	}
	return all
}

func TestEveryEngineRestoresIntoEveryOther(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("CONFIDE_BACKUP_PAIR_ROUNDS")); err == nil {
		rounds = n
	}
	for _, a := range testdb.Engines() {
		for _, b := range testdb.Engines() {
			t.Run(a+" to "+b, func(t *testing.T) {
				t.Parallel()
				for round := range rounds {
					seed := rand.Uint64()
					rng := rand.New(rand.NewPCG(seed, 0))
					from := testdb.New(t, a)
					randomDatabase(t, rng, from, b)
					there, kek := backup.NewMemory(), backuptest.NewKEK(t)
					s := run(t, open(t, there, kek, sourceOf(t, from)))
					to := testdb.New(t, b)
					report, err := open(t, there, kek, nil).Restore(t.Context(), s.ID, sourceOf(t, to), backup.RestoreOptions{})
					require.NoError(t, err, "seed %d", seed)
					require.Equal(t, s.Rows, report.Rows)

					again := backup.NewMemory()
					s = run(t, open(t, again, kek, sourceOf(t, to)))
					back := restored(t, again, kek, s.ID, a)
					require.Equal(t, sorted(rowsOf(t, sourceOf(t, from))), sorted(rowsOf(t, sourceOf(t, back))), "seed %d, round %d", seed, round)
				}
			})
		}
	}
}

func TestRulesCrossEngines(t *testing.T) {
	for _, a := range testdb.Engines() {
		for _, b := range testdb.Engines() {
			if a == b {
				continue
			}
			t.Run(a+" to "+b, func(t *testing.T) {
				t.Parallel()
				from := testdb.New(t, a)
				id := map[string]string{testdb.SQLite: "INTEGER PRIMARY KEY AUTOINCREMENT", testdb.Postgres: "BIGSERIAL PRIMARY KEY", testdb.MySQL: "BIGINT AUTO_INCREMENT PRIMARY KEY"}[a]
				exec(t, poolOf(t, from),
					"CREATE TABLE customer (id "+id+", email VARCHAR(50) NOT NULL UNIQUE, age INT DEFAULT 7, CHECK (age >= 0))",
					"CREATE TABLE note (id "+id+", customer_id BIGINT NOT NULL, reply_to BIGINT, body VARCHAR(50), FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE, FOREIGN KEY (reply_to) REFERENCES note (id))",
					"CREATE INDEX by_customer ON note (customer_id, body)",
					"INSERT INTO customer (email) VALUES ('a@x'), ('b@x'), ('c@x')", "DELETE FROM customer WHERE email = 'c@x'",
					"INSERT INTO note (customer_id, reply_to, body) VALUES (1, NULL, 'x'), (2, 1, 'y'), (1, 2, 'z')")
				store, kek := backup.NewMemory(), backuptest.NewKEK(t)
				run(t, open(t, store, kek, sourceOf(t, from)))
				to := testdb.New(t, b)
				report, err := open(t, store, kek, nil).Restore(t.Context(), backup.Newest, sourceOf(t, to), backup.RestoreOptions{})
				require.NoError(t, err)
				lost := fmt.Sprint(report.Omitted)
				require.Contains(t, lost, "{default age ")
				require.Contains(t, lost, "{check ")

				pool := poolOf(t, to)
				exec(t, pool, "INSERT INTO customer (email) VALUES ('new@x')")
				require.Equal(t, "4", one(t, to, "SELECT max(id) FROM customer"), "the counter goes on, past a deleted row")
				for _, bad := range []string{"INSERT INTO customer (email) VALUES ('a@x')", "INSERT INTO customer (id, email) VALUES (1, 'q@x')", "INSERT INTO customer (age) VALUES (1)",
					"INSERT INTO note (customer_id) VALUES (99)", "INSERT INTO note (customer_id, reply_to) VALUES (1, 99)"} {
					_, err := pool.Exec(bad)
					require.Error(t, err, bad)
				}
				exec(t, pool, "UPDATE note SET reply_to = NULL", "DELETE FROM customer WHERE id = 1")
				require.Equal(t, "1", one(t, to, "SELECT count(*) FROM note"), "the deletion went on to the notes")
			})
		}
	}
}

func TestLossyCasesAreRefused(t *testing.T) {
	long := strings.Repeat("n", 65)
	for _, c := range []struct {
		from, to string
		make     []string
		text     string
	}{
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)", "INSERT INTO t VALUES (1, 2), (2, 'text')"}, `column "v" of table "t" holds values of several kinds (integer, text)`},
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a' || char(0) || 'b')"}, "holds text with a NUL, which PostgreSQL cannot keep"},
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, CAST(x'ff' AS TEXT))"}, "holds text that is not valid UTF-8"},
		{testdb.SQLite, testdb.MySQL, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, CAST(x'ff' AS TEXT))"}, "holds text that is not valid UTF-8"},
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v DATETIME)", "INSERT INTO t VALUES (1, '2024-01-02 03:04:05+08:00')"}, "a time zone or finer times would be lost"},
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v DATETIME)", "INSERT INTO t VALUES (1, '2024-01-02 03:04:05.123456789+00:00')"}, "a time zone or finer times would be lost"},
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v DATE)", "INSERT INTO t VALUES (1, '2024-02-30')"}, "is declared DATE and holds text that is not throughout a date"},
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, " + long + " TEXT)"}, "has a name of more than 63 bytes"},
		{testdb.SQLite, testdb.Postgres, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, xmin TEXT)"}, "has a name that PostgreSQL keeps for itself"},
		{testdb.SQLite, testdb.MySQL, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, " + long + " TEXT)"}, "has a name of more than 64 characters"},
		{testdb.SQLite, testdb.MySQL, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, \"é\" TEXT, e TEXT)"}, "has a name that MySQL takes for the same as another one's"},
		{testdb.SQLite, testdb.MySQL, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, \"a😀\" TEXT)"}, "a character that MySQL does not take"},
		{testdb.SQLite, testdb.MySQL, []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, v DECIMAL(10,2))", "INSERT INTO t VALUES (1, 5), (2, 1.5)"}, "holds numbers whose digits behind the point differ"},
		{testdb.SQLite, testdb.MySQL, []string{"CREATE TABLE t (v TEXT PRIMARY KEY)", "INSERT INTO t VALUES ('" + strings.Repeat("x", 800) + "')"}, "is part of a key that needs 3200 bytes, more than the 3072 of MySQL"},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, a TEXT, "A" TEXT)`}, "has the name of another one but for upper and lower case"},
		{testdb.Postgres, testdb.MySQL, []string{`CREATE TABLE t (id INT PRIMARY KEY)`, `CREATE TABLE "T" (id INT PRIMARY KEY)`}, `table "t" has the name of another one`},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE sqlite_x (id INT PRIMARY KEY)`}, "has a name that SQLite keeps for itself"},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v INTERVAL)`}, `column "v" of table "t" is of type interval, which only PostgreSQL has`},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v TEXT[])`}, `is of type text[], which only PostgreSQL has`},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v TIMETZ)`}, `which only PostgreSQL has`},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v FLOAT)`, `INSERT INTO t VALUES (1, 'NaN')`}, "holds NaN or a negative zero, which SQLite cannot keep"},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v FLOAT)`, `INSERT INTO t VALUES (1, '-0')`}, "holds NaN or a negative zero, which SQLite cannot keep"},
		{testdb.Postgres, testdb.MySQL, []string{`CREATE TABLE t (id INT PRIMARY KEY, v FLOAT)`, `INSERT INTO t VALUES (1, 'Infinity')`}, "holds NaN or an infinity"},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v NUMERIC)`, `INSERT INTO t VALUES (1, 'NaN')`}, "holds a number without digits"},
		{testdb.Postgres, testdb.MySQL, []string{`CREATE TABLE t (id INT PRIMARY KEY, v NUMERIC)`, `INSERT INTO t VALUES (1, 1.5), (2, 1.50)`}, "holds numbers whose digits behind the point differ"},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v DATE)`, `INSERT INTO t VALUES (1, 'infinity')`}, "holds a value that only this engine has, such as an infinite or zero date"},
		{testdb.Postgres, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v DATE)`, `INSERT INTO t VALUES (1, '0044-03-15 BC')`}, "holds a date outside of the years 1 to 9999"},
		{testdb.Postgres, testdb.MySQL, []string{`CREATE TABLE t (id INT PRIMARY KEY, v TIMESTAMP)`, `INSERT INTO t VALUES (1, '10000-01-01')`}, "holds a time outside of the years 1 to 9999"},
		{testdb.Postgres, testdb.MySQL, []string{`CREATE TABLE t (id INT PRIMARY KEY, v TIMESTAMPTZ)`, `INSERT INTO t VALUES (1, '2038-01-19 03:14:07.000001+00')`}, "the range of MySQL's timestamp"},
		{testdb.MySQL, testdb.Postgres, []string{`CREATE TABLE t (id INT PRIMARY KEY, v BIGINT UNSIGNED)`, `INSERT INTO t VALUES (1, 9223372036854775808)`}, "holds an unsigned number above 9223372036854775807"},
		{testdb.MySQL, testdb.SQLite, []string{`CREATE TABLE t (id INT PRIMARY KEY, v BIGINT UNSIGNED)`, `INSERT INTO t VALUES (1, 18446744073709551615)`}, "holds an unsigned number above 9223372036854775807"},
		{testdb.MySQL, testdb.Postgres, []string{`CREATE TABLE t (id INT PRIMARY KEY, v TIME)`, `INSERT INTO t VALUES (1, '-01:00:00')`}, "holds a span of hours"},
		{testdb.MySQL, testdb.Postgres, []string{`CREATE TABLE t (id INT PRIMARY KEY, v TIME)`, `INSERT INTO t VALUES (1, '24:00:01')`}, "holds a span of hours"},
		{testdb.MySQL, testdb.Postgres, []string{`SET SESSION sql_mode = 'ALLOW_INVALID_DATES'`, `CREATE TABLE t (id INT PRIMARY KEY, v DATE)`, `INSERT INTO t VALUES (1, '0000-00-00')`}, "such as an infinite or zero date"},
		{testdb.MySQL, testdb.Postgres, []string{`CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))`, `INSERT INTO t VALUES (1, CONCAT('a', CHAR(0)))`}, "holds text with a NUL"},
		{testdb.MySQL, testdb.Postgres, []string{`CREATE TABLE t (id INT PRIMARY KEY, v INET6)`}, "is of type inet6, which only MySQL has"},
	} {
		t.Run(c.from+" to "+c.to+"/"+c.text[:min(30, len(c.text))], func(t *testing.T) {
			t.Parallel()
			from, to := testdb.New(t, c.from), testdb.New(t, c.to)
			poolOf(t, from).SetMaxOpenConns(1)
			exec(t, poolOf(t, from), c.make...)
			store, kek := backup.NewMemory(), backuptest.NewKEK(t)
			run(t, open(t, store, kek, sourceOf(t, from)))
			target := &untouched{Database: sourceOf(t, to)}
			_, err := open(t, store, kek, nil).Restore(t.Context(), backup.Newest, target, backup.RestoreOptions{})
			require.ErrorIs(t, err, backup.ErrUnsupported)
			require.ErrorContains(t, err, c.text)
			require.Empty(t, rowsOf(t, sourceOf(t, to)))
		})
	}
}

// untouched is a target of which nothing may be asked but a survey.
type untouched struct {
	*sqlsource.Database
}

func (u *untouched) Survey(ctx context.Context, schema backup.Schema, rows func(string) iter.Seq2[backup.Row, error]) (backup.Target, error) {
	_, err := u.Database.Survey(ctx, schema, rows)
	return u, err
}

func (u *untouched) Begin(context.Context, backup.Schema) (backup.Loading, error) {
	panic("something is written")
}

// TestProofOfATranslatedRestoreIsOfTheSourcesRows changes a value in the target
// between loading and reading back.
func TestProofOfATranslatedRestoreIsOfTheSourcesRows(t *testing.T) {
	from, to := testdb.New(t, testdb.Postgres), testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, from), "CREATE TABLE t (id INT PRIMARY KEY, n NUMERIC(9,2), d TIMESTAMPTZ)", "INSERT INTO t VALUES (1, 1.50, '2024-01-02 03:04:05+00')")
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	run(t, open(t, store, kek, sourceOf(t, from)))
	target := &meddling{Database: sourceOf(t, to)}
	_, err := open(t, store, kek, nil).Restore(t.Context(), backup.Newest, target, backup.RestoreOptions{})
	require.ErrorContains(t, err, `table "t" holds other rows after the restore than were backed up`)
	require.Empty(t, rowsOf(t, sourceOf(t, to)))
}

// meddling adds a cent to every number before the target gets it.
type meddling struct{ *sqlsource.Database }

func (m *meddling) Survey(ctx context.Context, schema backup.Schema, rows func(string) iter.Seq2[backup.Row, error]) (backup.Target, error) {
	target, err := m.Database.Survey(ctx, schema, rows)
	return meddled{target}, err
}

type meddled struct{ backup.Target }

func (m meddled) Begin(ctx context.Context, schema backup.Schema) (backup.Loading, error) {
	l, err := m.Target.Begin(ctx, schema)
	return meddledLoading{l}, err
}

type meddledLoading struct{ backup.Loading }

func (m meddledLoading) Load(ctx context.Context, table string, rows iter.Seq2[backup.Row, error]) error {
	return m.Loading.Load(ctx, table, func(yield func(backup.Row, error) bool) {
		for row, err := range rows {
			if err == nil {
				row = slices.Clone(row)
				_, rest, _ := cell.Next(row)
				rest[len("0")+len("41.5")] ^= 1 // a digit of the number
			}
			if !yield(row, err) {
				return
			}
		}
	})
}

func TestIntegersAndRealsInOneColumnSurvivePostgreSQL(t *testing.T) {
	from, to := testdb.New(t, testdb.SQLite), testdb.New(t, testdb.Postgres)
	exec(t, poolOf(t, from), "CREATE TABLE t (id INTEGER PRIMARY KEY, amount DECIMAL(10,2), free)",
		"INSERT INTO t VALUES (1, 5, 5), (2, 1.5, 7.0), (3, -0.001, 1e300), (4, 9223372036854775807, 4.9e-324), (5, NULL, NULL)")
	there, again, kek := backup.NewMemory(), backup.NewMemory(), backuptest.NewKEK(t)
	run(t, open(t, there, kek, sourceOf(t, from)))
	_, err := open(t, there, kek, nil).Restore(t.Context(), backup.Newest, sourceOf(t, to), backup.RestoreOptions{})
	require.NoError(t, err)
	require.Equal(t, "12.499", one(t, to, "SELECT (sum(amount) - 9223372036854775807 + 6)::text FROM t"), "numbers to the database too")
	run(t, open(t, again, kek, sourceOf(t, to)))
	require.Equal(t, rowsOf(t, sourceOf(t, from)), rowsOf(t, sourceOf(t, restored(t, again, kek, backup.Newest, testdb.SQLite))))
}
