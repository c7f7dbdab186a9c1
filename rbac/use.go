package rbac

import (
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// columns refuses each use of a column for which the caller lacks the right: as a condition, an order, a
// group or an expression it would tell what View keeps back.
func (v *inspection) columns() error {
	if len(v.who.roles.uses[v.res]) == 0 && len(v.joins) == 0 {
		return nil
	}
	free := v.ownText()
	v.around = []level{{open: -1}}
	for i, t := range v.tokens {
		v.step(i)
		if t.from < free || v.printed(t.span) || v.op == "create" && v.assigns(i) {
			continue
		}
		if v.op == "update" && t.from < v.at && v.assigns(i) {
			continue
		}
		word := v.word(i)
		if word == "*" && v.word(i-1) == "." && (t.from > v.at || !v.wholeRow(i)) {
			return refused("%s.* inside an expression on %s: some of its columns are hidden or masked", v.word(i-2), v.label())
		}
		if t.depth == 0 && word[0] >= '0' && word[0] <= '9' && v.ordering() && v.is(i-1, "BY", ",") {
			return refused("a column number in ORDER BY or GROUP BY on %s: write the column's name", v.label())
		}
		if err := v.names(i, t); err != nil {
			return err
		}
	}
	return nil
}

// names checks each word of a token; a string may be a column's name on SQLite and MySQL.
func (v *inspection) names(i int, t token) error {
	for w := range words(v.query[t.from:t.to]) {
		name := strings.ToLower(v.query[t.from+w.from : t.from+w.to])
		of := qualifier(v.query, t.from+w.from)
		if u := v.who.roles.uses[v.res][name]; u != nil && (of == "" || strings.EqualFold(of, v.table)) {
			within := v.scope.node
			if v.op == "create" {
				within = nil // what an upsert hits is another row than the new one
			}
			if err := v.use(i, u, within); err != nil {
				return err
			}
		}
		for _, j := range v.joins {
			if u := v.who.roles.uses[j.res][name]; u != nil && (of == "" || strings.EqualFold(of, j.alias)) && !v.joinedPlain(i, j.alias, name) {
				if err := v.use(i, u, j.own); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// use asks for the rights that the use at token i needs.
func (v *inspection) use(i int, u *fieldUse, within *node) error {
	if u.hidden {
		return hiddenColumn(u)
	}
	if v.is(i-1, "AS") {
		return nil // a name for something else
	}
	needs, form := v.needs(i)
	if u.unseen && form != usedForm {
		return hiddenColumn(u)
	}
	if form == wholeForm {
		return v.snap.mayUse(&v.who, u, 0, within)
	}
	for _, one := range rightNames {
		if needs&one.right == 0 {
			continue
		}
		if err := v.snap.mayUse(&v.who, u, one.right, within); err != nil {
			return err
		}
	}
	return nil
}

func hiddenColumn(u *fieldUse) error {
	return refused("the column %s of %s is hidden from the caller, so no condition, order or expression may use it", u.name, u.res.name)
}

// mayConflict asks for the right to match by the columns that an upsert finds its rows by, which MySQL's
// clause does not name.
func (g *guard) mayConflict(on *clause.OnConflict) error {
	for _, c := range on.Columns {
		u := g.who.roles.uses[g.res][strings.ToLower(c.Name)]
		if u == nil {
			continue
		}
		if err := g.snap.mayUse(&g.who, u, Match, nil); err != nil {
			return err
		}
	}
	return nil
}

// printed reports whether a word or token is part of a scope that we printed.
func (v *inspection) printed(t span) bool {
	if t.from >= v.at && t.from < v.end {
		return true
	}
	for _, s := range v.ours {
		if t.from >= s.from && t.from < s.to {
			return true
		}
	}
	return false
}

// findMoved finds the place of each scope that was built apart: once, and in order. Text of the caller's that
// looks like one and stands before it takes its place, and then it is the scope itself that is looked at.
func (v *inspection) findMoved() error {
	next := 0
	for _, text := range v.moved {
		scope, err := tokenize(text, v.db.Dialector.Name())
		if err != nil {
			return err
		}
		for i := next; i+len(scope) <= len(v.tokens); i++ {
			if v.same(i, text, scope) {
				next = i + len(scope)
				v.ours = append(v.ours, span{v.tokens[i].from, v.tokens[next-1].to})
				break
			}
		}
	}
	return nil
}

// same compares tokens, but for the numbers of variables.
func (v *inspection) same(i int, text string, scope []token) bool {
	for k, t := range scope {
		if v.word(i+k) != text[t.from:t.to] && (k == 0 || v.word(i+k-1) != "$") {
			return false
		}
	}
	return len(scope) > 0
}

// wholeRow reports whether token i is the * of a plain "table.*" in the SELECT list.
func (v *inspection) wholeRow(i int) bool {
	return v.tokens[i].depth == 0 && v.is(i-3, "SELECT", ",") && v.is(i+1, ",", "FROM")
}

// joinedPlain reports whether token i stands in GORM's own list of a joined table's columns:
// "Owner"."phone" AS "Owner__phone".
func (v *inspection) joinedPlain(i int, alias, name string) bool {
	return v.tokens[i].depth == 0 && v.listing() && v.is(i-3, "SELECT", ",") && v.is(i+1, "AS") &&
		strings.EqualFold(strings.Trim(v.word(i+2), "\"`"), alias+"__"+name) && v.is(i+3, ",", "FROM")
}

// marked is an expression of ours whose place in the SQL the inspection must know.
func (g *guard) marked(e clause.Expression) clause.Expression { return marked{g, e} }

type marked struct {
	guard *guard
	inner clause.Expression
}

func (m marked) Build(b clause.Builder) {
	stmt, ok := b.(*gorm.Statement)
	if !ok {
		m.inner.Build(b) // and be looked at like anything else
		return
	}
	from := stmt.SQL.Len()
	m.inner.Build(b)
	if stmt == m.guard.db.Statement {
		m.guard.ours = append(m.guard.ours, span{from, stmt.SQL.Len()})
		return
	}
	m.guard.moved = append(m.guard.moved, stmt.SQL.String()[from:]) // an ON, which GORM builds apart
}
