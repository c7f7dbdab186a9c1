package sqlsource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
)

// mysql reads MySQL and MariaDB: the catalog from information_schema, the
// statements from SHOW CREATE TABLE.
type mysql struct{}

// unfinished marks a database into which a restore is under way: MySQL commits
// every CREATE TABLE at once, so a killed restore leaves a part behind.
const unfinished = "confide_restore_unfinished"

// settings makes values and statements read and write the same everywhere.
func (mysql) settings(ctx context.Context, s *session, mode string) error {
	s.dirty = true // the connection is closed afterwards instead of going back
	for _, statement := range []string{
		"SET NAMES utf8mb4",
		"SET SESSION time_zone = '+00:00'",
		"SET SESSION sql_mode = " + literal(mode),
		"SET SESSION sql_quote_show_create = 1",
	} {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (e mysql) begin(ctx context.Context, s *session, f filter) (*catalog, error) {
	if err := e.settings(ctx, s, "NO_BACKSLASH_ESCAPES"); err != nil {
		return nil, err
	}
	if err := s.exec(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return nil, err
	}
	kinds, names, err := e.tables(ctx, s)
	if err != nil {
		return nil, err
	}
	covered, omitted, err := f.split(names)
	if err != nil {
		return nil, err
	}
	c := &catalog{schema: backup.Schema{Engine: MySQL, Omitted: omitted}}
	for _, name := range covered {
		if err := kinds[name].check(name); err != nil {
			return nil, err
		}
		// From here on nobody can change the table's definition; had somebody done so
		// since the snapshot began, reading it would fail with error 1412.
		if err := s.exec(ctx, "SELECT 1 FROM "+backticked(name)+" LIMIT 0"); err != nil {
			return nil, err
		}
	}
	for _, name := range covered {
		t, err := e.table(ctx, s, name)
		if err != nil {
			return nil, err
		}
		t.schema.Estimate = kinds[name].rows
		c.tables = append(c.tables, t)
		c.schema.Tables = append(c.schema.Tables, t.describe())
	}
	others, err := e.others(ctx, s)
	c.schema.Omitted = append(c.schema.Omitted, others...)
	return c, err
}

// A mysqlKind is what information_schema says about a table.
type mysqlKind struct {
	typ, engine string
	rows        int64
}

func (k mysqlKind) check(name string) error {
	switch {
	case k.typ != "BASE TABLE":
		return refuse(name, "is a "+strings.ToLower(k.typ)+" table, whose history would be lost", "drop its versioning")
	case !strings.EqualFold(k.engine, "InnoDB"):
		return refuse(name, "uses engine "+k.engine+", which has no snapshots", "change it to InnoDB")
	}
	return nil
}

func (mysql) tables(ctx context.Context, s *session) (map[string]mysqlKind, []string, error) {
	kinds := map[string]mysqlKind{}
	var names []string
	query := `SELECT table_name, table_type, COALESCE(engine, ''), COALESCE(table_rows, 0) FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_type NOT IN ('VIEW', 'SEQUENCE') ORDER BY table_name`
	err := s.each(ctx, query, nil, func(scan func(...any) error) error {
		var name string
		var k mysqlKind
		err := scan(&name, &k.typ, &k.engine, &k.rows)
		kinds[name] = k
		names = append(names, name)
		return err
	})
	slices.Sort(names)
	return kinds, names, err
}

// others lists what holds no rows.
func (mysql) others(ctx context.Context, s *session) ([]backup.Omission, error) {
	var out []backup.Omission
	query := `SELECT LOWER(table_type), table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type IN ('VIEW', 'SEQUENCE')
		UNION ALL SELECT 'trigger', trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()
		UNION ALL SELECT LOWER(routine_type), routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()
		UNION ALL SELECT 'event', event_name FROM information_schema.events WHERE event_schema = DATABASE()`
	err := s.each(ctx, query, nil, func(scan func(...any) error) error {
		o := backup.Omission{Reason: "holds no rows; make it again after a restore"}
		err := scan(&o.Kind, &o.Name)
		if !ours(o.Name) {
			out = append(out, o)
		}
		return err
	})
	return out, err
}

func (e mysql) table(ctx context.Context, s *session, name string) (*table, error) {
	t, err := e.columns(ctx, s, name)
	if err != nil {
		return nil, err
	}
	key, err := s.names(ctx, `SELECT column_name FROM information_schema.statistics
		WHERE table_schema = DATABASE() AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index`, name)
	if err != nil {
		return nil, err
	}
	for _, k := range key {
		i := slices.IndexFunc(t.columns, func(c column) bool { return strings.EqualFold(c.name, k) })
		if i < 0 {
			return nil, refuse(name, "has a computed column in its primary key", "use a stored one")
		}
		t.key = append(t.key, i)
	}
	if len(key) == 0 {
		return nil, refuse(name, "has no primary key", "declare one")
	}
	for _, c := range t.columns {
		if !mysqlSupported(c.base) {
			return nil, refuse(name, fmt.Sprintf("has column %q of type %s, which is not understood", c.name, c.typ), "change the type")
		}
	}
	var same, create string
	if err := s.one(ctx, "SHOW CREATE TABLE "+backticked(name), nil, &same, &create); err != nil {
		return nil, err
	}
	t.schema.Create = []string{create}
	return t, e.relate(ctx, s, t)
}

func (mysql) columns(ctx context.Context, s *session, name string) (*table, error) {
	t := &table{name: name}
	query := `SELECT column_name, data_type, column_type FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name = ? AND COALESCE(generation_expression, '') = '' ORDER BY ordinal_position`
	err := s.each(ctx, query, []any{name}, func(scan func(...any) error) error {
		var c column
		err := scan(&c.name, &c.base, &c.typ)
		c.base = strings.ToLower(c.base)
		t.columns = append(t.columns, c)
		return err
	})
	return t, err
}

// prepare allows what the rows of a real database contain: the key 0, dates like
// 0000-00-00. What this lets through wrongly, the proof of the restore finds.
func (e mysql) prepare(ctx context.Context, s *session, check func([]string) error) ([]string, error) {
	if err := e.settings(ctx, s, "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION"); err != nil {
		return nil, err
	}
	if err := s.exec(ctx, "SET SESSION foreign_key_checks = 0"); err != nil {
		return nil, err
	}
	var database sql.NullString
	if err := s.one(ctx, "SELECT DATABASE()", nil, &database); err != nil {
		return nil, err
	}
	if !database.Valid {
		return nil, errors.New("sqlsource: the DSN names no database")
	}
	existing, err := s.names(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name")
	if err != nil {
		return nil, err
	}
	if err := check(existing); err != nil {
		return nil, err
	}
	return []string{unfinished}, s.exec(ctx, "CREATE TABLE "+backticked(unfinished)+" (id INT PRIMARY KEY)")
}

func (e mysql) reread(ctx context.Context, s *session, names []string) ([]*table, error) {
	var out []*table
	for _, name := range names {
		t, err := e.columns(ctx, s, name)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}
