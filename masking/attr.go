package masking

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
)

// attr masks one attribute and reports whether it differs from the original.
func (h *Handler) attr(a slog.Attr, outer Kind, l Level) (slog.Attr, bool) {
	k := h.kindUnder(a.Key, outer)
	if k == skipKind {
		return a, false
	}
	changed := false
	if !plainKey(a.Key) && !clean(a.Key) {
		a.Key, changed = string(appendText(nil, a.Key, h.p, l)), true
	}
	v, did := h.value(a.Key, a.Value, k, l)
	a.Value = v
	return a, changed || did
}

func (h *Handler) value(key string, v slog.Value, k Kind, l Level) (slog.Value, bool) {
	switch v.Kind() {
	case slog.KindString:
		return h.text(key, v, v.String(), k, l)
	case slog.KindInt64:
		if n := v.Int64(); k != "" || n >= shortestNumber || n <= -shortestNumber {
			return h.text(key, v, strconv.FormatInt(n, 10), k, l)
		}
	case slog.KindUint64:
		if n := v.Uint64(); k != "" || n >= shortestNumber {
			return h.text(key, v, strconv.FormatUint(n, 10), k, l)
		}
	case slog.KindFloat64:
		if f := v.Float64(); k != "" || f >= shortestNumber || f <= -shortestNumber {
			return h.text(key, v, strconv.FormatFloat(f, 'f', -1, 64), k, l)
		}
	case slog.KindGroup:
		return h.group(v, k, l)
	case slog.KindLogValuer:
		resolved := v.Resolve()
		masked, _ := h.value(key, resolved, k, l)
		return masked, true
	case slog.KindAny:
		return h.any(key, v, k, l)
	default: // booleans and times say nothing by themselves
		if k == KindSecret || k == KindBirthDate {
			return h.text(key, v, v.String(), k, l)
		}
	}
	return v, false
}

// shortestNumber: a shorter number is no phone number, card or ID.
const shortestNumber = 100_000_000

func (h *Handler) text(key string, v slog.Value, s string, k Kind, l Level) (slog.Value, bool) {
	var buf [128]byte
	if k == "" {
		if clean(s) {
			return v, false
		}
		masked := appendKeyed(buf[:0], key, s, h.p, l)
		if string(masked) == s {
			return v, false
		}
		return slog.StringValue(string(masked)), true
	}
	return slog.StringValue(string(h.p.append(buf[:0], k, l, s))), true
}

func (h *Handler) group(v slog.Value, k Kind, l Level) (slog.Value, bool) {
	attrs := v.Group()
	var fresh []slog.Attr
	for i, a := range attrs {
		masked, did := h.attr(a, k, l)
		if did && fresh == nil {
			fresh = append(make([]slog.Attr, 0, len(attrs)), attrs[:i]...)
		}
		if fresh != nil {
			fresh = append(fresh, masked)
		}
	}
	if fresh == nil {
		return v, false
	}
	return slog.GroupValue(fresh...), true
}

// any masks what slog passes through as it is. Handlers print such a value either as JSON or with %+v, so
// both forms of the masked copy have to be clean, or the masked text takes its place.
func (h *Handler) any(key string, v slog.Value, k Kind, l Level) (masked slog.Value, changed bool) {
	defer func() { // a value whose methods panic is a value we do not understand
		if recover() != nil {
			masked, changed = slog.StringValue(fixed), true
		}
	}()
	switch x := v.Any().(type) {
	case nil:
		return v, false
	case Masker:
		return slog.StringValue(x.MaskAt(min(l, Partial))), true
	case error:
		if masked, changed = h.text(key, v, x.Error(), k, l); !changed && marshals(x) {
			return slog.StringValue(x.Error()), true
		}
		return masked, changed
	case json.RawMessage:
		return h.text(key, v, string(x), k, l)
	case []byte:
		return h.text(key, v, string(x), k, l)
	case *slog.Source:
		return v, false
	}
	copied, err := copyAny(h.p, l, h.types, k, v.Any())
	if err != nil {
		return slog.StringValue(fixed), true
	}
	text := fmt.Sprintf("%+v", copied)
	if !clean(text) {
		return slog.StringValue(string(appendText(nil, text, h.p, l))), true
	}
	if data, err := json.Marshal(copied); err == nil && !clean(string(data)) {
		return slog.StringValue(string(appendText(nil, text, h.p, l))), true
	}
	return slog.AnyValue(copied), true
}

// marshals reports errors that handlers print by other means than Error.
func marshals(err error) bool {
	switch err.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return true
	}
	return false
}

// copyAny masks a copy of whatever x holds.
func copyAny(p Policy, l Level, types *planner, k Kind, x any) (any, error) {
	run := copying{policy: p, level: l, types: types}
	box := reflect.ValueOf(&x).Elem()
	n, err := types.lenient(box.Type(), k)
	if err != nil {
		return nil, err
	}
	if err := run.run(n, box); err != nil {
		return nil, err
	}
	return x, nil
}
