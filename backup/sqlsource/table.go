package sqlsource

import (
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
}

// describe fills the portable part of the table's schema.
func (t *table) describe() backup.Table {
	t.schema.Name, t.schema.Key = t.name, t.key
	for _, c := range t.columns {
		t.schema.Columns = append(t.schema.Columns, backup.Column{Name: c.name, Type: c.typ})
	}
	return t.schema
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
