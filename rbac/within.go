package rbac

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
)

// within(row.dept_path, caller.dept_path) holds where the row's path is the caller's, or lies below it. A
// path is a chain of names with "/" between them, with or without one at its end: "/1/12" is within "/1"
// and within "/1/", and not within "/1/1". "/" alone is above every path that begins with "/". The empty
// path, and one with an empty name at its end ("//"), is no path: nothing is known to be within it.

func (t *translator) within(e ast.Expr, c ast.CallExpr) (*node, error) {
	l, r, err := t.pair(c.Args()[0], c.Args()[1])
	if err != nil {
		return nil, err
	}
	if l.kind == cell {
		return nil, onlyEqual(l.col)
	}
	if r.kind == cell {
		return nil, onlyEqual(r.col)
	}
	if l.kind != text || r.kind != text && r.kind != texts {
		return nil, fmt.Errorf("%s looks for a %s below a %s; within(path, above) takes a string and a string or []string", t.source(e), l.kind, r.kind)
	}
	if r.from == fromRow {
		return nil, fmt.Errorf("%s: the path above must be known without the row: an attribute of the caller or a literal", t.source(e))
	}
	if r.from == fromLiteral {
		if _, ok := pathBase(r.val.s); !ok {
			return nil, fmt.Errorf("%s: %q is not a path such as \"/1/12\"", t.source(e), r.val.s)
		}
	}
	return t.leaf(e, &node{op: opWithin, left: l, right: r}), nil
}

// pathBase takes the separator off the end of a path; ok is false for what is no path.
func pathBase(path string) (base string, ok bool) {
	base = strings.TrimSuffix(path, "/")
	return base, path != "" && !strings.HasSuffix(base, "/") && utf8.ValidString(path) && !strings.Contains(path, "\x00")
}

func (n *node) within(e *env) tri {
	l, r := n.left.get(e), n.right.get(e)
	if r.kind == null {
		return unknown
	}
	if r.kind == text {
		return below(l, r.s)
	}
	t := no
	for _, path := range r.list {
		t = or(t, below(l, path))
	}
	return t
}

func below(v value, path string) tri {
	base, ok := pathBase(path)
	if !ok || v.kind == null {
		return unknown
	}
	rest, under := strings.CutPrefix(v.s, base)
	return truth(under && (rest == "" && base != "" || strings.HasPrefix(rest, "/")))
}

// foldWithin makes one leaf of each of the caller's paths.
func (n *node) foldWithin(e *env) (*node, error) {
	r := n.right.get(e)
	paths := r.list
	if r.kind == text {
		paths = []string{r.s}
	}
	if len(paths) > maxList {
		return nil, tooLong(len(paths))
	}
	var kids []*node
	missing := r.kind == null
	for _, path := range paths {
		if _, ok := pathBase(path); !ok {
			missing = true
			continue
		}
		kids = append(kids, &node{op: opWithin, left: n.left, right: operand{kind: text, val: value{kind: text, s: path}}})
	}
	if missing {
		kids = append(kids, constant(unknown))
	}
	if len(kids) == 0 {
		return constant(no), nil
	}
	return anyOf(kids...), e.err
}

// within prints the path itself and a range of all that begins with it and the separator, which an index
// serves. Bytes order that way on SQLite, and PostgreSQL's starts_with is such a range on an index that is
// COLLATE "C" or text_pattern_ops. Both forms are such that the planner's guess of the rows is as good as for the
// condition one would write by hand. MySQL's collations may see other text in the range, so the exact test
// stands behind it.
func (p *printer) within(c *column, path string) {
	base, _ := pathBase(path)
	with := base + "/"
	switch p.dialect {
	case sqlite:
		from := base
		if base == "" {
			from = with // the empty path is not within the root
		}
		p.bound(c, " >= ", from, " COLLATE BINARY AND ")
		p.bound(c, " < ", base+"0", " COLLATE BINARY") // "0" comes after "/"
		if base != "" {
			p.text(" AND (")
			p.bound(c, " >= ", with, " COLLATE BINARY OR ")
			p.bound(c, " = ", base, " COLLATE BINARY)")
		}
	case mysql:
		p.mysqlWithin(c, base)
	default:
		p.text("(")
		if base != "" {
			p.bound(c, " = ", base, " OR ")
		}
		p.text("starts_with(")
		p.bound(c, ", ", with, "))")
	}
}

// mysqlWithin bounds the range by the path and by the path with a "0" behind it, so that it holds whatever a
// collation makes of what stands behind the separator.
func (p *printer) mysqlWithin(c *column, base string) {
	from, with := base, base+"/"
	if base == "" {
		from = with
	}
	p.bound(c, " >= ", from, " AND ")
	p.bound(c, " < ", base+"0", " AND CAST(CONVERT(LEFT(")
	if base == "" {
		p.column(c)
	} else {
		p.text("CONCAT(") // the separator behind the column, so that a path is within itself
		p.column(c)
		p.text(", '/')")
	}
	p.text(", " + strconv.Itoa(utf8.RuneCountInString(with)) + ") USING utf8mb4) AS BINARY) = CAST(")
	p.AddVar(p, with)
	p.text(" AS BINARY)")
}

func (p *printer) bound(c *column, op, path, then string) {
	p.column(c)
	p.text(op)
	p.AddVar(p, path)
	p.text(then)
}
