package rbac

import "gorm.io/gorm/clause"

// The databases, by the names GORM's dialectors give themselves.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
	mysql    = "mysql"
)

// printer writes a folded condition as SQL. Every value is a bound variable. Each database gets the form
// in which its comparison is Go's: byte for byte, in whole seconds, NULL unknown.
type printer struct {
	clause.Builder
	dialect string
	table   string // the name or alias that qualifies columns
	nested  bool   // below OR or NOT
}

func (p *printer) print(n *node) {
	switch n.op {
	case opConst:
		p.text([...]string{"(1 = 0)", "NULL", "(1 = 1)"}[n.truth+1])
	case opNot:
		p.text("(NOT ")
		p.below().print(n.kids[0])
		p.text(")")
	case opAnd:
		p.join(n.kids, " AND ")
	case opOr:
		p.below().join(n.kids, " OR ")
	case opNull:
		p.text("(")
		p.column(n.left.col)
		p.text(" IS NULL)")
	case opShared:
		p.shared(n)
	default:
		p.leaf(n)
	}
}

// below prints what is not a condition that every row must meet.
func (p *printer) below() *printer {
	inner := *p
	inner.nested = true
	return &inner
}

func (p *printer) join(kids []*node, with string) {
	p.text("(")
	for i, kid := range kids {
		if i > 0 {
			p.text(with)
		}
		p.print(kid)
	}
	p.text(")")
}

// leaf prints a comparison. Where Go reads NULL as the zero value, the SQL says so too, in a form that
// leaves an index usable.
func (p *printer) leaf(n *node) {
	if n.right.from == fromRow {
		p.columns(n)
		return
	}
	c := n.left.col
	zero := unknown
	if !c.nullable && !c.strict {
		at := &node{op: n.op, cmp: n.cmp, left: operand{val: c.zero()}, right: n.right, list: n.list}
		zero = at.eval(&env{})
	}
	p.text("(")
	switch n.op {
	case opIn:
		p.in(c, n.list)
	case opWithin:
		p.within(c, n.right.val.s)
	default:
		p.compare(c, n.cmp, n.right.val)
	}
	switch zero {
	case yes:
		p.text(" OR ")
		p.column(c)
		p.text(" IS NULL")
	case no:
		p.text(" AND ")
		p.column(c)
		p.text(" IS NOT NULL")
	}
	p.text(")")
}

func (p *printer) compare(c *column, op cmp, v value) {
	switch c.kind {
	case text:
		p.sameText(c, v)
	case instant:
		p.instant(c, op, v)
	default:
		p.column(c)
		p.text(" " + op.String() + " ")
		p.variable(v)
	}
}

// sameText compares bytes. On MySQL the first half finds rows by the index, whatever its collation, and the
// second drops those that only look alike: other case, accents, trailing spaces.
func (p *printer) sameText(c *column, v value) {
	switch p.dialect {
	case mysql:
		p.column(c)
		p.text(" = ")
		p.variable(v)
		p.text(" AND ")
		p.bytes(c)
		p.text(" = CAST(")
		p.variable(v)
		p.text(" AS BINARY)")
	case sqlite:
		p.column(c)
		p.text(" = ")
		p.variable(v)
		p.text(" COLLATE BINARY")
	default:
		p.column(c)
		p.text(" = ")
		p.variable(v)
	}
}

func (p *printer) in(c *column, list []operand) {
	p.column(c)
	if c.kind == text && p.dialect == sqlite {
		p.text(" COLLATE BINARY")
	}
	p.list(list, "", "")
	if c.kind == text && p.dialect == mysql {
		p.text(" AND ")
		p.bytes(c)
		p.list(list, "CAST(", " AS BINARY)")
	}
}

func (p *printer) list(list []operand, before, after string) {
	p.text(" IN (")
	for i := range list {
		if i > 0 {
			p.text(",")
		}
		p.text(before)
		p.variable(list[i].val)
		p.text(after)
	}
	p.text(")")
}

// instant compares whole seconds: the database's fraction, whatever its precision, is cut off. PostgreSQL
// and MySQL say it as a range, which an index serves. SQLite keeps the text Go's driver wrote, with the
// offset of whoever wrote it, so its seconds must be computed.
func (p *printer) instant(c *column, op cmp, v value) {
	next := value{kind: instant, i: v.i + 1}
	half := func(op string, v value) {
		p.column(c)
		p.text(op)
		p.variable(v)
	}
	if p.dialect == sqlite {
		p.seconds(c)
		p.text(" " + op.String() + " ")
		p.variable(value{kind: integer, i: v.i})
		return
	}
	switch op {
	case eq:
		half(" >= ", v)
		p.text(" AND ")
		half(" < ", next)
	case lt:
		half(" < ", v)
	case le:
		half(" < ", next)
	case gt:
		half(" >= ", next)
	case ge:
		half(" >= ", v)
	}
}

// seconds turns "2026-01-31 08:00:00.123+08:00" into seconds since 1970. The fraction is cut out first:
// strftime would round it up.
func (p *printer) seconds(c *column) {
	p.text("CAST(strftime('%s', substr(")
	p.column(c)
	p.text(", 1, 19) || CASE WHEN length(")
	p.column(c)
	p.text(") > 19 AND substr(")
	p.column(c)
	p.text(", -6, 1) IN ('+', '-') THEN substr(")
	p.column(c)
	p.text(", -6) ELSE '' END) AS INTEGER)")
}

// columns compares two columns of the row.
func (p *printer) columns(n *node) {
	l, r := n.left.col, n.right.col
	p.text("(")
	p.whole(l)
	p.text(" " + n.cmp.String() + " ")
	p.whole(r)
	if l.kind == text && p.dialect == sqlite {
		p.text(" COLLATE BINARY")
	}
	p.text(")")
}

// whole prints a column as Go sees it, NULL included.
func (p *printer) whole(c *column) {
	patch := !c.nullable && !c.strict
	if patch {
		p.text("COALESCE(")
	}
	if c.kind == text && p.dialect == mysql {
		p.bytes(c)
	} else {
		p.column(c)
	}
	if patch {
		p.text(", ")
		p.variable(c.zero())
		p.text(")")
	}
}

func (p *printer) bytes(c *column) {
	p.text("CAST(CONVERT(")
	p.column(c)
	p.text(" USING utf8mb4) AS BINARY)")
}

func (p *printer) column(c *column) { p.WriteQuoted(clause.Column{Table: p.table, Name: c.name}) }

func (p *printer) text(s string) { p.WriteString(s) }

// variable binds v. PostgreSQL would take the type from the column and refuse a number that does not fit it,
// where Go just says "not equal".
func (p *printer) variable(v value) {
	if v.kind == integer && p.dialect == postgres {
		p.text("CAST(")
		p.AddVar(p, v.i)
		p.text(" AS BIGINT)")
		return
	}
	p.AddVar(p, v.bind())
}
