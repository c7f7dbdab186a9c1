package sqlsource

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/confide-go/confide/backup"
)

// Track makes the database note which rows change, so that an incremental run
// need not read everything: for each covered table a small table of changed
// primary keys, filled by triggers in the transaction of the change. It sees raw
// SQL, cascades, upserts, updates of primary keys and, on PostgreSQL, TRUNCATE.
// It is idempotent: run it at each start of the application, after migrations;
// a table whose triggers a migration dropped is read whole once.
//
// It returns the tables that stay untracked, and why; they are read whole each
// time. A table's tracking serves one repository: a second one that runs on it
// is right, and reads everything.
//
// Track needs the right to create tables and triggers (on PostgreSQL functions
// too; on MySQL with a binary log log_bin_trust_function_creators). A change then
// costs one more insert. lastval() of PostgreSQL no longer speaks of the caller's
// table; RETURNING and currval do.
func (d *Database) Track(ctx context.Context) ([]backup.Omission, error) {
	var untracked []backup.Omission
	err := d.describe(ctx, func(s *session, c *catalog) error {
		if err := d.engine.makeMarks(ctx, s); err != nil {
			return err
		}
		for _, t := range c.tables {
			why, err := d.engine.untrackable(ctx, s, t)
			if err != nil {
				return err
			}
			if why != "" {
				untracked = append(untracked, backup.Omission{Kind: "tracking", Name: t.name, Reason: why})
				continue
			}
			if err := d.track(ctx, s, t); err != nil {
				return err
			}
		}
		return nil
	})
	return untracked, err
}

// track installs what is not intact.
func (d *Database) track(ctx context.Context, s *session, t *table) error {
	intact, err := d.engine.intact(ctx, s, t)
	if err != nil || intact && marked(ctx, s, d.engine, t) {
		return err
	}
	born, err := randomText()
	if err != nil {
		return err
	}
	return d.engine.install(ctx, s, t, born)
}

// Untrack removes what Track made for the covered tables.
func (d *Database) Untrack(ctx context.Context) error {
	return d.describe(ctx, func(s *session, c *catalog) error {
		for _, t := range c.tables {
			if err := d.engine.uninstall(ctx, s, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// describe reads the catalog and then calls f outside of that transaction.
func (d *Database) describe(ctx context.Context, f func(*session, *catalog) error) error {
	s, err := openSession(ctx, d.cfg.DB)
	if err != nil {
		return err
	}
	c, err := d.engine.begin(ctx, s, d.filter())
	if ended := s.end(); err == nil {
		err = ended
	}
	if err != nil {
		return err
	}
	if s, err = openSession(ctx, d.cfg.DB); err != nil {
		return err
	}
	defer s.end()
	return f(s, c)
}

// A tracker is how an engine notes changes.
type tracker interface {
	makeMarks(ctx context.Context, s *session) error
	// untrackable says why a table's changes cannot all be seen; empty if they can.
	untrackable(ctx context.Context, s *session, t *table) (string, error)
	// intact reports whether all that notes changes of the table is in place.
	intact(ctx context.Context, s *session, t *table) (bool, error)
	install(ctx context.Context, s *session, t *table, born string) error
	uninstall(ctx context.Context, s *session, t *table) error
	// shape changes whenever the table's rows may have been changed by its definition.
	shape(ctx context.Context, s *session, t *table) (string, error)
	spans
}

func marked(ctx context.Context, s *session, e tracker, t *table) bool {
	var n int
	return s.one(ctx, "SELECT count(*) FROM "+marks+" WHERE table_name = "+e.placeholder(1), []any{t.name}, &n) == nil && n == 1
}

// unmark forgets what was left for a table, so that its tracking, until it is
// whole again, stands for nothing.
func unmark(ctx context.Context, s *session, e tracker, t *table) error {
	there, err := e.hasMarks(ctx, s)
	if err != nil || !there {
		return err
	}
	return s.exec(ctx, "DELETE FROM "+marks+" WHERE table_name = "+e.placeholder(1), t.name)
}

// marks holds for each tracked table what the last settled snapshot left. born is
// made anew with the triggers: what an older view has seen says nothing then.
const (
	marks       = "confide_backup_marks"
	logPrefix   = "confide_changes_"
	marksSchema = "table_name VARCHAR(200) NOT NULL PRIMARY KEY, born VARCHAR(64) NOT NULL, mark VARCHAR(64) NOT NULL"
)

// ours reports whether a table, trigger or routine belongs to the tracking.
func ours(name string) bool { return name == marks || strings.HasPrefix(name, logPrefix) }

// logName is the name of a table's change log, and the stem of its triggers' names.
func logName(table string) string {
	if len(table) <= 40 && regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(table) {
		return logPrefix + table
	}
	sum := sha256.Sum256([]byte(table))
	return logPrefix + hex.EncodeToString(sum[:10]) + "_h"
}

func randomText() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("sqlsource: random mark: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// keyList joins one expression for each column of the primary key.
func (t *table) keyList(f func(i int, c column) string) string {
	var parts []string
	for i, k := range t.key {
		parts = append(parts, f(i, t.columns[k]))
	}
	return strings.Join(parts, ", ")
}

// logKey is the name of a key's column in the change log.
func logKey(i int) string { return fmt.Sprintf("k%d", i) }
