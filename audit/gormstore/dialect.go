package gormstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
)

// names as GORM's dialectors give them
const (
	sqlite   = "sqlite"
	postgres = "postgres"
	mysql    = "mysql"
)

// bind replaces the question marks of a statement by what the engine wants.
func (s *Store) bind(query string) string {
	if s.engine != postgres {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 32)
	n := 0
	for {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = after
	}
}

// places returns n groups of columns question marks: "(?,?),(?,?)".
func places(n, columns int) string {
	group := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(group+",", n), ",")
}

// isDuplicate tells a violated unique constraint from other failures.
func (s *Store) isDuplicate(err error) bool {
	t, ok := s.dialector.(gorm.ErrorTranslator)
	for ; ok && err != nil; err = errors.Unwrap(err) { // translators look at the bare error only
		if errors.Is(t.Translate(err), gorm.ErrDuplicatedKey) {
			return true
		}
	}
	return false
}

// isTransient tells failures that vanish when the transaction is repeated. The
// drivers are not imported here, so it asks for what their errors can tell.
func isTransient(err error) bool {
	var state interface{ SQLState() string } // pgx
	if errors.As(err, &state) {
		return state.SQLState() == "40001" || state.SQLState() == "40P01"
	}
	var code interface{ Code() int } // SQLite: BUSY, LOCKED, with extended codes above the low byte
	if errors.As(err, &code) {
		return code.Code()&0xff == 5 || code.Code()&0xff == 6
	}
	if err == nil {
		return false
	}
	text := err.Error() // MySQL: dead-lock, lock wait timeout, changed snapshot (MariaDB), TiDB's write conflict
	for _, number := range []string{"Error 1213", "Error 1205", "Error 1020", "Error 9007"} {
		if strings.Contains(text, number) {
			return true
		}
	}
	return false
}

// isThere tells that a column or index to be added exists: another process was faster.
func isThere(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "Error 1060") || strings.Contains(text, "Error 1061") || // MySQL
		strings.Contains(text, "duplicate column name") || // SQLite
		strings.Contains(text, "SQLSTATE 42701") // PostgreSQL
}

// isCreated tells PostgreSQL's "this relation, or type, is there already".
func isCreated(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && (state.SQLState() == "42P07" || state.SQLState() == "42710")
}

const attempts = 10

// within runs f in a transaction of its own and repeats it while the failure is
// transient. Every f begins with a write: a SQLite transaction that reads first
// can fail half way with a stale snapshot.
func (s *Store) within(ctx context.Context, f func(tx *sql.Tx) error) error {
	return s.repeat(ctx, nil, f)
}

// snapshot runs f in a transaction that only reads, and that sees one state of the database.
func (s *Store) snapshot(ctx context.Context, f func(tx *sql.Tx) error) error {
	options := sql.TxOptions{ReadOnly: true}
	if s.engine != sqlite { // whose transactions are snapshots, and whose driver knows no levels
		options.Isolation = sql.LevelRepeatableRead
	}
	return s.repeat(ctx, &options, f)
}

func (s *Store) repeat(ctx context.Context, options *sql.TxOptions, f func(tx *sql.Tx) error) error {
	return patiently(ctx, func() error { return s.once(ctx, options, f) })
}

// patiently calls f again while its failure is transient.
func patiently(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == attempts || !isTransient(err) {
			return err
		}
		t := time.NewTimer(time.Duration(attempt) * time.Duration(5+rand.IntN(10)) * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (s *Store) once(ctx context.Context, options *sql.TxOptions, f func(tx *sql.Tx) error) error {
	tx, err := s.pool.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("gormstore: begin: %w", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("gormstore: commit: %w", err)
	}
	return nil
}
