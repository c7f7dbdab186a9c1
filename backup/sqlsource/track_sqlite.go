package sqlsource

import (
	"context"
	"fmt"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

func (sqlite) quote(name string) string { return quoted(name) }

func (sqlite) placeholder(int) string { return "?" }

// beginWrite takes the one lock of writers at once. SQLite has no queue for it:
// writers that keep coming can have it every time until the driver's patience is
// over.
func (sqlite) beginWrite(ctx context.Context, s *session) error {
	const tries = 10
	var err error
	for range tries {
		if err = s.begin(ctx, "BEGIN IMMEDIATE"); err == nil || !strings.Contains(err.Error(), "SQLITE_BUSY") {
			return err
		}
	}
	return err
}

func (sqlite) hasMarks(ctx context.Context, s *session) (bool, error) {
	var n int
	err := s.one(ctx, "SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name = ?", []any{marks}, &n)
	return n == 1, err
}

func (sqlite) makeMarks(ctx context.Context, s *session) error {
	return s.exec(ctx, "CREATE TABLE IF NOT EXISTS "+marks+" ("+marksSchema+")")
}

// untrackable: triggers see all but one thing, a row that REPLACE removes for the
// sake of a unique index; then the number of rows is wrong.
func (sqlite) untrackable(context.Context, *session, *table) (string, error) { return "", nil }

func (sqlite) intact(ctx context.Context, s *session, t *table) (bool, error) {
	names := rowTriggers(t)
	var triggers, tables int
	err := s.one(ctx, `SELECT (SELECT count(*) FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ? AND name IN (?, ?, ?)),
		(SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name = ?)`,
		[]any{t.name, names[0], names[1], names[2], logName(t.name)}, &triggers, &tables)
	return triggers == 3 && tables == 1, err
}

func (sqlite) shape(_ context.Context, _ *session, t *table) (string, error) {
	return fmt.Sprint(t.schema.Create), nil
}

func (e sqlite) install(ctx context.Context, s *session, t *table, born string) error {
	names, name, on := rowTriggers(t), quoted(logName(t.name)), quoted(t.name)
	keys := t.keyList(func(i int, _ column) string { return logKey(i) })
	row := func(of string) string {
		return "(" + t.keyList(func(_ int, c column) string { return of + "." + quoted(c.name) }) + ")"
	}
	into := " BEGIN INSERT INTO " + name + " (" + keys + ") VALUES "
	statements := append(e.drop(t),
		"CREATE TABLE "+name+" (seq INTEGER PRIMARY KEY AUTOINCREMENT, "+t.keyList(func(i int, c column) string { return logKey(i) + " " + c.typ })+")",
		"CREATE INDEX "+quoted(logName(t.name)+"_k")+" ON "+name+" ("+keys+")",
		"CREATE TRIGGER "+quoted(names[0])+" AFTER INSERT ON "+on+into+row("NEW")+"; END",
		"CREATE TRIGGER "+quoted(names[1])+" AFTER UPDATE ON "+on+into+row("OLD")+", "+row("NEW")+"; END",
		"CREATE TRIGGER "+quoted(names[2])+" AFTER DELETE ON "+on+into+row("OLD")+"; END",
	)
	if err := e.beginWrite(ctx, s); err != nil {
		return err
	}
	for _, statement := range statements {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := s.exec(ctx, "INSERT OR REPLACE INTO "+marks+" VALUES (?, ?, '')", t.name, born); err != nil {
		return err
	}
	return s.commit(ctx, "COMMIT")
}

func (sqlite) drop(t *table) []string {
	var out []string
	for _, trigger := range rowTriggers(t) {
		out = append(out, "DROP TRIGGER IF EXISTS "+quoted(trigger))
	}
	return append(out, "DROP TABLE IF EXISTS "+quoted(logName(t.name)))
}

func (e sqlite) uninstall(ctx context.Context, s *session, t *table) error {
	if err := e.beginWrite(ctx, s); err != nil {
		return err
	}
	for _, statement := range e.drop(t) {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := unmark(ctx, s, e, t); err != nil {
		return err
	}
	return s.commit(ctx, "COMMIT")
}

// within compares as rows are ordered: byte by byte, whatever collation the
// column has, which the change log does not know.
func (sqlite) within(t *table, span backup.Span, before int, f func(int, column) string) (string, []any, error) {
	binary := func(i int, c column) string { return f(i, c) + " COLLATE BINARY" }
	return compareRows(t, span, before, binary, func(c column, v cell.Value) (string, any, error) {
		arg, err := sqliteValue(c, v)
		return "?", arg, err
	})
}
