package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
)

// subjectErase is the verb `subject erase`.
func subjectErase(ctx context.Context, c *command) error {
	if len(c.args) != 1 || c.args[0] == "" {
		return fmt.Errorf("%w: subject erase takes the id of one customer", errUsage)
	}
	subject := "customer:" + c.args[0]
	return withExisting(operatorFor(ctx, "subject erase"), c, func(ctx context.Context, a *app) error {
		state, err := a.vault.Subject(ctx, a.db, subject)
		if err != nil {
			return err
		}
		switch state {
		case privacy.NeverSeen:
			return fmt.Errorf("there is no customer with this id")
		case privacy.Erased:
			fmt.Fprintln(c.stdout, "was erased before")
		default:
			// The ledger first: if this process dies, the next one finishes.
			if err := a.ledger().add(ctx, subject, a.now()); err != nil {
				return err
			}
		}
		if _, err := a.finishErasures(ctx); err != nil {
			return err
		}
		if err := a.alone(ctx, func() error { return a.forgetErased(ctx) }); err != nil { // the backups still have the destroyed key
			return err
		}
		fmt.Fprintln(c.stdout, "erased: the key is destroyed, in the database and in the backups")
		by, err := a.forgottenBy(a.now())
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "copies of the backups that lie elsewhere can be read no longer than until %s\n", by.UTC().Format(time.RFC3339))
		return nil
	})
}

// finishErasures erases everybody the ledger names who is not erased yet, and returns how many people it names.
func (a *app) finishErasures(ctx context.Context) (int, error) {
	entries, err := a.ledger().entries(ctx)
	if err != nil {
		return 0, err
	}
	people := map[string]bool{}
	for _, e := range entries {
		people[e.Subject] = true
		state, err := a.vault.Subject(ctx, a.db, e.Subject)
		if err != nil {
			return 0, err
		}
		if state == privacy.Erased {
			continue
		}
		if err := a.erase(ctx, e.Subject); err != nil {
			return 0, err
		}
	}
	return len(people), nil
}

func (a *app) erase(ctx context.Context, subject string) error {
	var objects []string
	err := a.inTx(ctx, func(ctx context.Context, tx *gorm.DB) (err error) {
		_, id, _ := strings.Cut(subject, ":")
		if objects, err = forgetFiles(tx, id); err != nil {
			return err
		}
		if _, err = a.vault.Erase(ctx, tx, subject); err != nil {
			return err
		}
		return a.log.Forget(ctx, subject) // last: what changed above has secrets too
	})
	if err != nil {
		return err
	}
	return a.removeFiles(ctx, objects)
}

// replayErasures brings a restored database to the state of the ledger and returns how
// many people are erased in it. Their keys are those of today; rows, indexes and what
// guesses at the log can be checked with may be older than their erasure.
func (a *app) replayErasures(ctx context.Context) (int, error) {
	n, err := a.finishErasures(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := a.vault.ReplayErasures(ctx, a.db); err != nil {
		return 0, err
	}
	for subject, err := range a.ledger().Erased(ctx) {
		if err != nil {
			return 0, err
		}
		err := a.inTx(ctx, func(ctx context.Context, tx *gorm.DB) error {
			_, id, _ := strings.Cut(subject, ":")
			if _, err := forgetFiles(tx, id); err != nil {
				return err
			}
			return a.log.Forget(ctx, subject)
		})
		if err != nil {
			return 0, fmt.Errorf("erase again: %w", err)
		}
	}
	return n, nil
}
