package rbac

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// asked looks at a statement's conditions before privacy rewrites them. A search that a blind index answers in
// part only, or that tokens answer, ends as a list of primary keys: the text no longer says which field it
// was that rows were found by. Whatever the indexes of a sealed field answer is Match.
func (a *Authorizer) asked(op string) func(*gorm.DB) {
	return func(db *gorm.DB) {
		stmt := db.Statement
		if db.Error != nil || stmt.SQL.Len() > 0 || systemOf(stmt.Context) != nil {
			return
		}
		g := &guard{a: a, db: db, op: op}
		if err := g.resolve(); err != nil || g.res == nil && !g.joinsGuarded() {
			return // the guard says it
		}
		names := g.conditions()
		if len(names) == 0 {
			return
		}
		g.snap = a.snap.Load()
		var err error
		if g.who, err = a.asker(stmt.Context, g.snap); err != nil {
			return // likewise
		}
		if g.who.index != nil {
			g.who.index.pool = stmt.ConnPool
		}
		for _, name := range names {
			if err := g.maySearch(name); err != nil {
				_ = db.AddError(err)
				return
			}
		}
	}
}

// maySearch asks for the right to match by a sealed field, in the rows that the statement can reach.
func (g *guard) maySearch(c clause.Column) error {
	res := g.res
	if alias := strings.ToLower(c.Table); alias != "" && alias != strings.ToLower(g.table) && (res == nil || alias != strings.ToLower(res.table)) {
		if res = g.joinedAs(alias); res == nil {
			return nil
		}
	}
	if res == nil {
		return nil
	}
	u := g.who.roles.uses[res][strings.ToLower(c.Name)]
	if u == nil || u.index || !u.col.sealed {
		return nil
	}
	kind := "read"
	if res == g.res {
		kind = action(g.op)
	}
	own, err := g.snap.scope(&g.who, res, kind)
	if err == nil {
		own, err = g.snap.narrow(g.db.Statement.Context, &g.who, own)
	}
	if err != nil {
		return err
	}
	if u.hidden {
		return hiddenColumn(u)
	}
	return g.snap.mayUse(&g.who, u, Match, own.node)
}

// joinedAs finds the guarded table that an association joins under the alias.
func (g *guard) joinedAs(alias string) *resource {
	for _, join := range g.db.Statement.Joins {
		rel := g.db.Statement.Schema.Relationships.Relations[join.Name]
		if rel != nil && (strings.EqualFold(join.Alias, alias) || strings.EqualFold(rel.Name, alias)) {
			return g.a.tables[strings.ToLower(rel.FieldSchema.Table)]
		}
	}
	return nil
}

// conditions returns the columns that WHERE and ON name, where a sealed one could be among them.
func (g *guard) conditions() []clause.Column {
	stmt := g.db.Statement
	var all []clause.Column
	add := func(c clause.Column) {
		if c.Table == clause.CurrentTable {
			c.Table = ""
		}
		all = append(all, c)
	}
	if where, ok := stmt.Clauses["WHERE"].Expression.(clause.Where); ok {
		named(where, add)
	}
	for _, join := range stmt.Joins {
		if join.On != nil {
			named(*join.On, add)
		}
	}
	return all
}

// named calls f for each column that a condition names, and for each word of its text.
func named(e any, f func(clause.Column)) {
	list := func(exprs []clause.Expression) {
		for _, one := range exprs {
			named(one, f)
		}
	}
	switch e := e.(type) {
	case clause.Where:
		list(e.Exprs)
	case clause.AndConditions:
		list(e.Exprs)
	case clause.OrConditions:
		list(e.Exprs)
	case clause.NotConditions:
		list(e.Exprs)
	case clause.Expr:
		namedIn(e.SQL, e.Vars, f)
	case clause.NamedExpr:
		namedIn(e.SQL, e.Vars, f)
	case clause.Column:
		if e.Table == "" {
			namedIn(e.Name, nil, f)
			return
		}
		f(e)
	case string:
		namedIn(e, nil, f)
	default:
		if rv := reflect.ValueOf(e); rv.Kind() == reflect.Struct {
			if column := rv.FieldByName("Column"); column.IsValid() && column.CanInterface() {
				named(column.Interface(), f)
			}
		}
	}
}

func namedIn(text string, vars []any, f func(clause.Column)) {
	for w := range words(text) {
		f(clause.Column{Table: qualifier(text, w.from), Name: text[w.from:w.to]})
	}
	for _, v := range vars {
		if _, value := v.(string); !value {
			named(v, f)
		}
	}
}
