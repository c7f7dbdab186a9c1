package gormstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/confide-go/confide/audit"
)

var _ audit.OutsideStore = (*Store)(nil)

// Outside implements audit.OutsideStore.
func (s *Store) Outside(ctx context.Context, limit int) ([]audit.Outside, error) {
	rows, err := s.pool.QueryContext(ctx, s.bind("SELECT id, tbl, verb, row_id, at FROM confide_audit_outside ORDER BY id LIMIT ?"), limit)
	return scan(rows, err, func(rows *sql.Rows) (o audit.Outside, err error) {
		var at int64
		err = rows.Scan(&o.ID, &o.Table, &o.Verb, &o.Row, &at)
		o.At = time.UnixMicro(at).UTC()
		return o, err
	})
}

// Settle implements audit.OutsideStore.
func (s *Store) Settle(ctx context.Context, seen []audit.Outside, events []audit.Pending) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		err := chunks(s, seen, small, func(part []audit.Outside) error {
			args := make([]any, len(part))
			for i, o := range part {
				args[i] = o.ID
			}
			result, err := tx.ExecContext(ctx, s.bind("DELETE FROM confide_audit_outside WHERE id IN "+places(1, len(part))), args...)
			if err != nil {
				return fmt.Errorf("gormstore: settle what triggers saw: %w", err)
			}
			return affected(result, len(part))
		})
		if err != nil {
			return err
		}
		return s.enqueue(ctx, tx, events)
	})
}
