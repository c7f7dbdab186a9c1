package gormstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/confide-go/confide/audit"
)

// EnqueueOnce implements audit.OnceEnqueuer. Three things may have happened to an
// event meanwhile, and each is met by something the database guarantees. It waits
// already: the unique index leaves it out. Its first insert is committed by the server only
// now, its client being long gone: the same index makes one of the two wait for the
// other. It was sealed: then it is in the entries, and since a sealer moves
// events in one transaction, looking there after the insert cannot miss it.
func (s *Store) EnqueueOnce(ctx context.Context, events []audit.Pending) error {
	return s.within(ctx, func(tx *sql.Tx) error {
		for list := range slices.Chunk(events, mostRows) {
			if err := chunks(s, list, func(p audit.Pending) int { return len(p.Data) }, func(part []audit.Pending) error {
				return s.enqueueNew(ctx, tx, part)
			}); err != nil {
				return err
			}
			if err := s.dropSealed(ctx, tx, list); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) enqueueNew(ctx context.Context, tx *sql.Tx, part []audit.Pending) error {
	args := make([]any, 0, 3*len(part))
	for _, p := range part {
		args = append(args, p.Event, p.Data, p.MAC)
	}
	query := "INSERT INTO confide_audit_pending (event, data, mac) VALUES " + places(len(part), 3)
	if s.engine == mysql {
		query += " ON DUPLICATE KEY UPDATE event = event" // unlike INSERT IGNORE, forgives nothing else
	} else {
		query += " ON CONFLICT (event) DO NOTHING"
	}
	if _, err := tx.ExecContext(ctx, s.bind(query), args...); err != nil {
		return fmt.Errorf("gormstore: insert %d events once: %w", len(part), err)
	}
	return nil
}

// dropSealed takes those events back out that are sealed. It reads what is
// committed now, not what was when the transaction began.
func (s *Store) dropSealed(ctx context.Context, tx *sql.Tx, events []audit.Pending) error {
	query := "SELECT event FROM confide_audit_entries WHERE event IN " + places(1, len(events))
	if s.engine == mysql {
		query += " LOCK IN SHARE MODE" // a plain read would show the transaction's own snapshot
	}
	args := make([]any, len(events))
	for i, p := range events {
		args[i] = p.Event
	}
	rows, err := tx.QueryContext(ctx, s.bind(query), args...)
	sealed, err := scan(rows, err, func(rows *sql.Rows) (id []byte, err error) { return id, rows.Scan(&id) })
	if err != nil || len(sealed) == 0 {
		return err
	}
	args = args[:0]
	for _, id := range sealed {
		args = append(args, id)
	}
	if _, err := tx.ExecContext(ctx, s.bind("DELETE FROM confide_audit_pending WHERE event IN "+places(1, len(args))), args...); err != nil {
		return fmt.Errorf("gormstore: leave out sealed events: %w", err)
	}
	return nil
}
