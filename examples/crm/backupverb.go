package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/examples/crm/internal/book"
)

// chosen are the data sets that -set names; all without it.
func (c *command) chosen(p plan) ([]dataSet, error) {
	sets := p.sets()
	if c.set == "" {
		return sets, nil
	}
	for _, s := range sets {
		if s.name == c.set {
			return []dataSet{s}, nil
		}
	}
	return nil, fmt.Errorf("%w: -set is data, invoices, audit, files, secrets or keys", errUsage)
}

// backupRun is the verb `backup run`.
func backupRun(ctx context.Context, c *command) error {
	kind, err := backup.ParseKind(c.kind)
	if err != nil {
		return fmt.Errorf("%w: -kind is full, differential or incremental", errUsage)
	}
	return withBackupsAlone(operatorFor(ctx, "backup run"), c, func(ctx context.Context, a *app) error {
		sets, err := c.chosen(a.plan)
		if err != nil {
			return err
		}
		if _, err := a.finishErasures(ctx); err != nil {
			return err
		}
		var missed []backup.Missed
		for _, set := range sets {
			show := newProgress(c.stderr, "backup of "+set.name)
			s, err := a.backUp(ctx, set, kind, func(p backup.Progress) { show.at(int(p.Rows), p.Rows, p.Total) })
			show.done()
			if err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%s: snapshot %d, %v: %d rows of %d tables, %d read, %d bytes stored\n", set.name, s.ID, s.Kind, s.Rows, len(s.Tables), s.Work.Read, s.Work.Stored)
			missed = append(missed, s.Missed...)
		}
		for _, m := range missed {
			fmt.Fprintf(c.stdout, "the change tracking had missed something: %v\n", m)
		}
		if len(missed) > 0 {
			return fmt.Errorf("%w: the snapshots are right, but the tracking of changes cannot be relied on", errFound)
		}
		return nil
	})
}

// backupList is the verb `backup list`.
func backupList(ctx context.Context, c *command) error {
	return withExisting(operatorFor(ctx, "backup list"), c, func(ctx context.Context, a *app) error {
		sets, err := c.chosen(a.plan)
		if err != nil {
			return err
		}
		var failed error
		for _, set := range sets {
			repo, err := a.repository(ctx, set)
			var list []backup.Snapshot
			if err == nil {
				list, err = repo.List(ctx)
			}
			failed = errors.Join(failed, err)
			if len(list) == 0 {
				continue
			}
			fmt.Fprintf(c.stdout, "%s\n", set.name)
			for _, s := range list {
				fmt.Fprintf(c.stdout, "%4d  %s  %-12v  %8d rows  %10d bytes\n", s.ID, s.Time.UTC().Format(time.RFC3339), s.Kind, s.Rows, s.Stored)
			}
		}
		by, err := a.forgottenBy(a.now())
		if err == nil {
			fmt.Fprintf(c.stdout, "whoever is erased now is in no copy of the backups that can be read after %s\n", by.UTC().Format(time.RFC3339))
		}
		return found(errors.Join(failed, err), backup.ErrDamaged)
	})
}

// backupVerify is the verb `backup verify`.
func backupVerify(ctx context.Context, c *command) error {
	id, err := c.snapshot(backup.Every)
	if err != nil {
		return err
	}
	if id != backup.Every && c.set == "" {
		c.set = "data"
	}
	return withExisting(operatorFor(ctx, "backup verify"), c, func(ctx context.Context, a *app) error {
		sets, err := c.chosen(a.plan)
		if err != nil {
			return err
		}
		heads, err := a.recordedSnapshots(ctx)
		if err != nil {
			return err
		}
		var total backup.Report
		var failed error
		for _, set := range sets {
			report, err := a.verifySet(ctx, c, set, id, heads[set.name])
			for _, d := range report.Damage {
				fmt.Fprintf(c.stdout, "%s: %v\n", set.name, d)
			}
			failed = errors.Join(failed, err)
			total.Snapshots = append(total.Snapshots, report.Snapshots...)
			total.Objects, total.Rows, total.Unopened = total.Objects+report.Objects, total.Rows+report.Rows, total.Unopened+report.Unopened
		}
		if failed != nil {
			return found(failed, backup.ErrDamaged)
		}
		fmt.Fprintf(c.stdout, "%d snapshots, %d objects, %d rows: everything is there and unchanged\n", len(total.Snapshots), total.Objects, total.Rows)
		if total.Unopened > 0 {
			fmt.Fprintf(c.stdout, "of %d chunks only the seals were checked: their recipients alone can open them; give -recovery to read them\n", total.Unopened)
		}
		return nil
	})
}

func (a *app) verifySet(ctx context.Context, c *command, set dataSet, id backup.ID, heads []backup.Head) (backup.Report, error) {
	repo, err := a.repository(ctx, set)
	if err != nil {
		return backup.Report{}, err
	}
	show := newProgress(c.stderr, "verify "+set.name)
	defer show.done()
	return repo.Verify(ctx, id, backup.VerifyOptions{Heads: heads, Progress: func(p backup.Progress) { show.at(int(p.Rows), p.Rows, p.Total) }})
}

// recordedSnapshots asks the audit log which snapshots there must be, by data
// set: a store cannot hide one that the log knows. A restored database knows nothing of
// the stores before its promotion: its backups begin anew.
func (a *app) recordedSnapshots(ctx context.Context) (map[string][]backup.Head, error) {
	heads := map[string][]backup.Head{}
	if a.log == nil {
		return heads, nil
	}
	query := audit.Query{Tenant: book.Tenant, Action: "backup.promote", Limit: 1}
	for e, err := range a.log.Events(ctx, query) {
		if err != nil {
			return nil, err
		}
		query.From = e.Time
	}
	query.Action, query.Limit = "backup.run", 0
	for e, err := range a.log.Events(ctx, query) {
		if err != nil {
			return nil, err
		}
		var set string
		var head backup.Head
		for _, attr := range e.Attrs {
			switch attr.Key {
			case "dataset":
				set = attr.Value.String()
			case "hash":
				head.Hash = attr.Value.String()
			case "snapshot":
				head.ID = backup.ID(attr.Value.Int64())
			}
		}
		// The newest of a set says everything: each manifest names its predecessor.
		if set != "" && len(heads[set]) == 0 {
			heads[set] = []backup.Head{head}
		}
	}
	return heads, nil
}

// backupPrune is the verb `backup prune`.
func backupPrune(ctx context.Context, c *command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("%w: backup prune takes no arguments", errUsage)
	}
	if c.accept > 0 && c.set == "" {
		return fmt.Errorf("%w: -accept goes with -set, whose snapshot it is", errUsage)
	}
	return withBackupsAlone(operatorFor(ctx, "backup prune"), c, func(ctx context.Context, a *app) error {
		sets, err := c.chosen(a.plan)
		if err != nil {
			return err
		}
		opts := c.keep
		opts.Accept = backup.ID(c.accept)
		for _, set := range sets {
			if set.forgets {
				continue // of these there is one copy in any case
			}
			pruned, err := a.prune(ctx, set, opts)
			if frozen := (*backup.FrozenError)(nil); errors.As(err, &frozen) {
				for _, s := range frozen.Signals {
					fmt.Fprintf(c.stdout, "%s: %v\n", set.name, s)
				}
				return fmt.Errorf("%w: of %s nothing was pruned; if these changes are right, prune with -set %[2]s, -accept and the number of the newest snapshot", errFound, set.name)
			}
			if err != nil {
				return found(err, backup.ErrDamaged)
			}
			fmt.Fprintf(c.stdout, "%s: %d snapshots removed, %d objects deleted\n", set.name, len(pruned.Snapshots), pruned.Objects)
		}
		return nil
	})
}

// prune removes the snapshots of a data set that no rule keeps. That a table has left a
// data set for one of its own is no mass deletion.
func (a *app) prune(ctx context.Context, set dataSet, opts backup.PruneOptions) (backup.Pruned, error) {
	repo, err := a.repository(ctx, set)
	if err != nil {
		return backup.Pruned{}, err
	}
	if list, err := repo.List(ctx); err != nil || len(list) == 0 {
		return backup.Pruned{}, err
	}
	pruned, err := repo.Prune(ctx, opts)
	frozen := (*backup.FrozenError)(nil)
	if !errors.As(err, &frozen) || set.name != "data" || slices.ContainsFunc(frozen.Signals, func(s backup.Signal) bool { return !ownSet(s.Table) }) {
		return pruned, err
	}
	for _, s := range frozen.Signals {
		opts.Accept = max(opts.Accept, s.Snapshot)
	}
	return repo.Prune(ctx, opts)
}

// snapshot reads the number of a snapshot from the arguments.
func (c *command) snapshot(otherwise backup.ID) (backup.ID, error) {
	switch len(c.args) {
	case 0:
		return otherwise, nil
	case 1:
		if n, err := strconv.ParseUint(c.args[0], 10, 63); err == nil && n > 0 {
			return backup.ID(n), nil
		}
	}
	return 0, fmt.Errorf("%w: give the number of one snapshot, as `crm backup list` shows it", errUsage)
}

// withApp opens the app, does the work, and closes it.
func withApp(ctx context.Context, c *command, work func(context.Context, *app) error) error {
	a, err := open(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(work(ctx, a), a.close())
}

// withExisting is withApp for verbs that look at data or make something of it.
func withExisting(ctx context.Context, c *command, work func(context.Context, *app) error) error {
	if err := c.existing(); err != nil {
		return err
	}
	return withApp(ctx, c, work)
}

// withBackupsAlone is withExisting while no other process is at work on the backups.
func withBackupsAlone(ctx context.Context, c *command, work func(context.Context, *app) error) error {
	return withExisting(ctx, c, func(ctx context.Context, a *app) error {
		return a.alone(ctx, func() error { return work(ctx, a) })
	})
}

// existing refuses a data folder that is not there: a check of nothing must not
// end well.
func (c *command) existing() error {
	if c.db != "" {
		return nil
	}
	if _, err := os.Stat(folder(c.data).database()); err != nil {
		return fmt.Errorf("there is no database in %s; give the data folder with -data", c.data)
	}
	return nil
}

// found marks an error as something that a check found.
func found(err, kind error) error {
	if errors.Is(err, kind) {
		return fmt.Errorf("%w: %w", errFound, err)
	}
	return err
}
