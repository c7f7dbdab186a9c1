package rbac

import (
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/rbac/internal/passage"
)

// prepareCreate checks every new row against the create rule before anything is written. A value that only
// the database can compute is unknown, and unknown is denied.
func (g *guard) prepareCreate() error {
	stmt := g.db.Statement
	if insert, ok := stmt.Clauses["INSERT"].Expression.(clause.Insert); ok && strings.Contains(strings.ToUpper(insert.Modifier), "REPLACE") {
		return refused("INSERT OR REPLACE on %s would delete rows unseen: use clause.OnConflict", g.res.table)
	}
	values, conflict := g.newValues()
	if g.db.Error != nil {
		return nil // an empty slice and the like: GORM reports it
	}
	upsert := false
	if c, ok := stmt.Clauses["ON CONFLICT"]; ok {
		if conflict == nil || c.BeforeExpression != nil || c.AfterNameExpression != nil || c.AfterExpression != nil {
			return refused("ON CONFLICT on %s is raw text: use clause.OnConflict", g.res.table)
		}
		if err := g.mayConflict(conflict); err != nil {
			return err
		}
		upsert = !conflict.DoNothing && (conflict.UpdateAll || len(conflict.DoUpdates) > 0)
	}
	for i := range values.Values {
		if err := g.allowNew(values, i, "create"); err != nil {
			return err
		}
		if upsert {
			if err := g.allowNew(values, i, "update"); err != nil {
				return err
			}
		}
	}
	if upsert {
		return g.prepareUpsert(values)
	}
	return nil
}

// newValues computes what GORM is about to insert, and its ON CONFLICT clause, and leaves no trace in the
// statement: GORM computes it again.
func (g *guard) newValues() (clause.Values, *clause.OnConflict) {
	stmt := g.db.Statement
	before, has := stmt.Clauses["ON CONFLICT"]
	track, tracked := stmt.Get("gorm:update_track_time")
	values := callbacks.ConvertToCreateValues(stmt)
	after, ok := stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if has {
		stmt.Clauses["ON CONFLICT"] = before
	}
	if tracked {
		stmt.Settings.Store("gorm:update_track_time", track)
	}
	if !ok {
		return values, nil
	}
	return values, &after
}

// allowNew decides about row i of the values.
func (g *guard) allowNew(values clause.Values, i int, action string) error {
	vals, unsure := g.rowValues(values, values.Values[i])
	e := env{who: g.who, vals: vals}
	ok, by := g.snap.decide(&e, g.res, action)
	if e.err != nil {
		return e.err
	}
	if ok {
		return g.a.settleRow(g.db.Statement.Context, g.snap, &e, g.res, action)
	}
	if m := g.snap.missing(&e, g.res, action); m != nil && by == nil && unsure == "" {
		return g.a.required(g.db.Statement.Context, m, "")
	}
	d := g.snap.denial(g.res, action, by)
	if unsure != "" {
		d.Detail = fmt.Sprintf("no rule allows it without knowing %s, which the database would compute", unsure)
	}
	if g.res.tenant != nil && vals[g.res.tenant.index].s != g.who.Tenant {
		d.Detail = fmt.Sprintf("%s is not the caller's tenant", g.res.tenant.name)
	}
	return g.a.denied(g.db.Statement.Context, d, "")
}

// rowValues brings the values of one new row into the order of the columns. Columns that are not inserted
// hold their default.
func (g *guard) rowValues(values clause.Values, row []any) (vals []value, unsure string) {
	given := map[*column]any{}
	for j, c := range values.Columns {
		if col := g.res.column(c.Name); col != nil && j < len(row) {
			given[col] = row[j]
		}
	}
	vals = make([]value, len(g.res.columns))
	for i, col := range g.res.columns {
		v, inserted := given[col]
		ok := true
		switch {
		case inserted:
			vals[i], ok = col.convert(v)
		case col.field.DefaultValueInterface != nil:
			vals[i], ok = col.convert(col.field.DefaultValueInterface)
		case col.field.HasDefaultValue:
			ok = false
		default:
			vals[i] = col.zero()
		}
		if !ok && g.scope.reads(map[string]bool{col.name: true}) {
			unsure = col.name
		}
	}
	return vals, unsure
}

// bare returns a statement on the same connection that no callback sees.
func (g *guard) bare() *gorm.Statement {
	stmt := g.db.Statement
	return &gorm.Statement{
		DB: g.db, Context: passage.With(stmt.Context, ""), ConnPool: g.inner, Table: stmt.Table, TableExpr: stmt.TableExpr,
		Schema: stmt.Schema, Clauses: map[string]clause.Clause{},
	}
}
