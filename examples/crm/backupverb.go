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
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/filesource"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/examples/crm/internal/book"
)

// subjectKeys is the table whose rows must not outlive an erasure. Snapshots of
// the data are kept; of this table only the newest one is.
const subjectKeys = "confide_subject_keys"

// repositories opens the two repositories of the app: the data, and the keys of
// the people in it.
func (a *app) repositories(ctx context.Context) (data, keys *backup.Repository, err error) {
	pool, err := a.db.DB()
	if err != nil {
		return nil, nil, err
	}
	open := func(dir, set string, tables sqlsource.Config) (*backup.Repository, error) {
		tables.DB, tables.Engine = pool, a.db.Name()
		source, err := sqlsource.New(tables)
		if err != nil {
			return nil, err
		}
		store, err := dirstore.Open(ctx, dir)
		if err != nil {
			return nil, err
		}
		return backup.Open(ctx, backup.Config{Source: source, Store: store, KEK: a.kek, DataSet: set, Record: a.log})
	}
	if data, err = open(a.folder.dataBackups(), "data", sqlsource.Config{Exclude: []string{subjectKeys}}); err != nil {
		return nil, nil, err
	}
	keys, err = open(a.folder.keyBackups(), "keys", sqlsource.Config{Include: []string{subjectKeys}})
	return data, keys, err
}

// backupRun is the verb `backup run`.
func backupRun(ctx context.Context, c *command) error {
	kind, err := backup.ParseKind(c.kind)
	if err != nil {
		return fmt.Errorf("%w: -kind is full, differential or incremental", errUsage)
	}
	return withExisting(operatorFor(ctx, "backup run"), c, func(ctx context.Context, a *app) error {
		if _, err := a.finishErasures(ctx); err != nil {
			return err
		}
		data, keys, err := a.repositories(ctx)
		if err != nil {
			return err
		}
		// The data first: whoever is in it has a key by then, so that the keys that
		// follow fit.
		if kind != backup.Full {
			if err := a.trackChanges(ctx); err != nil {
				return err
			}
		}
		show := newProgress(c.stderr, "backup")
		s, err := data.Run(ctx, backup.RunOptions{Kind: kind, Progress: func(p backup.Progress) { show.at(int(p.Rows), p.Rows, p.Total) }})
		show.done()
		if err != nil {
			return err
		}
		if err := copyKeys(ctx, keys); err != nil {
			return err
		}
		files, err := a.fileBackups(ctx)
		if err != nil {
			return err
		}
		// After the rows: whatever file a row of the snapshot refers to is there.
		if _, err := files.Run(ctx, backup.RunOptions{Kind: kind}); err != nil {
			return fmt.Errorf("back the customers' files up: %w", err)
		}
		fmt.Fprintf(c.stdout, "snapshot %d, %v: %d rows of %d tables, %d read, %d bytes stored\n", s.ID, s.Kind, s.Rows, len(s.Tables), s.Work.Read, s.Work.Stored)
		for _, m := range s.Missed {
			fmt.Fprintf(c.stdout, "the change tracking had missed something: %v\n", m)
		}
		if len(s.Missed) > 0 {
			return fmt.Errorf("%w: the snapshot is right, but the tracking of changes cannot be relied on", errFound)
		}
		return nil
	})
}

// trackChanges makes the database note what changes, for runs that do not read
// everything.
func (a *app) trackChanges(ctx context.Context) error {
	pool, err := a.db.DB()
	if err != nil {
		return err
	}
	source, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: a.db.Name(), Exclude: []string{subjectKeys}})
	if err != nil {
		return err
	}
	_, err = source.Track(ctx)
	return err
}

// fileBackups opens the repository of the customers' files, which are sealed
// under the customers' keys as they lie there.
func (a *app) fileBackups(ctx context.Context) (*backup.Repository, error) {
	source, err := filesource.New(filesource.Config{Dir: a.folder.files()})
	if err != nil {
		return nil, err
	}
	store, err := dirstore.Open(ctx, a.folder.fileBackups())
	if err != nil {
		return nil, err
	}
	return backup.Open(ctx, backup.Config{Source: source, Store: store, KEK: a.kek, DataSet: "files", Record: a.log})
}

// copyKeys backs the subjects' keys up and removes every older copy: a key that
// has been destroyed must not come back from one.
func copyKeys(ctx context.Context, keys *backup.Repository) error {
	if _, err := keys.Run(ctx, backup.RunOptions{}); err != nil {
		return fmt.Errorf("back up the subjects' keys: %w", err)
	}
	if _, err := keys.Prune(ctx, backup.PruneOptions{Keep: 1}); err != nil {
		return fmt.Errorf("remove older copies of the subjects' keys: %w", err)
	}
	return nil
}

// backupList is the verb `backup list`.
func backupList(ctx context.Context, c *command) error {
	return withExisting(operatorFor(ctx, "backup list"), c, func(ctx context.Context, a *app) error {
		data, _, err := a.repositories(ctx)
		if err != nil {
			return err
		}
		list, err := data.List(ctx)
		for _, s := range list {
			fmt.Fprintf(c.stdout, "%4d  %s  %-12v  %8d rows  %10d bytes\n", s.ID, s.Time.UTC().Format(time.RFC3339), s.Kind, s.Rows, s.Stored)
		}
		return found(err, backup.ErrDamaged)
	})
}

// backupVerify is the verb `backup verify`.
func backupVerify(ctx context.Context, c *command) error {
	id, err := c.snapshot(backup.Every)
	if err != nil {
		return err
	}
	return withExisting(operatorFor(ctx, "backup verify"), c, func(ctx context.Context, a *app) error {
		data, keys, err := a.repositories(ctx)
		if err != nil {
			return found(err, backup.ErrDamaged)
		}
		heads, err := a.recordedSnapshots(ctx)
		if err != nil {
			return err
		}
		show := newProgress(c.stderr, "verify")
		report, err := data.Verify(ctx, id, backup.VerifyOptions{Heads: heads["data"], Progress: func(p backup.Progress) { show.at(int(p.Rows), p.Rows, p.Total) }})
		show.done()
		keyReport, keyErr := keys.Verify(ctx, backup.Newest, backup.VerifyOptions{Heads: heads["keys"]})
		files, fileErr := a.fileBackups(ctx)
		var fileReport backup.Report
		if fileErr == nil {
			fileReport, fileErr = files.Verify(ctx, backup.Every, backup.VerifyOptions{Heads: heads["files"]})
		}
		for _, d := range slices.Concat(report.Damage, keyReport.Damage, fileReport.Damage) {
			fmt.Fprintln(c.stdout, d)
		}
		if err := errors.Join(err, keyErr, fileErr); err != nil {
			return found(err, backup.ErrDamaged)
		}
		fmt.Fprintf(c.stdout, "%d snapshots, %d objects, %d rows: everything is there and unchanged\n", len(report.Snapshots), report.Objects, report.Rows)
		return nil
	})
}

// recordedSnapshots asks the audit log which snapshots there must be, by data
// set: a store cannot hide one that the log knows.
func (a *app) recordedSnapshots(ctx context.Context) (map[string][]backup.Head, error) {
	heads := map[string][]backup.Head{}
	for e, err := range a.log.Events(ctx, audit.Query{Tenant: book.Tenant, Action: "backup.run"}) {
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
