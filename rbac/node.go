package rbac

import (
	"net/netip"
	"reflect"
)

// A node is one checked condition. The same tree answers in Go (eval) and in SQL (render), so there is one
// semantics: Kleene's, in which a comparison with NULL is unknown. Nodes never change once built.
type node struct {
	op      op
	truth   tri           // opConst
	kids    []*node       // opAnd, opOr, opNot
	cmp     cmp           // opCompare
	left    operand       // opCompare, opIn, opNull
	right   operand       // opCompare, and opIn if it is the caller's list
	list    []operand     // opIn
	share   *shareTest    // opShared
	must    *obligation   // opMet
	network *netip.Prefix // opNetwork
	text    string        // the condition as written, for explanations
}

type op uint8

const (
	opConst op = iota
	opAnd
	opOr
	opNot
	opCompare
	opIn
	opNull
	opWithin
	opShared
	opNetwork
	opMet
	opSealed
)

type cmp uint8

const (
	eq cmp = iota
	lt
	le
	gt
	ge
)

func (c cmp) String() string { return [...]string{"=", "<", "<=", ">", ">="}[c] }

// flip returns the comparison with its sides exchanged.
func (c cmp) flip() cmp { return [...]cmp{eq, gt, ge, lt, le}[c] }

func (c cmp) holds(order int) bool {
	switch c {
	case eq:
		return order == 0
	case lt:
		return order < 0
	case le:
		return order <= 0
	case gt:
		return order > 0
	}
	return order >= 0
}

// operand is one side of a comparison.
type operand struct {
	from  source
	kind  kind
	val   value   // fromLiteral
	col   *column // fromRow
	name  string  // fromAttr, fromEnv
	shift int64   // fromNow: seconds to add
}

type source uint8

const (
	fromLiteral source = iota
	fromRow
	fromID
	fromTenant
	fromRoles
	fromAttr
	fromNow
	fromEnv
)

func constant(t tri) *node { return &node{op: opConst, truth: t} }

// all, any and none build and, or and "not any" nodes without nesting them needlessly.
func all(kids ...*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{op: opAnd, kids: kids, truth: yes}
}

func anyOf(kids ...*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{op: opOr, kids: kids}
}

func negate(n *node) *node { return &node{op: opNot, kids: []*node{n}} }

// columns calls f for every column the condition reads.
func (n *node) columns(f func(*column)) {
	for _, kid := range n.kids {
		kid.columns(f)
	}
	for _, o := range [...]operand{n.left, n.right} {
		if o.col != nil {
			f(o.col)
		}
	}
}

// env is what a condition is evaluated against.
type env struct {
	who  asker
	row  reflect.Value // a model struct,
	vals []value       // or the values of its columns
	err  error         // the first broken attribute
}

func (n *node) eval(e *env) tri {
	switch n.op {
	case opConst:
		return n.truth
	case opAnd:
		t := yes
		for _, kid := range n.kids {
			if t = and(t, kid.eval(e)); t == no {
				break
			}
		}
		return t
	case opOr:
		t := no
		for _, kid := range n.kids {
			if t = or(t, kid.eval(e)); t == yes {
				break
			}
		}
		return t
	case opNot:
		return not(n.kids[0].eval(e))
	case opCompare:
		return n.compare(e)
	case opIn:
		return n.in(e)
	case opWithin:
		return n.within(e)
	case opShared:
		return n.shared(e)
	case opNetwork:
		return n.inNetwork(e)
	case opMet:
		return n.met(e)
	case opSealed:
		return n.sealed(e)
	}
	return truth(n.left.get(e).kind == null)
}

func (n *node) compare(e *env) tri {
	if n.cmp == eq && n.left.kind == text && n.right.kind == text {
		l, lok := n.left.getText(e)
		r, rok := n.right.getText(e)
		if !lok || !rok {
			return unknown
		}
		return truth(l == r)
	}
	l, r := n.left.get(e), n.right.get(e)
	if l.kind == null || r.kind == null {
		return unknown
	}
	return truth(n.cmp.holds(compare(l, r)))
}

// in is a chain of or-ed equalities, so an empty list is false whatever is looked for.
func (n *node) in(e *env) tri {
	l := n.left.get(e)
	if n.right.kind == texts {
		r := n.right.get(e)
		if r.kind == null {
			return unknown
		}
		for _, s := range r.list {
			if l.kind != null && l.s == s {
				return yes
			}
		}
		return emptyOr(len(r.list), l)
	}
	t := no
	for i := range n.list {
		item := n.list[i].get(e)
		if l.kind == null || item.kind == null {
			t = or(t, unknown)
		} else if compare(l, item) == 0 {
			return yes
		}
	}
	return t
}

func emptyOr(n int, l value) tri {
	if n > 0 && l.kind == null {
		return unknown
	}
	return no
}

// getText is get for the commonest kind, without moving a whole value about. It is false for NULL.
func (o *operand) getText(e *env) (string, bool) {
	switch {
	case o.from == fromID:
		return e.who.ID, true
	case o.from == fromTenant:
		return e.who.Tenant, true
	case o.from == fromRow && e.vals == nil && o.col.text != nil:
		return o.col.text(e.row), true
	}
	v := o.get(e)
	return v.s, v.kind != null
}

func (o *operand) get(e *env) value {
	switch o.from {
	case fromLiteral:
		return o.val
	case fromRow:
		if e.vals != nil {
			return e.vals[o.col.index]
		}
		return o.col.read(e.row)
	case fromID:
		return value{kind: text, s: e.who.ID}
	case fromTenant:
		return value{kind: text, s: e.who.Tenant}
	case fromRoles:
		return value{kind: texts, list: e.who.roles.names}
	case fromNow:
		return value{kind: instant, i: e.who.now + o.shift}
	case fromEnv:
		return e.getEnv(o.name)
	}
	v, err := e.who.attr(o.name, o.kind)
	if err != nil && e.err == nil {
		e.err = err
	}
	return v
}
