package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/filesource"
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
	if c.db != "" {
		return fmt.Errorf("%w: restore of a server database is not part of this program yet; backup/sqlsource does it", errUsage)
	}
	if _, err := os.Lstat(c.to); err == nil {
		return fmt.Errorf("%s exists already; restore goes into a folder that does not", c.to)
	}
	partial := folder(filepath.Clean(c.to) + ".partial")
	if err := os.RemoveAll(string(partial)); err != nil {
		return fmt.Errorf("remove what an earlier restore left: %w", err)
	}
	return withExisting(operatorFor(ctx, "backup restore"), c, func(ctx context.Context, a *app) error {
		if err := a.restore(ctx, c, id, partial); err != nil {
			return errors.Join(found(err, backup.ErrDamaged), os.RemoveAll(string(partial)))
		}
		if err := os.Rename(string(partial), c.to); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "restored into %s\n", c.to)
		return nil
	})
}

func (a *app) restore(ctx context.Context, c *command, id backup.ID, to folder) error {
	if err := to.prepare(); err != nil {
		return err
	}
	if err := a.copyFiles(to); err != nil {
		return err
	}
	report, err := a.restoreDatabase(ctx, c, id, to)
	if err != nil {
		return err
	}
	if err := a.restoreFiles(ctx, to); err != nil {
		return err
	}
	n, err := eraseAgain(ctx, c, to)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%d rows restored and read back; %d erased people stay erased\n", report.Rows, n)
	return nil
}

// copyFiles copies what a new folder needs beside its database: keys and ledger.
func (a *app) copyFiles(to folder) error {
	for from, path := range map[string]string{
		a.folder.kek():         to.kek(),
		a.folder.auditKey():    to.auditKey(),
		a.folder.auditPublic(): to.auditPublic(),
		a.folder.erasures():    to.erasures(),
		a.folder.demoMarker():  to.demoMarker(),
	} {
		data, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) && (from == a.folder.erasures() || from == a.folder.demoMarker()) {
			continue
		}
		if err == nil {
			err = durable.Create(path, data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", filepath.Base(from), err)
		}
	}
	return nil
}

// restoreFiles brings the newest files, which are those of any snapshot: a file
// is not changed, and the ones that no row refers to are swept.
func (a *app) restoreFiles(ctx context.Context, to folder) error {
	repository, err := a.fileBackups(ctx)
	if err != nil {
		return err
	}
	target, err := filesource.New(filesource.Config{Dir: to.files()})
	if err != nil {
		return err
	}
	_, err = repository.Restore(ctx, backup.Newest, target, backup.RestoreOptions{})
	if errors.Is(err, backup.ErrNoSnapshot) {
		return nil // of a time before files were backed up
	}
	return err
}

// restoreDatabase brings the rows of both repositories into a new database.
func (a *app) restoreDatabase(ctx context.Context, c *command, id backup.ID, to folder) (backup.Report, error) {
	db, err := openDatabase(settings{log: c.log}, to, a.logger)
	if err != nil {
		return backup.Report{}, err
	}
	pool, err := db.DB()
	if err != nil {
		return backup.Report{}, err
	}
	defer pool.Close()
	data, keys, err := a.repositories(ctx)
	if err != nil {
		return backup.Report{}, err
	}
	target := func(tables sqlsource.Config) (backup.Target, error) {
		tables.DB, tables.Engine = pool, db.Name()
		return sqlsource.New(tables)
	}
	rows, err := target(sqlsource.Config{Exclude: []string{subjectKeys}})
	if err != nil {
		return backup.Report{}, err
	}
	show := newProgress(c.stderr, "restore")
	report, err := data.Restore(ctx, id, rows, backup.RestoreOptions{Progress: func(p backup.Progress) { show.at(int(p.Rows), p.Rows, p.Total) }})
	show.done()
	if err != nil {
		return report, err
	}
	keyTable, err := target(sqlsource.Config{Include: []string{subjectKeys}})
	if err != nil {
		return report, err
	}
	_, err = keys.Restore(ctx, backup.Newest, keyTable, backup.RestoreOptions{})
	return report, err
}

// eraseAgain opens the restored folder as an app and erases everybody the ledger
// names: the snapshot may be older than the erasure.
func eraseAgain(ctx context.Context, c *command, to folder) (int, error) {
	restored := *c
	restored.data, restored.db = string(to), ""
	var n int
	err := withApp(operatorFor(ctx, "erase again after a restore"), &restored, func(ctx context.Context, a *app) (err error) {
		n, err = a.replayErasures(ctx)
		return err
	})
	return n, err
}
