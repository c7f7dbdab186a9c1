package audit

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// An image holds what rows were at one moment, as the database says it.
type image struct {
	columns []string
	rows    map[string]*imageRow
}

type imageRow struct {
	id     string
	key    []any
	values []any // by image.columns
}

func (m *image) value(r *imageRow, column string) (any, bool) {
	if m == nil || r == nil {
		return nil, false
	}
	i := slices.Index(m.columns, column)
	if i < 0 {
		return nil, false
	}
	return r.values[i], true
}

// readBefore reads the rows that the statement is about to change, and locks them.
func (w *watch) readBefore() error {
	switch {
	case w.plan.keys == nil || !w.plan.read:
		return nil
	case w.verb == "create":
		return w.readUpserted()
	case w.table == "":
		return nil
	}
	sqlText := w.stmt.SQL.String()
	end := w.end
	if end == 0 {
		end = len(sqlText)
	}
	engine := w.stmt.Dialector.Name()
	tail, ok := renumber(sqlText[w.from:end], w.vars, engine)
	if !ok {
		return nil // recorded as a change of rows nobody read
	}
	query := "SELECT " + w.columnList() + " FROM " + w.bareTable() + " " + strings.TrimSpace(tail)
	query += w.orderAndLimit()
	m, err := w.query(query, w.stmt.Vars[w.vars:]...)
	if err != nil {
		return fmt.Errorf("audit: read the rows of %s before they change: %w", w.stmt.Table, err)
	}
	if w.many = len(m.rows) > w.l.cfg.MostRows; !w.many {
		w.before = m
	}
	return nil
}

func (w *watch) query(query string, args ...any) (*image, error) {
	m := &image{columns: w.columns(), rows: map[string]*imageRow{}}
	return m, w.queryInto(m, query, args...)
}

// queryInto adds the rows of a query, whose first columns are the key.
func (w *watch) queryInto(m *image, query string, args ...any) error {
	rows, err := w.inner.QueryContext(w.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	binary, err := binaryColumns(rows)
	if err != nil {
		return err
	}
	for rows.Next() {
		values := make([]any, len(m.columns))
		places := make([]any, len(values))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok && !binary[i] {
				values[i] = string(b) // MySQL's driver gives texts as bytes
			}
		}
		key := values[:len(w.plan.keys)]
		id := clean(keyOf(key), maxID)
		m.rows[id] = &imageRow{id: id, key: key, values: values}
	}
	return rows.Err()
}

func binaryColumns(rows *sql.Rows) ([]bool, error) {
	types, err := rows.ColumnTypes()
	binary := make([]bool, len(types))
	for i, t := range types {
		name := strings.ToUpper(t.DatabaseTypeName())
		binary[i] = strings.Contains(name, "BLOB") || strings.Contains(name, "BINARY") || name == "BYTEA" || name == ""
	}
	return binary, err
}

// readAfter reads what the rows are now.
func (w *watch) readAfter() (*image, error) {
	m := &image{columns: w.columns(), rows: map[string]*imageRow{}}
	if w.verb == "delete" && len(w.set) == 0 {
		return m, nil
	}
	var keys [][]any
	switch {
	case w.verb != "create":
		for _, r := range w.before.rows {
			keys = append(keys, w.movedKey(r.key))
		}
	case w.before != nil: // an upsert: a generated key says nothing about what was there
		if err := w.readConflicts(m, ""); err != nil {
			return nil, fmt.Errorf("audit: read the rows of %s after an upsert: %w", w.stmt.Table, err)
		}
		fallthrough
	default:
		keys = insertedKeys(w.stmt)
		if len(w.before.all()) > 0 && w.plan.generated {
			keys = nil
		}
	}
	return m, w.readKeys(m, keys)
}

func (m *image) all() map[string]*imageRow {
	if m == nil {
		return nil
	}
	return m.rows
}
