package audit

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// resourceOf is the singular snake of the Go type, or the table's name for a
// statement without a model.
func resourceOf(db *gorm.DB) string {
	if s := db.Statement.Schema; s != nil && s.Name != "" {
		return db.NamingStrategy.ColumnName("", s.Name)
	}
	return db.Statement.Table
}

// revise gives the rows of e their revision numbers. The rows' own locks are
// held by the statement that has just written them, so this makes nobody wait.
func (l *Log) revise(ctx context.Context, e *Event, rows []string) error {
	if len(rows) == 0 {
		return nil
	}
	tenant, err := tenantOf(e.Actor)
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(rows))
	seen := make(map[string]bool, len(rows))
	for _, row := range rows {
		if id := clean(row, maxID); !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // one order for all, so that two batches cannot dead-lock
	revs, err := l.cfg.Store.Revise(ctx, tenant, e.Resource, ids)
	if err != nil {
		return err
	}
	e.Rows = make([]Row, len(ids))
	for i, id := range ids {
		e.Rows[i] = Row{ID: id, Rev: revs[i]}
	}
	return nil
}

// createdRows returns the primary keys of what a create statement inserted.
func createdRows(stmt *gorm.Statement) []string {
	if stmt.Schema == nil || len(stmt.Schema.PrimaryFields) == 0 {
		return nil
	}
	var rows []string
	each := func(v reflect.Value) {
		v = reflect.Indirect(v)
		if !v.IsValid() || v.Type() != stmt.Schema.ModelType {
			return
		}
		parts := make([]string, len(stmt.Schema.PrimaryFields))
		for i, f := range stmt.Schema.PrimaryFields {
			value, zero := f.ValueOf(stmt.Context, v)
			if zero {
				return
			}
			parts[i] = keyText(value)
		}
		rows = append(rows, joinKey(parts))
	}
	switch v := stmt.ReflectValue; v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			each(v.Index(i))
		}
	case reflect.Struct:
		each(v)
	}
	if rows == nil { // created from maps
		rows = insertedRows(stmt)
	}
	return rows
}

func insertedRows(stmt *gorm.Statement) []string {
	values, ok := stmt.Clauses["VALUES"].Expression.(clause.Values)
	if !ok || len(stmt.Schema.PrimaryFieldDBNames) != 1 {
		return nil
	}
	key := slices.IndexFunc(values.Columns, func(c clause.Column) bool { return c.Name == stmt.Schema.PrimaryFieldDBNames[0] })
	if key < 0 {
		return nil
	}
	rows := make([]string, len(values.Values))
	for i, v := range values.Values {
		rows[i] = keyText(v[key])
	}
	return rows
}

// joinKey makes one row id of a composite key.
func joinKey(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	escape := strings.NewReplacer("%", "%25", ",", "%2C")
	for i, p := range parts {
		parts[i] = escape.Replace(p)
	}
	return strings.Join(parts, ",")
}

func keyText(v any) string {
	if valuer, ok := v.(driver.Valuer); ok {
		if dv, err := valuer.Value(); err == nil {
			v = dv
		}
	}
	switch rv := reflect.Indirect(reflect.ValueOf(v)); rv.Kind() {
	case reflect.String:
		return rv.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(rv.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(rv.Uint(), 10)
	case reflect.Slice, reflect.Array:
		if rv.Type().Elem().Kind() == reflect.Uint8 {
			return bytesText(rv)
		}
	}
	if s, ok := v.(fmt.Stringer); ok {
		return s.String()
	}
	return "?" // a key type that has no text; the event still counts
}

func bytesText(v reflect.Value) string {
	b := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(b), v)
	return hex.EncodeToString(b)
}

// whereRows returns the primary keys a WHERE clause restricts a statement to,
// or nil if it does not name them. Rows it names may still be spared by
// another condition; the event's count then tells.
func whereRows(stmt *gorm.Statement) []string {
	where, ok := stmt.Clauses["WHERE"].Expression.(clause.Where)
	if !ok || stmt.Schema == nil || len(stmt.Schema.PrimaryFieldDBNames) != 1 {
		return nil
	}
	k := keyConditions{column: stmt.Schema.PrimaryFieldDBNames[0]}
	k.all(where.Exprs)
	return k.rows
}

// keyConditions collects the values that conditions joined by AND allow for the key.
type keyConditions struct {
	column string
	found  bool
	rows   []string
}

func (k *keyConditions) all(exprs []clause.Expression) {
	if len(exprs) > 1 && slices.ContainsFunc(exprs, func(e clause.Expression) bool { _, or := e.(clause.OrConditions); return or }) {
		return // alternatives: the key may be anything
	}
	for _, e := range exprs {
		switch e := e.(type) {
		case clause.AndConditions:
			k.all(e.Exprs)
		case clause.OrConditions:
			k.all(e.Exprs)
		case clause.Where:
			k.all(e.Exprs)
		case clause.Eq:
			if k.isKey(e.Column) {
				k.allow(listOf(e.Value))
			}
		case clause.IN:
			if k.isKey(e.Column) {
				k.allow(e.Values)
			}
		case clause.Expr:
			k.sql(e)
		}
	}
}

func (k *keyConditions) isKey(column any) bool {
	switch c := column.(type) {
	case string:
		return c == k.column
	case clause.Column:
		return c.Name == k.column || c.Name == clause.PrimaryKey
	}
	return false
}

// keySQL matches "id = ?" and "id IN ?", the two ways keys are written by hand.
var keySQL = regexp.MustCompile("(?i)^\\s*[`\"]?(\\w+)[`\"]?\\s*(?:=|IN)\\s*\\(?\\?\\)?\\s*$")

func (k *keyConditions) sql(e clause.Expr) {
	m := keySQL.FindStringSubmatch(e.SQL)
	if m != nil && strings.EqualFold(m[1], k.column) && len(e.Vars) == 1 {
		k.allow(listOf(e.Vars[0]))
	}
}

// listOf spreads a slice of keys; a key that is itself bytes stays one.
func listOf(v any) []any {
	rv := reflect.ValueOf(v)
	if _, ok := v.(driver.Valuer); ok || rv.Kind() != reflect.Slice || rv.Type().Elem().Kind() == reflect.Uint8 {
		return []any{v}
	}
	list := make([]any, rv.Len())
	for i := range list {
		list[i] = rv.Index(i).Interface()
	}
	return list
}

func (k *keyConditions) allow(values []any) {
	rows := make([]string, len(values))
	for i, v := range values {
		rows[i] = keyText(v)
	}
	if k.found {
		rows = slices.DeleteFunc(rows, func(r string) bool { return !slices.Contains(k.rows, r) })
	}
	k.found, k.rows = true, rows
}
