package audit

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// apply fills e from the attributes of Record: the conventional keys become
// fields of the event, the rest is kept as it is.
func (e *Event) apply(attrs []slog.Attr) error {
	for _, a := range attrs {
		if err := e.set("", a); err != nil {
			return err
		}
	}
	return nil
}

func (e *Event) set(prefix string, a slog.Attr) error {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			if err := e.set(prefix, member); err != nil {
				return err
			}
		}
		return nil
	}
	if a.Key == "" && v.Kind() == slog.KindAny && v.Any() == nil {
		return nil // slog: the zero Attr is ignored
	}
	key := prefix + a.Key
	if key == "rows" || key == "fields" {
		return e.setList(key, v)
	}
	kept, err := plain(e.Action, key, v)
	if err != nil {
		return err
	}
	return e.keep(key, kept)
}

func (e *Event) keep(key string, v slog.Value) error {
	switch key {
	case "resource":
		e.Resource = text(v)
	case "row":
		e.Rows = append(e.Rows, Row{ID: text(v)})
	case "subject":
		e.Subject = text(v)
	case "purpose":
		e.Purpose = text(v)
	case "result":
		e.Result = text(v)
	default:
		if err := checkName("an attribute key of "+e.Action, key); err != nil {
			return err
		}
		for _, have := range e.Attrs {
			if have.Key == key {
				return fmt.Errorf("%w: %s has the attribute %s twice", ErrInvalid, e.Action, key)
			}
		}
		e.Attrs = append(e.Attrs, slog.Attr{Key: key, Value: v})
	}
	return nil
}

// setList reads a list of row ids or field names: []string, or one string with commas.
func (e *Event) setList(key string, v slog.Value) error {
	var list []string
	switch v.Kind() {
	case slog.KindString:
		for part := range strings.SplitSeq(v.String(), ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	default:
		var ok bool
		if list, ok = v.Any().([]string); !ok {
			return fmt.Errorf("%w: attribute %s of %s is a %s; give a []string or a string with commas", ErrInvalid, key, e.Action, typeName(v))
		}
	}
	if key == "fields" {
		e.Fields = append(e.Fields, list...)
		return nil
	}
	for _, id := range list {
		e.Rows = append(e.Rows, Row{ID: id})
	}
	return nil
}

// plain turns a value into a string, an integer or a boolean. A type it does
// not know is refused and never printed: that is how values leak into logs.
func plain(action, key string, v slog.Value) (slog.Value, error) {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(clean(v.String(), maxText)), nil
	case slog.KindInt64, slog.KindBool:
		return v, nil
	case slog.KindUint64:
		if u := v.Uint64(); u > 1<<63-1 {
			return slog.StringValue(strconv.FormatUint(u, 10)), nil
		}
		return slog.Int64Value(int64(v.Uint64())), nil
	case slog.KindFloat64:
		return slog.StringValue(strconv.FormatFloat(v.Float64(), 'g', -1, 64)), nil
	case slog.KindDuration:
		return slog.StringValue(v.Duration().String()), nil
	case slog.KindTime:
		return slog.StringValue(v.Time().UTC().Format(time.RFC3339Nano)), nil
	}
	if list, ok := v.Any().([]string); ok {
		return slog.StringValue(clean(strings.Join(list, ","), maxText)), nil
	}
	return v, fmt.Errorf("%w: attribute %s of %s is a %s; give a string, a number, a boolean, a time, or a type with LogValue", ErrInvalid, key, action, typeName(v))
}

func typeName(v slog.Value) string {
	if v.Kind() != slog.KindAny {
		return v.Kind().String()
	}
	return fmt.Sprintf("%T", v.Any())
}

func text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.FormatInt(v.Int64(), 10)
	case slog.KindBool:
		return strconv.FormatBool(v.Bool())
	}
	return v.String()
}
