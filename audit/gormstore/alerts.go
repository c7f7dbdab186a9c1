package gormstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/confide-go/confide/audit"
)

// AlertState returns the record of a watcher (audit/alert) and its version, 0 if there is none.
func (s *Store) AlertState(ctx context.Context, name string) (version int64, data []byte, err error) {
	err = s.pool.QueryRowContext(ctx, s.bind("SELECT version, data FROM confide_audit_alerts WHERE name = ?"), name).Scan(&version, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("gormstore: read the record of alerts: %w", err)
	}
	return version, data, nil
}

// SetAlertState replaces the record that has this version. It returns audit.ErrConflict
// if it has another one.
func (s *Store) SetAlertState(ctx context.Context, name string, version int64, data []byte) error {
	statement, args := "UPDATE confide_audit_alerts SET version = ?, data = ? WHERE name = ? AND version = ?", []any{version + 1, data, name, version}
	if version == 0 {
		statement, args = "INSERT INTO confide_audit_alerts (version, data, name) VALUES (?, ?, ?)", args[:3]
	}
	err := s.within(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, s.bind(statement), args...)
		if err != nil {
			return fmt.Errorf("gormstore: write the record of alerts: %w", err)
		}
		return affected(result, 1)
	})
	if err != nil && s.isDuplicate(err) {
		return fmt.Errorf("%w: %w", audit.ErrConflict, err)
	}
	return err
}
