package gormstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
)

// A Store is an audit.Store in a SQL database.
type Store struct {
	engine    string
	dialector gorm.Dialector
	pool      *sql.DB
}

var (
	_ audit.Store        = (*Store)(nil)
	_ audit.OnceEnqueuer = (*Store)(nil)
)

// Open makes the tables if they are not there and returns the store. It uses
// the pool of db, so audited transactions and the log share one database.
func Open(ctx context.Context, db *gorm.DB) (*Store, error) {
	if db == nil {
		return nil, fmt.Errorf("%w: gormstore.Open got a nil *gorm.DB", audit.ErrInvalid)
	}
	if _, ok := db.Statement.ConnPool.(gorm.TxCommitter); ok {
		return nil, fmt.Errorf("%w: gormstore.Open got a transaction; open the store before one begins", audit.ErrInvalid)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("gormstore: the connection has no pool: %w", err)
	}
	s := &Store{engine: db.Dialector.Name(), dialector: db.Dialector, pool: pool}
	switch s.engine {
	case sqlite, postgres, mysql:
	default:
		return nil, fmt.Errorf("%w: gormstore knows sqlite, postgres and mysql, not %s", audit.ErrInvalid, s.engine)
	}
	if err := s.migrate(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// execer is what *sql.DB, *sql.Tx and GORM's connections have in common.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

const (
	mostRows       = 400     // engines limit the parameters of a statement
	statementBytes = 1 << 20 // and MySQL the length of a packet
	sqliteRows     = 25      // SQLite's driver looks for each parameter among all of them
)

// statementRows is how many rows are fastest in one statement.
func (s *Store) statementRows() int {
	if s.engine == sqlite {
		return sqliteRows
	}
	return mostRows
}

// chunks calls f with parts of list small enough for one statement.
func chunks[T any](s *Store, list []T, size func(T) int, f func(part []T) error) error {
	rows := s.statementRows()
	for len(list) > 0 {
		n, bytes := 0, 0
		for n < len(list) && n < rows && (n == 0 || bytes+size(list[n]) <= statementBytes) {
			bytes += size(list[n])
			n++
		}
		if err := f(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// small is the size of list elements that are only counted.
func small[T any](T) int { return 0 }

// Enqueue implements audit.Store.
func (s *Store) Enqueue(ctx context.Context, events []audit.Pending) error {
	if tx, ok := audit.Tx(ctx); ok {
		return s.enqueue(ctx, tx, events)
	}
	if s.fitsOneStatement(events) { // which is a transaction by itself, at a third of the round trips
		return patiently(ctx, func() error { return s.enqueue(ctx, s.pool, events) })
	}
	return s.within(ctx, func(tx *sql.Tx) error { return s.enqueue(ctx, tx, events) })
}

func (s *Store) fitsOneStatement(events []audit.Pending) bool {
	size := 0
	for _, p := range events {
		size += len(p.Data)
	}
	return len(events) <= s.statementRows() && size <= statementBytes
}

func (s *Store) enqueue(ctx context.Context, tx execer, events []audit.Pending) error {
	return chunks(s, events, func(p audit.Pending) int { return len(p.Data) }, func(part []audit.Pending) error {
		args := make([]any, 0, 3*len(part))
		for _, p := range part {
			args = append(args, p.Event, p.Data, p.MAC)
		}
		_, err := tx.ExecContext(ctx, s.bind("INSERT INTO confide_audit_pending (event, data, mac) VALUES "+places(len(part), 3)), args...)
		if err != nil {
			return fmt.Errorf("gormstore: insert %d events: %w", len(part), err)
		}
		return nil
	})
}

// Pending implements audit.Store.
func (s *Store) Pending(ctx context.Context, after int64, limit int) ([]audit.Pending, error) {
	rows, err := s.pool.QueryContext(ctx, s.bind(`SELECT p.id, p.event, p.data, p.mac,
		CASE WHEN EXISTS (SELECT 1 FROM confide_audit_entries e WHERE e.event = p.event) THEN 1 ELSE 0 END
		FROM confide_audit_pending p WHERE p.id > ? ORDER BY p.id LIMIT ?`), after, limit)
	return scan(rows, err, func(rows *sql.Rows) (p audit.Pending, err error) {
		return p, rows.Scan(&p.ID, &p.Event, &p.Data, &p.MAC, &p.Sealed)
	})
}

// scan reads all rows of a query and closes it.
func scan[T any](rows *sql.Rows, err error, one func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, fmt.Errorf("gormstore: query: %w", err)
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := one(rows)
		if err != nil {
			return nil, fmt.Errorf("gormstore: scan: %w", err)
		}
		list = append(list, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("gormstore: query: %w", err)
	}
	return list, nil
}

// Heads implements audit.Store.
func (s *Store) Heads(ctx context.Context, logs ...string) ([]audit.Head, error) {
	query, args := "SELECT log_id, size, tip, edge, note FROM confide_audit_heads", []any{}
	if len(logs) > 0 {
		query += " WHERE log_id IN " + places(1, len(logs))
		for _, log := range logs {
			args = append(args, log)
		}
	}
	rows, err := s.pool.QueryContext(ctx, s.bind(query+" ORDER BY log_id"), args...)
	heads, err := scan(rows, err, func(rows *sql.Rows) (h audit.Head, err error) {
		return h, rows.Scan(&h.Log, &h.Size, &h.Tip, &h.Edge, &h.Note)
	})
	if err != nil || len(logs) > 0 {
		return heads, err
	}
	rows, err = s.pool.QueryContext(ctx, `SELECT DISTINCT log_id FROM confide_audit_entries
		WHERE log_id NOT IN (SELECT log_id FROM confide_audit_heads) ORDER BY log_id`)
	orphans, err := scan(rows, err, func(rows *sql.Rows) (h audit.Head, err error) {
		return h, rows.Scan(&h.Log)
	})
	return append(heads, orphans...), err
}

// Commit implements audit.Store.
func (s *Store) Commit(ctx context.Context, b audit.Batch) error {
	err := s.within(ctx, func(tx *sql.Tx) error {
		for _, h := range b.Heads {
			if err := s.move(ctx, tx, h); err != nil {
				return err
			}
		}
		if err := s.insertEntries(ctx, tx, b.Entries); err != nil {
			return err
		}
		if err := s.insertNodes(ctx, tx, b.Nodes); err != nil {
			return err
		}
		return s.deletePending(ctx, tx, b.Sealed)
	})
	if err != nil && s.isDuplicate(err) {
		return fmt.Errorf("%w: %w", audit.ErrConflict, err)
	}
	return err
}

// move is the lock and the compare-and-swap in one: the first statement of the
// transaction takes the row, and it finds the row only at the expected size.
func (s *Store) move(ctx context.Context, tx *sql.Tx, h audit.Head) error {
	if h.Was == 0 {
		_, err := tx.ExecContext(ctx, s.bind("INSERT INTO confide_audit_heads (size, tip, edge, note, log_id) VALUES "+places(1, 5)),
			h.Size, h.Tip, h.Edge, h.Note, h.Log)
		if err != nil {
			return fmt.Errorf("gormstore: new head: %w", err)
		}
		return s.setIndexed(ctx, tx, h.Log)
	}
	result, err := tx.ExecContext(ctx, s.bind("UPDATE confide_audit_heads SET size = ?, tip = ?, edge = ?, note = ? WHERE log_id = ? AND size = ?"),
		h.Size, h.Tip, h.Edge, h.Note, h.Log, h.Was)
	if err != nil {
		return fmt.Errorf("gormstore: head: %w", err)
	}
	return affected(result, 1)
}

func affected(result sql.Result, want int) error {
	n, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("gormstore: affected rows: %w", err)
	}
	if n != int64(want) {
		return audit.ErrConflict
	}
	return nil
}

func (s *Store) insertEntries(ctx context.Context, tx *sql.Tx, entries []audit.Stored) error {
	var refs []any
	err := chunks(s, entries, func(e audit.Stored) int { return len(e.Data) }, func(part []audit.Stored) error {
		args := make([]any, 0, 10*len(part))
		for _, e := range part {
			x := e.Index
			args = append(args, e.Log, e.Seq, x.Event, x.At, x.Actor, x.Action, x.Resource, x.Result, e.Hash, e.Data)
			for t := range terms(x) {
				refs = append(refs, [4]any{e.Log, t.resource, t.row, e.Seq})
			}
		}
		_, err := tx.ExecContext(ctx, s.bind("INSERT INTO confide_audit_entries (log_id, seq, event, at, actor, action, resource, result, hash, data) VALUES "+
			places(len(part), 10)), args...)
		if err != nil {
			return fmt.Errorf("gormstore: insert entries: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return chunks(s, refs, small, func(part []any) error {
		args := make([]any, 0, 4*len(part))
		for _, r := range part {
			ref := r.([4]any)
			args = append(args, ref[:]...)
		}
		_, err := tx.ExecContext(ctx, s.bind("INSERT INTO confide_audit_rows (log_id, resource, row_id, seq) VALUES "+places(len(part), 4)), args...)
		if err != nil {
			return fmt.Errorf("gormstore: insert row index: %w", err)
		}
		return nil
	})
}

func (s *Store) deletePending(ctx context.Context, tx *sql.Tx, ids []int64) error {
	return chunks(s, ids, small, func(part []int64) error {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		result, err := tx.ExecContext(ctx, s.bind("DELETE FROM confide_audit_pending WHERE id IN "+places(1, len(part))), args...)
		if err != nil {
			return fmt.Errorf("gormstore: delete pending: %w", err)
		}
		return affected(result, len(part))
	})
}

var errNoRevision = errors.New("gormstore: the database returned no revision for a row it has just raised")

// Revise implements audit.Store. It locks the counters of rows that the
// transaction has just written itself, so nobody waits who would not wait anyway.
func (s *Store) Revise(ctx context.Context, log, resource string, rows []string) ([]int64, error) {
	tx, ok := audit.Tx(ctx)
	if ok {
		return s.revise(ctx, tx, log, resource, rows)
	}
	var revs []int64
	err := s.within(ctx, func(tx *sql.Tx) (err error) {
		revs, err = s.revise(ctx, tx, log, resource, rows)
		return err
	})
	return revs, err
}

func (s *Store) revise(ctx context.Context, tx execer, log, resource string, rows []string) ([]int64, error) {
	byRow := make(map[string]int64, len(rows))
	err := chunks(s, rows, small, func(part []string) error {
		args := make([]any, 0, 3*len(part))
		for _, row := range part {
			args = append(args, log, resource, row)
		}
		insert := "INSERT INTO confide_audit_revisions (log_id, resource, row_id, rev) VALUES " +
			strings.ReplaceAll(places(len(part), 3), "?)", "?,1)")
		found, err := s.upsert(ctx, tx, insert, args, part)
		for _, r := range found {
			byRow[r.Row] = r.Rev
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	revs := make([]int64, len(rows))
	for i, row := range rows {
		if revs[i], err = byRow[row], nil; revs[i] == 0 {
			return nil, errNoRevision
		}
	}
	return revs, nil
}

func (s *Store) upsert(ctx context.Context, tx execer, insert string, args []any, part []string) ([]audit.Revision, error) {
	query := insert + " ON CONFLICT (log_id, resource, row_id) DO UPDATE SET rev = confide_audit_revisions.rev + 1 RETURNING row_id, rev"
	if s.engine == mysql {
		if _, err := tx.ExecContext(ctx, insert+" ON DUPLICATE KEY UPDATE rev = rev + 1", args...); err != nil {
			return nil, fmt.Errorf("gormstore: raise revisions: %w", err)
		}
		query = "SELECT row_id, rev FROM confide_audit_revisions WHERE log_id = ? AND resource = ? AND row_id IN " + places(1, len(part))
		log, resource := args[0], args[1]
		args = []any{log, resource}
		for _, row := range part {
			args = append(args, row)
		}
	}
	rows, err := tx.QueryContext(ctx, s.bind(query), args...)
	return scan(rows, err, func(rows *sql.Rows) (r audit.Revision, err error) {
		return r, rows.Scan(&r.Row, &r.Rev)
	})
}

// Revisions implements audit.Store.
func (s *Store) Revisions(ctx context.Context, after audit.Revision, limit int) ([]audit.Revision, error) {
	rows, err := s.pool.QueryContext(ctx, s.bind(`SELECT log_id, resource, row_id, rev FROM confide_audit_revisions
		WHERE log_id > ? OR (log_id = ? AND (resource > ? OR (resource = ? AND row_id > ?)))
		ORDER BY log_id, resource, row_id LIMIT ?`), after.Log, after.Log, after.Resource, after.Resource, after.Row, limit)
	return scan(rows, err, func(rows *sql.Rows) (r audit.Revision, err error) {
		return r, rows.Scan(&r.Log, &r.Resource, &r.Row, &r.Rev)
	})
}
