package sqlsource

import (
	"context"
	"fmt"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// spans is how an engine asks for a part of a table.
type spans interface {
	quote(name string) string
	placeholder(n int) string
	// within is the condition of a span on the columns of the key, each as written
	// by f, in the order in which rows come. The statement has so many arguments
	// before those of the condition.
	within(t *table, span backup.Span, before int, f func(i int, c column) string) (where string, args []any, err error)
	beginWrite(ctx context.Context, s *session) error
	hasMarks(ctx context.Context, s *session) (bool, error)
}

// A selection is which rows of a table to read.
type selection struct {
	ordered bool
	where   string
	args    []any
}

func (s selection) clause(order string) string {
	var out string
	if s.where != "" {
		out = " WHERE " + s.where
	}
	if s.ordered {
		out += " ORDER BY " + order
	}
	return out
}

// keyCells splits a bound into its cells.
func keyCells(t *table, key []byte) ([]cell.Value, error) {
	var out []cell.Value
	for rest := key; len(rest) > 0; {
		v, after, err := cell.Next(rest)
		if err != nil {
			return nil, err
		}
		out, rest = append(out, v), after
	}
	if len(out) != len(t.key) {
		return nil, fmt.Errorf("sqlsource: a key of %d cells for table %q, whose key has %d columns", len(out), t.name, len(t.key))
	}
	return out, nil
}

// compareRows writes (a, b) > (x, y) and the like.
func compareRows(t *table, span backup.Span, before int, f func(int, column) string, value func(column, cell.Value) (sql string, arg any, err error)) (string, []any, error) {
	var parts []string
	var args []any
	for _, bound := range []struct {
		key []byte
		op  string
	}{{span.After, " > "}, {span.Through, " <= "}} {
		if bound.key == nil {
			continue
		}
		cells, err := keyCells(t, bound.key)
		if err != nil {
			return "", nil, err
		}
		var values []string
		for i, k := range t.key {
			sql, arg, err := value(t.columns[k], cells[i])
			if err != nil {
				return "", nil, fmt.Errorf("sqlsource: key of table %q: %w", t.name, err)
			}
			args = append(args, arg)
			values = append(values, strings.ReplaceAll(sql, "$?", fmt.Sprintf("$%d", before+len(args))))
		}
		left, right := t.keyList(f), strings.Join(values, ", ")
		if len(t.key) > 1 {
			left, right = "("+left+")", "("+right+")"
		}
		parts = append(parts, left+bound.op+right)
	}
	if len(parts) == 0 {
		return "1 = 1", nil, nil
	}
	return strings.Join(parts, " AND "), args, nil
}
