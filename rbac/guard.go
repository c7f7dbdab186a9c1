package rbac

import (
	"fmt"
	"log/slog"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// guard accompanies one statement from before it is built until after it ran.
type guard struct {
	a     *Authorizer
	db    *gorm.DB
	op    string
	inner gorm.ConnPool

	res   *resource // nil: the statement's own table is not guarded
	snap  *snapshot
	who   asker
	scope scope
	table string // the name or alias that columns of res are qualified with
	joins []joined

	listed   bool     // the caller wrote the SELECT list
	inserted bool     // we added the WHERE clause
	at, end  int      // where the predicate stands in the SQL,
	tail     int      // and where the caller's conditions end
	ours     []span   // other scopes in the SQL: of joins and upserts
	moved    []string // and those whose place is still to be found
	check    *postCheck
}

// guard returns the callback that runs before GORM's own.
func (a *Authorizer) guard(op string) func(*gorm.DB) {
	return func(db *gorm.DB) {
		if db.Error != nil {
			return
		}
		g := &guard{a: a, db: db, op: op, inner: db.Statement.ConnPool}
		if err := g.prepare(); err != nil {
			g.refuse(err)
			return
		}
		db.Statement.ConnPool = g.gated()
	}
}

// refuse stops the statement. A Row() that stays nil would make its caller panic, so it gets a row that
// holds the error.
func (g *guard) refuse(err error) {
	_ = g.db.AddError(err)
	if rows, ok := g.db.Get("rows"); g.op == "row" && ok && rows == false {
		g.db.Statement.Dest = g.inner.QueryRowContext(refusedContext{g.db.Statement.Context, err}, "SELECT 1")
	}
}

// release takes the guard off the statement, which may be reused under another context.
func release(db *gorm.DB) {
	g := guardOf(db.Statement.ConnPool)
	if g == nil {
		return
	}
	db.Statement.ConnPool = g.inner
	g.restoreWhere()
	g.restoreJoins()
	if g.check != nil {
		if err := g.check.after(db.Error == nil); err != nil {
			_ = db.AddError(err)
		}
	}
}

func (g *guard) prepare() error {
	stmt := g.db.Statement
	raw := g.op == "raw" || stmt.SQL.Len() > 0
	if !raw {
		if err := g.resolve(); err != nil {
			return err
		}
	}
	if sys := systemOf(stmt.Context); sys != nil {
		return g.bySystem(sys)
	}
	if raw || g.res == nil && !g.joinsGuarded() {
		return nil // the gate still looks for guarded tables in the text
	}
	var err error
	if g.snap, err = g.a.current(stmt.Context); err != nil {
		return err
	}
	if g.who, err = g.a.asker(stmt.Context, g.snap); err != nil {
		return fmt.Errorf("%w (table %s)", err, g.label())
	}
	if g.who.shares != nil {
		g.who.shares.pool = g.inner
		g.who.shares.first = g.db.Dialector.Name() == mysql && !g.db.DryRun
	}
	if g.who.index != nil {
		g.who.index.pool = g.inner
	}
	list, written := stmt.Clauses["SELECT"]
	g.listed = len(stmt.Selects) > 0 || written && list.Expression != nil
	if g.res == nil {
		return g.scopeJoins() // an open table that joins a guarded one
	}
	if g.scope, err = g.snap.scope(&g.who, g.res, action(g.op)); err != nil {
		return err
	}
	if g.op == "create" {
		return g.prepareCreate()
	}
	if g.scope, err = g.snap.narrow(stmt.Context, &g.who, g.scope); err != nil {
		return err
	}
	if err := g.a.settleScope(stmt.Context, g.snap, &g.who, g.res, action(g.op), ""); err != nil {
		return err
	}
	return g.prepareWhere()
}

// prepareWhere is for all statements that choose rows.
func (g *guard) prepareWhere() error {
	if err := g.scopeJoins(); err != nil {
		return err
	}
	return g.wrapWhere()
}

// label names the statement's table in messages.
func (g *guard) label() string {
	if g.res != nil {
		return g.res.table
	}
	return g.table
}

// resolve finds the resource whose rows the statement is about, by its table or by its model.
func (g *guard) resolve() error {
	stmt := g.db.Statement
	name := stmt.Table
	g.table = name
	if stmt.TableExpr != nil {
		parts := tableName(stmt.TableExpr.SQL)
		if parts == nil || len(stmt.TableExpr.Vars) > 0 {
			if stmt.Schema != nil && g.a.models[stmt.Schema.ModelType] != nil {
				return refused("Table(...) of the guarded model %s must be a plain table name, with an alias at most", stmt.Schema.Name)
			}
			return nil
		}
		name, g.table = parts[0], parts[1]
	}
	g.res = g.a.tables[strings.ToLower(name)]
	if g.res == nil && stmt.Schema != nil {
		g.res = g.a.models[stmt.Schema.ModelType] // its rows in another table, such as a partition
	}
	return nil
}

// tableName splits "schema.name AS alias" into the name and the alias, or returns nil.
func tableName(expr string) []string {
	var parts []string
	for _, part := range strings.Fields(expr) {
		if len(parts) != 1 || !strings.EqualFold(part, "as") {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 || len(parts) > 2 {
		return nil
	}
	if _, name, qualified := strings.Cut(parts[0], "."); qualified {
		parts[0] = name
	}
	for i, part := range parts {
		if len(part) > 1 && (part[0] == '"' || part[0] == '`') && part[len(part)-1] == part[0] {
			part = part[1 : len(part)-1]
		}
		for j := range len(part) {
			if !inWord(part[j]) {
				return nil
			}
		}
		parts[i] = part
	}
	return []string{parts[0], parts[len(parts)-1]}
}

// bySystem lets the statement pass, once its use is on record.
func (g *guard) bySystem(sys *system) error {
	names := g.a.mentioned(g.db.Statement.SQL.String())
	if g.res != nil {
		names = append(names, g.res.name)
	}
	g.res = nil
	for _, name := range names {
		if err := g.a.recordSystem(g.db, sys, name, g.op); err != nil {
			return err
		}
	}
	g.op = "system"
	return nil
}

func (a *Authorizer) recordSystem(db *gorm.DB, sys *system, resource, op string) error {
	if strings.TrimSpace(sys.reason) == "" {
		return refused("rbac.System needs a reason: it is what the log will say")
	}
	sys.mu.Lock()
	defer sys.mu.Unlock()
	key := a.Name() + " " + resource + " " + op
	if sys.used[key] {
		return nil
	}
	err := a.cfg.Record.RecordApart(db.Statement.Context, "rbac.system", slog.String("resource", resource),
		slog.String("operation", op), slog.String("purpose", sys.reason), slog.String("result", "ok"))
	if err != nil {
		return fmt.Errorf("rbac: the use of System on %s could not be recorded, so it is refused: %w", resource, err)
	}
	sys.used[key] = true
	return nil
}

// where is the clause that GORM and the caller add conditions to, printed behind the predicate.
func (g *guard) wrapWhere() error {
	stmt := g.db.Statement
	c, ok := stmt.Clauses["WHERE"]
	if c.BeforeExpression != nil || c.AfterNameExpression != nil || c.AfterExpression != nil {
		return refused("the WHERE clause on %s carries extra text around it; put it into a condition", g.res.table)
	}
	g.inserted = !ok
	c.Name, c.Builder = "WHERE", g.printWhere
	if c.Expression == nil {
		c.Expression = clause.Where{}
	}
	stmt.Clauses["WHERE"] = c
	return nil
}

func (g *guard) restoreWhere() {
	if g.res == nil || g.op == "create" {
		return
	}
	c := g.db.Statement.Clauses["WHERE"]
	where, _ := c.Expression.(clause.Where)
	if g.inserted && len(where.Exprs) == 0 {
		delete(g.db.Statement.Clauses, "WHERE")
		return
	}
	c.Builder = nil
	g.db.Statement.Clauses["WHERE"] = c
}

// printWhere prints "WHERE (predicate) AND (everything else)". The parentheses are ours, so no Or, newline
// or comment in the caller's text can reach over them; the gate checks that they still match.
func (g *guard) printWhere(c clause.Clause, b clause.Builder) {
	stmt, ok := b.(*gorm.Statement)
	if !ok {
		_ = g.db.AddError(refused("a WHERE clause on %s is built outside its statement", g.res.table))
		return
	}
	if g.op == "update" || g.op == "delete" {
		g.requireConditions(c, stmt)
	}
	_, _ = b.WriteString("WHERE ")
	g.at = stmt.SQL.Len()
	g.scope.expr(stmt.Dialector.Name(), g.table).Build(b)
	g.end = stmt.SQL.Len()
	if where, ok := c.Expression.(clause.Where); !ok || len(where.Exprs) > 0 {
		_, _ = b.WriteString(" AND (")
		c.Expression.Build(b)
		_, _ = b.WriteString(")")
	}
	g.tail = stmt.SQL.Len()
	if g.op == "update" {
		g.preparePostCheck(c, stmt)
	}
}

// requireConditions keeps GORM's own refusal of updates and deletes without conditions, which the
// predicate would otherwise satisfy.
func (g *guard) requireConditions(c clause.Clause, stmt *gorm.Statement) {
	where, _ := c.Expression.(clause.Where)
	own := 0
	if _, soft := stmt.Clauses["soft_delete_enabled"]; soft {
		own = 1
	}
	if len(where.Exprs) <= own && !stmt.AllowGlobalUpdate {
		_ = stmt.AddError(gorm.ErrMissingWhereClause)
	}
}
