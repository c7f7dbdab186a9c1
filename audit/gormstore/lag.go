package gormstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/confide-go/confide/audit"
)

var _ audit.LagStore = (*Store)(nil)

// Backlog implements audit.LagStore.
func (s *Store) Backlog(ctx context.Context) (n int64, err error) {
	if err = s.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM confide_audit_pending").Scan(&n); err != nil {
		return 0, fmt.Errorf("gormstore: count pending events: %w", err)
	}
	return n, nil
}

// Who holds locks a sealer needs. A transaction that has only added events is in
// nobody's way, and one that waits itself comes last. Statements are never shown: they may hold personal values.
const (
	postgresBlockers = `SELECT a.pid, a.application_name, COALESCE(a.state, ''), EXTRACT(EPOCH FROM clock_timestamp() - a.xact_start)::float8
		FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL AND EXISTS (
			SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE l.pid = a.pid AND l.granted AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
			AND c.relname IN ('confide_audit_heads', 'confide_audit_entries', 'confide_audit_nodes') AND c.relnamespace = current_schema()::regnamespace)
		ORDER BY a.xact_start LIMIT 20`
	mysqlBlockers = `SELECT t.trx_mysql_thread_id, COALESCE(p.user, ''), COALESCE(p.command, ''), TIMESTAMPDIFF(SECOND, t.trx_started, NOW())
		FROM information_schema.innodb_trx t LEFT JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
		WHERE t.trx_rows_locked > 0 AND t.trx_mysql_thread_id <> CONNECTION_ID() AND COALESCE(p.db, DATABASE()) = DATABASE()
		ORDER BY t.trx_state = 'LOCK WAIT', t.trx_started, t.trx_id LIMIT 20`
)

// Blockers implements audit.LagStore. SQLite knows nothing of other connections.
func (s *Store) Blockers(ctx context.Context) ([]audit.Blocker, error) {
	query := map[string]string{postgres: postgresBlockers, mysql: mysqlBlockers}[s.engine]
	if query == "" {
		return nil, nil
	}
	rows, err := s.pool.QueryContext(ctx, query)
	return scan(rows, err, func(rows *sql.Rows) (b audit.Blocker, err error) {
		var seconds float64
		err = rows.Scan(&b.Session, &b.Client, &b.State, &seconds)
		b.Open = time.Duration(seconds * float64(time.Second))
		return b, err
	})
}
