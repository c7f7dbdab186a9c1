package sqlsource

import (
	"context"
	"slices"

	"github.com/confide-go/confide/backup"
)

// quarantine is the table whose existence says that a restored database must not
// be used yet. It comes with the restored rows, in the same transaction where the
// engine can do that, and before the first of them elsewhere.
const quarantine = "confide_quarantine"

var _ backup.Quarantine = (*Database)(nil)

// Quarantined implements backup.Quarantine.
func (d *Database) Quarantined(ctx context.Context) (bool, error) {
	s, err := openSession(ctx, d.cfg.DB)
	if err != nil {
		return false, err
	}
	defer s.end()
	query := map[string]string{
		SQLite:   "SELECT name FROM main.sqlite_master WHERE type = 'table'",
		Postgres: "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
		MySQL:    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
	}[d.cfg.Engine]
	names, err := s.names(ctx, query)
	return slices.Contains(names, quarantine), err
}

// Release implements backup.Quarantine.
func (d *Database) Release(ctx context.Context) error {
	s, err := openSession(ctx, d.cfg.DB)
	if err != nil {
		return err
	}
	defer s.end()
	return s.exec(ctx, "DROP TABLE "+quarantine)
}
