package rbac

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/confide-go/confide/rbac/internal/passage"
)

// gate is the connection a guarded statement is executed on. It reads the SQL as it is about to run, so
// that nothing another plugin, clause or hook did to the statement goes unseen.
type gate struct {
	gorm.ConnPool
	guard *guard
}

// txGate is the gate of a connection inside a transaction, and recognisable as one: GORM and other
// plugins ask a statement's connection whether it can commit.
type txGate struct {
	*gate
	gorm.TxCommitter
}

// gated returns the connection behind the gate.
func (g *guard) gated() gorm.ConnPool {
	pool := &gate{ConnPool: g.inner, guard: g}
	if tx, ok := g.inner.(gorm.TxCommitter); ok {
		return &txGate{pool, tx}
	}
	return pool
}

// guardOf returns the guard whose gate a connection is, or nil.
func guardOf(pool gorm.ConnPool) *guard {
	switch pool := pool.(type) {
	case *gate:
		return pool.guard
	case *txGate:
		return pool.guard
	}
	return nil
}

// ExecContext runs a statement that the guard lets pass.
func (g *gate) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := g.guard.pass(query); err != nil {
		return nil, err
	}
	return g.ConnPool.ExecContext(g.guard.passed(ctx), query, args...)
}

// QueryContext runs a query that the guard lets pass.
func (g *gate) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := g.guard.pass(query); err != nil {
		return nil, err
	}
	return g.ConnPool.QueryContext(g.guard.passed(ctx), query, args...)
}

// QueryRowContext runs a query that the guard lets pass; the row holds the error of one that it does not.
func (g *gate) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := g.guard.pass(query); err != nil {
		ctx = refusedContext{ctx, err}
	}
	return g.ConnPool.QueryRowContext(g.guard.passed(ctx), query, args...)
}

// refusedContext is over before it began: database/sql returns its error without asking the database.
type refusedContext struct {
	context.Context
	err error
}

func (c refusedContext) Err() error { return c.err }

func (c refusedContext) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// passed tells those who watch the connection that the statement came through the guard.
func (g *guard) passed(ctx context.Context) context.Context {
	if g.op == "system" {
		return passage.With(ctx, systemOf(g.db.Statement.Context).reason)
	}
	if g.res == nil && len(g.joins) == 0 {
		return ctx
	}
	return passage.With(ctx, "")
}

// pass is the last look.
func (g *guard) pass(query string) error {
	if g.op == "system" {
		return nil
	}
	if g.res == nil && len(g.joins) == 0 {
		return g.a.unmentioned(query)
	}
	if err := g.inspect(query); err != nil {
		return err
	}
	if g.check != nil {
		return g.check.before()
	}
	return nil
}

// unmentioned refuses text that names a guarded table, wherever in it: in a subquery, a join, a comment.
func (a *Authorizer) unmentioned(query string) error {
	if names := a.mentioned(query); len(names) > 0 {
		return refused("SQL text names the guarded table of %q: use the model and its conditions, or rbac.System(ctx, reason) for work that has no caller", names[0])
	}
	for w := range words(query) {
		if dynamic(query, w) {
			return refused("%s builds SQL from text that cannot be seen through: use rbac.System(ctx, reason)", query[w.from:w.to])
		}
	}
	return nil
}
