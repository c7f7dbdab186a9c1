package sqlsource_test

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

func TestRowsDoNotDependOnTheConnection(t *testing.T) {
	for engine, changes := range map[string][]string{
		testdb.SQLite:   {"&_time_format=sqlite"},
		testdb.Postgres: {"&TimeZone=Asia/Shanghai&DateStyle=German&IntervalStyle=iso_8601&extra_float_digits=-5&bytea_output=escape", "&default_query_exec_mode=simple_protocol"},
		testdb.MySQL:    {"&parseTime=false", "&loc=Asia%2FShanghai", "&time_zone=%27%2B08%3A00%27&sql_mode=%27ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH%27", "&interpolateParams=true", "&charset=latin1"},
	} {
		t.Run(engine, func(t *testing.T) {
			db := testdb.New(t, engine)
			exec(t, poolOf(t, db), "CREATE TABLE v (id INT PRIMARY KEY, d DATE, ts TIMESTAMP NULL, f REAL, n DECIMAL(20,5), c CHAR(9), t VARCHAR(99))",
				"INSERT INTO v VALUES (1, '2024-03-31', '2024-03-31 02:30:00', 0.1, 1.50000, 'ab', 'é 中'), (2, '1969-12-31', NULL, 1e30, -0.00001, '', '')")
			if engine == testdb.Postgres {
				exec(t, poolOf(t, db), "ALTER TABLE v ADD tz TIMESTAMPTZ DEFAULT '2024-03-31 02:30:00+00', ADD i INTERVAL DEFAULT '1 day 2 hours', ADD a TIMESTAMPTZ[] DEFAULT '{2024-03-31 02:30:00+00}', ADD fs FLOAT[] DEFAULT '{0.1,1e30}', ADD bs BYTEA[] DEFAULT '{\"\\\\x00ff\"}'")
			}
			want := all(t, source(t, sqlsource.Config{DB: poolOf(t, db), Engine: engine}))
			for _, change := range changes {
				other := db
				other.DSN += change
				if engine == testdb.MySQL && strings.Contains(change, "=") { // a later value of a parameter wins
					name := change[:strings.Index(change, "=")]
					before, after, _ := strings.Cut(db.DSN, "?")
					var kept []string
					for part := range strings.SplitSeq(after, "&") {
						if !strings.HasPrefix("&"+part, name+"=") {
							kept = append(kept, part)
						}
					}
					other.DSN = before + "?" + strings.Join(kept, "&") + change
				}
				other = other.Reopen(t)
				require.Equal(t, want, all(t, source(t, sqlsource.Config{DB: poolOf(t, other), Engine: engine})), change)
			}
		})
	}
}

func TestDefinitionsCannotChangeUnderASnapshot(t *testing.T) {
	for engine, try := range map[string][]string{
		testdb.Postgres: {"SET lock_timeout = '200ms'", "TRUNCATE later", "ALTER TABLE later ADD c INT DEFAULT 7", "DROP TABLE later"},
		testdb.MySQL:    {"SET SESSION lock_wait_timeout = 1", "TRUNCATE later", "ALTER TABLE later ADD c INT DEFAULT 7", "DROP TABLE later"},
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t, engine)
			exec(t, poolOf(t, db), "CREATE TABLE later (id INT PRIMARY KEY)", "INSERT INTO later VALUES (1)")
			view, err := source(t, sqlsource.Config{DB: poolOf(t, db), Engine: engine}).Snapshot(t.Context())
			require.NoError(t, err)
			conn, err := poolOf(t, db.Reopen(t)).Conn(t.Context())
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.ExecContext(t.Context(), try[0])
			require.NoError(t, err)
			for _, statement := range try[1:] {
				_, err = conn.ExecContext(t.Context(), statement)
				require.Error(t, err, "%s while nobody has read the table yet", statement)
			}
			rows := 0
			for _, err := range view.Rows(t.Context(), "later") {
				require.NoError(t, err)
				rows++
			}
			require.Equal(t, 1, rows)
			require.NoError(t, view.Close())
			_, err = conn.ExecContext(t.Context(), try[3])
			require.NoError(t, err, "afterwards nothing is held any more")
		})
	}
}

func TestKeysSortAsTheirTypeSays(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		exec(t, poolOf(t, db), "CREATE TABLE k (id DECIMAL(5,1) PRIMARY KEY, pad INT)", "INSERT INTO k VALUES (10, 1), (9, 2), (-1, 3), (100, 4)")
		var order []int64
		for _, row := range all(t, source(t, sqlsource.Config{DB: poolOf(t, db), Engine: db.Engine}))["k"] {
			_, rest, err := cell.Next(row)
			require.NoError(t, err)
			v, _, err := cell.Next(rest)
			require.NoError(t, err)
			order = append(order, v.Int)
		}
		require.Equal(t, []int64{3, 2, 1, 4}, order)
	})
}

func TestNoValueInErrors(t *testing.T) {
	const secret = "luisg@embraer.com.br"
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		exec(t, poolOf(t, db), "CREATE TABLE a (id INT PRIMARY KEY, mail VARCHAR(50) UNIQUE)", "INSERT INTO a VALUES (1, 'x')")
		s := schema(t, sqlsource.Config{DB: poolOf(t, db), Engine: db.Engine})
		twice := row(cell.AppendInt(nil, 1), cell.AppendRaw(nil, cell.Text, secret))
		for what, rows := range map[string][]backup.Row{
			"unique":       {twice, row(cell.AppendInt(nil, 2), cell.AppendRaw(nil, cell.Text, secret))},
			"primary key":  {twice, twice},
			"a wrong type": {row(cell.AppendRaw(nil, cell.Text, secret), cell.AppendNull(nil))},
			"too long":     {row(cell.AppendInt(nil, 1), cell.AppendRaw(nil, cell.Text, strings.Repeat(secret, 5)))},
		} {
			to := testdb.New(t, db.Engine)
			l, err := source(t, sqlsource.Config{DB: poolOf(t, to), Engine: db.Engine}).Begin(t.Context(), s)
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
			if err = l.Load(t.Context(), "a", pairs(rows)); err == nil {
				err = l.Finish(t.Context())
			}
			if err == nil { // SQLite and a lenient MySQL take it; the proof of the restore does not
				require.NotContains(t, []string{"unique", "primary key"}, what)
				require.NoError(t, l.Close())
				continue
			}
			require.NotContains(t, err.Error(), "luisg", what)
			require.ErrorContains(t, err, "sqlsource: ", what)
			require.NoError(t, l.Close())
			require.Empty(t, all(t, source(t, sqlsource.Config{DB: poolOf(t, to), Engine: db.Engine})))
		}
	})
}

func pairs(rows []backup.Row) iter.Seq2[backup.Row, error] {
	return func(yield func(backup.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func row(cells ...[]byte) backup.Row { return slices.Concat(cells...) }

// all reads every row of a source.
func all(t *testing.T, s backup.Source) map[string][]backup.Row {
	t.Helper()
	view, err := s.Snapshot(t.Context())
	require.NoError(t, err)
	defer view.Close()
	out := map[string][]backup.Row{}
	for _, table := range view.Schema().Tables {
		out[table.Name] = nil
		for row, err := range view.Rows(t.Context(), table.Name) {
			require.NoError(t, err)
			out[table.Name] = append(out[table.Name], slices.Clone(row))
		}
	}
	return out
}

func TestSettingsDoNotLeakIntoThePool(t *testing.T) {
	for engine, query := range map[string]string{
		testdb.SQLite:   "PRAGMA foreign_keys",
		testdb.Postgres: "SELECT current_setting('timezone') || current_setting('row_security') || current_setting('transaction_isolation')",
		testdb.MySQL:    "SELECT CONCAT(@@session.time_zone, @@session.sql_mode, @@session.foreign_key_checks, @@session.tx_isolation)",
	} {
		t.Run(engine, func(t *testing.T) {
			db := testdb.New(t, engine)
			pool := poolOf(t, db)
			pool.SetMaxOpenConns(1)
			ask := func() (answer string) {
				require.NoError(t, pool.QueryRow(query).Scan(&answer))
				return answer
			}
			before := ask()
			exec(t, pool, "CREATE TABLE a (id INT PRIMARY KEY)")
			d := source(t, sqlsource.Config{DB: pool, Engine: engine})
			s := schema(t, sqlsource.Config{DB: pool, Engine: engine})
			require.Equal(t, before, ask(), "after a snapshot")
			_, err := d.Begin(t.Context(), s)
			require.ErrorIs(t, err, backup.ErrNotEmpty)
			require.Equal(t, before, ask(), "after a refused restore")
			exec(t, pool, "DROP TABLE a")
			l, err := d.Begin(t.Context(), s)
			require.NoError(t, err)
			require.NoError(t, l.Finish(t.Context()))
			require.NoError(t, l.Commit(t.Context()))
			require.Equal(t, before, ask(), "after a restore")
		})
	}
}
