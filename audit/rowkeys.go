package audit

import (
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

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
