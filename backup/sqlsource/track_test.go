package sqlsource_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/cell"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

// keyed are tables whose keys are hard to order and to compare.
func keyed(engine string) []string {
	out := []string{
		"CREATE TABLE k_text (id VARCHAR(20) PRIMARY KEY, v INT)", "INSERT INTO k_text VALUES ('', 0), ('a', 1), ('B', 2), ('bb ', 3), ('é', 4), ('王', 5), ('a''\\\"%_', 6)",
		"CREATE TABLE k_two (a INT, b VARCHAR(9), v INT, PRIMARY KEY (b, a))", "INSERT INTO k_two VALUES (-1, 'x', 0), (1, 'x', 1), (0, 'y', 2), (2147483647, '', 3)",
		"CREATE TABLE k_decimal (id DECIMAL(20,5) PRIMARY KEY, v INT)", "INSERT INTO k_decimal VALUES (-1.5, 0), (9, 1), (10, 2), (123456789.00001, 3), (123456789.00002, 4)",
		"CREATE TABLE k_time (id TIMESTAMP PRIMARY KEY, v INT)", "INSERT INTO k_time VALUES ('2024-01-01 00:00:00', 0), ('2024-01-01 00:00:01', 1), ('1999-12-31 23:59:59', 2)",
	}
	switch engine {
	case testdb.Postgres:
		out = append(out, "CREATE TYPE level AS ENUM ('low', 'high', 'above')", "CREATE TABLE k_enum (id level PRIMARY KEY, v INT)", "INSERT INTO k_enum VALUES ('low', 0), ('high', 1), ('above', 2)",
			"CREATE TABLE k_bytes (id BYTEA PRIMARY KEY, v INT)", `INSERT INTO k_bytes VALUES ('\x', 0), ('\x00', 1), ('\xff00', 2), ('\x5c78', 3)`,
			"CREATE TABLE k_uuid (id UUID PRIMARY KEY, v INT)", "INSERT INTO k_uuid VALUES ('00000000-0000-0000-0000-000000000001', 0), ('ffffffff-0000-0000-0000-000000000001', 1)",
			"CREATE TABLE k_float (id FLOAT8 PRIMARY KEY, v INT)", "INSERT INTO k_float VALUES (0.1, 0), (0.30000000000000004, 1), ('-Infinity', 2), ('NaN', 3)",
			`CREATE TABLE k_c (id TEXT COLLATE "C" PRIMARY KEY, v INT)`, "INSERT INTO k_c VALUES ('B', 0), ('a', 1), ('É', 2)",
			"CREATE TABLE k_zone (id TIMESTAMPTZ PRIMARY KEY, v INT)", "INSERT INTO k_zone VALUES ('2024-03-31 02:30:00+02', 0), ('infinity', 1), ('0001-01-01 00:00:00 BC', 2)")
	case testdb.MySQL:
		out = append(out, "INSERT INTO k_decimal VALUES (123456789012345.00001, 5), (123456789012345.00002, 6)", // equal as floating point numbers
			"CREATE TABLE k_bytes (id VARBINARY(9) PRIMARY KEY, v INT)", "INSERT INTO k_bytes VALUES (X'', 0), (X'00', 1), (X'FF00', 2)",
			"CREATE TABLE k_big (id BIGINT UNSIGNED PRIMARY KEY, v INT)", "INSERT INTO k_big VALUES (0, 0), (18446744073709551615, 1), (9223372036854775808, 2)",
			"CREATE TABLE k_latin (id VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_general_cs PRIMARY KEY, v INT)", "INSERT INTO k_latin VALUES ('a', 0), ('B', 1), ('é', 2)",
			"CREATE TABLE k_micro (id DATETIME(6) PRIMARY KEY, v INT)", "INSERT INTO k_micro VALUES ('2024-01-01 00:00:00.000001', 0), ('2024-01-01 00:00:00.000002', 1)",
			"CREATE TABLE k_date (id DATE PRIMARY KEY, v INT)", "INSERT INTO k_date VALUES ('2024-02-29', 0), ('1000-01-01', 1)",
			"CREATE TABLE k_enum (id ENUM('low', 'high', 'above') PRIMARY KEY, v INT)", "INSERT INTO k_enum VALUES ('low', 0), ('high', 1), ('above', 2)")
	default:
		out = append(out, "CREATE TABLE k_any (id PRIMARY KEY, v INT) WITHOUT ROWID", "INSERT INTO k_any VALUES (1, 0), ('1', 1), (x'31', 2), (1.5, 3), (-9223372036854775808, 4)",
			"CREATE TABLE k_nocase (id TEXT COLLATE NOCASE PRIMARY KEY, v INT)", "INSERT INTO k_nocase VALUES ('a', 0), ('B', 1), ('c', 2), ('Z', 3)",
			"CREATE TABLE k_desc (id INT, v INT, PRIMARY KEY (id DESC))", "INSERT INTO k_desc VALUES (1, 0), (2, 1), (3, 2)")
	}
	return out
}

func TestTrackedDatabaseIsASource(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			backuptest.RunSource(t, func(t *testing.T) backuptest.Fixture {
				pool := poolOf(t, testdb.New(t, engine))
				exec(t, pool, keyed(engine)[:6]...) // the other types: see the next test
				src := source(t, sqlsource.Config{DB: pool, Engine: engine})
				names := tables(schema(t, sqlsource.Config{DB: pool, Engine: engine}))
				untracked, err := src.Track(t.Context())
				require.NoError(t, err)
				require.Empty(t, untracked)
				changes := 0
				return backuptest.Fixture{
					Source: src,
					Change: func(t *testing.T) {
						changes++
						for _, name := range names {
							exec(t, pool, fmt.Sprintf("UPDATE %s SET v = v + 100 WHERE v = %d", name, changes-1))
						}
						exec(t, pool, fmt.Sprintf("INSERT INTO k_two VALUES (%d, 'new', 9)", changes), fmt.Sprintf("DELETE FROM k_text WHERE v = %d", 6-changes))
					},
					Target: func(t *testing.T) backup.Target {
						return source(t, sqlsource.Config{DB: poolOf(t, testdb.New(t, engine)), Engine: engine})
					},
				}
			})
		})
	}
}

// A change is found in the span in which it is and in no other, wherever the
// table is cut. Each round changes one row of every table.
func TestAChangeIsInTheSpanWhereItIs(t *testing.T) {
	for _, engine := range testdb.EnginesInFull() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			pool := poolOf(t, testdb.New(t, engine))
			exec(t, pool, keyed(engine)...)
			src := source(t, sqlsource.Config{DB: pool, Engine: engine})
			untracked, err := src.Track(t.Context())
			require.NoError(t, err)
			if engine == testdb.MySQL {
				require.Equal(t, []backup.Omission{{Kind: "tracking", Name: "k_enum", Reason: "its primary key has a column of type enum('low','high','above')"}}, untracked)
			} else {
				require.Empty(t, untracked)
			}
			checked, before := 0, settled(t, src)
			for v := range 7 {
				for name, rows := range before {
					if v < len(rows) {
						exec(t, pool, fmt.Sprintf("UPDATE %s SET v = v + 100 WHERE v = %d", name, v))
					}
				}
				view, err := src.Snapshot(t.Context())
				require.NoError(t, err)
				for _, table := range view.Schema().Tables {
					tracker, rows := view.(backup.Tracker), before[table.Name]
					if now, _ := tracker.Marks(table.Name); now == "" {
						require.Equal(t, "k_enum", table.Name)
						continue
					}
					var spans []backup.Span
					var want []bool
					var after []byte
					n := 0
					for row, err := range view.Rows(t.Context(), table.Name) {
						require.NoError(t, err)
						through := keyOf(t, table, row)
						spans, want = append(spans, backup.Span{After: after, Through: through}), append(want, !bytes.Equal(row, rows[n]))
						after = through
						n++
					}
					require.Equal(t, v < len(rows), slices.Contains(want, true), "one row of %s was changed", table.Name)
					changed, err := tracker.Changed(t.Context(), table.Name, spans)
					require.NoError(t, err)
					require.Equal(t, want, changed, "row %d of %s", v, table.Name)
					checked++
				}
				require.NoError(t, view.Close())
				before = settled(t, src)
			}
			require.Greater(t, checked, 30)
			require.NoError(t, src.Untrack(t.Context()))
			require.Empty(t, leftovers(t, pool, engine), "Untrack leaves nothing but the empty table of marks")
		})
	}
}

// settled reads all rows and forgets the changes so far.
func settled(t *testing.T, src backup.Source) map[string][]backup.Row {
	t.Helper()
	view, err := src.Snapshot(t.Context())
	require.NoError(t, err)
	rows := map[string][]backup.Row{}
	for _, table := range view.Schema().Tables {
		for row, err := range view.Rows(t.Context(), table.Name) {
			require.NoError(t, err)
			rows[table.Name] = append(rows[table.Name], slices.Clone(row))
		}
	}
	require.NoError(t, view.Close())
	require.NoError(t, view.(backup.Tracker).Settle(t.Context()))
	return rows
}

func keyOf(t *testing.T, table backup.Table, row backup.Row) (key []byte) {
	t.Helper()
	var cells [][]byte
	for rest := []byte(row); len(rest) > 0; {
		_, after, err := cell.Next(rest)
		require.NoError(t, err)
		cells = append(cells, rest[:len(rest)-len(after)])
		rest = after
	}
	for _, i := range table.Key {
		key = append(key, cells[i]...)
	}
	return key
}

// leftovers are the tables and triggers of the tracking.
func leftovers(t *testing.T, pool *sql.DB, engine string) (names []string) {
	t.Helper()
	query := map[string]string{
		testdb.SQLite:   "SELECT name FROM sqlite_master WHERE name LIKE 'confide_changes%'",
		testdb.Postgres: "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname LIKE 'confide_changes%' UNION ALL SELECT tgname::text FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid WHERE c.relnamespace = current_schema()::regnamespace AND NOT tgisinternal UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
		testdb.MySQL:    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'confide_changes%' UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
	}[engine]
	rows, err := pool.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	return names
}
