package sqlsource

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// An inserter loads rows with INSERT statements of many rows each.
type inserter struct {
	table    *table
	quote    func(string) string
	maxRows  int
	maxBytes int
	value    func(column, cell.Value) (any, error)

	args  []any
	rows  int
	bytes int
	full  string // the statement of maxRows rows
}

func (b *inserter) load(ctx context.Context, s *session, rows iter.Seq2[backup.Row, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := b.add(row); err != nil {
			return err
		}
		if b.rows >= b.maxRows || b.bytes >= b.maxBytes {
			if err := b.flush(ctx, s); err != nil {
				return err
			}
		}
	}
	return b.flush(ctx, s)
}

func (b *inserter) add(row backup.Row) error {
	rest := []byte(row)
	for _, c := range b.table.columns {
		v, after, err := cell.Next(rest)
		if err != nil {
			return err
		}
		arg, err := b.value(c, v)
		if err != nil {
			return fmt.Errorf("column %q: %w", c.name, err)
		}
		b.args, rest = append(b.args, arg), after
	}
	b.rows++
	b.bytes += len(row)
	return nil
}

func (b *inserter) flush(ctx context.Context, s *session) error {
	if b.rows == 0 {
		return nil
	}
	err := s.exec(ctx, b.statement(), b.args...)
	b.args, b.rows, b.bytes = b.args[:0], 0, 0
	return err
}

func (b *inserter) statement() string {
	if b.rows == b.maxRows && b.full != "" {
		return b.full
	}
	tuple := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(b.table.columns)), ", ") + ")"
	statement := "INSERT INTO " + b.quote(b.table.name) + " (" + b.table.list(func(c column) string { return b.quote(c.name) }) + ") VALUES " +
		strings.TrimSuffix(strings.Repeat(tuple+", ", b.rows), ", ")
	if b.rows == b.maxRows {
		b.full = statement
	}
	return statement
}
