package privacy

import "crypto/subtle"

// Equal reports whether s and t are the same text, without showing either: for hooks, diffs and imports
// that must not write what has not changed. NULL equals NULL and absent equals absent. A value that
// cannot be opened, or whose person was erased, equals nothing, not even itself.
func (s String) Equal(t String) bool { return s.c.equal(t.c) }

// Equal reports whether v and w have the same JSON, under the same rules as String.Equal.
func (v Value[T]) Equal(w Value[T]) bool { return v.c.equal(w.c) }

func (c *cell) equal(d *cell) bool {
	if c == nil || d == nil {
		return c == d
	}
	if c.state == stateNull || d.state == stateNull {
		return c.state == d.state
	}
	a, err := c.open()
	if err != nil {
		return false
	}
	b, err := d.open()
	return err == nil && subtle.ConstantTimeCompare(a, b) == 1
}
