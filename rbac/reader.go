package rbac

import (
	"context"
	"reflect"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// reader returns the function that reads a field of a model into a value, without allocating for the
// plain kinds.
func reader(f *schema.Field, k kind) func(reflect.Value) value {
	if len(f.StructField.Index) == 1 && f.StructField.Index[0] >= 0 {
		i := f.StructField.Index[0]
		return func(row reflect.Value) value { return valueOf(row.Field(i), k) }
	}
	return func(row reflect.Value) value { // embedded, perhaps behind a nil pointer
		v, _ := f.ValueOf(context.Background(), row)
		if v == nil {
			return value{}
		}
		return valueOf(reflect.ValueOf(v), k)
	}
}

// textReader is reader for a plain string of the model itself, or nil.
func textReader(f *schema.Field) func(reflect.Value) string {
	if f.FieldType.Kind() != reflect.String || len(f.StructField.Index) != 1 || f.StructField.Index[0] < 0 {
		return nil
	}
	i := f.StructField.Index[0]
	return func(row reflect.Value) string { return row.Field(i).String() }
}

// valueOf reads v, whose type classify accepted as kind k. NULL becomes the zero value.
func valueOf(v reflect.Value, k kind) value {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return value{}
		}
		v = v.Elem()
	} else if nullStruct(v.Type()) != nil {
		if !v.Field(1).Bool() {
			return value{}
		}
		v = v.Field(0)
	}
	switch {
	case k == text:
		return value{kind: text, s: v.String()}
	case k == cell && v.Len() == 0:
		return value{}
	case k == cell:
		return value{kind: cell, s: string(v.Bytes())}
	case k == boolean:
		return value{kind: boolean, i: bit(v.Bool())}
	case k == instant && v.CanAddr():
		return value{kind: instant, i: seconds(*v.Addr().Interface().(*time.Time))}
	case k == instant:
		return value{kind: instant, i: seconds(v.Interface().(time.Time))}
	case v.CanUint():
		u := v.Uint()
		return value{kind: integer, i: int64(u), huge: u > 1<<63-1}
	}
	return value{kind: integer, i: v.Int()}
}

// convert reads a value that is about to be written to the column; ok is false for what only the database
// can compute, and for a type that is not the field's.
func (c *column) convert(v any) (_ value, ok bool) {
	if v == nil {
		return c.zero(), true
	}
	if _, raw := v.(gorm.Valuer); raw || c.kind == null {
		return value{}, false
	}
	rv := reflect.ValueOf(v)
	t := rv.Type()
	if c.kind == cell {
		if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 {
			return value{}, false
		}
		return valueOf(rv, cell), true
	}
	if t.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return c.zero(), true
		}
		t = t.Elem()
	} else if inner := nullStruct(t); inner != nil {
		t = inner
	}
	if plainKind(t) != c.kind {
		return value{}, false
	}
	got := valueOf(rv, c.kind)
	if got.kind == null {
		got = c.zero()
	}
	return got, true
}

// zero is what Go sees where the database holds NULL.
func (c *column) zero() value {
	if c.nullable {
		return value{}
	}
	z := value{kind: c.kind}
	if c.kind == instant {
		z.i = seconds(time.Time{})
	}
	return z
}

// nullStruct returns the type of the value in sql.NullString and its like, which all are a value and Valid.
func nullStruct(t reflect.Type) reflect.Type {
	if t.Kind() != reflect.Struct || t.NumField() != 2 || t.Field(1).Name != "Valid" {
		return nil
	}
	if t.PkgPath() == "database/sql" || t == reflect.TypeFor[gorm.DeletedAt]() {
		return t.Field(0).Type
	}
	return nil
}
