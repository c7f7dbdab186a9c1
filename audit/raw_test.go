package audit_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

// What SQL text writes, as each engine reads it. "" is nothing, "?" a text that
// cannot be read with certainty and is taken for a write.
func TestWritesIn(t *testing.T) {
	log := memoryLog(t, audit.NewMemory(), func(c *audit.Config) { c.Ignore = []string{"sessions"} })
	for _, c := range []struct{ sql, sqlite, postgres, mysql string }{
		{"SELECT * FROM people", "", "", ""},
		{"SELECT * FROM people WHERE name = 'delete from people'", "", "", ""},
		{"SELECT * FROM people FOR UPDATE", "", "", ""},
		{"SELECT * FROM people FOR NO KEY UPDATE", "", "", ""},
		{"SELECT replace(name, 'a', 'b'), p.update, \"delete\" FROM people p", "", "", ""},
		{"CREATE TABLE x (a integer REFERENCES people ON DELETE CASCADE ON UPDATE SET NULL)", "", "", ""},
		{"PRAGMA foreign_keys = 1", "", "", ""},
		{"update people set name = ?", "update people", "update people", "update people"},
		{"  /* a comment */ UPDATE people SET name = 'x'", "update people", "update people", "update people"},
		{"-- SELECT\nDELETE FROM people", "delete people", "delete people", "delete people"},
		{"SELECT 1; DELETE FROM people", "delete people", "delete people", "delete people"},
		{"SELECT 1 -- ; DELETE FROM people", "", "", ""},
		{"SELECT 1 --; DELETE FROM people", "", "", "delete people"}, // no comment in MySQL without a blank
		{"SELECT 1 # \n; DELETE FROM people", "delete people", "delete people", "delete people"},
		{"SELECT 1 # ; DELETE FROM people", "delete people", "delete people", ""},
		{"/*! DELETE FROM people */", "?", "?", "?"},
		{"/*M!100100 DELETE FROM people */", "?", "?", "?"},
		{"/* /* */ DELETE FROM people */", "?", "?", "?"},
		{"SELECT '\\'; DELETE FROM people --'", "?", "?", "?"},
		{"SELECT E'\\'' ; DELETE FROM people", "?", "?", "?"},
		{"SELECT $$ ' $$ ; DELETE FROM people", "?", "?", "?"},
		{"SELECT $a$ ; $a$; DELETE FROM people", "?", "?", "?"},
		{"SELECT 'open; DELETE FROM people", "?", "?", "?"},
		{"WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone", "delete people", "delete people", "delete people"},
		{"WITH x AS (SELECT 1) UPDATE people SET a = 1", "update people", "update people", "update people"},
		{"EXPLAIN ANALYZE DELETE FROM people", "delete people", "delete people", "delete people"},
		{`UPDATE "people" SET a = 1`, "update people", "update people", "update"},
		{"UPDATE `people` SET a = 1", "update people", "update people", "update people"},
		{"UPDATE [people] SET a = 1", "update people", "update", "update"},
		{`UPDATE main."people" SET a = 1`, "update people", "update people", "update main"},
		{"INSERT OR REPLACE INTO people VALUES (1)", "insert people", "insert people", "insert people"},
		{"REPLACE INTO people VALUES (1)", "replace people", "replace people", "replace people"},
		{"INSERT INTO people VALUES (1) ON CONFLICT DO UPDATE SET a = 1", "insert people", "insert people", "insert people"},
		{"INSERT INTO people VALUES (1) ON DUPLICATE KEY UPDATE a = 1", "insert people", "insert people", "insert people"},
		{"MERGE INTO people USING x ON true WHEN MATCHED THEN DELETE", "merge people", "merge people", "merge people"},
		{"TRUNCATE TABLE people", "truncate people", "truncate people", "truncate people"},
		{"DROP TABLE IF EXISTS people", "drop people", "drop people", "drop people"},
		{"COPY people FROM stdin", "copy people", "copy people", "copy people"},
		{"LOAD DATA INFILE 'x' INTO TABLE people", "load", "load", "load"},
		{"DO 'BEGIN DELETE FROM people; END'", "do", "do", "do"},
		{"EXECUTE gone", "execute", "execute", "execute"},
		{"CALL purge()", "call", "call", "call"},
		{"SELECT dblink_exec('x', 'DELETE FROM people')", "dblink_exec", "dblink_exec", "dblink_exec"},
		{"DELETE FROM sessions WHERE id = ?", "", "", ""},
		{"UPDATE sessions SET a = 1", "", "", ""},
		{"UPDATE sessions AS s SET a = 1", "", "", ""},
		{"INSERT INTO sessions (a, b) VALUES (1, 2)", "", "", ""},
		{"DELETE FROM confide_audit_entries", "", "", ""},
		{"TRUNCATE sessions", "", "", ""},
		{"TRUNCATE sessions, people", "truncate sessions", "truncate sessions", "truncate sessions"},
		{"UPDATE sessions, people SET people.a = 1", "update sessions", "update sessions", "update sessions"},
		{"UPDATE sessions JOIN people SET people.a = 1", "update sessions", "update sessions", "update sessions"},
		{"DELETE people FROM sessions JOIN people", "delete", "delete", "delete"},
		{"DELETE FROM sessions USING sessions JOIN people", "", "", "delete sessions"},
		{"DELETE FROM sessions; DELETE FROM people", "delete people", "delete people", "delete people"},
		{"WITH a AS (DELETE FROM sessions RETURNING *) DELETE FROM people", "delete people", "delete people", "delete people"},
		{"UPDATE people AS sessions SET a = 1", "update people", "update people", "update people"},
	} {
		for engine, want := range map[string]string{"sqlite": c.sqlite, "postgres": c.postgres, "mysql": c.mysql} {
			verb, tables := audit.WritesIn(log, c.sql, engine)
			got := verb
			for _, table := range tables {
				got += " " + table
			}
			require.Equal(t, want, got, "%s: %s", engine, c.sql)
		}
	}
}

// However text is dressed up around a write, the write is seen.
func FuzzWritesIn(f *testing.F) {
	log := memoryLog(f, audit.NewMemory())
	for _, s := range []string{"", "'", "\"", "/*", "--", "#", "$$", "SELECT 1", "\\", "E'", "[", "`", "/*!", "$a$", "-- x\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, engine := range testdb.Engines() {
			// A text that reads as something alone, and closed, hides nothing behind a semicolon.
			if verb, _ := audit.WritesIn(log, s+"; DELETE FROM people", engine); verb == "" {
				require.NotEqual(t, "", audit.Hides(s, engine), "%s: %q hides the statement behind it", engine, s)
			}
		}
	})
}

func TestRawSQLIsRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, func(c *audit.Config) { c.RawReasons = []string{"nightly import"} })
		require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "1", Name: secret("ann")}).Error)
		b.seal(t)
		tx := b.WithContext(b.ctx)
		write := "UPDATE customers SET name = ?"
		var rows []customer
		for name, do := range map[string]func() error{
			"Exec":       func() error { return tx.Exec(write, secret("bob")).Error },
			"Raw Scan":   func() error { return tx.Raw(write+" RETURNING *", secret("bob")).Scan(&rows).Error },
			"Raw Find":   func() error { return tx.Raw(write+" RETURNING *", secret("bob")).Find(&rows).Error },
			"Raw Rows":   func() error { _, err := tx.Raw(write+" RETURNING *", secret("bob")).Rows(); return err },
			"Raw Row":    func() error { var s string; return tx.Raw(write+" RETURNING name", secret("bob")).Row().Scan(&s) },
			"Raw Update": func() error { return tx.Model(&customer{}).Raw(write, secret("bob")).Update("name", "x").Error },
			"Raw Delete": func() error { return tx.Raw(write, secret("bob")).Delete(&customer{}).Error },
			"generics":   func() error { return gorm.G[customer](tx).Exec(b.ctx, write, secret("bob")) },
			"wrong reason": func() error {
				return tx.WithContext(audit.AllowRaw(b.ctx, "because")).Exec(write, secret("bob")).Error
			},
		} {
			err := do()
			var refused *audit.RawSQLError
			require.ErrorAs(t, err, &refused, name)
			require.ErrorIs(t, err, audit.ErrInvalid, name)
			require.Equal(t, "update", refused.Verb)
			require.ErrorContains(t, err, "customers would go unrecorded: use Create, Updates or Delete, or audit.AllowRaw")
			require.NotContains(t, err.Error(), canary)
		}
		var c customer
		require.NoError(t, tx.First(&c, "id = ?", "1").Error)
		require.Equal(t, secret("ann"), c.Name)
		require.NoError(t, tx.Raw("SELECT * FROM customers WHERE name <> ?", "x").Scan(&rows).Error)

		allowed := b.WithContext(audit.AllowRaw(b.ctx, "nightly import"))
		require.NoError(t, allowed.Exec(write, secret("cy")).Error, "outside of a transaction it gets its own")
		require.ErrorIs(t, allowed.Transaction(func(tx *gorm.DB) error {
			return errors.Join(tx.Exec(write, secret("bob")).Error, errTest)
		}), errTest)
		b.seal(t)
		audittest.CheckLog(t, b.log)
		events := b.events(t, audit.Query{})
		require.Len(t, events, 2, "the rolled back one left an event")
		require.Equal(t, "audit.raw customers nightly import", fmt.Sprint(events[0].Action, " ", events[0].Resource, " ", events[0].Purpose))
		require.Regexp(t, `^\[verb=update statement=[0-9a-f]{16} count=1\]$`, fmt.Sprint(events[0].Attrs))
		require.NoError(t, tx.First(&c, "id = ?", "1").Error)
		require.Equal(t, secret("cy"), c.Name)
		require.NotContains(t, b.stored(t), canary)
	})
}

func TestRawSQLIsFlagged(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, func(c *audit.Config) { c.Raw = audit.FlagRaw })
		require.NoError(t, b.WithContext(b.ctx).Create(&[]customer{{ID: "1"}, {ID: "2"}}).Error)
		tx := b.WithContext(b.ctx)
		require.NoError(t, tx.Exec("UPDATE customers SET name = 'a' WHERE id = '1'").Error)
		require.NoError(t, tx.Exec("update  customers set name = 'b' where id = '2'").Error)
		require.Error(t, tx.Exec("UPDATE customers SET nothing = 1").Error)
		if db.Engine != testdb.MySQL {
			var rows []customer
			err := tx.Raw("DELETE FROM customers WHERE id = ? RETURNING *", "1").Scan(&rows).Error
			require.ErrorContains(t, err, "must run in db.Transaction")
			require.NoError(t, tx.Transaction(func(tx *gorm.DB) error {
				return tx.Raw("DELETE FROM customers WHERE id = ? RETURNING *", "1").Scan(&rows).Error
			}))
			require.Len(t, rows, 1)
		}
		b.exec(t, "ALTER TABLE confide_audit_pending RENAME TO elsewhere")
		require.ErrorContains(t, tx.Exec("DELETE FROM customers").Error, "SQL text was not recorded and is rolled back")
		b.exec(t, "ALTER TABLE elsewhere RENAME TO confide_audit_pending")
		var n int64
		require.NoError(t, tx.Model(&customer{}).Count(&n).Error)
		require.Positive(t, n)
		b.seal(t)
		events := b.events(t, audit.Query{OldestFirst: true})[1:]
		require.Equal(t, fmt.Sprint(events[0].Attrs), fmt.Sprint(events[1].Attrs), "two statements of one shape have one fingerprint")
		if db.Engine != testdb.MySQL {
			require.Len(t, events, 3)
			require.Regexp(t, `^\[verb=delete statement=[0-9a-f]{16}\]$`, fmt.Sprint(events[2].Attrs))
		}
		audittest.CheckLog(t, b.log)
	})
}
