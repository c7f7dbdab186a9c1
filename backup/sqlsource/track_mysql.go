package sqlsource

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

func (mysql) quote(name string) string { return backticked(name) }

func (mysql) placeholder(int) string { return "?" }

func (mysql) beginWrite(ctx context.Context, s *session) error {
	return s.begin(ctx, "START TRANSACTION")
}

func (mysql) hasMarks(ctx context.Context, s *session) (bool, error) {
	var n int
	err := s.one(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?", []any{marks}, &n)
	return n == 1, err
}

func (mysql) makeMarks(ctx context.Context, s *session) error {
	return s.exec(ctx, "CREATE TABLE IF NOT EXISTS "+marks+" ("+marksSchema+") ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
}

// untrackable: what a foreign key's action does to rows, triggers do not see; and
// keys whose comparison with a bound is not their order cannot be searched.
func (mysql) untrackable(ctx context.Context, s *session, t *table) (string, error) {
	for _, k := range t.key {
		if !slices.Contains([]string{"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "char", "varchar", "binary", "varbinary", "date", "datetime", "timestamp"}, t.columns[k].base) {
			return "its primary key has a column of type " + t.columns[k].typ, nil
		}
	}
	var actions int
	err := s.one(ctx, `SELECT count(*) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE() AND table_name = ?
		AND (delete_rule NOT IN ('RESTRICT', 'NO ACTION') OR update_rule NOT IN ('RESTRICT', 'NO ACTION'))`, []any{t.name}, &actions)
	if actions > 0 {
		return "it has a foreign key with an action, which triggers do not see", err
	}
	return "", err
}

func rowTriggers(t *table) []string {
	log := logName(t.name)
	return []string{log + "_i", log + "_u", log + "_d"}
}

func (mysql) intact(ctx context.Context, s *session, t *table) (bool, error) {
	names := rowTriggers(t)
	var triggers, tables int
	err := s.one(ctx, `SELECT (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND event_object_table = ? AND trigger_name IN (?, ?, ?)),
		(SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?)`,
		[]any{t.name, names[0], names[1], names[2], logName(t.name)}, &triggers, &tables)
	return triggers == 3 && tables == 1, err
}

func (mysql) shape(_ context.Context, _ *session, t *table) (string, error) {
	return regexp.MustCompile(` AUTO_INCREMENT=\d+`).ReplaceAllString(fmt.Sprint(t.schema.Create), ""), nil
}

// install: MySQL commits each definition by itself, so the mark goes first and
// comes back last.
func (e mysql) install(ctx context.Context, s *session, t *table, born string) error {
	if err := e.uninstall(ctx, s, t); err != nil {
		return err
	}
	names, name, on := rowTriggers(t), backticked(logName(t.name)), backticked(t.name)
	keys := t.keyList(func(i int, _ column) string { return logKey(i) })
	row := func(of string) string {
		return "(" + t.keyList(func(_ int, c column) string { return of + "." + backticked(c.name) }) + ")"
	}
	into := " FOR EACH ROW INSERT INTO " + name + " (" + keys + ") VALUES "
	for _, statement := range []string{
		"CREATE TABLE " + name + " (seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, KEY (" + keys + ")) ENGINE = InnoDB SELECT " +
			t.keyList(func(i int, c column) string { return backticked(c.name) + " AS " + logKey(i) }) + " FROM " + on + " WHERE FALSE",
		"CREATE TRIGGER " + backticked(names[0]) + " AFTER INSERT ON " + on + into + row("NEW"),
		"CREATE TRIGGER " + backticked(names[1]) + " AFTER UPDATE ON " + on + into + row("OLD") + ", " + row("NEW"),
		"CREATE TRIGGER " + backticked(names[2]) + " AFTER DELETE ON " + on + into + row("OLD"),
	} {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	return s.exec(ctx, "INSERT INTO "+marks+" VALUES (?, ?, '')", t.name, born)
}

func (e mysql) uninstall(ctx context.Context, s *session, t *table) error {
	if err := unmark(ctx, s, e, t); err != nil {
		return err
	}
	for _, trigger := range rowTriggers(t) {
		if err := s.exec(ctx, "DROP TRIGGER IF EXISTS "+backticked(trigger)); err != nil {
			return err
		}
	}
	return s.exec(ctx, "DROP TABLE IF EXISTS "+backticked(logName(t.name)))
}

// within writes (a, b) > (x, y) as a > x OR a = x AND b > y, for which alone MySQL
// uses an index.
func (mysql) within(t *table, span backup.Span, _ int, f func(int, column) string) (string, []any, error) {
	parts, args := []string{"1 = 1"}, []any{}
	for _, bound := range []struct {
		key         []byte
		inner, last string
	}{{span.After, " > ", " > "}, {span.Through, " < ", " <= "}} {
		if bound.key == nil {
			continue
		}
		cells, err := keyCells(t, bound.key)
		if err != nil {
			return "", nil, err
		}
		var either []string
		for i := range t.key {
			var all []string
			for j := range i + 1 {
				op := " = "
				if j == i {
					op = bound.inner
					if i == len(t.key)-1 {
						op = bound.last
					}
				}
				c := t.columns[t.key[j]]
				arg, err := mysqlValue(c, cells[j])
				if err != nil {
					return "", nil, fmt.Errorf("sqlsource: key of table %q: %w", t.name, err)
				}
				all, args = append(all, f(j, c)+op+mysqlParam(c, cells[j])), append(args, arg)
			}
			either = append(either, strings.Join(all, " AND "))
		}
		parts = append(parts, "("+strings.Join(either, " OR ")+")")
	}
	return strings.Join(parts, " AND "), args, nil
}

// mysqlParam gives a text the type of the column it is compared with: a decimal
// and a string would be compared as inexact floating point numbers.
func mysqlParam(c column, v cell.Value) string {
	switch {
	case v.Kind == cell.Decimal:
		typ, _, _ := strings.Cut(c.typ, " ") // without UNSIGNED
		return "CAST(? AS " + typ + ")"
	case v.Kind == cell.Date:
		return "CAST(? AS DATE)"
	case v.Kind == cell.DateTime || v.Kind == cell.Instant:
		return "CAST(? AS DATETIME(6))"
	}
	return "?"
}
