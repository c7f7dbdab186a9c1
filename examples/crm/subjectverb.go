package main

import (
	"context"
	"fmt"
	"log/slog"
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
			if err := a.folder.ledger(a.kek).add(ctx, subject, time.Now()); err != nil {
				return err
			}
		}
		if _, err := a.finishErasures(ctx); err != nil {
			return err
		}
		// The backup of the keys still has the destroyed one.
		_, keys, err := a.repositories(ctx)
		if err != nil {
			return err
		}
		if err := copyKeys(ctx, keys); err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, "erased: the key is destroyed, in the database and in the backups")
		return nil
	})
}

// finishErasures erases everybody the ledger names who is not erased yet, and returns how many people it names.
func (a *app) finishErasures(ctx context.Context) (int, error) {
	entries, err := a.folder.ledger(a.kek).entries(ctx)
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

// replayErasures brings a restored database to the state of the ledger and
// returns how many people are erased in it.
func (a *app) replayErasures(ctx context.Context) (int, error) {
	n, err := a.finishErasures(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := a.vault.ReplayErasures(ctx, a.db); err != nil {
		return 0, err
	}
	return n, a.log.Record(ctx, "backup.promote", slog.Int("erased", n), slog.String("result", "ok"))
}
