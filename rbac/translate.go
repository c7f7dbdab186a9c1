package rbac

import (
	"fmt"
	"math"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// translator turns a checked CEL tree into nodes.
type translator struct {
	lang  *language
	tree  *ast.AST
	parts int // comparisons and what joins them; the items of lists have their own limit

	negated bool // below a ! or in a !=
}

// allowedCall refuses every function and operator whose answer depends on who computes it.
func allowedCall(c ast.CallExpr) error {
	switch c.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In,
		"timestamp", "duration", "within", "shared", "cidr":
		return nil
	case operators.Add, operators.Subtract:
		if len(c.Args()) == 2 && c.Args()[0].Kind() == ast.IdentKind && c.Args()[0].AsIdent() == "now" {
			return nil
		}
		return fmt.Errorf("arithmetic is not allowed, except now plus or minus a duration: each database rounds and overflows in its own way")
	case operators.Multiply, operators.Divide, operators.Modulo, operators.Negate:
		return fmt.Errorf("arithmetic is not allowed: each database rounds and overflows in its own way")
	case operators.Conditional:
		return fmt.Errorf("?: is not allowed: write it with && and ||")
	case "int", "uint", "double", "string", "bytes", "bool", "dyn", "type":
		return fmt.Errorf("the cast %s() is not allowed: databases convert in their own ways", c.FunctionName())
	case "startsWith", "endsWith", "contains", "matches", "size":
		return fmt.Errorf("%s() is not allowed: no database matches text exactly as Go does; compare with == or in", c.FunctionName())
	case "has":
		return fmt.Errorf("has() is not allowed: write row.column != null")
	case operators.Index:
		return fmt.Errorf("indexing with [] is not allowed")
	}
	return fmt.Errorf("the function %s is not allowed: a condition is made of && || ! == != < <= > >= in, within(), shared(), timestamp(), duration() and cidr()", c.FunctionName())
}

func (t *translator) condition(e ast.Expr) (*node, error) {
	t.parts++
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return constant(truth(bool(b))), nil
		}
	case ast.SelectKind:
		o, err := t.operand(e)
		return t.leaf(e, &node{op: opCompare, left: o, right: operand{kind: boolean, val: value{kind: boolean, i: 1}}}), err
	case ast.CallKind:
		return t.call(e, e.AsCall())
	}
	return nil, fmt.Errorf("%s is not a condition", t.source(e))
}

func (t *translator) call(e ast.Expr, c ast.CallExpr) (*node, error) {
	switch c.FunctionName() {
	case operators.LogicalAnd:
		kids, err := t.conditions(c.Args())
		return t.leaf(e, all(kids...)), err
	case operators.LogicalOr:
		kids, err := t.conditions(c.Args())
		return t.leaf(e, anyOf(kids...)), err
	case operators.LogicalNot:
		defer t.inNot()()
		kids, err := t.conditions(c.Args())
		if err != nil {
			return nil, err
		}
		return t.leaf(e, negate(kids[0])), nil
	case operators.NotEquals:
		defer t.inNot()()
		n, err := t.comparison(e, c, eq)
		if err != nil {
			return nil, err
		}
		return t.leaf(e, negate(n)), nil
	case operators.In:
		return t.in(e, c)
	case "within":
		return t.within(e, c)
	case "shared":
		return t.shared(e, c)
	}
	ops := map[string]cmp{operators.Equals: eq, operators.Less: lt, operators.LessEquals: le, operators.Greater: gt, operators.GreaterEquals: ge}
	if op, ok := ops[c.FunctionName()]; ok {
		return t.comparison(e, c, op)
	}
	return nil, fmt.Errorf("%s is not a condition", t.source(e))
}

// inNot marks what is translated before the returned function is called as standing below a negation.
func (t *translator) inNot() func() {
	before := t.negated
	t.negated = true
	return func() { t.negated = before }
}

func (t *translator) conditions(list []ast.Expr) ([]*node, error) {
	var kids []*node
	for _, e := range list {
		n, err := t.condition(e)
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
	}
	return kids, nil
}

func (t *translator) comparison(e ast.Expr, c ast.CallExpr, op cmp) (*node, error) {
	l, r, err := t.pair(c.Args()[0], c.Args()[1])
	if err != nil {
		return nil, err
	}
	if l.from != fromRow && r.from == fromRow {
		l, r, op = r, l, op.flip()
	}
	if l.kind == cell || r.kind == cell {
		return t.sealedTest(e, op, l, r)
	}
	if l.kind == null || r.kind == null {
		return t.isNull(e, l, r)
	}
	switch {
	case l.kind != r.kind || l.kind == texts:
		return nil, fmt.Errorf("%s compares a %s with a %s", t.source(e), l.kind, r.kind)
	case op != eq && l.kind == text:
		return nil, fmt.Errorf("%s orders strings: their order depends on each database's collation; use == or in", t.source(e))
	case l.kind == address:
		return nil, fmt.Errorf(`%s: write env.ip in cidr("10.0.0.0/8")`, t.source(e))
	case op != eq && l.kind == boolean:
		return nil, fmt.Errorf("%s orders true and false; use ==", t.source(e))
	case r.from == fromRow && l.kind == instant:
		return nil, fmt.Errorf("%s compares two time columns: SQLite keeps them as text; compare each with now or timestamp()", t.source(e))
	}
	return t.leaf(e, &node{op: opCompare, cmp: op, left: l, right: r}), nil
}

// isNull translates "row.x == null". On a column that Go cannot see as NULL the test would lie.
func (t *translator) isNull(e ast.Expr, l, r operand) (*node, error) {
	if l.kind == null {
		l, r = r, l
	}
	if r.kind != null || l.from != fromRow || !l.col.nullable {
		return nil, fmt.Errorf("%s is never true: only a column with a pointer or sql.Null type can be null", t.source(e))
	}
	return t.leaf(e, &node{op: opNull, left: l}), nil
}

func (t *translator) in(e ast.Expr, c ast.CallExpr) (*node, error) {
	l, err := t.operand(c.Args()[0])
	if err != nil {
		return nil, err
	}
	if list := c.Args()[1]; list.Kind() == ast.CallKind && list.AsCall().FunctionName() == "cidr" {
		return t.inNetwork(e, l, list.AsCall())
	}
	n := &node{op: opIn, left: l}
	if list := c.Args()[1]; list.Kind() == ast.ListKind {
		for _, item := range list.AsList().Elements() {
			o, err := t.operand(item)
			if err != nil {
				return nil, err
			}
			if o.kind != l.kind && (l.kind != cell || o.kind != text) || o.from == fromRow {
				return nil, fmt.Errorf("%s: an item of the list is not a %s that is known without the row", t.source(e), l.kind)
			}
			n.list = append(n.list, o)
		}
	} else if n.right, err = t.operand(list); err != nil {
		return nil, err
	} else if n.right.kind != texts || l.kind != text && l.kind != cell {
		return nil, fmt.Errorf("%s: looks for a %s in a %s", t.source(e), l.kind, n.right.kind)
	}
	if l.kind == cell {
		return t.sealedIn(e, n)
	}
	if l.kind != text && l.kind != integer {
		return nil, fmt.Errorf("%s: only strings and integers can be looked for in a list", t.source(e))
	}
	return t.leaf(e, n), nil
}

func (t *translator) pair(a, b ast.Expr) (l, r operand, err error) {
	if l, err = t.operand(a); err != nil {
		return
	}
	r, err = t.operand(b)
	return
}

func (t *translator) operand(e ast.Expr) (operand, error) {
	switch e.Kind() {
	case ast.LiteralKind:
		return t.literal(e)
	case ast.IdentKind:
		if e.AsIdent() == "now" {
			return operand{from: fromNow, kind: instant}, nil
		}
	case ast.SelectKind:
		return t.selection(e)
	case ast.CallKind:
		return t.time(e, e.AsCall())
	}
	return operand{}, fmt.Errorf("%s is not a column, an attribute of the caller or a literal", t.source(e))
}

func (t *translator) selection(e ast.Expr) (operand, error) {
	s := e.AsSelect()
	if s.Operand().Kind() == ast.IdentKind && !s.IsTestOnly() {
		switch name := s.FieldName(); s.Operand().AsIdent() {
		case "row":
			c := t.lang.res.byName[name]
			if c.blind != nil {
				c = c.blind
			}
			return operand{from: fromRow, kind: c.kind, col: c}, nil
		case "env":
			return operand{from: fromEnv, kind: envKind(name), name: name}, nil
		case "caller":
			from, ok := map[string]source{"id": fromID, "tenant": fromTenant, "roles": fromRoles}[name]
			if !ok {
				from = fromAttr
			}
			return operand{from: from, kind: t.lang.attrs[name], name: name}, nil
		}
	}
	return operand{}, fmt.Errorf("%s is not a column or an attribute of the caller", t.source(e))
}

func (t *translator) literal(e ast.Expr) (operand, error) {
	var v value
	switch lit := e.AsLiteral().(type) {
	case types.String:
		v = value{kind: text, s: string(lit)}
	case types.Int:
		v = value{kind: integer, i: int64(lit)}
	case types.Bool:
		v = value{kind: boolean, i: bit(bool(lit))}
	case types.Null:
	default:
		return operand{}, fmt.Errorf("%s: literals are strings, integers, true, false and null", t.source(e))
	}
	return operand{kind: v.kind, val: v}, nil
}

// time translates timestamp("..."), and now plus or minus duration("...").
func (t *translator) time(e ast.Expr, c ast.CallExpr) (operand, error) {
	name := c.FunctionName()
	if name == "duration" {
		return t.duration(e, c)
	}
	if name == "timestamp" {
		s, ok := stringArg(c)
		at, err := time.Parse(time.RFC3339, s)
		if !ok || err != nil || at.Nanosecond() != 0 {
			return operand{}, fmt.Errorf("%s: write a time as timestamp(\"2026-01-31T08:00:00Z\"), in whole seconds and with its zone", t.source(e))
		}
		return operand{kind: instant, val: value{kind: instant, i: seconds(at)}}, nil
	}
	if (name == operators.Add || name == operators.Subtract) && c.Args()[1].Kind() == ast.CallKind {
		if d := c.Args()[1].AsCall(); d.FunctionName() == "duration" {
			s, ok := stringArg(d)
			span, err := time.ParseDuration(s)
			if !ok || err != nil || span%time.Second != 0 || span == math.MinInt64 {
				return operand{}, fmt.Errorf("%s: write a duration as duration(\"24h\"), in whole seconds", t.source(e))
			}
			if name == operators.Subtract {
				span = -span
			}
			return operand{from: fromNow, kind: instant, shift: int64(span / time.Second)}, nil
		}
	}
	return operand{}, fmt.Errorf("%s is not a column, an attribute of the caller or a literal", t.source(e))
}

func stringArg(c ast.CallExpr) (string, bool) {
	if len(c.Args()) != 1 || c.Args()[0].Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := c.Args()[0].AsLiteral().(types.String)
	return string(s), ok
}

func (t *translator) leaf(e ast.Expr, n *node) *node {
	n.text = t.source(e)
	return n
}

// source prints a part of the condition as it was written.
func (t *translator) source(e ast.Expr) string {
	s, err := parser.Unparse(e, t.tree.SourceInfo())
	if err != nil {
		return "a part of the condition"
	}
	return s
}
