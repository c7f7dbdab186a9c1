package masking

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Check reads the tags of T without masking anything and reports every problem at once: unknown kinds,
// fields that cannot hold a mask, and string fields that look personal by their name but have no tag. Call
// it in a test of the package that declares T.
func Check[T any]() error {
	w := planning{made: map[nodeKey]*node{}}
	w.untagged = func(path string, f reflect.StructField) {
		if !holdsText(f.Type) {
			return
		}
		for _, name := range [...]string{f.Name, tagName(f, "json"), column(f)} {
			if k := kindOfKey(name); k != "" {
				w.problems = append(w.problems, fmt.Errorf("masking: %s: %w: add `mask:\"%s\"`, or `mask:\"-\"`", path, ErrUntagged, k))
				return
			}
		}
	}
	t := reflect.TypeFor[T]()
	w.node(t, "", t.String())
	return errors.Join(w.problems...)
}

// holdsText reports types that can hold a personal value as text and do not show themselves.
func holdsText(t reflect.Type) bool {
	if t.Implements(maskerType) || reflect.PointerTo(t).Implements(maskerType) {
		return false
	}
	switch t.Kind() {
	case reflect.String, reflect.Interface:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8 || holdsText(t.Elem())
	case reflect.Pointer, reflect.Array:
		return holdsText(t.Elem())
	case reflect.Map:
		return t.Elem().Kind() == reflect.String
	case reflect.Struct: // sql.NullString and its like
		f, ok := t.FieldByName("String")
		return ok && f.Type.Kind() == reflect.String
	}
	return false
}

func tagName(f reflect.StructField, key string) string {
	name, _, _ := strings.Cut(f.Tag.Get(key), ",")
	return name
}

func column(f reflect.StructField) string {
	for part := range strings.SplitSeq(f.Tag.Get("gorm"), ";") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(part), "column:"); ok {
			return name
		}
	}
	return ""
}
