package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/privacy"
)

// Erased makes the ledger a backup.Erasures: everybody it names, by subject.
func (l ledger) Erased(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		entries, err := l.entries(ctx)
		if err != nil {
			yield("", err)
			return
		}
		for _, e := range entries {
			if !yield(e.Subject, nil) {
				return
			}
		}
	}
}

// customersErased is the ledger by the customers' ids.
type customersErased struct{ ledger }

func (l customersErased) Erased(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for subject, err := range l.ledger.Erased(ctx) {
			id, ours := strings.CutPrefix(subject, "customer:")
			if (err != nil || ours) && !yield(id, err) {
				return
			}
		}
	}
}

// promotion is what must hold of the database of a before it may be used. The caller
// has opened it and erased everybody in the ledger again.
func (a *app) promotion(ctx context.Context) (backup.Promotion, error) {
	known, err := a.erasuresInLog(ctx)
	if err != nil {
		return backup.Promotion{}, err
	}
	return backup.Promotion{
		Erasures: a.ledger(), AtLeast: known, Erase: a.eraseAgain, Readable: a.readable,
		Checks: []backup.Check{{Name: "audit log", Run: a.wholeLog}},
	}, nil
}

// erasuresInLog is how many people the log says were erased: a ledger that names fewer
// is an old copy, which would bring the others back.
func (a *app) erasuresInLog(ctx context.Context) (int, error) {
	people := map[string]bool{}
	for e, err := range a.log.Events(ctx, audit.Query{Tenant: book.Tenant, Action: "subject.erased"}) {
		if err != nil {
			return 0, err
		}
		people[e.Subject] = true
	}
	return len(people), nil
}

// eraseAgain finishes what a snapshot has not seen.
func (a *app) eraseAgain(ctx context.Context, _ *sql.DB, subject string) error {
	state, err := a.vault.Subject(ctx, a.db, subject)
	if err != nil || state == privacy.Erased {
		return err
	}
	return a.erase(ctx, subject)
}

func (a *app) readable(ctx context.Context, _ *sql.DB, subject string) (bool, error) {
	state, err := a.vault.Subject(ctx, a.db, subject)
	return state != privacy.Erased, err
}

// wholeLog looks that the log is one in which something happened, and nothing was
// changed.
func (a *app) wholeLog(ctx context.Context, _ *sql.DB) error {
	report, err := a.log.Verify(ctx, audit.VerifyOptions{})
	switch {
	case err != nil:
		return err
	case report.Size == 0:
		return errors.New("the restored audit log is empty")
	case !report.OK:
		return fmt.Errorf("the restored audit log has %d breaks, the first: %v", len(report.Breaks)+report.More, report.Breaks[0])
	}
	return nil
}

// declareRestore begins an epoch of the log where it is older than its anchors.
func (a *app) declareRestore(ctx context.Context, reason string) error {
	_, err := a.log.DeclareRestore(ctx, reason)
	if errors.Is(err, audit.ErrInvalid) { // all anchored checkpoints fit
		return nil
	}
	return err
}
