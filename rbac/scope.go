package rbac

import (
	"gorm.io/gorm/clause"
)

// scope is the rows of a resource on which the caller may do one thing, as a condition.
type scope struct {
	res  *resource
	node *node
}

// scope joins the rules as the engine does: tenant, and any allow, and no deny. It is the same rules,
// compiled into the same nodes, that decide asks one by one.
func (s *snapshot) scope(who *asker, res *resource, action string) (scope, error) {
	var allows, denies []*node
	s.rulesFor(who.roles, res, action, func(r *rule) bool {
		if r.Effect == Allow {
			allows = append(allows, r.cond)
		} else {
			denies = append(denies, r.cond)
		}
		return true
	})
	parts := []*node{anyOf(allows...)}
	if len(denies) > 0 {
		parts = append(parts, negate(anyOf(denies...)))
	}
	return s.folded(who, res, parts)
}

func (s *snapshot) folded(who *asker, res *resource, parts []*node) (scope, error) {
	if res.tenant != nil {
		own := &node{op: opCompare, left: operand{from: fromRow, kind: text, col: res.tenant}, right: operand{from: fromTenant, kind: text}}
		parts = append([]*node{own}, parts...)
	}
	n, err := all(parts...).fold(&env{who: *who})
	return scope{res, n}, err
}

// also narrows the scope by another one of the same resource.
func (s scope) also(other scope) scope { return scope{s.res, all(s.node, other.node)} }

// reads reports whether the scope depends on one of the columns.
func (s scope) reads(names map[string]bool) bool {
	found := false
	s.node.columns(func(c *column) { found = found || names[c.name] })
	return found
}

// expr is the scope as an expression on the table or alias.
func (s scope) expr(dialect, table string) clause.Expression { return scopeExpr{s, dialect, table} }

type scopeExpr struct {
	scope
	dialect string
	table   string
}

func (e scopeExpr) Build(b clause.Builder) {
	p := printer{Builder: b, dialect: e.dialect, table: e.table}
	p.text("(")
	p.print(e.node)
	p.text(")")
}
