package rbac

import (
	"context"
	"fmt"
	"reflect"
	"strings"
)

type narrowKey struct{}

// narrowed is one Narrow, with those around it.
type narrowed struct {
	right  Right
	fields []string
	outer  *narrowed
}

// Narrow returns a context whose statements reach only the rows on which the caller has the rights on each
// of the fields, named "customer.phone". Where a right depends on the row (full on one's own customers, a
// part of the others), a statement that uses the field is refused without it: dropping rows from a list
// because of its order is for the caller of Narrow to decide, not for us. It never widens anything.
func Narrow(ctx context.Context, right Right, fields ...string) context.Context {
	outer, _ := ctx.Value(narrowKey{}).(*narrowed)
	return context.WithValue(ctx, narrowKey{}, &narrowed{right, fields, outer})
}

// narrow applies the context's Narrow to the scope.
func (s *snapshot) narrow(ctx context.Context, who *asker, own scope) (scope, error) {
	n, _ := ctx.Value(narrowKey{}).(*narrowed)
	for ; n != nil; n = n.outer {
		for _, field := range n.fields {
			name, of := strings.CutPrefix(field, own.res.name+".")
			if !of {
				continue
			}
			col := own.res.column(name)
			if col == nil || n.right == 0 || n.right&^allRights != 0 {
				return own, fmt.Errorf("rbac: Narrow(ctx, %v, %q): name rights and a field of %s, which has %s", n.right, field, own.res.name, own.res.columnNames())
			}
			for _, one := range rightNames {
				if n.right&one.right == 0 {
					continue
				}
				rows, err := s.folded(who, own.res, []*node{s.rightRule(who.roles, own.res, col, one.right)})
				if err != nil {
					return own, err
				}
				own = own.also(rows)
			}
		}
	}
	return own, nil
}

// implies reports whether every row on which n is true is one on which m is, as far as their forms show.
// Both are folded.
func (n *node) implies(m *node) bool {
	switch {
	case m.op == opConst:
		return m.truth == yes
	case n.op == opOr:
		return every(n.kids, func(k *node) bool { return k.implies(m) })
	case m.op == opAnd:
		return every(m.kids, n.implies)
	case n.op == opAnd && some(n.kids, func(k *node) bool { return k.implies(m) }):
		return true
	case m.op == opOr:
		return some(m.kids, n.implies)
	}
	return n.op != opConst && reflect.DeepEqual(n, m)
}

func every(kids []*node, f func(*node) bool) bool {
	return !some(kids, func(k *node) bool { return !f(k) })
}

func some(kids []*node, f func(*node) bool) bool {
	for _, k := range kids {
		if f(k) {
			return true
		}
	}
	return false
}
