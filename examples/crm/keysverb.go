package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
)

func rotateFlags(fs *flag.FlagSet, s *settings) {
	fs.BoolVar(&s.dryRun, "dry-run", false, "count what there is to do and change nothing")
	fs.DurationVar(&s.pause, "pause", 0, "rest after each batch")
	fs.IntVar(&s.batch, "batch", 200, "rows or keys a batch")
}

// kindsOf are the kinds of keys that the argument names; without one it is all. The key file is not among
// them: it also seals the log's signing key, the ledger and the backups, which no rotation of the
// database's keys would reach.
func (c *command) kindsOf() ([]privacy.KeyKind, error) {
	all := []privacy.KeyKind{privacy.DataKey, privacy.SubjectKeys, privacy.IndexKey}
	if len(c.args) == 0 {
		return all, nil
	}
	for _, k := range all {
		if len(c.args) == 1 && c.args[0] == string(k) {
			return []privacy.KeyKind{k}, nil
		}
	}
	return nil, fmt.Errorf("%w: keys takes one of data, subject, index, or nothing for all", errUsage)
}

// keysStatus is the verb `keys status`.
func keysStatus(ctx context.Context, c *command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("%w: keys status takes no arguments", errUsage)
	}
	return withExisting(operatorFor(ctx, "keys status"), c, func(ctx context.Context, a *app) error {
		list, err := a.vault.KeyStatus(ctx, a.db)
		if err != nil {
			return err
		}
		worn := false
		for _, k := range list {
			line := fmt.Sprintf("%-8s %-9s", k.Kind, k.State)
			if k.KeyID != 0 {
				line += fmt.Sprintf(" %08x", k.KeyID)
			}
			if k.Kind != privacy.IndexKey {
				line += fmt.Sprintf(" %d keys", k.Wraps)
			}
			if k.Worn {
				worn = true
				line += " WORN: rotate it"
			}
			fmt.Fprintln(c.stdout, line)
		}
		if worn {
			return fmt.Errorf("%w: a key was used more often than is safe", errFound)
		}
		return nil
	})
}

// keysRotate is the verb `keys rotate`. It goes as far as it can and says when to come back.
func keysRotate(ctx context.Context, c *command) error {
	kinds, err := c.kindsOf()
	if err != nil {
		return err
	}
	return withExisting(operatorFor(ctx, "keys rotate"), c, func(ctx context.Context, a *app) error {
		for _, kind := range kinds {
			r, err := a.rotateKeys(ctx, c, "rotate", kind, a.vault.Rotate)
			if err != nil {
				return err
			}
			switch {
			case c.dryRun:
				fmt.Fprintf(c.stdout, "%s: %d of %d to change\n", kind, r.Left, r.Checked)
			case r.Phase == privacy.Announced:
				fmt.Fprintf(c.stdout, "%s: announced; run this again after %s\n", kind, r.NotBefore.Local().Format(time.DateTime))
			default:
				fmt.Fprintf(c.stdout, "%s: %s; %d changed, %d left, %d cannot be changed\n", kind, r.Phase, r.Changed, r.Left, len(r.Failed))
			}
			for _, f := range r.Failed {
				fmt.Fprintln(c.stdout, f)
			}
			if len(r.Failed) > 0 {
				return fmt.Errorf("%w: see above", errFound)
			}
		}
		return nil
	})
}

// keysRetire is the verb `keys retire`.
func keysRetire(ctx context.Context, c *command) error {
	kinds, err := c.kindsOf()
	if err != nil {
		return err
	}
	return withExisting(operatorFor(ctx, "keys retire"), c, func(ctx context.Context, a *app) error {
		var refused error
		for _, kind := range kinds {
			r, err := a.rotateKeys(ctx, c, "retire", kind, a.vault.Retire)
			switch {
			case errors.Is(err, privacy.ErrRefused):
				refused = errors.Join(refused, err)
			case err != nil:
				return err
			case c.dryRun:
				fmt.Fprintf(c.stdout, "%s: nothing of %d needs a former key\n", kind, r.Checked)
			default:
				fmt.Fprintf(c.stdout, "%s: retired\n", kind)
			}
		}
		return refused
	})
}

type keyWork func(context.Context, *gorm.DB, privacy.KeyKind, privacy.RotateOptions) (privacy.Rotation, error)

// rotateKeys does one kind's work, with a bar, and writes it into the log.
func (a *app) rotateKeys(ctx context.Context, c *command, verb string, kind privacy.KeyKind, work keyWork) (privacy.Rotation, error) {
	bar := newProgress(c.stderr, string(kind))
	defer bar.done()
	r, err := work(ctx, a.db, kind, privacy.RotateOptions{DryRun: c.dryRun, Batch: c.batch, Pause: c.pause, Progress: func(r privacy.Rotation) {
		bar.at(int(r.Checked), 0, 0)
	}})
	if c.dryRun {
		return r, err
	}
	result := "ok"
	if err != nil {
		result = "failed"
	}
	return r, errors.Join(err, a.log.Record(ctx, "keys."+verb, slog.String("kind", string(kind)), slog.String("phase", string(r.Phase)),
		slog.Int64("changed", r.Changed), slog.Int64("left", r.Left), slog.String("result", result)))
}
