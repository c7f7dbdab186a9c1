package sqlsource

import (
	"context"
	"fmt"
	"iter"

	"github.com/confide-go/confide/backup"
)

// scan yields the rows of a query, each value appended by f. The query is
// prepared, which makes MySQL send numbers in binary and thereby exactly.
func (s *session) scan(ctx context.Context, t *table, query string, args []any, f func(row []byte, column int, v any) ([]byte, error)) iter.Seq2[backup.Row, error] {
	return func(yield func(backup.Row, error) bool) {
		if err := s.scanTo(ctx, t, query, args, f, yield); err != nil {
			yield(nil, fmt.Errorf("sqlsource: read table %q: %w", t.name, cancelled(ctx, withoutValues(err))))
		}
	}
}

// scanTo returns nil also when yield has asked to stop.
func (s *session) scanTo(ctx context.Context, t *table, query string, args []any, f func([]byte, int, any) ([]byte, error), yield func(backup.Row, error) bool) error {
	statement, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer statement.Close()
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]any, len(t.columns))
	dest := make([]any, len(values))
	for i := range values {
		dest[i] = &values[i]
	}
	var row []byte
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row = row[:0]
		for i, v := range values {
			if row, err = f(row, i, v); err != nil {
				return fmt.Errorf("column %q: %w", t.columns[i].name, err)
			}
		}
		if !yield(row, nil) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return alive(ctx)
}
