package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Promotion is what must hold before a restored database may be used.
type Promotion struct {
	// Erasures is the ledger of erased people; required, NobodyErased is the named
	// "nobody". Everybody in it is erased again: the snapshot may be older.
	Erasures Erasures
	// AtLeast is how many entries the ledger is known to have, from an audit log for
	// example. A shorter one is an old copy, which would bring people back.
	AtLeast int
	// Erase erases one person in the restored database, once more if need be.
	// Required if the ledger names anybody.
	Erase func(ctx context.Context, db *sql.DB, subject string) error
	// Readable looks whether anything of a person can still be read there: the
	// canary. Required if the ledger names anybody.
	Readable func(ctx context.Context, db *sql.DB, subject string) (bool, error)
	// Checks are the application's own.
	Checks []Check
}

// A Check is something that must be true of a restored database.
type Check struct {
	Name string
	Run  func(ctx context.Context, db *sql.DB) error
}

// A Step is one part of a promotion or a drill, and how it went.
type Step struct {
	Name   string        `json:"name"`
	OK     bool          `json:"ok"`
	Detail string        `json:"detail,omitempty"` // counts, or what went wrong
	Took   time.Duration `json:"took"`             // nanoseconds
}

// A Quarantine is where a restored database stays until it is promoted.
// sqlsource.Database is one.
type Quarantine interface {
	// Quarantined reports whether the database is in quarantine.
	Quarantined(ctx context.Context) (bool, error)
	// Release ends the quarantine.
	Release(ctx context.Context) error
}

// Promote lets a restored database out of quarantine: after everybody in the
// ledger has been erased in it again, nobody of them can be read, and every check
// has passed. Otherwise it stays there, and the error says why. A promotion that
// is killed has not happened; do it again.
func Promote(ctx context.Context, db *sql.DB, q Quarantine, record Recorder, p Promotion) ([]Step, error) {
	if record == nil {
		return nil, errors.New("backup: Promote needs a Recorder; pass an audit log, or backup.Discard")
	}
	in, err := q.Quarantined(ctx)
	if err != nil {
		return nil, err
	}
	if !in {
		return nil, errors.New("backup: the database is not in quarantine; there is nothing to promote")
	}
	steps, erased, err := p.run(ctx, db)
	if err != nil {
		return steps, fmt.Errorf("backup: not promoted: %w", err)
	}
	if err := record.Record(ctx, "backup.promote", slog.Int("erased", erased)); err != nil {
		return steps, fmt.Errorf("backup: not promoted: record backup.promote: %w", err)
	}
	return steps, q.Release(ctx)
}

// run does all steps up to the first that fails.
func (p Promotion) run(ctx context.Context, db *sql.DB) (steps []Step, erased int, err error) {
	if p.Erasures == nil {
		return nil, 0, errors.New("the promotion has no erasure ledger; pass it, or backup.NobodyErased")
	}
	var people []string
	for subject, err := range p.Erasures.Erased(ctx) {
		if err != nil {
			return nil, 0, fmt.Errorf("read the erasure ledger: %w", err)
		}
		people = append(people, subject)
	}
	if len(people) > 0 && p.Readable == nil { // before anybody is erased again
		return nil, 0, errors.New("people were erased, and Promotion.Readable is nil, so that nobody can tell whether they are")
	}
	do := func(name string, f func() (string, error)) {
		if err != nil {
			return
		}
		begun := time.Now()
		step := Step{Name: name}
		step.Detail, err = f()
		if step.OK = err == nil; !step.OK {
			step.Detail = err.Error()
			err = fmt.Errorf("%s: %w", name, err)
		}
		step.Took = time.Since(begun)
		steps = append(steps, step)
	}
	do("erasure ledger", func() (string, error) { return p.replay(ctx, db, people) })
	do("canary", func() (string, error) { return p.canary(ctx, db, people) })
	for _, check := range p.Checks {
		do("check "+check.Name, func() (string, error) { return "", check.Run(ctx, db) })
	}
	return steps, len(people), err
}

func (p Promotion) replay(ctx context.Context, db *sql.DB, people []string) (string, error) {
	if len(people) < p.AtLeast {
		return "", fmt.Errorf("it has %d entries and is known to have %d; bring the right one", len(people), p.AtLeast)
	}
	if len(people) > 0 && p.Erase == nil {
		return "", errors.New("it names people, and Promotion.Erase is nil")
	}
	for n, subject := range people {
		if err := p.Erase(ctx, db, subject); err != nil {
			return "", fmt.Errorf("erase the person of entry %d: %w", n+1, err)
		}
	}
	return fmt.Sprintf("%d people erased again", len(people)), nil
}

func (p Promotion) canary(ctx context.Context, db *sql.DB, people []string) (string, error) {
	if len(people) == 0 {
		return "nobody was erased", nil
	}
	for n, subject := range people {
		readable, err := p.Readable(ctx, db, subject)
		if err != nil {
			return "", fmt.Errorf("look for the person of entry %d: %w", n+1, err)
		}
		if readable {
			return "", fmt.Errorf("the person of entry %d of the ledger can be read", n+1)
		}
	}
	return fmt.Sprintf("none of %d erased people can be read", len(people)), nil
}
