package backup

import (
	"context"
	"fmt"
	"iter"
)

// Erasures is the ledger of people who were erased. It is kept outside of the
// database and its backups, which would forget them.
type Erasures interface {
	// Erased yields the ids of everybody who was erased, oldest first.
	Erased(ctx context.Context) iter.Seq2[string, error]
}

// NobodyErased is the ledger of an application that erases nobody.
var NobodyErased Erasures = nobody{}

type nobody struct{}

func (nobody) Erased(context.Context) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

// An ErasedError is returned by Merge for rows of people who were erased since the
// snapshot. Nothing was changed.
type ErasedError struct {
	Table string // of the first such row
	Rows  int    // how many there are
}

func (e *ErasedError) Error() string {
	return fmt.Sprintf("backup: %d of the rows, e.g. of table %q, are of people who were erased; nothing was changed", e.Rows, e.Table)
}

// refuseErased refuses if any row to be written is of somebody who was erased.
func (w *merge) refuseErased(ctx context.Context) error {
	erased := map[string]bool{}
	for subject, err := range w.opts.Erasures.Erased(ctx) {
		if err != nil {
			return fmt.Errorf("read the erasure ledger: %w", err)
		}
		erased[subject] = true
	}
	if len(erased) == 0 {
		return nil
	}
	if len(w.opts.Subjects) == 0 {
		return fmt.Errorf("the erasure ledger names people, and MergeOptions.Subjects does not say which column of a table names the person")
	}
	refused := &ErasedError{}
	for _, c := range w.order {
		column, ok := w.opts.Subjects[c.table.Name]
		if !ok {
			continue
		}
		if position(c.table, column) < 0 {
			return fmt.Errorf("MergeOptions.Subjects names column %q of table %q, which it has not in this snapshot", column, c.table.Name)
		}
		if subject, ok := textOf(pick(c.table, c.row, []string{column})); ok && erased[subject] {
			if refused.Rows++; refused.Rows == 1 {
				refused.Table = c.table.Name
			}
		}
	}
	if refused.Rows > 0 {
		return refused
	}
	return nil
}
