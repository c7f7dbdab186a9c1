package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/durable"
)

// backupRestore is the verb `backup restore`: it makes a new data folder from a
// snapshot, the newest copy of the subjects' keys and the erasure ledger. The
// folder appears under its name only when everything in it is proven, and when
// everybody who was erased since the snapshot is erased in it too.
func backupRestore(ctx context.Context, c *command) error {
	id, err := c.snapshot(backup.Newest)
	if err != nil {
		return err
	}
	if c.customer != "" {
		if c.to != "" {
			return fmt.Errorf("%w: -customer brings rows into the database in use, -to makes a new folder; give one of them", errUsage)
		}
		return restoreCustomer(ctx, c, id)
	}
	if c.to == "" {
		return fmt.Errorf("%w: give the folder to restore into with -to", errUsage)
	}
	if c.db != "" && c.toDB == "" {
		return fmt.Errorf("%w: give the empty database to restore into with -to-db", errUsage)
	}
	if _, err := os.Lstat(c.to); err == nil {
		return fmt.Errorf("%s exists already; restore goes into a folder that does not", c.to)
	}
	partial := folder(filepath.Clean(c.to) + ".partial")
	if err := os.RemoveAll(string(partial)); err != nil {
		return fmt.Errorf("remove what an earlier restore left: %w", err)
	}
	return withBackups(operatorFor(ctx, "backup restore"), c, func(ctx context.Context, a *app) error {
		if err := a.alone(ctx, func() error { return a.restore(ctx, c, id, partial) }); err != nil {
			return errors.Join(found(err, backup.ErrDamaged), os.RemoveAll(string(partial)))
		}
		if err := os.Rename(string(partial), c.to); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "restored into %s\n", c.to)
		return nil
	})
}

// withBackups is withExisting for what needs the backups and not the database, which
// may be lost: then there is no log either, neither to ask nor to tell.
func withBackups(ctx context.Context, c *command, work func(context.Context, *app) error) error {
	if !c.offline && c.existing() == nil {
		return withApp(ctx, c, work)
	}
	if !c.offline {
		fmt.Fprintf(c.stderr, "there is no database in %s: nothing can be compared with its audit log\n", c.data)
	}
	logger, err := newLog(c.stderr, c.log)
	if err != nil {
		return err
	}
	a := &app{now: c.clock, folder: folder(c.data), places: c.places(), logger: logger}
	if a.plan, err = a.folder.plan(); err != nil {
		return err
	}
	if a.recovery, err = c.openRecovery(); err != nil {
		return err
	}
	if a.kek, err = a.folder.openKEK(false); err != nil {
		return err
	}
	return work(ctx, a)
}

func (a *app) restore(ctx context.Context, c *command, id backup.ID, to folder) error {
	if err := a.mustOpen(); err != nil {
		return err
	}
	p, err := a.pointOf(ctx, id)
	if err != nil {
		return err
	}
	heads, err := a.recordedSnapshots(ctx)
	if err != nil {
		return err
	}
	if err := p.check(ctx, heads); err != nil {
		return err
	}
	for _, name := range p.lacks {
		if name != "files" {
			fmt.Fprintf(c.stdout, "%s: there is no snapshot that fits; what was in it is not restored\n", name)
		}
	}
	restored := *c
	restored.data, restored.db, restored.promoting = string(to), c.toDB, true
	if err := a.prepareFolder(to, restored.places()); err != nil {
		return err
	}
	rows, err := a.restoreRows(ctx, c, p, restored.settings)
	if err != nil {
		return err
	}
	n, err := promote(ctx, &restored, p)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%d rows restored and read back; %d erased people stay erased\n", rows, n)
	return nil
}

// restoreRows brings everything into the folder and database of the settings.
func (a *app) restoreRows(ctx context.Context, c *command, p point, s settings) (int64, error) {
	if s.db == "" {
		if err := folder(s.data).ownDatabase(); err != nil {
			return 0, err
		}
	}
	db, err := openDatabase(settings{log: s.log, db: s.db}, folder(s.data), a.logger)
	if err != nil {
		return 0, err
	}
	pool, err := db.DB()
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	show := newProgress(c.stderr, "restore")
	defer show.done()
	return p.restore(ctx, db, folder(s.data), true, func(p backup.Progress) { show.at(int(p.Rows), p.Rows, p.Total) })
}

// prepareFolder makes a data folder with what it needs beside its database: keys,
// ledger, and the anchors of the log.
func (a *app) prepareFolder(to folder, there places) error {
	if err := to.prepare(); err != nil {
		return err
	}
	needed := map[string]string{a.folder.kek(): to.kek(), a.folder.auditKey(): to.auditKey(), a.folder.auditPublic(): to.auditPublic()}
	optional := map[string]string{a.folder.demoMarker(): to.demoMarker(), a.folder.recipients(): to.recipients(), a.folder.planFile(): to.planFile()}
	if there.erasures() != a.places.erasures() {
		optional[a.places.erasures()] = there.erasures()
	}
	anchors, err := filepath.Glob(a.folder.anchors() + "*")
	if err != nil {
		return err
	}
	for _, path := range anchors {
		optional[path] = filepath.Join(filepath.Dir(to.anchors()), filepath.Base(path))
	}
	for _, files := range []map[string]string{needed, optional} {
		for from, path := range files {
			data, err := os.ReadFile(from)
			if errors.Is(err, fs.ErrNotExist) && needed[from] == "" {
				continue
			}
			if err == nil {
				err = durable.Create(path, data, 0o600)
			}
			if err != nil {
				return fmt.Errorf("copy %s: %w", filepath.Base(from), err)
			}
		}
	}
	return nil
}

// promote opens a restored folder, erases everybody the ledger names in it once more,
// makes sure that nobody of them can be read and that the log is whole, and lets the
// database out of quarantine. It returns how many people are erased.
func promote(ctx context.Context, c *command, p point) (erased int, err error) {
	err = withApp(operatorFor(ctx, "erase again after a restore"), c, func(ctx context.Context, a *app) error {
		if err := a.continueLog(ctx, p); err != nil {
			return err
		}
		if erased, err = a.replayErasures(ctx); err != nil {
			return err
		}
		pool, err := a.db.DB()
		if err != nil {
			return err
		}
		database, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: a.db.Name()})
		if err != nil {
			return err
		}
		conditions, err := a.promotion(ctx)
		if err != nil {
			return err
		}
		_, err = backup.Promote(ctx, pool, database, a.log, conditions)
		return err
	})
	return erased, err
}

// continueLog tells the restored log that it is a restored one, and of what: it is
// older than the anchors outside of the database, and goes on from there.
func (a *app) continueLog(ctx context.Context, p point) error {
	var from []string
	attrs := []slog.Attr{slog.String("result", "ok")}
	for _, s := range p.chosen {
		from = append(from, fmt.Sprintf("%s %d", s.set.name, s.from.ID))
	}
	if err := a.declareRestore(ctx, "restored from snapshots "+strings.Join(from, ", ")); err != nil {
		return err
	}
	return a.log.Record(ctx, "backup.restore", append(attrs, slog.String("from", strings.Join(from, ", ")))...)
}
