package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/examples/crm/internal/book"
)

// days is a data folder on several days: the clock stands where the test puts it.
type days struct {
	*testing.T
	settings settings
	now      time.Time
}

func newDays(t *testing.T) *days {
	d := &days{T: t, now: time.Now()}
	d.settings = settings{
		data: filepath.Join(t.TempDir(), "data"), log: "info", lang: "en", addr: "127.0.0.1:0", clocked: true,
		now: func() time.Time { return d.now },
	}
	for _, sheet := range []string{"employees", "customers"} {
		var out bytes.Buffer
		require.Equal(t, exitDone, run(t.Context(), []string{"import", "-data", d.settings.data, sheet, "demo/" + sheet + ".csv"}, &out, &out), "%s", &out)
	}
	return d
}

// open works with the app at the present time.
func (d *days) open(work func(context.Context, *app) error) {
	d.Helper()
	c := &command{settings: d.settings, stdout: io.Discard, stderr: io.Discard}
	require.NoError(d, withApp(operator(d.Context(), "test"), c, work))
}

// says does a verb at the present time.
func (d *days) says(verb func(context.Context, *command) error, change ...func(*command)) (string, error) {
	var out bytes.Buffer
	c := &command{settings: d.settings, stdout: &out, stderr: io.Discard}
	for _, f := range change {
		f(c)
	}
	err := verb(d.Context(), c)
	return out.String(), err
}

// served runs so many servers on the folder until their log holds all of the texts.
func (d *days) served(servers int, until ...string) string {
	d.Helper()
	var log Pages
	ctx, stop := context.WithCancel(d.Context())
	defer stop()
	ended := make(chan error, servers)
	for range servers {
		go func() { ended <- serve(ctx, &command{settings: d.settings, stdout: io.Discard, stderr: &log}) }()
	}
	require.Eventually(d, func() bool {
		for _, text := range until {
			if !strings.Contains(log.String(), text) {
				return false
			}
		}
		return true
	}, 30*time.Second, 10*time.Millisecond, "%s", &log)
	stop()
	for range servers {
		require.NoError(d, <-ended)
	}
	return log.String()
}

func (d *days) snapshots(name string) (list []backup.Snapshot) {
	d.Helper()
	d.open(func(ctx context.Context, a *app) error {
		for _, set := range a.plan.sets() {
			if set.name != name {
				continue
			}
			repo, err := a.repository(ctx, set)
			if err != nil {
				return err
			}
			list, err = repo.List(ctx)
			return err
		}
		return nil
	})
	return list
}

// TestPlan lets servers find work that has become due: each piece is done once,
// whichever server does it, and what nobody can do raises an alarm.
func TestPlan(t *testing.T) {
	t.Parallel()
	d := newDays(t)
	plan := fmt.Sprintf(`{"invoices": {"cron": "30 3 * * %d"}, "drill": {"cron": "0 5 * * %[1]d"}}`, d.now.Add(5*day).Weekday())
	require.NoError(t, os.WriteFile(folder(d.settings.data).planFile(), []byte(plan), 0o600))
	d.now = d.now.Add(8 * day) // nobody was there
	out, err := d.says(doctor)
	require.ErrorIs(t, err, errFound)
	require.Contains(t, out, "backup of data is overdue")

	d.served(2, "set=data", "set=audit", "set=files", "set=keys", `msg="restore rehearsed" drill=1`)
	out, err = d.says(doctor)
	require.NoError(t, err, out)
	before := map[string]int{}
	for _, set := range []string{"data", "audit", "invoices"} {
		before[set] = len(d.snapshots(set))
		require.Positive(t, before[set], set)
	}
	d.now = d.now.Add(day)
	d.served(2, "set=data", "set=audit", "set=files", "set=keys", "pruned")
	require.Equal(t, before["data"]+1, len(d.snapshots("data")), "one of the servers did it")
	require.Equal(t, before["audit"]+1, len(d.snapshots("audit")))
	require.Equal(t, before["invoices"], len(d.snapshots("invoices")), "not their day")
	out, err = d.says(backupDrill)
	require.NoError(t, err, out)
	require.Contains(t, out, "drill 2 of", "one of the servers did the first")

	// A recovery key that is not here, and a month in which nobody looks.
	for range 2 {
		d.now = d.now.Add(time.Minute)
		_, err = d.says(backupRun, func(c *command) { c.kind, c.set = "incremental", "data" })
		require.NoError(t, err)
	}
	key := filepath.Join(t.TempDir(), "ana.key")
	out, err = d.says(backupRecipients, func(c *command) { c.newKey, c.args = key, []string{"ana"} })
	require.NoError(t, err, out)
	d.now = d.now.Add(40 * day)
	log := d.served(1, "set=data", "set=audit", "set=invoices", "set=files", "set=keys", "set=secrets", `action=backup.overdue job=drill`)
	require.Contains(t, log, "no restore was rehearsed here; run crm backup drill with -recovery")
	out, err = d.says(doctor)
	require.ErrorIs(t, err, errFound)
	require.Contains(t, out, "a rehearsal of a restore is overdue")
	require.NotContains(t, out, "backup of")
	d.open(func(ctx context.Context, a *app) error {
		for e, err := range a.log.Events(ctx, audit.Query{Tenant: book.Tenant, Action: "backup.overdue", Actor: "schedule", Channel: "schedule"}) {
			require.NoError(t, err)
			require.Equal(t, "drill", e.Attrs[0].Value.String())
			return nil
		}
		t.Error("the alarm is not in the audit log")
		return nil
	})
	out, err = d.says(backupDrill, func(c *command) { c.recovery = key })
	require.NoError(t, err, out)
	require.Contains(t, out, "opened by the recovery key")
	out, err = d.says(doctor)
	require.NoError(t, err, out)

	// Of the day with three snapshots the newest is left.
	d.now = d.now.Add(day)
	d.served(1, "set=data", "pruned")
	d.now = d.now.Add(day)
	d.served(1, "set=data", "pruned")
	seen := map[string]bool{}
	for _, s := range d.snapshots("data") {
		on := s.Time.Local().Format(time.DateOnly)
		require.False(t, seen[on], on)
		seen[on] = true
	}
	require.Len(t, seen, 5)
}

// retainer is a store that can lock, as the directories of a folder cannot.
type retainer struct {
	backup.Store
	mu    *sync.Mutex
	until map[string]time.Time
}

func (r retainer) Retain(_ context.Context, key string, until time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until[key].Before(until) {
		r.until[key] = until
	}
	return nil
}

func (r retainer) RetainedUntil(_ context.Context, key string) (time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.until[key], nil
}

// TestRetain looks that snapshots are locked where the store can do that, and that
// the copies of people's keys, which must be able to go, are not.
func TestRetain(t *testing.T) {
	t.Parallel()
	d := newDays(t)
	until := map[string]time.Time{}
	mu := &sync.Mutex{}
	d.settings.decorate = func(s backup.Store) backup.Store { return retainer{s, mu, until} }
	for set, locked := range map[string]bool{"keys": false, "data": true} {
		clear(until)
		_, err := d.says(backupRun, func(c *command) { c.kind, c.set = "full", set })
		require.NoError(t, err)
		require.Equal(t, locked, len(until) > 0, set)
		for key, at := range until {
			require.False(t, at.Before(d.now.Add(30*day)), key)
		}
	}
}

// TestAuditPrune removes what events of three years ago say. The log verifies as
// before, alone and with the archive.
func TestAuditPrune(t *testing.T) {
	t.Parallel()
	d := newDays(t)
	archive := filepath.Join(t.TempDir(), "archive")
	prune := func(c *command) { c.keepLog, c.archive, c.purpose = 3*365*day, archive, "three years are over" }
	out, err := d.says(auditPrune, prune)
	require.NoError(t, err)
	require.Contains(t, out, "0 events removed")
	require.NoError(t, os.Remove(archive))

	d.now = d.now.Add(3*365*day + time.Hour)
	old, err := d.says(auditQuery, func(c *command) { c.query.Action = "import.customers" })
	require.NoError(t, err)
	require.NotEmpty(t, old)
	out, err = d.says(auditPrune, prune)
	require.NoError(t, err)
	require.Regexp(t, `^[1-9][0-9]* events removed`, out)
	old, err = d.says(auditQuery, func(c *command) { c.query.Action = "import.customers" })
	require.NoError(t, err)
	require.Empty(t, old)
	out, err = d.says(auditQuery, func(c *command) { c.query.Purpose = "three years are over" })
	require.NoError(t, err)
	require.Contains(t, out, "audit.purge")
	out, err = d.says(auditVerify)
	require.NoError(t, err, out)
	require.FileExists(t, archive)
}
