package rbac

import (
	"context"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/confide-go/confide/masking"
)

// View is one row as the caller may see it. It holds the row's values; what is shown of them is decided
// by the policy version it was made with.
type View struct {
	snap *snapshot
	res  *resource
	env  env
	read bool
	// export: only of what may be exported.
	export bool
}

// View returns how the caller sees each of the rows: a registered model, a pointer to one, or a slice of
// either. A row that the caller may not read shows nothing.
func (a *Authorizer) View(ctx context.Context, rows any) ([]View, error) {
	s, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	who, err := a.asker(ctx, s)
	if err != nil {
		return nil, err
	}
	rv := reflect.ValueOf(rows)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if err := a.loadShares(s, &who, rv); err != nil {
		return nil, err
	}
	if err := a.loadIndexes(s, &who, rv); err != nil {
		return nil, err
	}
	if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
		v, err := a.view(s, &who, rows)
		return []View{v}, err
	}
	views := make([]View, 0, rv.Len())
	for i := range rv.Len() {
		row := rv.Index(i)
		if row.Kind() != reflect.Pointer && row.CanAddr() {
			row = row.Addr()
		}
		v, err := a.view(s, &who, row.Interface())
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

func (a *Authorizer) view(s *snapshot, who *asker, row any) (View, error) {
	res, rv, err := a.rowOf(row)
	if err != nil {
		return View{}, err
	}
	v := View{snap: s, res: res, env: env{who: *who, row: rv}}
	v.read = v.Can("read")
	return v, v.env.err
}

// Can reports whether the caller may do the action to the row, to show or leave out a button. It records
// nothing and permits nothing: the act itself is checked again.
func (v *View) Can(action string) bool {
	if v.snap == nil {
		return false
	}
	ok, _ := v.snap.decide(&v.env, v.res, action)
	return ok
}

// Level returns how much of a field the caller sees. The field is named by its column or its Go name; an
// unknown one is Hidden, and so is a blind index. A sealed field at Full is one that may be shown whole once it is revealed.
func (v *View) Level(field string) masking.Level {
	if !v.read {
		return masking.Hidden
	}
	col := v.res.column(field)
	if col == nil || col.match != nil || v.export && !col.mayLeave(v) {
		return masking.Hidden
	}
	return v.snap.level(&v.env, v.res, col)
}

// Text returns what the caller sees of a field. Sealed fields mask themselves, and never show more than a
// part; plain ones are masked by the kind in their mask tag, and below Full not shown without one.
func (v *View) Text(field string) masking.Shown {
	level := v.Level(field)
	if level == masking.Hidden {
		return masking.Show(masking.KindText, masking.Hidden, "")
	}
	col := v.res.column(field)
	if col.sealed {
		return v.sealed(col, min(level, masking.Partial))
	}
	s := v.plain(col)
	switch {
	case level == masking.Full:
		return masking.Shown{Text: s, Level: masking.Full}
	case col.mask == "":
		return masking.Show(masking.KindText, masking.Hidden, "")
	}
	return masking.Show(col.mask, level, s)
}

func (v *View) sealed(col *column, level masking.Level) masking.Shown {
	value := col.field.ReflectValueOf(context.Background(), v.env.row)
	if value.CanAddr() {
		if m, ok := value.Addr().Interface().(masking.Masker); ok {
			return masking.Shown{Text: m.MaskAt(level), Level: level}
		}
	}
	if m, ok := value.Interface().(masking.Masker); ok && (value.Kind() != reflect.Pointer || !value.IsNil()) {
		return masking.Shown{Text: m.MaskAt(level), Level: level}
	}
	return masking.Show(masking.KindText, masking.Hidden, "")
}

// plain returns a field's value as text. NULL is empty.
func (v *View) plain(col *column) string {
	value, _ := col.field.ValueOf(context.Background(), v.env.row)
	if valuer, ok := value.(driver.Valuer); ok {
		if rv := reflect.ValueOf(value); rv.Kind() == reflect.Pointer && rv.IsNil() {
			return ""
		}
		value, _ = valuer.Value()
	}
	rv := reflect.ValueOf(value)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return ""
	}
	switch x := rv.Interface().(type) {
	case time.Time:
		return x.Format(time.RFC3339)
	case []byte:
		return string(x)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	default:
		return fmt.Sprint(x)
	}
}
