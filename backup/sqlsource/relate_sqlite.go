package sqlsource

import (
	"context"
	"strings"

	"github.com/confide-go/confide/backup"
)

// relate describes indexes, references and counter of a table for other engines.
func (e sqlite) relate(ctx context.Context, s *session, t *table) error {
	if err := e.rules(ctx, s, t); err != nil {
		return err
	}
	if err := e.indexes(ctx, s, t); err != nil {
		return err
	}
	query := `SELECT CAST(id AS TEXT), "from", "table", coalesce("to", ''), on_delete, on_update FROM pragma_foreign_key_list(?) ORDER BY id, seq`
	if err := t.readReferences(ctx, s, query, t.name); err != nil {
		return err
	}
	return e.counter(ctx, s, t)
}

// rules reads what the columns demand.
func (sqlite) rules(ctx context.Context, s *session, t *table) error {
	stored := 0
	query := `SELECT name, "notnull", hidden, dflt_value IS NOT NULL FROM pragma_table_xinfo(?) ORDER BY cid`
	err := s.each(ctx, query, []any{t.name}, func(scan func(...any) error) error {
		var name string
		var hidden int
		var notNull, fallback bool
		if err := scan(&name, &notNull, &hidden, &fallback); err != nil {
			return err
		}
		if hidden != 0 {
			t.local("computed column", name)
			return nil
		}
		t.columns[stored].notNull = notNull
		stored++
		if fallback {
			t.local("default", name)
		}
		return nil
	})
	// SQLite lists neither checks nor collations; the statement has them.
	create := strings.ToUpper(t.schema.Create[0])
	for _, rule := range []string{"CHECK", "COLLATE"} {
		if strings.Contains(create, rule) {
			t.local(strings.ToLower(rule), t.name)
		}
	}
	return err
}

func (sqlite) indexes(ctx context.Context, s *session, t *table) error {
	query := `SELECT l.name, l."unique", l.partial OR x.cid < 0, coalesce(x.name, '')
		FROM pragma_index_list(?) AS l JOIN pragma_index_xinfo(l.name) AS x
		WHERE l.origin <> 'pk' AND x.key ORDER BY l.name, x.seqno`
	return t.readIndexes(ctx, s, query, t.name)
}

// counter finds the column that SQLite numbers by itself: an INTEGER PRIMARY KEY.
func (sqlite) counter(ctx context.Context, s *session, t *table) error {
	if len(t.key) != 1 || !strings.EqualFold(t.columns[t.key[0]].typ, "INTEGER") {
		return nil
	}
	var rowid bool
	if err := s.one(ctx, "SELECT wr = 0 FROM pragma_table_list WHERE schema = 'main' AND name = ?", []any{t.name}, &rowid); err != nil || !rowid {
		return err
	}
	t.schema.Counter = &backup.Counter{Column: t.columns[t.key[0]].name}
	kept, err := s.names(ctx, "SELECT name FROM main.sqlite_master WHERE name = 'sqlite_sequence'")
	if err != nil || len(kept) == 0 {
		return err
	}
	return s.each(ctx, "SELECT seq FROM main.sqlite_sequence WHERE name = ?", []any{t.name}, func(scan func(...any) error) error {
		return scan(&t.schema.Counter.Last)
	})
}
