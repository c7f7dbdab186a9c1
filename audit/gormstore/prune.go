package gormstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/confide-go/confide/audit"
)

var _ audit.Pruner = (*Store)(nil)

// pruneStep is how many places one transaction empties: sealers wait for it on SQLite.
const pruneStep = 2000

// Prune implements audit.Pruner.
func (s *Store) Prune(ctx context.Context, log string, through int64) error {
	var from sql.NullInt64
	err := s.pool.QueryRowContext(ctx, s.bind("SELECT MIN(seq) FROM confide_audit_entries WHERE log_id = ? AND seq <= ? AND at <> 0"), log, through).Scan(&from)
	if err != nil {
		return fmt.Errorf("gormstore: find what to prune: %w", err)
	}
	for first := from.Int64; from.Valid && first <= through; first += pruneStep {
		last := min(first+pruneStep-1, through)
		if err := s.within(ctx, func(tx *sql.Tx) error { return s.prune(ctx, tx, log, first, last) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) prune(ctx context.Context, tx *sql.Tx, log string, first, last int64) error {
	_, err := tx.ExecContext(ctx, s.bind("DELETE FROM confide_audit_rows WHERE log_id = ? AND seq BETWEEN ? AND ?"), log, first, last)
	if err != nil {
		return fmt.Errorf("gormstore: prune the row index: %w", err)
	}
	_, err = tx.ExecContext(ctx, s.bind(`DELETE FROM confide_audit_secrets WHERE log_id = ? AND event IN
		(SELECT event FROM confide_audit_entries WHERE log_id = ? AND seq BETWEEN ? AND ?)`), log, log, first, last)
	if err != nil {
		return fmt.Errorf("gormstore: prune the secrets of commitments: %w", err)
	}
	_, err = tx.ExecContext(ctx, s.bind(`UPDATE confide_audit_entries SET at = 0, actor = '', action = '', resource = '', result = '', data = ?
		WHERE log_id = ? AND seq BETWEEN ? AND ?`), []byte{}, log, first, last)
	if err != nil {
		return fmt.Errorf("gormstore: prune entries: %w", err)
	}
	return nil
}
