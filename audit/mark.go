package audit

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// mark lets the triggers of Config.Triggers know that a statement is recorded. It
// may change the statement, and returns what must be called when it has run. Where
// marking fails, so does the statement; a mark that was forgotten makes a report too
// much, never one too few.
func (l *Log) mark(ctx context.Context, engine string, pool gorm.ConnPool, query *string) (end func(error) error, err error) {
	if !l.cfg.Triggers {
		return func(err error) error { return err }, nil
	}
	on, off := "SET @confide_audit = '"+l.Marker()+"'", "SET @confide_audit = NULL"
	switch engine {
	case "postgres": // a trigger sees the text of its statement
		*query += " /* confide:audit:" + l.Marker() + " */"
		return func(err error) error { return err }, nil
	case "sqlite": // the transaction has the database to itself
		on, off = "INSERT INTO confide_audit_marker (marker) VALUES ('"+l.Marker()+"')", "DELETE FROM confide_audit_marker"
	}
	if _, err := pool.ExecContext(ctx, on); err != nil {
		return nil, fmt.Errorf("audit: mark a statement for the triggers: %w", err)
	}
	return func(err error) error {
		if _, offErr := pool.ExecContext(context.WithoutCancel(ctx), off); offErr != nil {
			return errors.Join(err, fmt.Errorf("audit: take the mark off the connection: %w", offErr))
		}
		return err
	}, nil
}
