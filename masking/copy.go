package masking

import (
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// deepest is how far values nest before Copy gives up. It ends cycles.
const deepest = 64

// copying is one run over a value. It changes only memory that it made itself.
type copying struct {
	policy Policy
	level  Level
	types  *planner

	// The masks of fields stand one behind the other in made until flush puts them into their fields, as
	// pieces of one string.
	made    [160]byte
	used    int
	waiting [8]waiting
	n       int
}

// waiting is a field whose mask ends at made[:end] and begins where the one before it ends.
type waiting struct {
	field reflect.Value
	end   int
}

// run masks v and everything in it.
func (c *copying) run(n *node, v reflect.Value) error {
	err := c.mask(n, v, 0)
	c.flush()
	return err
}

func (c *copying) flush() {
	if c.n == 0 {
		return
	}
	all, from := string(c.made[:c.used]), 0
	for _, w := range c.waiting[:c.n] {
		w.field.SetString(all[from:w.end])
		from = w.end
	}
	c.used, c.n = 0, 0
}

// mask changes v, a settable copy of the caller's value.
func (c *copying) mask(n *node, v reflect.Value, depth int) error {
	if depth > deepest {
		return fmt.Errorf("masking: %w: %s nests deeper than %d, or contains itself", ErrField, v.Type(), deepest)
	}
	switch n.do {
	case maskString:
		c.maskString(n.kind, v)
	case maskBytes:
		c.maskBytes(n.kind, v)
	case maskStruct:
		for _, f := range n.fields {
			if f.node.do == maskString && depth < deepest {
				c.maskString(f.node.kind, v.Field(f.index))
				continue
			}
			if err := c.mask(f.node, v.Field(f.index), depth+1); err != nil {
				return err
			}
		}
	case maskPointer:
		if v.IsNil() {
			return nil
		}
		fresh := reflect.New(v.Type().Elem())
		fresh.Elem().Set(v.Elem())
		if err := c.mask(n.elem, fresh.Elem(), depth+1); err != nil {
			return err
		}
		v.Set(fresh.Convert(v.Type()))
	case maskSlice:
		return c.maskSlice(n, v, depth)
	case maskArray:
		for i := range v.Len() {
			if err := c.mask(n.elem, v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case maskMap:
		return c.maskMap(n, v, depth)
	case maskAny:
		return c.maskAny(n, v, depth)
	}
	return nil
}

func (c *copying) maskString(k Kind, v reflect.Value) {
	s := v.String()
	if k == "" && clean(s) {
		return
	}
	if c.n == len(c.waiting) {
		c.flush()
	}
	made := c.made[:c.used]
	switch {
	case k == "":
		made = appendText(made, s, c.policy, c.level)
	case c.level == Partial && k != KindText: // the common case
		made = appendPartial(made, k, c.policy.Profile.orStrict(), s)
	default:
		made = c.policy.append(made, k, c.level, s)
	}
	if len(made) > 0 && &made[0] != &c.made[0] { // it has outgrown the room
		v.SetString(string(made[c.used:]))
		return
	}
	c.used = len(made)
	v.SetString(fixed) // a copy taken before the flush shows nothing
	c.waiting[c.n] = waiting{v, c.used}
	c.n++
}

func (c *copying) maskBytes(k Kind, v reflect.Value) {
	if v.IsNil() {
		return
	}
	b := v.Bytes()
	if k == "" {
		if !utf8.Valid(b) || clean(string(b)) {
			return
		}
		k = KindText
	}
	v.SetBytes(c.policy.append(nil, k, c.level, string(b)))
}

func (c *copying) maskSlice(n *node, v reflect.Value, depth int) error {
	if v.IsNil() || n.elem.do == leave {
		return nil
	}
	fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(fresh, v)
	for i := range fresh.Len() {
		if err := c.mask(n.elem, fresh.Index(i), depth+1); err != nil {
			return err
		}
	}
	v.Set(fresh)
	return nil
}

// maskMap masks values and string keys. In an untagged map the key of a value says what it is. Two keys
// that mask to the same text are told apart by a counter, so that no entry is lost.
func (c *copying) maskMap(n *node, v reflect.Value, depth int) error {
	if v.IsNil() {
		return nil
	}
	t := v.Type()
	fresh := reflect.MakeMapWithSize(t, v.Len())
	for iter := v.MapRange(); iter.Next(); {
		key, val := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		key.Set(iter.Key())
		val.Set(iter.Value())
		elem := n.elem
		if n.key != nil {
			if n.kind == "" {
				if named := kindOfKey(key.String()); named != "" {
					var err error
					if elem, err = c.types.lenient(t.Elem(), named); err != nil {
						return err
					}
				}
			}
			c.maskString(n.key.kind, key)
		}
		if err := c.mask(elem, val, depth+1); err != nil {
			return err
		}
		c.flush() // before the map takes copies
		if n.key != nil {
			base := key.String()
			for i := 2; fresh.MapIndex(key).IsValid(); i++ {
				key.SetString(base + "#" + strconv.Itoa(i))
			}
		}
		fresh.SetMapIndex(key, val)
	}
	v.Set(fresh)
	return nil
}

// maskAny masks what an interface holds. Numbers become text where they are personal.
func (c *copying) maskAny(n *node, v reflect.Value, depth int) error {
	if v.IsNil() {
		return nil
	}
	held := v.Elem()
	if m, ok := held.Interface().(Masker); ok {
		setIfFits(v, m.MaskAt(min(c.level, Partial)))
		return nil
	}
	if err, ok := held.Interface().(error); ok {
		if v.Type() == errorType || v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(c.policy.maskError(err, c.level)))
		}
		return nil
	}
	if s, ok := numberText(held); ok {
		if n.kind != "" || !clean(s) {
			if masked := string(c.policy.append(nil, orText(n.kind), c.level, s)); masked != s {
				setIfFits(v, masked)
			}
		}
		return nil
	}
	elem, err := c.types.lenient(held.Type(), n.kind)
	if err != nil {
		return err
	}
	fresh := reflect.New(held.Type()).Elem()
	fresh.Set(held)
	if err := c.mask(elem, fresh, depth+1); err != nil {
		return err
	}
	c.flush() // before v takes a copy
	v.Set(fresh)
	return nil
}

func setIfFits(v reflect.Value, s string) {
	if r := reflect.ValueOf(s); r.Type().AssignableTo(v.Type()) {
		v.Set(r)
	}
}

// numberText is the decimal text of a number long enough to be personal.
func numberText(v reflect.Value) (string, bool) {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), true
	}
	return "", false
}

func orText(k Kind) Kind {
	if k == "" {
		return KindText
	}
	return k
}

// lenient plans a type met at run time under a kind that a key or an outer tag gave it. Where the type
// cannot hold that kind it is searched as it is.
func (pl *planner) lenient(t reflect.Type, k Kind) (*node, error) {
	n, err := pl.node(t, k)
	if err != nil && k != "" {
		return pl.node(t, "")
	}
	return n, err
}
