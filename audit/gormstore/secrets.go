package gormstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"

	"github.com/confide-go/confide/audit"
)

var _ audit.SecretStore = (*Store)(nil)

// Keep implements audit.SecretStore.
func (s *Store) Keep(ctx context.Context, secrets []audit.Secret) error {
	return s.joined(ctx, func(tx execer) error {
		return chunks(s, secrets, small, func(part []audit.Secret) error {
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

const secretColumns = "SELECT log_id, event, row_no, subject, secret FROM confide_audit_secrets"

func scanSecret(rows *sql.Rows) (k audit.Secret, err error) {
	if err = rows.Scan(&k.Log, &k.Event, &k.Row, &k.Subject, &k.Key); bytes.Equal(k.Key, noSecret()) {
		k.Key = nil
	}
	return k, err
}

// noSecret is what Destroy leaves of a secret.
func noSecret() []byte { return make([]byte, 32) }

// Secrets implements audit.SecretStore.
func (s *Store) Secrets(ctx context.Context, log string, events ...[]byte) (secrets []audit.Secret, err error) {
	from := execer(s.pool)
	if tx, ok := audit.Tx(ctx); ok {
		from = tx
	}
	err = chunks(s, events, small, func(part [][]byte) error {
		args := []any{log}
		for _, e := range part {
			args = append(args, e)
		}
		rows, err := from.QueryContext(ctx, s.bind(secretColumns+" WHERE log_id = ? AND event IN "+places(1, len(part))+" ORDER BY event, row_no"), args...)
		list, err := scan(rows, err, scanSecret)
		secrets = append(secrets, list...)
		return err
	})
	return secrets, err
}

// Destroyed implements audit.SecretStore.
func (s *Store) Destroyed(ctx context.Context, after audit.Secret, limit int) ([]audit.Secret, error) {
	event := after.Event
	if event == nil {
		event = []byte{}
	}
	rows, err := s.pool.QueryContext(ctx, s.bind(secretColumns+` WHERE secret = ? AND (log_id > ? OR (log_id = ? AND (event > ? OR (event = ? AND row_no > ?))))
		ORDER BY log_id, event, row_no LIMIT ?`), noSecret(), after.Log, after.Log, event, event, after.Row, limit)
	return scan(rows, err, scanSecret)
}

// Destroy implements audit.SecretStore.
func (s *Store) Destroy(ctx context.Context, log, subject string) (n int64, err error) {
	err = s.joined(ctx, func(tx execer) error {
		_, err := tx.ExecContext(ctx, s.bind("UPDATE confide_audit_secrets SET secret = ? WHERE log_id = ? AND subject = ?"), noSecret(), log, subject)
		if err != nil {
			return fmt.Errorf("gormstore: destroy secrets: %w", err)
		}
		rows, err := tx.QueryContext(ctx, s.bind(`SELECT COUNT(*) FROM confide_audit_secrets s WHERE s.log_id = ? AND s.subject = ?
			AND (EXISTS (SELECT 1 FROM confide_audit_entries e WHERE e.event = s.event) OR EXISTS (SELECT 1 FROM confide_audit_pending p WHERE p.event = s.event))`), log, subject)
		counts, err := scan(rows, err, func(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) })
		if err == nil {
			n = counts[0]
		}
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
