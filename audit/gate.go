package audit

import (
	"context"
	"database/sql"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// A watch accompanies one create, update or delete from before GORM builds it
// until it has run.
type watch struct {
	l     *Log
	stmt  *gorm.Statement
	inner gorm.ConnPool
	verb  string
	plan  plan
	ctx   context.Context // the one the statement ran under: other plugins mark it
	ran   bool

	upserts bool     // an insert that changes rows in its way
	updates []string // and which columns of theirs

	set       clause.Set // what the statement writes
	table     string     // as the statement spells it
	from, end int        // its conditions in the SQL, past SET or FROM; end is 0 where nothing follows
	vars      int        // parameters before them

	unmark func(error) error // what is left to do for the triggers
	before *image            // nil: not read
	many   bool              // more rows than Config.MostRows
}

// gate is the connection of the statement under watch: what runs on it is what
// all plugins have made of the statement.
type gate struct {
	gorm.ConnPool
	w *watch
}

// txGate is the gate of a connection inside a transaction, recognisable as one.
type txGate struct {
	*gate
	gorm.TxCommitter
}

func (w *watch) gated() gorm.ConnPool {
	g := &gate{w.inner, w}
	if tx, ok := w.inner.(gorm.TxCommitter); ok {
		return &txGate{g, tx}
	}
	return g
}

func watchOf(pool gorm.ConnPool) *watch {
	switch pool := pool.(type) {
	case *gate:
		return pool.w
	case *txGate:
		return pool.w
	}
	return nil
}

// release takes the gate away again. A plugin that put its own around it finds it
// there, where it lets everything pass.
func (w *watch) release() {
	w.ran = true
	if watchOf(w.stmt.ConnPool) == w {
		w.stmt.ConnPool = w.inner
	}
}

func (g *gate) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if !g.w.mine(query) {
		return g.ConnPool.ExecContext(ctx, query, args...)
	}
	if err := g.w.prepare(ctx); err != nil {
		return nil, err
	}
	end, err := g.w.l.mark(ctx, g.w.stmt.Dialector.Name(), g.ConnPool, &query)
	if err != nil {
		return nil, err
	}
	result, err := g.ConnPool.ExecContext(ctx, query, args...)
	return result, end(err)
}

func (g *gate) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if !g.w.mine(query) {
		return g.ConnPool.QueryContext(ctx, query, args...)
	}
	if err := g.w.prepare(ctx); err != nil {
		return nil, err
	}
	end, err := g.w.l.mark(ctx, g.w.stmt.Dialector.Name(), g.ConnPool, &query)
	if err != nil {
		return nil, err
	}
	rows, err := g.ConnPool.QueryContext(ctx, query, args...)
	if g.w.stmt.Dialector.Name() == "postgres" { // nothing to end, and rows are open
		return rows, err
	}
	g.w.unmark = end
	return rows, err
}

// mine tells the statement under watch from what other plugins and hooks run on
// the same connection.
func (w *watch) mine(query string) bool {
	return !w.ran && w.stmt.SQL.Len() > 0 && w.stmt.SQL.String() == query
}

// prepare runs right before the statement.
func (w *watch) prepare(ctx context.Context) error {
	w.ran, w.ctx = true, ctx
	w.plan.read = w.plan.rules != nil || w.verb != "create" && whereRows(w.stmt) == nil
	return w.readBefore()
}

// listen notes, while GORM builds a statement, which columns it sets and where
// its conditions begin. GORM throws both away before an after-callback could ask.
func listen(db *gorm.DB) {
	around := func(name string, note func(w *watch, c clause.Clause, start, end int)) {
		next := db.ClauseBuilders[name]
		db.ClauseBuilders[name] = func(c clause.Clause, b clause.Builder) {
			stmt, _ := b.(*gorm.Statement)
			start := 0
			if stmt != nil {
				start = stmt.SQL.Len()
			}
			if next != nil {
				next(c, b)
			} else {
				c.Build(b)
			}
			if stmt == nil {
				return
			}
			if w := watchOfStatement(stmt); w != nil {
				note(w, c, start, stmt.SQL.Len())
			}
		}
	}
	around("SET", func(w *watch, c clause.Clause, start, end int) {
		w.set, _ = c.Expression.(clause.Set)
		w.table = strings.TrimSpace(w.stmt.SQL.String()[:start])
		w.from, w.end, w.vars = end, 0, len(w.stmt.Vars)
	})
	around("FROM", func(w *watch, c clause.Clause, start, end int) {
		if w.verb != "delete" || len(w.set) > 0 {
			w.table = "" // UPDATE … FROM another table
			return
		}
		w.table = strings.TrimSpace(w.stmt.SQL.String()[start:end])
		w.from, w.end, w.vars = end, 0, len(w.stmt.Vars)
	})
	around("RETURNING", func(w *watch, _ clause.Clause, start, _ int) { w.end = start })
}

type watchKey struct{}

func watchOfStatement(stmt *gorm.Statement) *watch {
	v, _ := stmt.Settings.Load(watchKey{})
	if w, ok := v.(*watch); ok && w.stmt == stmt {
		return w
	}
	return nil // none, or one that a session copied from another statement
}
