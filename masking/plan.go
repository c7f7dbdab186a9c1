package masking

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Plan masks values of one type by their tags. Making it checks the tags; using it does not look at them
// again. A plan may be used by many goroutines.
type Plan[T any] struct {
	policy Policy
	root   *node
	types  *planner
}

// NewPlan reads the tags of T. An unknown kind or a field that cannot hold a mask is an error.
//
//	Phone string            `mask:"phone"`
//	Tags  map[string]string `mask:"text"` // keys and values
//	Order string            `mask:"-"`    // not personal: left alone
//
// A string without a tag is searched as free text.
func NewPlan[T any](p Policy) (*Plan[T], error) {
	types := &planner{}
	root, err := types.node(reflect.TypeFor[T](), "")
	if err != nil {
		return nil, err
	}
	return &Plan[T]{policy: p, root: root, types: types}, nil
}

// Copy returns v as the caller in ctx may see it. v is not changed. After an error the result is zero.
func (pl *Plan[T]) Copy(ctx context.Context, v T) (T, error) {
	return pl.at(v, pl.policy.level(ctx))
}

func (pl *Plan[T]) at(v T, l Level) (T, error) {
	var zero T
	if l == Full {
		return v, nil
	}
	run := copying{policy: pl.policy, level: l, types: pl.types}
	if err := run.run(pl.root, reflect.ValueOf(&v).Elem()); err != nil {
		return zero, err
	}
	return v, nil
}

// Copy returns v with every tagged field masked at level l. Use NewPlan where it is called often.
func Copy[T any](v T, l Level) (T, error) {
	pl, err := NewPlan[T](Policy{})
	if err != nil {
		var zero T
		return zero, err
	}
	return pl.at(v, l)
}

// node is what to do with one type under one tag.
type node struct {
	do     action
	kind   Kind // "" without a tag
	elem   *node
	key    *node
	fields []fieldNode
}

type fieldNode struct {
	index int
	node  *node
}

type action uint8

const (
	leave action = iota
	maskString
	maskBytes
	maskStruct
	maskPointer
	maskSlice
	maskArray
	maskMap
	maskAny
)

// planner makes nodes and remembers them, so that recursive types end.
type planner struct {
	mu   sync.RWMutex
	made map[nodeKey]*node
}

type nodeKey struct {
	typ  reflect.Type
	kind Kind
}

const skipKind Kind = "-"

func (pl *planner) node(t reflect.Type, k Kind) (*node, error) {
	key := nodeKey{t, k}
	pl.mu.RLock()
	n := pl.made[key]
	pl.mu.RUnlock()
	if n != nil {
		return n, nil
	}
	pl.mu.Lock()
	defer pl.mu.Unlock()
	work := planning{made: map[nodeKey]*node{}, known: pl.made}
	n = work.node(t, k, t.String())
	if len(work.problems) > 0 {
		return nil, errors.Join(work.problems...)
	}
	if pl.made == nil {
		pl.made = map[nodeKey]*node{}
	}
	for key, n := range work.made {
		pl.made[key] = n
	}
	return n, nil
}

// planning is one walk over a type. Its problems name type and field, never a value.
type planning struct {
	made, known map[nodeKey]*node
	problems    []error
	untagged    func(path string, f reflect.StructField)
}

var (
	maskerType = reflect.TypeFor[Masker]()
	errorType  = reflect.TypeFor[error]()
)

func (w *planning) node(t reflect.Type, k Kind, path string) *node {
	key := nodeKey{t, k}
	if n := w.made[key]; n != nil {
		return n
	}
	if n := w.known[key]; n != nil {
		return n
	}
	n := &node{kind: k}
	w.made[key] = n
	if k == skipKind || t.Kind() != reflect.Interface && (t.Implements(maskerType) || reflect.PointerTo(t).Implements(maskerType)) {
		return n // a Masker shows itself
	}
	w.fill(n, t, path)
	return n
}

func (w *planning) fill(n *node, t reflect.Type, path string) {
	switch t.Kind() {
	case reflect.String:
		n.do = maskString
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			n.do = maskBytes
			return
		}
		n.do = maskSlice // before its parts, which may lead back here
		n.elem = w.node(t.Elem(), n.kind, path)
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			w.cannot(n, path, t)
			return
		}
		n.do = maskArray
		n.elem = w.node(t.Elem(), n.kind, path)
	case reflect.Pointer:
		n.do = maskPointer
		n.elem = w.node(t.Elem(), n.kind, path)
	case reflect.Map:
		n.do = maskMap
		n.elem = w.node(t.Elem(), n.kind, path)
		if t.Key().Kind() == reflect.String {
			n.key = w.node(t.Key(), keyKind(n.kind), path)
		}
	case reflect.Interface:
		n.do = maskAny
	case reflect.Struct:
		w.fillStruct(n, t, path)
	default:
		w.cannot(n, path, t)
	}
}

// keyKind: the keys of a map are masked only where its tag says text, or where they look personal.
func keyKind(k Kind) Kind {
	if k == KindText {
		return k
	}
	return ""
}

func (w *planning) cannot(n *node, path string, t reflect.Type) {
	n.do = leave
	if n.kind != "" && n.kind != skipKind {
		w.problems = append(w.problems, fmt.Errorf(
			"masking: %s: %w: a %s has no masked form; make it a string, or tag it mask:\"-\"", path, ErrField, t))
	}
}

func (w *planning) fillStruct(n *node, t reflect.Type, path string) {
	n.do = maskStruct
	tagged := 0
	for i := range t.NumField() {
		f := t.Field(i)
		tag, has := f.Tag.Lookup("mask")
		where := path + "." + f.Name
		if !f.IsExported() && !(f.Anonymous && f.Type.Kind() == reflect.Struct) {
			if hidden := f.Anonymous && f.Type.Kind() == reflect.Pointer && w.node(f.Type, n.kind, where).do != leave; tag != string(skipKind) && (has || hidden) {
				w.problems = append(w.problems, fmt.Errorf("masking: %s: %w: export the field or remove its tag", where, ErrField))
			}
			continue
		}
		k := Kind(tag)
		if !has {
			if n.kind != "" && f.Type.Kind() == reflect.Bool {
				continue // sql.NullString.Valid says nothing
			}
			k = n.kind
			if w.untagged != nil && k == "" {
				w.untagged(where, f)
			}
		} else if tag != string(skipKind) {
			var err error
			if k, err = ParseKind(strings.TrimSpace(tag)); err != nil {
				w.problems = append(w.problems, fmt.Errorf("%s: %w", where, err))
				continue
			}
		}
		child := w.node(f.Type, k, where)
		if child.do != leave {
			tagged++
			n.fields = append(n.fields, fieldNode{i, child})
		}
	}
	if tagged == 0 {
		if n.kind != "" && t.NumField() > 0 {
			w.cannot(n, path, t)
		}
		n.do = leave
	}
}
