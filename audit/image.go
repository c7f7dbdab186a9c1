package audit

import (
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
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

// bareTable takes the verb off what stands before SET, or FROM off what follows DELETE.
func (w *watch) bareTable() string {
	if text, ok := strings.CutPrefix(w.table, "FROM "); ok {
		return text
	}
	text := strings.TrimPrefix(w.table, "UPDATE ")
	if u, ok := w.stmt.Clauses["UPDATE"].Expression.(clause.Update); ok && u.Modifier != "" {
		text = strings.TrimPrefix(text, u.Modifier+" ")
	}
	return text
}

// orderAndLimit lets two statements take their rows in one order, so that they
// wait for each other instead of dead-locking, and stops reading past the bound.
func (w *watch) orderAndLimit() string {
	var text string
	_, ordered := w.stmt.Clauses["ORDER BY"]
	_, limited := w.stmt.Clauses["LIMIT"]
	mysql := w.stmt.Dialector.Name() == "mysql" // the only engine that limits writes
	if !mysql || !ordered && !limited {
		text = " ORDER BY " + w.quoteAll(w.plan.keys)
	}
	if !mysql || !limited {
		text += " LIMIT " + strconv.Itoa(w.l.cfg.MostRows+1)
	}
	return text + w.forUpdate()
}

func (w *watch) forUpdate() string {
	if w.stmt.Dialector.Name() == "sqlite" {
		return "" // its transactions have the database to themselves
	}
	return " FOR UPDATE"
}

func (w *watch) quoteAll(columns []string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = w.stmt.Quote(clause.Column{Name: c})
	}
	return strings.Join(list, ",")
}

func (w *watch) columnList() string { return w.quoteAll(w.columns()) }

// columns are the keys, and what else has to be read: the columns that change,
// and that of the subject.
func (w *watch) columns() []string {
	if w.plan.rules == nil {
		return w.plan.keys
	}
	columns := slices.Clone(w.plan.keys)
	add := func(names []string) {
		for _, c := range names {
			if !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		}
	}
	if w.plan.subject != "" {
		add([]string{w.plan.subject})
	}
	add(w.fields())
	return columns
}

// fields are the columns the statement writes; a delete takes them all away.
func (w *watch) fields() []string {
	var fields []string
	switch {
	case w.verb == "create":
		if values, ok := w.stmt.Clauses["VALUES"].Expression.(clause.Values); ok {
			for _, c := range values.Columns {
				fields = append(fields, c.Name)
			}
		}
		fields = append(fields, w.updates...)
	case len(w.set) > 0:
		for _, a := range w.set {
			fields = append(fields, a.Column.Name)
		}
	case w.plan.rules != nil && w.stmt.Schema != nil:
		fields = slices.Clone(w.stmt.Schema.DBNames)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
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

func keyOf(key []any) string {
	parts := make([]string, len(key))
	for i, v := range key {
		parts[i] = keyText(v)
	}
	return joinKey(parts)
}

// readKeys reads rows again by their keys, in parts the engines can take.
func (w *watch) readKeys(m *image, keys [][]any) error {
	const most = 300
	for part := range slices.Chunk(keys, most) {
		conditions, args := w.anyOf(w.plan.keys, part, 0)
		query := "SELECT " + w.columnList() + " FROM " + w.stmt.Quote(w.plan.table) + " WHERE " + conditions
		if err := w.queryInto(m, query, args...); err != nil {
			return fmt.Errorf("audit: read the rows of %s after they changed: %w", w.plan.table, err)
		}
	}
	return nil
}

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

// movedKey is where a row is found after the statement changed its key.
func (w *watch) movedKey(key []any) []any {
	moved := key
	for _, a := range w.set {
		if i := slices.Index(w.plan.keys, a.Column.Name); i >= 0 && bindable(a.Value) {
			if &moved[0] == &key[0] {
				moved = slices.Clone(key)
			}
			moved[i] = a.Value
		}
	}
	return moved
}

// insertedKeys returns the primary keys of what a create statement inserted.
func insertedKeys(stmt *gorm.Statement) [][]any {
	var keys [][]any
	each := func(v reflect.Value) {
		v = reflect.Indirect(v)
		if !v.IsValid() || v.Type() != stmt.Schema.ModelType {
			return
		}
		if key := keyValues(stmt, v); key != nil {
			keys = append(keys, key)
		}
	}
	if stmt.Schema == nil || len(stmt.Schema.PrimaryFields) == 0 {
		return nil
	}
	switch v := stmt.ReflectValue; v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			each(v.Index(i))
		}
	case reflect.Struct:
		each(v)
	}
	if keys != nil {
		return keys
	}
	if values, ok := stmt.Clauses["VALUES"].Expression.(clause.Values); ok { // created from maps
		return valuesOf(values, stmt.Schema.PrimaryFieldDBNames)
	}
	return nil
}

func keyValues(stmt *gorm.Statement, v reflect.Value) []any {
	key := make([]any, len(stmt.Schema.PrimaryFields))
	given := false
	for i, f := range stmt.Schema.PrimaryFields {
		value, zero := f.ValueOf(stmt.Context, v)
		key[i] = value
		given = given || !zero
	}
	if !given {
		return nil
	}
	return key
}

func generatedKey(s *schema.Schema) bool {
	return s.PrioritizedPrimaryField != nil && s.PrioritizedPrimaryField.HasDefaultValue
}
