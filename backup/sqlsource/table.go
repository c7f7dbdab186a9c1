package sqlsource

import (
	"context"
	"strings"

	"github.com/confide-go/confide/backup"
)

// A table is one covered table with how to read and write it.
type table struct {
	name    string
	columns []column
	key     []int
	schema  backup.Table // statements and declared types
}

// A column is one stored column.
type column struct {
	name string
	typ  string // as declared
	base string // the type's bare name, as the engine's catalog gives it
	oid  uint32 // PostgreSQL
	enum bool   // PostgreSQL

	notNull bool
	form    string // "json" where the type does not say so
}

// describe fills the portable part of the table's schema.
func (t *table) describe() backup.Table {
	t.schema.Name, t.schema.Key = t.name, t.key
	for _, c := range t.columns {
		t.schema.Columns = append(t.schema.Columns, backup.Column{Name: c.name, Type: c.typ, NotNull: c.notNull, Form: c.form})
	}
	return t.schema
}

// local notes something that only this engine's own statements make again.
func (t *table) local(kind, name string) {
	t.schema.Local = append(t.schema.Local, backup.Omission{Kind: kind, Name: name, Reason: "of table " + t.name + "; written in the engine's own SQL"})
}

// An indexed is one column of one index, as a catalog lists them.
type indexed struct {
	index  string
	unique bool
	odd    bool // partial, over an expression or over a part of a column
	column string
}

// readIndexes runs a query of one table for its indexes: index, whether it is
// unique, whether it is odd, and a column, index after index.
func (t *table) readIndexes(ctx context.Context, s *session, query string, arg any) error {
	var list []indexed
	err := s.each(ctx, query, []any{arg}, func(scan func(...any) error) error {
		var i indexed
		err := scan(&i.index, &i.unique, &i.odd, &i.column)
		list = append(list, i)
		return err
	})
	t.addIndexes(list)
	return err
}

// addIndexes gathers columns that follow each other into indexes.
func (t *table) addIndexes(list []indexed) {
	for i := 0; i < len(list); {
		index, odd := backup.Index{Unique: list[i].unique}, false
		first := i
		for ; i < len(list) && list[i].index == list[first].index; i++ {
			index.Columns = append(index.Columns, list[i].column)
			odd = odd || list[i].odd || list[i].column == ""
		}
		if odd {
			t.local("index", list[first].index)
			continue
		}
		t.schema.Indexes = append(t.schema.Indexes, index)
	}
}

// A referring is one column of one foreign key.
type referring struct {
	key, column, table, to string
	onDelete, onUpdate     string
}

// readReferences runs a query of one table for its foreign keys: key, column, the
// table and column it refers to, and both actions, key after key.
func (t *table) readReferences(ctx context.Context, s *session, query string, arg any) error {
	var list []referring
	err := s.each(ctx, query, []any{arg}, func(scan func(...any) error) error {
		var r referring
		err := scan(&r.key, &r.column, &r.table, &r.to, &r.onDelete, &r.onUpdate)
		list = append(list, r)
		return err
	})
	t.addReferences(list)
	return err
}

func (t *table) addReferences(list []referring) {
	for i := 0; i < len(list); {
		first := list[i]
		r := backup.Reference{Table: first.table, OnDelete: first.onDelete, OnUpdate: first.onUpdate}
		for ; i < len(list) && list[i].key == first.key; i++ {
			r.Columns = append(r.Columns, list[i].column)
			if list[i].to != "" {
				r.To = append(r.To, list[i].to)
			}
		}
		t.schema.References = append(t.schema.References, r)
	}
}

// list joins the columns, each written by f.
func (t *table) list(f func(column) string) string {
	var parts []string
	for _, c := range t.columns {
		parts = append(parts, f(c))
	}
	return strings.Join(parts, ", ")
}

// order is the ORDER BY list of the primary key. The names are qualified: a bare
// name could mean a column of the result, converted to text and sorted as such.
func (t *table) order(quote func(string) string) string {
	var parts []string
	for _, i := range t.key {
		parts = append(parts, "t."+quote(t.columns[i].name))
	}
	return strings.Join(parts, ", ")
}

// quoted writes an identifier for SQLite and PostgreSQL.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// backticked writes an identifier for MySQL.
func backticked(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// literal writes a string for all engines, whose sessions here take backslashes
// literally.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
