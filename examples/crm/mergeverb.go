package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/sqlsource"
)

// restoreCustomer is `backup restore -customer`: what the snapshot has of one
// customer comes back into the database that is in use. The customer and their
// documents come first, as their invoices refer to them.
func restoreCustomer(ctx context.Context, c *command, id backup.ID) error {
	return withBackupsAlone(operatorFor(ctx, "backup restore"), c, func(ctx context.Context, a *app) error {
		if err := a.mustOpen(); err != nil {
			return err
		}
		if _, err := a.finishErasures(ctx); err != nil {
			return err
		}
		p, err := a.pointOf(ctx, id)
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
		counts := map[backup.Action]int{}
		for _, s := range p.chosen {
			opts := a.mergeOptions(c, s.from)
			if len(opts.Select) == 0 {
				continue
			}
			diff, err := s.repo.Merge(ctx, s.from.ID, live, opts)
			for _, ch := range diff.Changes {
				fmt.Fprintf(c.stdout, "%-9s %s %s %s\n", ch.Action, ch.Table, strings.Join(ch.Key, ","), strings.Join(ch.Columns, ","))
			}
			if err != nil {
				return found(err, backup.ErrDamaged)
			}
			for _, action := range []backup.Action{backup.Insert, backup.Overwrite, backup.Skip, backup.Equal} {
				counts[action] += diff.Count(action)
			}
		}
		fmt.Fprintf(c.stdout, "%d inserted, %d overwritten, %d skipped, %d equal\n", counts[backup.Insert], counts[backup.Overwrite], counts[backup.Skip], counts[backup.Equal])
		return nil
	})
}

// mergeOptions select what a snapshot has of the customer; nothing, if it has no such
// tables.
func (a *app) mergeOptions(c *command, from backup.Snapshot) backup.MergeOptions {
	opts := backup.MergeOptions{
		Conflict: backup.Conflict(c.conflict), DryRun: c.dryRun,
		Erasures: customersErased{a.ledger()},
		Subjects: map[string]string{"customers": "id", "invoices": "customer_id", "documents": "customer_id"},
	}
	columns := map[string]string{"customers": "id", "documents": "customer_id", invoiceTable: "customer_id"}
	for _, t := range from.Tables {
		if column := columns[t.Name]; column != "" {
			opts.Select = append(opts.Select, backup.Selection{Table: t.Name, Where: map[string]string{column: c.customer}})
		}
	}
	return opts
}
