package sqlsource

import (
	"context"
	"fmt"
	"strings"

	"github.com/confide-go/confide/backup"
)

// sqlite reads the catalog in sqlite_master and keeps statements verbatim.
type sqlite struct{}

func (e sqlite) begin(ctx context.Context, s *session, f filter) (*catalog, error) {
	if err := s.begin(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	// BEGIN alone pins nothing: the first read decides which moment is seen.
	objects, err := e.objects(ctx, s)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, o := range objects {
		if o.typ == "table" && !o.shadow {
			names = append(names, o.name)
		}
	}
	covered, omitted, err := f.split(names)
	if err != nil {
		return nil, err
	}
	c := &catalog{schema: backup.Schema{Engine: SQLite, Omitted: omitted}}
	for _, name := range covered {
		t, err := e.table(ctx, s, name, objects)
		if err != nil {
			return nil, err
		}
		c.tables = append(c.tables, t)
		c.schema.Tables = append(c.schema.Tables, t.describe())
	}
	for _, o := range objects {
		if o.typ == "view" || o.typ == "trigger" && !ours(o.name) {
			c.schema.Omitted = append(c.schema.Omitted, backup.Omission{Kind: o.typ, Name: o.name, Reason: "holds no rows; make it again after a restore"})
		}
	}
	c.schema.After, err = e.counters(ctx, s, c.tables, f)
	return c, err
}

// An sqliteObject is one entry of sqlite_master.
type sqliteObject struct {
	typ, name, on, sql string
	shadow             bool // storage of a virtual table
}

func (sqlite) objects(ctx context.Context, s *session) ([]sqliteObject, error) {
	var out []sqliteObject
	query := `SELECT m.type, m.name, m.tbl_name, coalesce(m.sql, ''), coalesce(l.type, '') = 'shadow'
		FROM main.sqlite_master m LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = m.name AND m.type = 'table'
		WHERE m.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m.name`
	err := s.each(ctx, query, nil, func(scan func(...any) error) error {
		var o sqliteObject
		err := scan(&o.typ, &o.name, &o.on, &o.sql, &o.shadow)
		out = append(out, o)
		return err
	})
	return out, err
}

// table describes one covered table.
func (e sqlite) table(ctx context.Context, s *session, name string, objects []sqliteObject) (*table, error) {
	t, err := e.columns(ctx, s, name)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		switch {
		case o.typ == "table" && o.name == name:
			if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(o.sql)), "CREATE VIRTUAL") {
				return nil, refuse(name, "is virtual: its rows lie elsewhere", "copy what it is made of")
			}
			t.schema.Create = []string{o.sql}
		case o.typ == "index" && o.on == name && o.sql != "":
			t.schema.Finish = append(t.schema.Finish, o.sql)
		}
	}
	if len(t.key) == 0 {
		return nil, refuse(name, "has no primary key", "declare one")
	}
	if err := s.one(ctx, "SELECT count(*) FROM "+quoted(name), nil, &t.schema.Estimate); err != nil {
		return nil, err
	}
	return t, e.relate(ctx, s, t)
}

func (sqlite) columns(ctx context.Context, s *session, name string) (*table, error) {
	t := &table{name: name}
	key := map[int]int{} // position in the key to position in columns
	query := "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid"
	err := s.each(ctx, query, []any{name}, func(scan func(...any) error) error {
		var c column
		var pk, hidden int
		if err := scan(&c.name, &c.typ, &pk, &hidden); err != nil {
			return err
		}
		if hidden != 0 {
			return nil // computed by the database
		}
		if pk > 0 {
			key[pk] = len(t.columns)
		}
		t.columns = append(t.columns, c)
		return nil
	})
	for i := 1; i <= len(key); i++ {
		t.key = append(t.key, key[i])
	}
	return t, err
}

// counters returns the statements that make AUTOINCREMENT go on where it was.
func (sqlite) counters(ctx context.Context, s *session, tables []*table, f filter) ([]string, error) {
	var out []string
	var version int64
	if err := s.one(ctx, "PRAGMA main.user_version", nil, &version); err != nil {
		return nil, err
	}
	if version != 0 && len(f.include) == 0 {
		out = append(out, fmt.Sprintf("PRAGMA main.user_version = %d", version))
	}
	kept, err := s.names(ctx, "SELECT name FROM main.sqlite_master WHERE name = 'sqlite_sequence'")
	if err != nil || len(kept) == 0 {
		return out, err
	}
	for _, t := range tables {
		err := s.each(ctx, "SELECT seq FROM main.sqlite_sequence WHERE name = ?", []any{t.name}, func(scan func(...any) error) error {
			var seq int64
			err := scan(&seq)
			out = append(out, "DELETE FROM main.sqlite_sequence WHERE name = "+literal(t.name),
				fmt.Sprintf("INSERT INTO main.sqlite_sequence (name, seq) VALUES (%s, %d)", literal(t.name), seq))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// prepare turns foreign keys off, which works only outside of a transaction:
// rows then load in any order, also with references in a circle.
func (sqlite) prepare(ctx context.Context, s *session, check func([]string) error) ([]string, error) {
	var on int
	if err := s.one(ctx, "PRAGMA foreign_keys", nil, &on); err != nil {
		return nil, err
	}
	if err := s.exec(ctx, "PRAGMA foreign_keys = 0"); err != nil {
		return nil, err
	}
	s.undo = append(s.undo, fmt.Sprintf("PRAGMA foreign_keys = %d", on))
	if err := s.begin(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	existing, err := s.names(ctx, `SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return nil, check(existing)
}

func (e sqlite) reread(ctx context.Context, s *session, names []string) ([]*table, error) {
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

func (sqlite) commit(ctx context.Context, s *session) error {
	return s.commit(ctx, "COMMIT")
}

func (sqlite) abandon(context.Context, *session, []string) error { return nil } // the rollback does it
