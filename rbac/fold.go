package rbac

import "fmt"

// maxList bounds the caller's own lists: every entry becomes a bound variable of the statement.
const maxList = 5000

// fold replaces all that is known of the caller and the time by constants. What remains speaks of the row
// only.
func (n *node) fold(e *env) (*node, error) {
	switch n.op {
	case opConst:
		return n, nil
	case opNot:
		kid, err := n.kids[0].fold(e)
		if err != nil || kid.op != opConst {
			return negate(kid), err
		}
		return constant(not(kid.truth)), nil
	case opAnd:
		return n.foldKids(e, yes, and)
	case opOr:
		return n.foldKids(e, no, or)
	case opMet:
		return n.foldMet(e), nil
	}
	return n.foldLeaf(e)
}

// foldKids joins what is constant; neutral is what leaves the others as they are.
func (n *node) foldKids(e *env, neutral tri, join func(a, b tri) tri) (*node, error) {
	known, rest := neutral, make([]*node, 0, len(n.kids))
	for _, kid := range n.kids {
		f, err := kid.fold(e)
		if err != nil {
			return nil, err
		}
		if f.op == opConst {
			known = join(known, f.truth)
		} else {
			rest = append(rest, f)
		}
	}
	if known == not(neutral) || len(rest) == 0 {
		return constant(known), nil
	}
	if known == unknown {
		rest = append(rest, constant(unknown))
	}
	if n.op == opAnd {
		return all(rest...), nil
	}
	return anyOf(rest...), nil
}

func (n *node) foldLeaf(e *env) (*node, error) {
	if n.left.from != fromRow && n.right.from != fromRow {
		t := n.eval(e)
		return constant(t), e.err
	}
	switch n.op {
	case opWithin:
		return n.foldWithin(e)
	case opShared:
		return n.foldShared(e)
	case opSealed:
		return n.foldSealed(e)
	}
	f := &node{op: n.op, cmp: n.cmp, left: n.left.fold(e), right: n.right.fold(e)}
	if n.op == opNull {
		return f, nil
	}
	if n.op == opCompare {
		if f.right.from != fromRow && f.right.val.kind == null {
			f = constant(unknown)
		}
		return f, e.err
	}
	return f.foldIn(n, e)
}

func (f *node) foldIn(n *node, e *env) (*node, error) {
	missing := n.right.kind == texts && f.right.val.kind == null
	for _, s := range f.right.val.list {
		f.list = append(f.list, operand{kind: text, val: value{kind: text, s: s}})
	}
	for i := range n.list {
		item := n.list[i].fold(e)
		if item.val.kind == null {
			missing = true
		} else {
			f.list = append(f.list, item)
		}
	}
	if len(f.list) > maxList {
		return nil, tooLong(len(f.list))
	}
	f.right = operand{}
	switch {
	case len(f.list) == 0:
		return constant(min(unknown, truth(missing))), e.err
	case missing:
		return anyOf(f, constant(unknown)), e.err
	}
	return f, e.err
}

func (o operand) fold(e *env) operand {
	if o.from == fromRow {
		return o
	}
	return operand{kind: o.kind, val: o.get(e)}
}

func tooLong(n int) error {
	return fmt.Errorf("rbac: a list of the caller has %d entries; more than %d need a column on the row instead", n, maxList)
}
