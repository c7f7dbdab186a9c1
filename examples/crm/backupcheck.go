package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/confide-go/confide/backup/schedule"
	"github.com/confide-go/confide/examples/crm/internal/desk"
)

// backupState is what there is to know about the backups.
func (a *app) backupState(ctx context.Context) (s desk.BackupState, err error) {
	for _, set := range a.plan.sets() {
		row, err := a.setState(ctx, set)
		if err != nil {
			return s, err
		}
		s.Sets = append(s.Sets, row)
	}
	recipients, err := a.readRecipients()
	if err != nil {
		return s, err
	}
	for _, r := range recipients {
		s.Recipients = append(s.Recipients, named(r))
	}
	d, err := a.newestDrill(ctx)
	if err != nil {
		return s, err
	}
	s.Drill = desk.DrillState{Time: d.Time, Snapshot: uint64(d.Snapshot), Key: d.Key, RPO: d.RPO, RTO: d.RTO}
	if s.Drill.Overdue, err = a.overdue(d.Time, a.plan.Drill); err != nil {
		return s, err
	}
	if s.Forgotten, err = a.forgottenBy(a.now()); err != nil {
		return s, err
	}
	return s, a.erasureState(ctx, &s)
}

func (a *app) setState(ctx context.Context, set dataSet) (desk.SetState, error) {
	row := desk.SetState{Name: set.name}
	repo, err := a.repository(ctx, set)
	if err != nil {
		return row, err
	}
	list, err := repo.List(ctx)
	if err != nil {
		return row, err
	}
	if n := len(list); n > 0 {
		last := list[n-1]
		row.Snapshots, row.ID, row.Last, row.Kind, row.Rows = n, uint64(last.ID), last.Time, last.Kind.String(), last.Rows
	}
	cron, err := schedule.Parse(set.Cron, time.Local)
	if err != nil {
		return row, err
	}
	row.Next = cron.Next(a.now())
	row.Overdue, err = a.overdue(row.Last, set.jobPlan)
	return row, err
}

// overdue is by how much too long ago something was done; zero if in time.
func (a *app) overdue(last time.Time, p jobPlan) (time.Duration, error) {
	if last.IsZero() {
		begun, err := a.begun()
		if err != nil {
			return 0, err
		}
		last = begun
	}
	if age := a.now().Sub(last); p.Overdue > 0 && age > time.Duration(p.Overdue) {
		return age, nil
	}
	return 0, nil
}

// erasureState is by when those who were erased are forgotten everywhere.
func (a *app) erasureState(ctx context.Context, s *desk.BackupState) error {
	entries, err := a.ledger().entries(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		by, err := a.forgottenBy(e.At)
		if err != nil {
			return err
		}
		if s.Erased++; by.After(s.ErasedBy) {
			s.ErasedBy = by
		}
	}
	for _, set := range a.plan.sets() {
		if !set.forgets {
			continue
		}
		epochs, err := a.epochs(set.name)
		if err != nil {
			return err
		}
		due, err := epochs.Expired(ctx, a.now())
		if err != nil {
			return err
		}
		s.KeysDue += len(due)
	}
	return nil
}

// checkBackups prints what the backups lack, and reports whether it is nothing that
// somebody has to do something about.
func (a *app) checkBackups(ctx context.Context, c *command) (ok bool, err error) {
	s, err := a.backupState(ctx)
	if err != nil {
		return false, err
	}
	ok = true
	wrong := func(format string, args ...any) {
		ok = false
		fmt.Fprintf(c.stdout, format+"\n", args...)
	}
	for _, set := range s.Sets {
		if set.Overdue > 0 {
			wrong("backup of %s is overdue: the last one is %s old; run crm backup run", set.Name, set.Overdue.Round(time.Hour))
		}
	}
	if s.Drill.Overdue > 0 {
		wrong("a rehearsal of a restore is overdue: the last good one was %s ago; run crm backup drill", s.Drill.Overdue.Round(time.Hour))
	}
	if s.KeysDue > 0 {
		wrong("%d keys of old copies of people's keys should be destroyed by now and are not; run crm backup run", s.KeysDue)
	}
	found, err := a.recoveryKeysHere()
	if err != nil {
		return false, err
	}
	for _, path := range found {
		wrong("%s is a recovery key, and lies with what it opens: move it to where this machine cannot reach it", path)
	}
	if len(s.Recipients) == 0 {
		fmt.Fprintln(c.stdout, "note: whoever has the key file can read the backups; crm backup recipients -new FILE NAME makes a recovery key that alone can")
	}
	if s.Erased > 0 {
		fmt.Fprintf(c.stdout, "%d people were erased; no copy of the backups that can be read after %s has any of them\n", s.Erased, s.ErasedBy.UTC().Format(time.RFC3339))
	}
	return ok, nil
}

// recoveryKeysHere looks for recovery keys in the folders of the app.
func (a *app) recoveryKeysHere() ([]string, error) {
	const header = "confide escrow identity "
	var found []string
	for _, dir := range []string{string(a.folder), a.places.backups, a.places.epochs} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) { // a file of a run that has just ended
				return nil
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			begins := make([]byte, len(header))
			f, err := os.Open(path)
			if err != nil {
				return nil
			}
			defer f.Close()
			if n, err := io.ReadFull(f, begins); err == nil && n == len(header) && string(begins) == header {
				found = append(found, path)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for recovery keys: %w", err)
		}
		if a.places.backups == filepath.Join(string(a.folder), "backups") && a.places.epochs == filepath.Join(string(a.folder), "keys", "epochs") {
			break // they are in the folder
		}
	}
	return found, nil
}
