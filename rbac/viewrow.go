package rbac

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/confide-go/confide/masking"
)

// Export returns the view of what may leave the application in a file: the same, with every field hidden
// that the caller may not export, and all of them if the action "export" is not allowed on the row.
//
//	for _, v := range views {
//		out := v.Export()
//		line = append(line, out.Text("phone").Text)
//	}
func (v View) Export() View {
	v.export = true
	v.read = v.read && v.Can("export")
	return v
}

// mayLeave reports whether the caller may export the column of the view's row.
func (c *column) mayLeave(v *View) bool { return v.snap.holds(&v.env, v.res, c, Export) }

// Fields returns the columns of which the caller sees anything, in the model's order: what Map and
// MarshalJSON hold. Blind indexes and fields that the model itself keeps out of JSON (json:"-") are never
// among them.
func (v View) Fields() []string {
	var names []string
	for _, col := range v.columns() {
		names = append(names, col.name)
	}
	return names
}

func (v *View) columns() (seen []*column) {
	if !v.read {
		return nil
	}
	for _, col := range v.res.columns {
		if col.match != nil || col.field.Tag.Get("json") == "-" || v.Level(col.name) == masking.Hidden {
			continue
		}
		seen = append(seen, col)
	}
	return seen
}

// Map returns the fields of Fields: plain ones at Full as their Go values (nil for NULL), all others as
// masking.Shown.
func (v View) Map() map[string]any {
	row := map[string]any{}
	for _, col := range v.columns() {
		row[col.name] = v.cell(col)
	}
	return row
}

// MarshalJSON writes the fields of Fields, in their order. What is not shown in full is an object that no
// client can take for the value: {"phone":{"masked":true,"hint":"138****8000"}}.
func (v View) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, col := range v.columns() {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(col.name)
		if err != nil {
			return nil, fmt.Errorf("rbac: %s.%s as JSON: %w", v.res.name, col.name, err)
		}
		value, err := json.Marshal(v.cell(col))
		if err != nil {
			return nil, fmt.Errorf("rbac: %s.%s cannot be written as JSON (its type is %s): hide it, or give the type a MarshalJSON", v.res.name, col.name, col.field.FieldType)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// cell is one field's value as the caller sees it.
func (v *View) cell(col *column) any {
	if col.sealed || v.Level(col.name) != masking.Full {
		return v.Text(col.name)
	}
	value, _ := col.field.ValueOf(context.Background(), v.env.row)
	rv := reflect.ValueOf(value)
	if rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil
	}
	if valuer, ok := value.(driver.Valuer); ok {
		stored, err := valuer.Value()
		if err != nil {
			return masking.Show(masking.KindText, masking.Hidden, "")
		}
		return stored
	}
	if rv.Kind() == reflect.Pointer {
		return rv.Elem().Interface()
	}
	return value
}
