package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/backup"
)

// backupDrill is the verb `backup drill`: it restores a snapshot into a folder and a
// database that go away again, as after a disaster, and shows that the erased stay
// erased.
func backupDrill(ctx context.Context, c *command) error {
	id, err := c.snapshot(backup.Newest)
	if err != nil {
		return err
	}
	return withBackupsAlone(operatorFor(ctx, "backup drill"), c, func(ctx context.Context, a *app) error {
		if err := a.mustOpen(); err != nil {
			return err
		}
		d, err := a.drill(ctx, c, id)
		for _, s := range d.Steps {
			fmt.Fprintf(c.stdout, "%-6s %-18s %8s  %s\n", map[bool]string{true: "ok", false: "FAILED"}[s.OK], s.Name, s.Took.Round(time.Millisecond), s.Detail)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errFound, err)
		}
		fmt.Fprintf(c.stdout, "drill %d of snapshot %d on %s, opened by the %s key: %d rows, recovery point %s, recovery time %s\n",
			d.Number, d.Snapshot, d.Engine, d.Key, d.Rows, d.RPO.Round(time.Second), d.RTO.Round(time.Millisecond))
		return nil
	})
}

// drill rehearses a restore of all data sets. Its signed report is kept with the
// snapshots of "data".
func (a *app) drill(ctx context.Context, c *command, id backup.ID) (backup.Drill, error) {
	p, err := a.pointOf(ctx, id)
	if err != nil {
		return backup.Drill{}, found(err, backup.ErrDamaged)
	}
	heads, err := a.recordedSnapshots(ctx)
	if err != nil {
		return backup.Drill{}, err
	}
	r := &rehearsal{app: a, command: c, point: p, heads: heads}
	return p.chosen[0].repo.Drill(ctx, backup.DrillOptions{
		Snapshot: p.chosen[0].from.ID, Heads: heads["data"], Scratch: r.scratch, RPO: c.rpo, RTO: c.rto,
		Promotion: backup.Promotion{
			Erasures: a.ledger(), Erase: r.erase, Readable: r.readable,
			Checks: []backup.Check{{Name: "audit log", Run: r.wholeLog}},
		},
	})
}

// A rehearsal is a data folder and a database for the time of a drill.
type rehearsal struct {
	app     *app
	command *command
	point   point
	heads   map[string][]backup.Head

	there  command // the command line of the restored app
	opened *app
}

// scratch brings everything but "data", which the drill itself restores.
func (r *rehearsal) scratch(ctx context.Context) (s backup.Scratch, failed error) {
	for _, name := range r.point.lacks {
		if name != "files" {
			return s, fmt.Errorf("there is no snapshot of %s that fits; back it up", name)
		}
	}
	if err := r.point.check(ctx, r.heads); err != nil {
		return s, err
	}
	dir, err := os.MkdirTemp(string(r.app.folder), "drill-")
	if err != nil {
		return s, err
	}
	var drops []func() error
	drop := func() error {
		var failed error
		for i := len(drops) - 1; i >= 0; i-- {
			failed = errors.Join(failed, drops[i]())
		}
		return errors.Join(failed, os.RemoveAll(dir))
	}
	defer func() {
		if failed != nil {
			failed = errors.Join(failed, drop())
		}
	}()
	// The stores stay where they are; nothing of the rehearsal is backed up.
	r.there = *r.command
	r.there.data, r.there.db, r.there.set = dir, "", ""
	r.there.backups, r.there.epochs = "", ""
	if err := r.app.prepareFolder(folder(dir), r.there.places()); err != nil {
		return s, err
	}
	if r.command.scratch != "" || r.command.db != "" && !strings.HasPrefix(r.command.db, "sqlite://") {
		var gone func() error
		if r.there.db, gone, err = scratchDatabase(ctx, r.command.settings); err != nil {
			return s, err
		}
		drops = append(drops, gone)
	}
	db, err := openDatabase(settings{log: r.command.log, db: r.there.db}, folder(dir), r.app.logger)
	if err != nil {
		return s, err
	}
	pool, err := db.DB()
	if err != nil {
		return s, err
	}
	drops = append(drops, pool.Close, r.close)
	if _, err := r.point.restore(ctx, db, folder(dir), false, nil, "data"); err != nil {
		return s, err
	}
	target, err := r.target(db)
	return backup.Scratch{DB: pool, Target: target, Engine: db.Name(), Drop: drop}, err
}

func (r *rehearsal) target(db *gorm.DB) (backup.Target, error) {
	return r.point.chosen[0].database(db, false)
}

// restored opens the rehearsal as an app, once its data is there, and finishes the
// erasures in it.
func (r *rehearsal) restored(ctx context.Context) (*app, error) {
	if r.opened != nil {
		return r.opened, nil
	}
	a, err := open(ctx, &r.there)
	if err != nil {
		return nil, err
	}
	r.opened = a
	if err := a.declareRestore(ctx, "drill"); err != nil {
		return nil, err
	}
	_, err = a.replayErasures(ctx)
	return a, err
}

func (r *rehearsal) close() error {
	if r.opened == nil {
		return nil
	}
	return r.opened.close()
}

func (r *rehearsal) erase(ctx context.Context, db *sql.DB, subject string) error {
	a, err := r.restored(ctx)
	if err != nil {
		return err
	}
	return a.eraseAgain(ctx, db, subject)
}

func (r *rehearsal) readable(ctx context.Context, db *sql.DB, subject string) (bool, error) {
	a, err := r.restored(ctx)
	if err != nil {
		return false, err
	}
	return a.readable(ctx, db, subject)
}

// wholeLog also looks that the ledger has everybody whom the restored log names.
func (r *rehearsal) wholeLog(ctx context.Context, db *sql.DB) error {
	a, err := r.restored(ctx)
	if err != nil {
		return err
	}
	known, err := a.erasuresInLog(ctx)
	if err != nil {
		return err
	}
	entries, err := a.ledger().entries(ctx)
	if err == nil && len(entries) < known {
		err = fmt.Errorf("the erasure ledger names %d people and the log %d; the ledger is an old copy", len(entries), known)
	}
	if err != nil {
		return err
	}
	return a.wholeLog(ctx, db)
}
