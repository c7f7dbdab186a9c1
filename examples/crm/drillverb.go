package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/sqlsource"
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

// backupDrill is the verb `backup drill`: it restores a snapshot into a folder that
// goes away again, as after a disaster, and shows that the erased stay erased.
func backupDrill(ctx context.Context, c *command) error {
	id, err := c.snapshot(backup.Newest)
	if err != nil {
		return err
	}
	if c.db != "" {
		return fmt.Errorf("%w: a drill of a server database is not part of this program yet; backup.Drill does it", errUsage)
	}
	return withExisting(operatorFor(ctx, "backup drill"), c, func(ctx context.Context, a *app) error {
		data, keys, err := a.repositories(ctx)
		if err != nil {
			return found(err, backup.ErrDamaged)
		}
		heads, err := a.recordedSnapshots(ctx)
		if err != nil {
			return err
		}
		r := &rehearsal{app: a, command: c, keys: keys}
		d, err := data.Drill(ctx, backup.DrillOptions{
			Snapshot: id, Heads: heads["data"], Scratch: r.scratch, RPO: c.rpo, RTO: c.rto,
			Promotion: backup.Promotion{
				Erasures: a.folder.ledger(a.kek), Erase: r.erase, Readable: r.readable,
				Checks: []backup.Check{{Name: "audit log", Run: r.auditLog}},
			},
		})
		for _, s := range d.Steps {
			fmt.Fprintf(c.stdout, "%-6s %-18s %8s  %s\n", map[bool]string{true: "ok", false: "FAILED"}[s.OK], s.Name, s.Took.Round(time.Millisecond), s.Detail)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errFound, err)
		}
		fmt.Fprintf(c.stdout, "drill %d of snapshot %d: %d rows, recovery point %s, recovery time %s\n", d.Number, d.Snapshot, d.Rows, d.RPO.Round(time.Second), d.RTO.Round(time.Millisecond))
		return nil
	})
}

// A rehearsal is a data folder for the time of a drill.
type rehearsal struct {
	app     *app
	command *command
	keys    *backup.Repository
	folder  folder
	erased  bool
}

func (r *rehearsal) scratch(ctx context.Context) (backup.Scratch, error) {
	dir, err := os.MkdirTemp(string(r.app.folder), "drill-")
	if err != nil {
		return backup.Scratch{}, err
	}
	r.folder = folder(dir)
	fail := func(err error) (backup.Scratch, error) {
		return backup.Scratch{}, errors.Join(err, os.RemoveAll(dir))
	}
	if err := errors.Join(r.folder.prepare(), r.app.copyFiles(r.folder)); err != nil {
		return fail(err)
	}
	db, err := openDatabase(settings{log: r.command.log}, r.folder, r.app.logger)
	if err != nil {
		return fail(err)
	}
	pool, err := db.DB()
	if err != nil {
		return fail(err)
	}
	target := func(tables sqlsource.Config) (*sqlsource.Database, error) {
		tables.DB, tables.Engine = pool, db.Name()
		return sqlsource.New(tables)
	}
	keyTable, err := target(sqlsource.Config{Include: []string{subjectKeys}})
	if err == nil {
		_, err = r.keys.Restore(ctx, backup.Newest, keyTable, backup.RestoreOptions{})
	}
	if err != nil {
		return fail(errors.Join(err, pool.Close()))
	}
	rows, err := target(sqlsource.Config{Exclude: []string{subjectKeys}})
	return backup.Scratch{DB: pool, Target: rows, Engine: db.Name(), Drop: func() error {
		return errors.Join(pool.Close(), os.RemoveAll(dir))
	}}, err
}

// erase brings the scratch folder to the state of the ledger, all people at once.
func (r *rehearsal) erase(ctx context.Context, _ *sql.DB, _ string) error {
	if r.erased {
		return nil
	}
	_, err := eraseAgain(ctx, r.command, r.folder)
	r.erased = err == nil
	return err
}

func (r *rehearsal) readable(ctx context.Context, _ *sql.DB, subject string) (readable bool, err error) {
	err = r.opened(ctx, func(ctx context.Context, a *app) error {
		state, err := a.vault.Subject(ctx, a.db, subject)
		readable = state != privacy.Erased
		return err
	})
	return readable, err
}

// auditLog looks that the restored log is one: that somebody did something.
func (r *rehearsal) auditLog(ctx context.Context, _ *sql.DB) error {
	return r.opened(ctx, func(ctx context.Context, a *app) error {
		for _, err := range a.log.Events(ctx, audit.Query{Tenant: book.Tenant}) {
			return err
		}
		return errors.New("the restored audit log is empty")
	})
}

// opened opens the scratch folder as an app.
func (r *rehearsal) opened(ctx context.Context, work func(context.Context, *app) error) error {
	c := *r.command
	c.data, c.db = string(r.folder), ""
	return withApp(operatorFor(ctx, "backup drill"), &c, work)
}

// backupPrune is the verb `backup prune`.
func backupPrune(ctx context.Context, c *command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("%w: backup prune takes no arguments", errUsage)
	}
	return withExisting(operatorFor(ctx, "backup prune"), c, func(ctx context.Context, a *app) error {
		data, _, err := a.repositories(ctx)
		if err != nil {
			return found(err, backup.ErrDamaged)
		}
		opts := c.keep
		opts.Accept = backup.ID(c.accept)
		pruned, err := data.Prune(ctx, opts)
		if frozen := (*backup.FrozenError)(nil); errors.As(err, &frozen) {
			for _, s := range frozen.Signals {
				fmt.Fprintln(c.stdout, s)
			}
			return fmt.Errorf("%w: nothing was pruned; if these changes are right, prune with -accept and the number of the newest snapshot", errFound)
		}
		if err != nil {
			return found(err, backup.ErrDamaged)
		}
		fmt.Fprintf(c.stdout, "%d snapshots removed, %d objects deleted\n", len(pruned.Snapshots), pruned.Objects)
		return nil
	})
}

// restoreCustomer is `backup restore -customer`: what the snapshot has of one
// customer comes back into the database that is in use.
func restoreCustomer(ctx context.Context, c *command, id backup.ID) error {
	return withExisting(operatorFor(ctx, "backup restore"), c, func(ctx context.Context, a *app) error {
		if _, err := a.finishErasures(ctx); err != nil {
			return err
		}
		data, _, err := a.repositories(ctx)
		if err != nil {
			return found(err, backup.ErrDamaged)
		}
		pool, err := a.db.DB()
		if err != nil {
			return err
		}
		live, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: a.db.Name(), Exclude: []string{subjectKeys}})
		if err != nil {
			return err
		}
		customer := backup.Reference{Columns: []string{"customer_id"}, Table: "customers", To: []string{"id"}}
		diff, err := data.Merge(ctx, id, live, backup.MergeOptions{
			Select:   []backup.Selection{{Table: "customers", Where: map[string]string{"id": c.customer}}},
			Children: true, Conflict: backup.Conflict(c.conflict), DryRun: c.dryRun,
			Relations: []backup.Relation{{Table: "invoices", Reference: customer}, {Table: "documents", Reference: customer}},
			Erasures:  customersErased{a.folder.ledger(a.kek)},
			Subjects:  map[string]string{"customers": "id", "invoices": "customer_id", "documents": "customer_id"},
		})
		for _, ch := range diff.Changes {
			fmt.Fprintf(c.stdout, "%-9s %s %s %s\n", ch.Action, ch.Table, strings.Join(ch.Key, ","), strings.Join(ch.Columns, ","))
		}
		if err != nil {
			return found(err, backup.ErrDamaged)
		}
		fmt.Fprintf(c.stdout, "%d inserted, %d overwritten, %d skipped, %d equal\n", diff.Count(backup.Insert), diff.Count(backup.Overwrite), diff.Count(backup.Skip), diff.Count(backup.Equal))
		return nil
	})
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
