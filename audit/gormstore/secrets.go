package gormstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/confide-go/confide/audit"
)

var _ audit.SecretStore = (*Store)(nil)

// Keep implements audit.SecretStore.
func (s *Store) Keep(ctx context.Context, secrets []audit.Secret) error {
	return s.joined(ctx, func(tx execer) error {
		return chunks(secrets, small, func(part []audit.Secret) error {
			args := make([]any, 0, 5*len(part))
			for _, k := range part {
				args = append(args, k.Log, k.Event, k.Row, k.Subject, k.Key)
			}
			_, err := tx.ExecContext(ctx, s.bind("INSERT INTO confide_audit_secrets (log_id, event, row_no, subject, secret) VALUES "+places(len(part), 5)), args...)
			if err != nil {
				return fmt.Errorf("gormstore: keep %d secrets: %w", len(part), err)
			}
			return nil
		})
	})
}

// Secrets implements audit.SecretStore.
func (s *Store) Secrets(ctx context.Context, log string, event []byte) ([]audit.Secret, error) {
	from := execer(s.pool)
	if tx, ok := audit.Tx(ctx); ok {
		from = tx
	}
	rows, err := from.QueryContext(ctx, s.bind("SELECT log_id, event, row_no, subject, secret FROM confide_audit_secrets WHERE log_id = ? AND event = ? ORDER BY row_no"), log, event)
	return scan(rows, err, func(rows *sql.Rows) (k audit.Secret, err error) {
		return k, rows.Scan(&k.Log, &k.Event, &k.Row, &k.Subject, &k.Key)
	})
}

// Destroy implements audit.SecretStore.
func (s *Store) Destroy(ctx context.Context, log, subject string) (n int64, err error) {
	err = s.joined(ctx, func(tx execer) error {
		result, err := tx.ExecContext(ctx, s.bind("DELETE FROM confide_audit_secrets WHERE log_id = ? AND subject = ?"), log, subject)
		if err != nil {
			return fmt.Errorf("gormstore: destroy secrets: %w", err)
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}

// joined runs f in the transaction that ctx carries, else in one of its own.
func (s *Store) joined(ctx context.Context, f func(tx execer) error) error {
	if tx, ok := audit.Tx(ctx); ok {
		return f(tx)
	}
	return s.within(ctx, func(tx *sql.Tx) error { return f(tx) })
}
