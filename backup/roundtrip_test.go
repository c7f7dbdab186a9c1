package backup_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// hostile are statements that make a database which is hard to copy.
func hostile(engine string) []string {
	switch engine {
	case testdb.SQLite:
		return hostileSQLite()
	case testdb.Postgres:
		return hostilePostgres()
	}
	return hostileMySQL()
}

func hostileSQLite() []string {
	return []string{
		`CREATE TABLE "select ""from"" 表" ("group by" TEXT, "a""b" INTEGER, "ключ'" BLOB, PRIMARY KEY ("a""b", "group by")) WITHOUT ROWID`,
		`INSERT INTO "select ""from"" 表" VALUES ('x', 1, x'00ff00'), ('', 1, x''), ('é😀' || char(0) || 'z', 2, NULL), ('x', -9223372036854775808, x'0a0d'), ('x', 9223372036854775807, 'text in a blob column')`,
		`CREATE TABLE typed (id TEXT PRIMARY KEY, i INTEGER, r REAL, n DECIMAL(10,2), t TEXT, b BLOB, d DATE, dt DATETIME, ts TIMESTAMP, flag BOOLEAN, j JSON, g INTEGER GENERATED ALWAYS AS (i + 1) STORED, v TEXT AS (upper(t)))`,
		`INSERT INTO typed (id, i, r, n, t, b, d, dt, ts, flag, j) VALUES
			('null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
			('empty', 0, 0.0, 0, '', x'', '', '', '', 0, ''),
			('dates', 1, 1.5, 12345678.90, 'a', x'00', '1969-12-31', '1901-01-01 00:00:00.000001', '2024-02-30 25:00:00+99:99', 1, '{"b":1,"a":[]}'),
			('dates2', 2, 1e308, -0.01, 'b', x'ff', '0001-01-01', '2024-01-02T03:04:05.123456789Z', '2024-01-02 03:04:05.123456+02:00', 1, '[]'),
			('mixed', 'text in an integer', 9007199254740993, 'not a number', 5, 'text', 20240102, 3.25, x'31', 'yes', NULL),
			('long', 9223372036854775807, 4.9e-324, 0.1, 'tab	newline
quote '' backslash \ end', x'0102', NULL, NULL, NULL, NULL, NULL)`,
		`CREATE TABLE counter (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT COLLATE NOCASE UNIQUE, age INT CHECK (age >= 0))`,
		`INSERT INTO counter (email, age) VALUES ('a@x', 1), ('b@x', 2), ('c@x', 3)`, `DELETE FROM counter WHERE id = 3`,
		`CREATE UNIQUE INDEX "odd index" ON counter (lower(email)) WHERE age > 0`,
		`CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree(id), other INTEGER REFERENCES round(id) DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TABLE round (id INTEGER PRIMARY KEY, tree INTEGER REFERENCES tree(id) ON DELETE CASCADE)`,
		`PRAGMA foreign_keys = 0`,
		`INSERT INTO tree VALUES (1, 3, 1), (2, 1, NULL), (3, 2, NULL)`, `INSERT INTO round VALUES (1, 1), (2, NULL)`,
		`PRAGMA foreign_keys = 1`,
		`CREATE TABLE empty_table (id INTEGER PRIMARY KEY)`,
		`PRAGMA user_version = 42`,
	}
}

func hostilePostgres() []string {
	return []string{
		`CREATE TYPE "Mood's" AS ENUM ('so so', 'it''s', '')`,
		`CREATE TABLE "select ""from"" 表" ("group by" TEXT, "a""b" BIGINT, "ключ'" BYTEA, PRIMARY KEY ("a""b", "group by"))`,
		`INSERT INTO "select ""from"" 表" VALUES ('x', 1, '\x00ff00'), ('', 1, ''), ('é😀z', 2, NULL), ('x', -9223372036854775808, '\x0a0d'), ('x', 9223372036854775807, '\x5c2e')`,
		`CREATE TABLE typed (id VARCHAR(20) PRIMARY KEY, si SMALLINT, i INT, r4 REAL, r DOUBLE PRECISION, n NUMERIC, n2 NUMERIC(10,2), t TEXT, c CHAR(5), b BYTEA, d DATE, ts TIMESTAMP(3), tz TIMESTAMPTZ, tm TIME, ttz TIMETZ, iv INTERVAL, flag BOOLEAN, j JSON, jb JSONB, u UUID, arr TEXT[], ip INET, m "Mood's", ms "Mood's"[], bits BIT VARYING(9), money MONEY, p POINT, rng TSTZRANGE, gen INT GENERATED ALWAYS AS (i + 1) STORED, q "char", vec TSVECTOR)`,
		`INSERT INTO typed (id) VALUES ('null')`,
		`INSERT INTO typed VALUES ('full', -32768, -2147483648, '1.4e-45', '4.9e-324', 'NaN', -0.01, E'tab\t newline\n cr\r back\\ \\N \\. quote'' ', 'ab', '\x', '-infinity', '1969-12-31 23:59:59.999', '1901-01-01 00:00:00.000001+00', '23:59:59.999999', '12:00:00.5+14', '1 mon -2 days 03:04:05.006', true, '{"b": 1,  "a":[]}', '{"b": 1, "a": []}', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', ARRAY['a','',NULL,'x"y\z{,}'], '::1/128', 'it''s', ARRAY['','so so']::"Mood's"[], B'101', 12.34, '(0.1,-2)', '[2020-01-01 00:00:00+00,)', DEFAULT, 'x', 'a fat cat')`,
		`INSERT INTO typed (id, r4, r, n, n2, t, c, d, ts, tz, tm, flag) VALUES ('empty', 'Infinity', '-Infinity', 1.50, 0, '', '', '0044-03-15 BC', 'infinity', '294276-12-31 23:59:59.999999+00', '24:00:00', false)`,
		`INSERT INTO typed (id, r4, r, n, d, ts, tz) VALUES ('more', 'NaN', '-0', 123456789012345678901234567890.123456789000, '5874897-12-31', '4714-11-24 00:00:00 BC', '10000-01-01 00:00:00.1+00')`,
		`CREATE TABLE counter (id SERIAL PRIMARY KEY, email TEXT UNIQUE, age INT CONSTRAINT "age ok" CHECK (age >= 0), span TSRANGE, EXCLUDE USING gist (span WITH &&))`,
		`INSERT INTO counter (email, age) VALUES ('a@x', 1), ('b@x', 2), ('c@x', 3)`, `DELETE FROM counter WHERE id = 3`,
		`CREATE UNIQUE INDEX "odd index" ON counter (lower(email) DESC NULLS LAST) INCLUDE (age) WHERE age > 0`,
		`CREATE TABLE identity_always (id BIGINT GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 5) PRIMARY KEY, v TEXT COLLATE "C" DEFAULT 'it''s')`,
		`INSERT INTO identity_always (v) VALUES ('a'), ('b')`,
		`CREATE SEQUENCE "Free One" START 7 MAXVALUE 99 CYCLE`, `SELECT nextval('"Free One"')`,
		`CREATE TABLE uses_free (id INT PRIMARY KEY DEFAULT nextval('"Free One"'))`, `INSERT INTO uses_free DEFAULT VALUES`,
		`CREATE TABLE tree (id INT PRIMARY KEY, parent INT, other INT)`, `CREATE TABLE round (id INT PRIMARY KEY, tree INT REFERENCES tree(id) ON DELETE CASCADE)`,
		`INSERT INTO tree VALUES (1, 3, 1), (2, 1, NULL), (3, 2, NULL)`, `INSERT INTO round VALUES (1, 1), (2, NULL)`,
		`ALTER TABLE tree ADD FOREIGN KEY (parent) REFERENCES tree(id), ADD FOREIGN KEY (other) REFERENCES round(id) DEFERRABLE INITIALLY DEFERRED`,
		`CREATE UNLOGGED TABLE empty_table (id INT PRIMARY KEY)`,
		`ALTER TABLE empty_table ADD COLUMN gone INT`, `ALTER TABLE empty_table DROP COLUMN gone`,
	}
}

func hostileMySQL() []string {
	return []string{
		"CREATE TABLE `select ``from`` 表` (`group by` VARCHAR(50) COLLATE utf8mb4_bin, `a``b` BIGINT, `ключ'` BLOB, PRIMARY KEY (`a``b`, `group by`))",
		"INSERT INTO `select ``from`` 表` VALUES ('x', 1, x'00ff00'), ('', 1, ''), ('é😀z', 2, NULL), ('x', -9223372036854775808, x'0a0d'), ('x', 9223372036854775807, x'5c2e')",
		"SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
		"CREATE TABLE typed (id VARCHAR(20) PRIMARY KEY, ti TINYINT, flag TINYINT(1), ub BIGINT UNSIGNED, f FLOAT, r DOUBLE, n DECIMAL(65,30), n2 DECIMAL(10,2), t TEXT, l VARCHAR(20) CHARACTER SET latin1, c CHAR(5), bn BINARY(4), b LONGBLOB, d DATE, dt DATETIME(6), dt0 DATETIME, ts TIMESTAMP(3) NULL, tm TIME(6), y YEAR, e ENUM('so so', 'it''s', ''), st SET('a','b'), bt BIT(9), j JSON, gen INT GENERATED ALWAYS AS (ti + 1) STORED, vgen INT GENERATED ALWAYS AS (ti + 2) VIRTUAL)",
		"INSERT INTO typed (id) VALUES ('null')",
		"INSERT INTO typed (id, ti, flag, ub, f, r, n, n2, t, l, c, bn, b, d, dt, dt0, ts, tm, y, e, st, bt, j) VALUES ('full', -128, 1, 18446744073709551615, 0.1, 5e-324, 12345678901234567890123456789012345.123456789012345678901234567890, -0.01, 'tab\\t newline\\n cr\\r back\\\\ quote'' nul\\0 end', 'café', 'ab', x'00', x'', '1969-12-31', '1000-01-01 00:00:00.000001', '9999-12-31 23:59:59', '1970-01-01 00:00:01.001', '-838:59:58.999999', 1901, 'it''s', 'a,b', b'101', '{\"b\": 1, \"a\": []}')",
		"INSERT INTO typed (id, ti, flag, ub, f, r, t, c, b, d, dt, dt0, tm, y, e, st) VALUES ('empty', 0, 0, 9223372036854775808, -3.4e38, 1.7976931348623157e308, '', '', x'00', '0000-00-00', '0000-00-00 00:00:00', '2024-02-31 01:02:03', '00:00:00', 0, '', '')",
		"INSERT INTO typed (id, e, ts) VALUES ('more', 'not a member', '0000-00-00 00:00:00')",
		"CREATE TABLE counter (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(50) COLLATE utf8mb4_general_ci UNIQUE, age INT, CONSTRAINT age_ok CHECK (age >= 0))",
		"INSERT INTO counter (email, age) VALUES ('a@x', 1), ('b@x', 2), ('c@x', 3)", "DELETE FROM counter WHERE id = 3",
		"CREATE INDEX `odd index` ON counter (email(3), age)",
		"CREATE TABLE zero (id INT AUTO_INCREMENT PRIMARY KEY)", "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "INSERT INTO zero VALUES (0), (5)",
		"CREATE TABLE tree (id INT PRIMARY KEY, parent INT, other INT, FOREIGN KEY (parent) REFERENCES tree(id))", "CREATE TABLE round (id INT PRIMARY KEY, tree INT, FOREIGN KEY (tree) REFERENCES tree(id) ON DELETE CASCADE)",
		"SET SESSION foreign_key_checks = 0", "INSERT INTO tree VALUES (1, 3, 1), (2, 1, NULL), (3, 2, NULL)", "INSERT INTO round VALUES (1, 1), (2, NULL)",
		"ALTER TABLE tree ADD FOREIGN KEY (other) REFERENCES round(id)",
		"CREATE TABLE empty_table (id INT PRIMARY KEY)",
	}
}

func TestHostileValuesSurvive(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		pool := poolOf(t, db)
		pool.SetMaxOpenConns(1) // session settings must reach all statements
		exec(t, pool, hostile(db.Engine)...)
		big := make([]byte, 9<<20)
		_, err := rand.Read(big)
		require.NoError(t, err)
		exec(t, pool, "CREATE TABLE attachment (id INT PRIMARY KEY, body "+map[string]string{testdb.SQLite: "BLOB", testdb.Postgres: "BYTEA", testdb.MySQL: "LONGBLOB"}[db.Engine]+")")
		mark := "?"
		if db.Engine == testdb.Postgres {
			mark = "$1"
		}
		for id, body := range [][]byte{big, {}, bytes.Repeat([]byte{0}, 3<<20)} {
			_, err = pool.Exec("INSERT INTO attachment VALUES ("+string(rune('1'+id))+", "+mark+")", body)
			require.NoError(t, err)
		}
		db = db.Reopen(t) // without those settings
		pool = poolOf(t, db)

		store, kek := backup.NewMemory(), backuptest.NewKEK(t)
		s := run(t, open(t, store, kek, sourceOf(t, db)))
		require.Equal(t, "attachment", s.Tables[0].Name)
		require.Equal(t, int64(3), s.Tables[0].Rows)
		requireWhole(t, store, kek)
		to := restored(t, store, kek, s.ID, db.Engine)

		require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))
		// Also as the drivers show them to an application.
		for _, info := range s.Tables {
			require.Equal(t, dump(t, pool, db.Engine, info.Name), dump(t, poolOf(t, to), db.Engine, info.Name), "table %s", info.Name)
		}
		// A snapshot of the restored database is the same again, schema included.
		require.Equal(t, schemaOf(t, db), schemaOf(t, to))
		requireRulesWork(t, db, to)
	})
}

// schemaOf describes a database without what legitimately differs.
func schemaOf(t *testing.T, db testdb.DB) backup.Schema {
	t.Helper()
	view, err := sourceOf(t, db).Snapshot(t.Context())
	require.NoError(t, err)
	defer view.Close()
	s := view.Schema()
	for i := range s.Tables {
		s.Tables[i].Estimate = 0
	}
	return s
}

// requireRulesWork tries what constraints and counters of a restored database do.
func requireRulesWork(t *testing.T, from, to testdb.DB) {
	t.Helper()
	pool := poolOf(t, to)
	for _, db := range []testdb.DB{from, to} {
		exec(t, poolOf(t, db), "INSERT INTO counter (email, age) VALUES ('next@x', 1)")
	}
	require.Equal(t, one(t, from, "SELECT max(id) FROM counter"), one(t, to, "SELECT max(id) FROM counter"), "counters go on where they were, also past deleted rows")
	for _, bad := range []string{
		"INSERT INTO counter (email, age) VALUES ('a@x', 1)",   // unique
		"INSERT INTO counter (email, age) VALUES ('new', -1)",  // check
		"INSERT INTO tree (id, parent) VALUES (9, 99)",         // foreign key to itself
		"INSERT INTO round (id, tree) VALUES (9, 99)",          // foreign key
		"INSERT INTO empty_table (id) VALUES (1), (1)",         // primary key
		"INSERT INTO counter (id, email) VALUES (NULL, 'a@x')", // unique, whatever NULL means
	} {
		_, err := pool.Exec(bad)
		require.Error(t, err, bad)
	}
	if to.Engine == testdb.Postgres {
		for _, db := range []testdb.DB{from, to} {
			exec(t, poolOf(t, db), "INSERT INTO identity_always (v) VALUES ('c')", "INSERT INTO uses_free DEFAULT VALUES")
		}
		for _, q := range []string{"SELECT max(id) FROM identity_always", "SELECT max(id) FROM uses_free"} {
			require.Equal(t, one(t, from, q), one(t, to, q), q)
		}
		require.Equal(t, "u", one(t, to, "SELECT relpersistence::text FROM pg_class WHERE oid = 'empty_table'::regclass"))
		require.Equal(t, "counter_id_seq", strings.Split(one(t, to, "SELECT pg_get_serial_sequence('counter', 'id')"), ".")[1])
	}
	if to.Engine == testdb.SQLite {
		require.Equal(t, "42", one(t, to, "PRAGMA user_version"))
		require.Equal(t, "1", one(t, to, "PRAGMA foreign_keys"), "the connection went back as it was")
	}
}

func one(t testing.TB, db testdb.DB, query string) string {
	t.Helper()
	var v string
	require.NoError(t, poolOf(t, db).QueryRow(query).Scan(&v), query)
	return v
}

// dump reads a table as an application would, ordered by all columns as text.
func dump(t *testing.T, pool *sql.DB, engine, table string) (out []string) {
	t.Helper()
	quote := `"`
	if engine == testdb.MySQL {
		quote = "`"
	}
	rows, err := pool.Query("SELECT * FROM " + quote + strings.ReplaceAll(table, quote, quote+quote) + quote + " ORDER BY 1, 2")
	if table == "empty_table" || table == "zero" || table == "uses_free" { // one column
		rows, err = pool.Query("SELECT * FROM " + table + " ORDER BY 1")
	}
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values := make([]any, len(columns))
		dest := make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		require.NoError(t, rows.Scan(dest...))
		for i, v := range values {
			if b, ok := v.([]byte); ok && len(b) > 100 {
				values[i] = sha256.Sum256(b)
			}
		}
		out = append(out, fmt.Sprintf("%#v", values)) // as text, because NaN is not equal to itself
	}
	require.NoError(t, rows.Err())
	return out
}
