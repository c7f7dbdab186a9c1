package backup

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// checkSchema refuses what a source should not have declared.
func checkSchema(s Schema) error {
	if s.Engine == "" {
		return errors.New("backup: the source declares no engine")
	}
	seen := map[string]bool{}
	for _, t := range s.Tables {
		if !validText(t) {
			return fmt.Errorf("%w: a name or statement of table %q is not valid UTF-8; rename it, or exclude the table", ErrUnsupported, t.Name)
		}
		if seen[t.Name] {
			return fmt.Errorf("backup: the source declares table %q twice", t.Name)
		}
		seen[t.Name] = true
		if len(t.Key) == 0 {
			return fmt.Errorf("%w: table %q has no primary key; add one, or exclude the table", ErrUnsupported, t.Name)
		}
		for _, i := range t.Key {
			if i < 0 || i >= len(t.Columns) {
				return fmt.Errorf("backup: table %q: primary key names column %d of %d", t.Name, i, len(t.Columns))
			}
		}
	}
	return nil
}

// validText reports whether the table's description survives JSON unchanged.
func validText(t Table) bool {
	for _, c := range t.Columns {
		if !utf8.ValidString(c.Name) || !utf8.ValidString(c.Type) {
			return false
		}
	}
	bad := func(s string) bool { return !utf8.ValidString(s) }
	return utf8.ValidString(t.Name) && !slices.ContainsFunc(t.Create, bad) && !slices.ContainsFunc(t.Finish, bad)
}
