package gormstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/confide-go/confide/audit"
)

// indexVersion is what the row index of a log holds: 1 is rows only, 2 has the
// terms besides.
const indexVersion = 2

// setIndexed notes that the row index of a log is up to date.
func (s *Store) setIndexed(ctx context.Context, tx execer, log string) error {
	query := "INSERT INTO confide_audit_indexed (log_id, version) VALUES (?, ?) ON CONFLICT (log_id) DO UPDATE SET version = excluded.version"
	if s.engine == mysql {
		query = "INSERT INTO confide_audit_indexed (log_id, version) VALUES (?, ?) ON DUPLICATE KEY UPDATE version = VALUES(version)"
	}
	if _, err := tx.ExecContext(ctx, s.bind(query), log, indexVersion); err != nil {
		return fmt.Errorf("gormstore: note the version of the row index: %w", err)
	}
	return nil
}

// reindex adds to the row index what logs of older releases lack. It may be
// interrupted and run by several processes at once.
func (s *Store) reindex(ctx context.Context) error {
	rows, err := s.pool.QueryContext(ctx, s.bind(`SELECT h.log_id FROM confide_audit_heads h
		LEFT JOIN confide_audit_indexed i ON i.log_id = h.log_id WHERE i.version IS NULL OR i.version < ?`), indexVersion)
	logs, err := scan(rows, err, func(rows *sql.Rows) (log string, err error) { return log, rows.Scan(&log) })
	if err != nil {
		return err
	}
	for _, log := range logs {
		if err := s.reindexLog(ctx, log); err != nil {
			return err
		}
		if err := s.setIndexed(ctx, s.pool, log); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) reindexLog(ctx context.Context, log string) error {
	const page = 500
	for after := int64(-1); ; {
		rows, err := s.pool.QueryContext(ctx, s.bind("SELECT seq, data FROM confide_audit_entries WHERE log_id = ? AND seq > ? ORDER BY seq LIMIT ?"), log, after, page)
		entries, err := scan(rows, err, func(rows *sql.Rows) (e audit.Stored, err error) { return e, rows.Scan(&e.Seq, &e.Data) })
		if err != nil {
			return err
		}
		if err := s.within(ctx, func(tx *sql.Tx) error { return s.addTerms(ctx, tx, log, entries) }); err != nil {
			return err
		}
		if len(entries) < page {
			return nil
		}
		after = entries[len(entries)-1].Seq
	}
}

func (s *Store) addTerms(ctx context.Context, tx *sql.Tx, log string, entries []audit.Stored) error {
	var refs [][4]any
	for _, e := range entries {
		x, err := audit.DeriveIndex(log, e.Data)
		if err != nil {
			continue // pruned, or tampered with, which Verify reports
		}
		x.Rows = nil // these it has
		for t := range terms(x) {
			refs = append(refs, [4]any{log, t.resource, t.row, e.Seq})
		}
	}
	return chunks(s, refs, small, func(part [][4]any) error {
		query := "INSERT INTO confide_audit_rows (log_id, resource, row_id, seq) VALUES " + places(len(part), 4)
		if s.engine == mysql {
			query += " ON DUPLICATE KEY UPDATE seq = seq"
		} else {
			query += " ON CONFLICT DO NOTHING"
		}
		args := make([]any, 0, 4*len(part))
		for _, r := range part {
			args = append(args, r[:]...)
		}
		if _, err := tx.ExecContext(ctx, s.bind(query), args...); err != nil {
			return fmt.Errorf("gormstore: add to the row index: %w", err)
		}
		return nil
	})
}
