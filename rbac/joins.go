package rbac

import (
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// joined is a guarded table that the statement joins by its association. Rows outside the caller's scope
// join as if they were not there.
type joined struct {
	res   *resource
	alias string
	index int // in Statement.Joins
	on    *clause.Where
	own   *node
}

// scopeJoins adds each guarded association's scope to its ON condition.
func (g *guard) scopeJoins() error {
	stmt := g.db.Statement
	if stmt.Schema == nil {
		return nil
	}
	for i := range stmt.Joins {
		join := &stmt.Joins[i]
		rel := stmt.Schema.Relationships.Relations[join.Name]
		if rel == nil {
			if err := g.nested(join.Name); err != nil {
				return err
			}
			continue
		}
		res := g.a.tables[strings.ToLower(rel.FieldSchema.Table)]
		if res == nil {
			continue
		}
		if join.Expression != nil {
			return refused("the join of %s replaces the whole join clause: give it an On condition instead", join.Name)
		}
		own, err := g.a.scopeFor(stmt.Context, g.snap, &g.who, res, "read")
		if err == nil {
			own, err = g.snap.narrow(stmt.Context, &g.who, own)
		}
		if err != nil {
			return err
		}
		alias := join.Alias
		if alias == "" {
			alias = rel.Name
		}
		on := clause.Where{Exprs: []clause.Expression{g.marked(own.expr(g.db.Dialector.Name(), alias))}}
		if join.On != nil {
			on.Exprs = append(on.Exprs, parenthesized{*join.On})
		}
		g.joins = append(g.joins, joined{res, alias, i, join.On, own.node})
		join.On = &on
	}
	return nil
}

// joinsGuarded reports whether a statement on an open table joins a guarded one by an association.
func (g *guard) joinsGuarded() bool {
	stmt := g.db.Statement
	if stmt.Schema == nil {
		return false
	}
	for _, join := range stmt.Joins {
		relations := stmt.Schema.Relationships.Relations
		for part := range strings.SplitSeq(join.Name, ".") {
			rel := relations[part]
			if rel == nil {
				break
			}
			if g.a.tables[strings.ToLower(rel.FieldSchema.Table)] != nil {
				return true
			}
			relations = rel.FieldSchema.Relationships.Relations
		}
	}
	return false
}

// nested refuses "Manager.Company" if one of its tables is guarded: GORM has one ON for the whole chain.
func (g *guard) nested(name string) error {
	relations := g.db.Statement.Schema.Relationships.Relations
	for part := range strings.SplitSeq(name, ".") {
		var rel *schema.Relationship
		if rel = relations[part]; rel == nil {
			return nil // raw text; the gate reads it
		}
		if g.a.tables[strings.ToLower(rel.FieldSchema.Table)] != nil {
			return refused("the nested join %s reaches the guarded table %s: use Preload", name, rel.FieldSchema.Table)
		}
		relations = rel.FieldSchema.Relationships.Relations
	}
	return nil
}

func (g *guard) restoreJoins() {
	for _, j := range g.joins {
		g.db.Statement.Joins[j.index].On = j.on
	}
}

// parenthesized prints conditions in parentheses of their own.
type parenthesized struct{ clause.Where }

// Build prints the conditions.
func (p parenthesized) Build(b clause.Builder) {
	_, _ = b.WriteString("(")
	p.Where.Build(b)
	_, _ = b.WriteString(")")
}
