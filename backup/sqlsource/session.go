package sqlsource

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A session is one connection, taken out of the pool for a whole snapshot or
// restore, with one transaction on it.
type session struct {
	conn  *sql.Conn
	once  sync.Once
	err   error
	inTx  bool
	dirty bool     // settings were changed that must not go back to the pool
	undo  []string // statements that take such changes back
}

func openSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlsource: connect: %w", err)
	}
	return &session{conn: conn}, nil
}

// begin runs the statement that starts the transaction. Nothing
// interrupts it, so that it is known whether it ran.
func (s *session) begin(ctx context.Context, statement string) error {
	if err := alive(ctx); err != nil {
		return err
	}
	if err := s.exec(context.WithoutCancel(ctx), statement); err != nil {
		return err
	}
	s.inTx = true
	return alive(ctx)
}

func (s *session) exec(ctx context.Context, statement string, args ...any) error {
	if _, err := s.conn.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("sqlsource: %s: %w", brief(statement), withoutValues(err))
	}
	return alive(ctx)
}

// affect is exec with the number of rows that it changed.
func (s *session) affect(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := s.conn.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, fmt.Errorf("sqlsource: %s: %w", brief(statement), withoutValues(err))
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("sqlsource: %s: %w", brief(statement), err)
	}
	return n, alive(ctx)
}

// alive is the error of a context that has ended. The SQLite driver, interrupted
// at the wrong moment, reports a statement that it never ran as done and a result
// that it cut short as complete.
func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sqlsource: %w", err)
	}
	return nil
}

// each runs a catalog query and calls f for each row.
func (s *session) each(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	rows, err := s.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("sqlsource: %s: %w", brief(query), err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("sqlsource: %s: %w", brief(query), err)
	}
	return alive(ctx)
}

// names runs a query of one text column.
func (s *session) names(ctx context.Context, query string, args ...any) ([]string, error) {
	var out []string
	err := s.each(ctx, query, args, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		out = append(out, name)
		return err
	})
	return out, err
}

func (s *session) one(ctx context.Context, query string, args []any, dest ...any) error {
	if err := s.conn.QueryRowContext(ctx, query, args...).Scan(dest...); err != nil {
		return fmt.Errorf("sqlsource: %s: %w", brief(query), err)
	}
	return alive(ctx)
}

// commit runs the statement that ends the transaction. It is not cancelled half
// way, as nobody could tell then whether it happened.
func (s *session) commit(ctx context.Context, statement string) error {
	if err := alive(ctx); err != nil {
		return err
	}
	if err := s.exec(context.WithoutCancel(ctx), statement); err != nil {
		return err
	}
	s.inTx = false
	return nil
}

// end rolls the transaction back if it is still open and returns the connection.
// It works after the caller's context has ended: a snapshot left open would hold
// back the database's garbage collection.
func (s *session) end() error {
	s.once.Do(func() {
		ctx, cancel := cleanup()
		defer cancel()
		discard := s.dirty
		if s.inTx {
			if err := s.exec(ctx, "ROLLBACK"); err != nil {
				discard = true
			}
		}
		for _, statement := range s.undo {
			if err := s.exec(ctx, statement); err != nil {
				discard = true
			}
		}
		if discard {
			// The pool closes a connection that says it is bad.
			_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		if err := s.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) && !errors.Is(err, driver.ErrBadConn) {
			s.err = fmt.Errorf("sqlsource: return connection: %w", err)
		}
	})
	return s.err
}

// cleanup is the context of work that must happen though the caller's has ended.
func cleanup() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 10*time.Second)
}

// brief shortens a statement for an error message. Statements hold names and
// never values.
func brief(statement string) string {
	if len(statement) > 120 {
		return statement[:120] + "..."
	}
	return statement
}
