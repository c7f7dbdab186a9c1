package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// anyOf is the condition that the columns have one of these values.
func (w *watch) anyOf(columns []string, values [][]any, offset int) (string, []any) {
	var b strings.Builder
	var args []any
	place := func(v any) {
		args = append(args, v)
		if w.stmt.Dialector.Name() == "postgres" {
			b.WriteString("$" + strconv.Itoa(offset+len(args)))
		} else {
			b.WriteByte('?')
		}
	}
	if len(columns) == 1 {
		b.WriteString(w.quoteAll(columns) + " IN (")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			place(v[0])
		}
		b.WriteByte(')')
		return b.String(), args
	}
	for i, v := range values {
		if i > 0 {
			b.WriteString(" OR ")
		}
		for j, c := range columns {
			b.WriteString([]string{"(", " AND "}[min(j, 1)] + w.quoteAll([]string{c}) + " = ")
			place(v[j])
		}
		b.WriteByte(')')
	}
	return b.String(), args
}

// readUpserted reads the rows that an upsert may find in its way.
func (w *watch) readUpserted() error {
	if _, ok := w.stmt.Clauses["ON CONFLICT"]; !ok || w.plan.rules == nil {
		return nil
	}
	m := &image{columns: w.columns(), rows: map[string]*imageRow{}}
	if err := w.readConflicts(m, w.forUpdate()); err != nil {
		return fmt.Errorf("audit: read the rows of %s before an upsert: %w", w.stmt.Table, err)
	}
	w.before = m
	return nil
}

// readConflicts reads the rows that have the key, or the values of a unique index,
// of one that is inserted.
func (w *watch) readConflicts(m *image, suffix string) error {
	values, ok := w.stmt.Clauses["VALUES"].Expression.(clause.Values)
	if !ok {
		return nil
	}
	for _, columns := range w.uniqueColumns() {
		keys := valuesOf(values, columns)
		for part := range slices.Chunk(keys, 300) {
			conditions, args := w.anyOf(columns, part, 0)
			query := "SELECT " + w.columnList() + " FROM " + w.stmt.Quote(w.plan.table) + " WHERE " + conditions + suffix
			if err := w.queryInto(m, query, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// uniqueColumns lists what an insert may conflict on.
func (w *watch) uniqueColumns() [][]string {
	sets := [][]string{w.plan.keys}
	if on, ok := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict); ok && len(on.Columns) > 0 {
		var columns []string
		for _, c := range on.Columns {
			columns = append(columns, c.Name)
		}
		sets = append(sets, columns)
	}
	if w.stmt.Schema == nil {
		return sets
	}
	named := map[string][]string{}
	for _, f := range w.stmt.Schema.Fields {
		if f.DBName == "" {
			continue
		}
		if f.Unique {
			sets = append(sets, []string{f.DBName})
		}
		if name, ok := f.TagSettings["UNIQUEINDEX"]; ok {
			name, _, _ = strings.Cut(name, ",")
			if name == "UNIQUEINDEX" || name == "" {
				sets = append(sets, []string{f.DBName})
				continue
			}
			named[name] = append(named[name], f.DBName)
		}
	}
	for _, columns := range named {
		sets = append(sets, columns)
	}
	return sets
}

// valuesOf picks columns out of the inserted rows; a row that leaves one to the
// database cannot conflict on it.
func valuesOf(values clause.Values, columns []string) [][]any {
	at := make([]int, len(columns))
	for i, name := range columns {
		if at[i] = slices.IndexFunc(values.Columns, func(c clause.Column) bool { return c.Name == name }); at[i] < 0 {
			return nil
		}
	}
	var list [][]any
	for _, row := range values.Values {
		key := make([]any, len(at))
		for i, a := range at {
			if key[i] = row[a]; !bindable(key[i]) {
				key = nil
				break
			}
		}
		if key != nil {
			list = append(list, key)
		}
	}
	return list
}

// bindable tells a value from an expression such as DEFAULT.
func bindable(v any) bool {
	switch v.(type) {
	case nil, clause.Expression, gorm.Valuer, *gorm.DB:
		return false
	}
	return true
}
