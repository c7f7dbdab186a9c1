package sqlsource_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

func TestEachEngineIsASource(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			backuptest.RunSource(t, func(t *testing.T) backuptest.Fixture {
				pool := poolOf(t, testdb.New(t, engine))
				exec(t, pool, "CREATE TABLE one (id VARCHAR(20) PRIMARY KEY, n INT)", "CREATE TABLE two (a INT, b INT, PRIMARY KEY (b, a))",
					"INSERT INTO one VALUES ('k1', 1), ('k2', 2), ('k3', NULL)", "INSERT INTO two VALUES (1, 2), (2, 1), (1, 1)")
				next := 10
				return backuptest.Fixture{
					Source: source(t, sqlsource.Config{DB: pool, Engine: engine}),
					Change: func(t *testing.T) {
						next++
						exec(t, pool, fmt.Sprintf("INSERT INTO one VALUES ('k%d', 1)", next), fmt.Sprintf("UPDATE two SET a = %d WHERE b = 2", next),
							fmt.Sprintf("DELETE FROM one WHERE id = 'k%d'", next-1))
					},
					Target: func(t *testing.T) backup.Target {
						to := testdb.New(t, engine)
						return source(t, sqlsource.Config{DB: poolOf(t, to), Engine: engine})
					},
				}
			})
		})
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	for text, cfg := range map[string]sqlsource.Config{
		"Config.DB is nil": {Engine: "sqlite"},
		`Config.Engine is "oracle"; use "sqlite", "postgres" or "mysql"`: {DB: poolOf(t, db), Engine: "oracle"},
		`table "a" is both included and excluded`:                        {DB: poolOf(t, db), Engine: "sqlite", Include: []string{"a"}, Exclude: []string{"a"}},
	} {
		_, err := sqlsource.New(cfg)
		require.ErrorContains(t, err, text)
	}
}

func TestTablesAreChosenByName(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE data (id INT PRIMARY KEY)", "CREATE TABLE secret_keys (id INT PRIMARY KEY)", "CREATE VIEW v AS SELECT id FROM data")

		all := schema(t, sqlsource.Config{DB: pool, Engine: db.Engine})
		require.Equal(t, []string{"data", "secret_keys"}, tables(all))
		require.Contains(t, omitted(all), "view v")

		rest := schema(t, sqlsource.Config{DB: pool, Engine: db.Engine, Exclude: []string{"secret_keys"}})
		require.Equal(t, []string{"data"}, tables(rest))
		require.Contains(t, omitted(rest), "table secret_keys", "what is excluded is reported")

		only := schema(t, sqlsource.Config{DB: pool, Engine: db.Engine, Include: []string{"secret_keys"}})
		require.Equal(t, []string{"secret_keys"}, tables(only))
		require.Contains(t, omitted(only), "table data")

		for _, cfg := range []sqlsource.Config{{Include: []string{"secret_key"}}, {Exclude: []string{"secret_key"}}} {
			cfg.DB, cfg.Engine = pool, db.Engine
			_, err := source(t, cfg).Snapshot(t.Context())
			require.ErrorContains(t, err, `Config names table "secret_key", which does not exist; there are: data, secret_keys`)
		}
	})
}

func TestWhatCannotBeCopiedIsRefused(t *testing.T) {
	for engine, cases := range map[string]map[string]string{
		testdb.SQLite: {
			"CREATE TABLE bad (id INT)":                   `table "bad" has no primary key; declare one, or exclude the table`,
			"CREATE VIRTUAL TABLE bad USING fts5(body)":   `table "bad" is virtual`,
			"CREATE TABLE bad AS SELECT 1 AS id, 2 AS ab": "has no primary key",
		},
		testdb.Postgres: {
			"CREATE TABLE bad (id INT)":                                                         "has no primary key",
			"CREATE TABLE bad (id INT PRIMARY KEY) PARTITION BY RANGE (id)":                     "is partitioned",
			"CREATE TABLE bad (id INT PRIMARY KEY); CREATE TABLE kid (x INT) INHERITS (bad)":    "takes part in inheritance",
			"CREATE DOMAIN odd AS INT; CREATE TABLE bad (id INT PRIMARY KEY, v odd)":            `column "v" of type odd, which a restore could not make`,
			"CREATE TYPE pair AS (a INT, b INT); CREATE TABLE bad (id INT PRIMARY KEY, v pair)": `column "v" of type pair`,
		},
		testdb.MySQL: {
			"CREATE TABLE bad (id INT)":                               "has no primary key",
			"CREATE TABLE bad (id INT PRIMARY KEY) ENGINE=MyISAM":     "uses engine MyISAM, which has no snapshots; change it to InnoDB",
			"CREATE TABLE bad (id INT PRIMARY KEY, p POINT NOT NULL)": `column "p" of type point, which is not understood`,
		},
	} {
		for statement, text := range cases {
			t.Run(engine+"/"+text, func(t *testing.T) {
				db := testdb.New(t, engine)
				pool := poolOf(t, db)
				exec(t, pool, strings.Split(statement, "; ")...)
				_, err := source(t, sqlsource.Config{DB: pool, Engine: engine}).Snapshot(t.Context())
				require.ErrorIs(t, err, backup.ErrUnsupported)
				require.ErrorContains(t, err, text)

				exec(t, pool, "CREATE TABLE good (id INT PRIMARY KEY)")
				exclude := []string{"bad"}
				if strings.Contains(statement, "kid") {
					exclude = append(exclude, "kid")
				}
				require.Equal(t, []string{"good"}, tables(schema(t, sqlsource.Config{DB: pool, Engine: engine, Exclude: exclude})), "the named remedy works")
			})
		}
	}
}

func TestForeignKeyOutOfTheSnapshotIsNamed(t *testing.T) {
	pool := poolOf(t, testdb.New(t, testdb.Postgres))
	exec(t, pool, "CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY, a INT REFERENCES a)")
	s := schema(t, sqlsource.Config{DB: pool, Engine: "postgres", Exclude: []string{"a"}})
	require.Contains(t, s.Omitted, backup.Omission{Kind: "foreign key", Name: "b_a_fkey",
		Reason: `table "b" refers to "a", which is not covered; after a restore of both: ALTER TABLE "b" ADD CONSTRAINT "b_a_fkey" FOREIGN KEY (a) REFERENCES a(id)`})
	require.NotContains(t, strings.Join(s.After, ";"), "b_a_fkey")
}

func TestTargetMustCoverTheSnapshot(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		pool := poolOf(t, db)
		exec(t, pool, "CREATE TABLE data (id INT PRIMARY KEY)", "CREATE TABLE keys_only (id INT PRIMARY KEY)")
		s := schema(t, sqlsource.Config{DB: pool, Engine: db.Engine, Exclude: []string{"keys_only"}})

		to := poolOf(t, testdb.New(t, db.Engine))
		_, err := source(t, sqlsource.Config{DB: to, Engine: db.Engine, Exclude: []string{"data"}}).Begin(t.Context(), s)
		require.ErrorContains(t, err, `the snapshot holds table "data", which the target's Config does not cover`)

		// A table that the target does not cover is in nobody's way: this is how the
		// second data set is restored beside the first.
		exec(t, to, "CREATE TABLE keys_only (id INT PRIMARY KEY)")
		l, err := source(t, sqlsource.Config{DB: to, Engine: db.Engine, Exclude: []string{"keys_only"}}).Begin(t.Context(), s)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		exec(t, to, "CREATE TABLE other (id INT PRIMARY KEY)")
		_, err = source(t, sqlsource.Config{DB: to, Engine: db.Engine, Exclude: []string{"keys_only"}}).Begin(t.Context(), s)
		require.ErrorIs(t, err, backup.ErrNotEmpty)
		require.ErrorContains(t, err, `it has "other"; restore into a new database`)
	})
}

func poolOf(t testing.TB, db testdb.DB) *sql.DB {
	t.Helper()
	pool, err := db.DB.DB()
	require.NoError(t, err)
	return pool
}

func source(t testing.TB, cfg sqlsource.Config) *sqlsource.Database {
	t.Helper()
	d, err := sqlsource.New(cfg)
	require.NoError(t, err)
	return d
}

func schema(t *testing.T, cfg sqlsource.Config) backup.Schema {
	t.Helper()
	view, err := source(t, cfg).Snapshot(t.Context())
	require.NoError(t, err)
	defer view.Close()
	return view.Schema()
}

func exec(t testing.TB, pool *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := pool.Exec(s)
		require.NoError(t, err, s)
	}
}

func tables(s backup.Schema) []string {
	var names []string
	for _, t := range s.Tables {
		names = append(names, t.Name)
	}
	return names
}

func omitted(s backup.Schema) []string {
	var out []string
	for _, o := range s.Omitted {
		out = append(out, o.Kind+" "+o.Name)
	}
	return out
}
