package privacy

import (
	"context"
	"database/sql"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// A conn runs the library's own statements on the connection of the statement at work: inside its
// transaction, past every callback (ours, and those of plugins that would scope or log it), and without
// GORM's logger.
type conn struct{ db *gorm.DB }

func (c conn) build(text string, vars ...any) (string, []any) {
	stmt := &gorm.Statement{DB: c.db, Table: c.db.Statement.Table, Schema: c.db.Statement.Schema, Clauses: map[string]clause.Clause{}}
	clause.Expr{SQL: text, Vars: vars}.Build(stmt)
	return stmt.SQL.String(), stmt.Vars
}

// exec runs text, whose ? GORM turns into the dialect's placeholders, and returns the rows affected.
func (c conn) exec(ctx context.Context, text string, vars ...any) (int64, error) {
	query, args := c.build(text, vars...)
	res, err := c.db.Statement.ConnPool.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query runs text and calls scan for each row.
func (c conn) query(ctx context.Context, scan func(*sql.Rows) error, text string, vars ...any) error {
	query, args := c.build(text, vars...)
	rows, err := c.db.Statement.ConnPool.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (c conn) dialect() string { return c.db.Dialector.Name() }

// quote quotes an identifier.
func (c conn) quote(name string) string { return c.db.Statement.Quote(clause.Column{Name: name}) }

// inTransaction reports whether the statement runs inside a transaction. A key store of its own may work
// without a database.
func (c conn) inTransaction() bool {
	if c.db == nil {
		return false
	}
	_, ok := c.db.Statement.ConnPool.(gorm.TxCommitter)
	return ok
}

// connection identifies the transaction: prepared statements wrap it anew for every session.
func (c conn) connection() any {
	if tx, ok := c.db.Statement.ConnPool.(*gorm.PreparedStmtTX); ok {
		return tx.Tx
	}
	return c.db.Statement.ConnPool
}

// session gives db a statement of its own on the same connection, so that conn may read its fields.
func session(ctx context.Context, db *gorm.DB) *gorm.DB {
	return db.Session(&gorm.Session{NewDB: true, Initialized: true, Context: ctx})
}
