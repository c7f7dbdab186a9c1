package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/schedule"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/rbac"
)

// runPlan backs up, prunes and rehearses restores by the clock until ctx ends. Of
// several processes on the same backups one does each piece of work.
func (a *app) runPlan(ctx context.Context, c *command) error {
	store, err := dirstore.Open(ctx, a.places.claims())
	if err != nil {
		return err
	}
	jobs, err := a.jobs(c)
	if err != nil {
		return err
	}
	s := &schedule.Schedule{Jobs: jobs, Claims: schedule.StoreClaims(store), Alert: a.alert, Now: a.now}
	if err := s.Run(clockworkContext(ctx)); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// clockworkContext is who works by the clock.
func clockworkContext(ctx context.Context) context.Context {
	ctx = who.With(ctx, who.Who{ID: "schedule", Tenant: book.Tenant, Channel: "schedule"})
	return rbac.System(ctx, "the plan of the backups")
}

func (a *app) jobs(c *command) ([]schedule.Job, error) {
	var list []schedule.Job
	var failed error
	add := func(name string, p jobPlan, run func(context.Context) error, last func(context.Context) (time.Time, error)) {
		cron, err := schedule.Parse(p.Cron, time.Local)
		failed = errors.Join(failed, err)
		list = append(list, schedule.Job{Name: name, Cron: cron, Run: run, Last: a.sinceBegun(last), Overdue: time.Duration(p.Overdue)})
	}
	for _, set := range a.plan.sets() {
		add(set.name, set.jobPlan,
			func(ctx context.Context) error {
				return a.alone(ctx, func() error { return a.backUpAsPlanned(ctx, set) })
			},
			func(ctx context.Context) (time.Time, error) { return a.lastSnapshot(ctx, set) })
	}
	add("prune", jobPlan{Cron: a.plan.Prune.Cron}, func(ctx context.Context) error { return a.alone(ctx, func() error { return a.pruneAsPlanned(ctx) }) }, func(context.Context) (time.Time, error) { return time.Time{}, nil })
	add("drill", a.plan.Drill, func(ctx context.Context) error { return a.alone(ctx, func() error { return a.drillAsPlanned(ctx, c) }) }, a.lastDrill)
	return list, failed
}

// sinceBegun lets what has never been done count from when the folder was made, so that
// a new folder is not in arrears and an old one is.
func (a *app) sinceBegun(last func(context.Context) (time.Time, error)) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		at, err := last(ctx)
		if err != nil || !at.IsZero() {
			return at, err
		}
		return a.begun()
	}
}

// begun is when the data folder was made.
func (a *app) begun() (time.Time, error) {
	info, err := os.Stat(a.folder.auditPublic())
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for the age of the data folder: %w", err)
	}
	return info.ModTime(), nil
}

// backUpAsPlanned makes a snapshot, unless there is one since the last occasion.
func (a *app) backUpAsPlanned(ctx context.Context, set dataSet) error {
	last, err := a.lastSnapshot(ctx, set)
	if err != nil {
		return err
	}
	cron, err := schedule.Parse(set.Cron, time.Local)
	if err != nil {
		return err
	}
	if !last.IsZero() && cron.Next(last).After(a.now()) {
		return nil
	}
	if _, err := a.finishErasures(ctx); err != nil {
		return err
	}
	if err := a.backUpNow(ctx, set); err != nil {
		return err
	}
	if set.name != "data" && set.name != invoiceTable {
		return nil
	}
	// Whoever is in these rows has a key by now; and without any snapshot of the other
	// sets, this one could not be restored to much.
	for _, other := range a.plan.sets() {
		last, err := a.lastSnapshot(ctx, other)
		if err == nil && (last.IsZero() || other.forgets) {
			err = a.backUpNow(ctx, other)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// backUpNow makes a snapshot. If another process was faster, its snapshot will do.
func (a *app) backUpNow(ctx context.Context, set dataSet) error {
	before, err := a.lastSnapshot(ctx, set)
	if err != nil {
		return err
	}
	s, err := a.backUp(ctx, set, set.Kind, nil)
	if err != nil {
		if after, again := a.lastSnapshot(ctx, set); again == nil && after.After(before) {
			return nil
		}
		return err
	}
	a.logger.InfoContext(ctx, "backed up", "set", set.name, "snapshot", uint64(s.ID), "kind", s.Kind.String(), "rows", s.Rows)
	if len(s.Missed) > 0 {
		return fmt.Errorf("snapshot %d of %s is right, but the tracking of changes had missed some", s.ID, set.name)
	}
	return nil
}

func (a *app) lastSnapshot(ctx context.Context, set dataSet) (time.Time, error) {
	repo, err := a.repository(ctx, set)
	if err != nil {
		return time.Time{}, err
	}
	list, err := repo.List(ctx)
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return list[len(list)-1].Time, nil
}

// lastDrill is when a restore was last rehearsed with success.
func (a *app) lastDrill(ctx context.Context) (time.Time, error) {
	d, err := a.newestDrill(ctx)
	return d.Time, err
}

func (a *app) newestDrill(ctx context.Context) (backup.Drill, error) {
	repo, err := a.repository(ctx, a.plan.sets()[0])
	if err != nil {
		return backup.Drill{}, err
	}
	list, err := repo.Drills(ctx)
	if err != nil {
		return backup.Drill{}, err
	}
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].OK {
			return list[i], nil
		}
	}
	return backup.Drill{}, nil
}

// drillAsPlanned rehearses a restore. Where backups are sealed to recipients whose key
// is not here, as it should be, the holder of the key does it with `crm backup drill`;
// the alarm tells when that was too long ago.
func (a *app) drillAsPlanned(ctx context.Context, c *command) error {
	if err := a.mustOpen(); err != nil {
		a.logger.WarnContext(ctx, "no restore was rehearsed here; run crm backup drill with -recovery", "reason", err.Error())
		return nil
	}
	for _, set := range a.plan.sets() { // after a long rest there may be nothing to rehearse with
		if err := a.backUpAsPlanned(ctx, set); err != nil {
			return err
		}
	}
	here := *c
	here.args = nil
	d, err := a.drill(ctx, &here, backup.Newest)
	if err == nil {
		a.logger.InfoContext(ctx, "restore rehearsed", "drill", uint64(d.Number), "snapshot", uint64(d.Snapshot), "took", d.RTO.Round(time.Millisecond).String())
	}
	return err
}

func (a *app) pruneAsPlanned(ctx context.Context) error {
	p := a.plan.Prune
	var failed error
	for _, set := range a.plan.sets() {
		if set.forgets {
			continue
		}
		_, err := a.prune(ctx, set, backup.PruneOptions{
			Daily: p.Daily, Weekly: p.Weekly, Monthly: p.Monthly, Yearly: p.Yearly, Location: time.Local, Grace: day,
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("prune %s: %w", set.name, err))
		}
	}
	if failed = errors.Join(failed, a.dropClaims(ctx)); failed == nil {
		a.logger.InfoContext(ctx, "pruned")
	}
	return failed
}

// dropClaims removes claims to work that is long done.
func (a *app) dropClaims(ctx context.Context) error {
	store, err := dirstore.Open(ctx, a.places.claims())
	if err != nil {
		return err
	}
	old := a.now().Add(-60 * day).UTC().Format("20060102t150405z")
	for o, err := range store.List(ctx, "claim/", "") {
		if err != nil {
			return err
		}
		if at := o.Key[strings.LastIndex(o.Key, "/")+1:]; at < old {
			if err := store.Delete(ctx, o.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// alert tells the program's log and the audit log; the system page and `crm doctor`
// look for themselves.
func (a *app) alert(ctx context.Context, alert schedule.Alert) {
	attrs := []slog.Attr{slog.String("job", alert.Job), slog.String("result", "failed")}
	action := "backup.failed"
	if alert.Err == nil {
		action = "backup.overdue"
		attrs = append(attrs, slog.Int64("hours", int64(alert.Overdue/time.Hour)))
	}
	a.logger.ErrorContext(ctx, "alarm", "action", action, "job", alert.Job, "overdue", alert.Overdue.Round(time.Minute).String(), "error", alert.Err)
	if err := a.log.RecordApart(ctx, action, attrs...); err != nil {
		a.logger.ErrorContext(ctx, "the alarm is not in the audit log", "error", err)
	}
}
