package gormstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/confide-go/confide/audit"
)

var _ audit.NodeStore = (*Store)(nil)

// AddNodes implements audit.NodeStore.
func (s *Store) AddNodes(ctx context.Context, nodes []audit.Node) error {
	insert, onConflict := "INSERT", " ON CONFLICT DO NOTHING"
	if s.engine == mysql {
		insert, onConflict = "INSERT IGNORE", ""
	}
	return chunks(s, nodes, small, func(part []audit.Node) error {
		return patiently(ctx, func() error { return s.writeNodes(ctx, s.pool, insert, onConflict, part) })
	})
}

func (s *Store) insertNodes(ctx context.Context, tx *sql.Tx, nodes []audit.Node) error {
	return chunks(s, nodes, small, func(part []audit.Node) error { return s.writeNodes(ctx, tx, "INSERT", "", part) })
}

func (s *Store) writeNodes(ctx context.Context, tx execer, insert, onConflict string, nodes []audit.Node) error {
	args := make([]any, 0, 4*len(nodes))
	for _, n := range nodes {
		args = append(args, n.Log, n.Level, n.Index, n.Hash)
	}
	_, err := tx.ExecContext(ctx, s.bind(insert+" INTO confide_audit_nodes (log_id, level, idx, hash) VALUES "+places(len(nodes), 4)+onConflict), args...)
	if err != nil {
		return fmt.Errorf("gormstore: insert nodes: %w", err)
	}
	return nil
}

// Nodes implements audit.NodeStore.
func (s *Store) Nodes(ctx context.Context, log string, level int, first, last int64) ([]audit.Node, error) {
	query, args := "SELECT idx, hash FROM confide_audit_nodes WHERE log_id = ? AND level = ? AND idx BETWEEN ? AND ? ORDER BY idx", []any{log, level, first, last}
	if level == 0 {
		query, args = "SELECT seq, hash FROM confide_audit_entries WHERE log_id = ? AND seq BETWEEN ? AND ? ORDER BY seq", []any{log, first, last}
	}
	rows, err := s.pool.QueryContext(ctx, s.bind(query), args...)
	return scan(rows, err, func(rows *sql.Rows) (audit.Node, error) {
		n := audit.Node{Log: log, Level: level}
		return n, rows.Scan(&n.Index, &n.Hash)
	})
}
