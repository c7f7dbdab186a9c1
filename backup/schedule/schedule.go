// Package schedule runs backups, drills and prunes by the clock, on one of several
// instances of an application, and raises an alarm when one is overdue.
//
// # The three calls you need
//
//	nightly, err := schedule.Parse("15 2 * * *", time.Local)
//	s := &schedule.Schedule{Claims: schedule.StoreClaims(store), Alert: page, Jobs: []schedule.Job{{
//		Name: "backup", Cron: nightly, Run: backUp, Last: lastSnapshot, Overdue: 26 * time.Hour,
//	}}}
//	err = s.Run(ctx) // until the context ends
//
// Each occasion of a job has a name of its own, the job and the time, and belongs
// to the instance that puts it into the claims first: a claim is never overwritten,
// so that no clock decides who may work. An instance that dies with its claim costs
// that occasion, not the next, and the alarm tells if it was one too many. Claims
// keep two instances from doing the same work; that a repository stays whole when
// they do it all the same does not depend on them.
//
// The parser is our own because the well-known ones pull in a scheduler with it,
// and because what happens when clocks change is stated and tested here.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/confide-go/confide/backup"
)

// Claims is what instances share.
type Claims interface {
	// Claim reports whether this instance is the one to do the job of that time.
	Claim(ctx context.Context, job string, at time.Time) (bool, error)
}

// StoreClaims keeps claims in a store, under claim/. It may be the repository's
// store if its claims lie below another prefix or bucket; a repository takes
// foreign objects for damage. Old claims may be deleted at any time.
func StoreClaims(store backup.Store) Claims { return storeClaims{store} }

type storeClaims struct{ store backup.Store }

func (c storeClaims) Claim(ctx context.Context, job string, at time.Time) (bool, error) {
	key := "claim/" + job + "/" + at.UTC().Format("20060102t150405z")
	err := c.store.Put(ctx, key, []byte(key))
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("schedule: claim %s: %w", key, err)
	}
	return true, nil
}

// A Job is something to do again and again.
type Job struct {
	Name string // a-z, 0-9, '-'
	Cron Cron
	Run  func(ctx context.Context) error
	// Last returns when the job was last done well, by whichever instance, and the
	// zero time if never: the time of the newest snapshot, of the newest good drill.
	Last func(ctx context.Context) (time.Time, error)
	// Overdue is how old Last may become before the alarm; zero: no alarm.
	Overdue time.Duration
}

// An Alert is something that a person has to know.
type Alert struct {
	Job     string
	Overdue time.Duration // since Last, if the job is overdue; 0 otherwise
	Err     error         // what failed, if something did
}

// A Schedule is jobs to run.
type Schedule struct {
	Jobs   []Job
	Claims Claims                                 // required
	Alert  func(ctx context.Context, alert Alert) // required
	// Now and Sleep are the clock; nil: the real one. Sleep returns when the time has
	// passed or the context has ended.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration)
}

func (s *Schedule) check() error {
	if s.Claims == nil || s.Alert == nil {
		return errors.New("schedule: Schedule needs Claims and Alert")
	}
	for _, j := range s.Jobs {
		if j.Name == "" || j.Run == nil || j.Last == nil || j.Cron.where == nil {
			return fmt.Errorf("schedule: job %q needs a Name, a Cron that Parse made, Run and Last", j.Name)
		}
	}
	return nil
}

// Run does the jobs until the context ends. Of an occasion that was missed because
// no instance ran, only the latest is made up for.
func (s *Schedule) Run(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Sleep == nil {
		s.Sleep = sleep
	}
	var jobs sync.WaitGroup
	for _, j := range s.Jobs {
		jobs.Go(func() { s.keep(ctx, j) })
	}
	jobs.Wait()
	return context.Cause(ctx)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// longest is how long a job sleeps at most: clocks are put right, machines are
// suspended, and an alarm must come in time.
const longest = time.Minute

// keep does one job for as long as the context lives.
func (s *Schedule) keep(ctx context.Context, j Job) {
	done, alarmed := s.begin(ctx, j), time.Time{}
	for ctx.Err() == nil {
		now := s.Now()
		if due := latest(j.Cron, done, now); !due.IsZero() {
			done = due
			s.once(ctx, j, due)
		}
		alarmed = s.watch(ctx, j, alarmed)
		now = s.Now()
		s.Sleep(ctx, min(longest, max(time.Second, j.Cron.Next(now).Sub(now))))
	}
}

// begin is the time after which occasions count: the last success, so that the one
// that was missed while nobody ran is made up for.
func (s *Schedule) begin(ctx context.Context, j Job) time.Time {
	last, err := j.Last(ctx)
	if err != nil {
		s.Alert(ctx, Alert{Job: j.Name, Err: fmt.Errorf("schedule: when %s was last done is not known: %w", j.Name, err)})
	}
	if err != nil || last.IsZero() || last.After(s.Now()) {
		return s.Now()
	}
	return last
}

// latest is the newest occasion after one time and up to another, zero if none.
func latest(c Cron, after, now time.Time) (due time.Time) {
	if long := now.Add(-366 * 24 * time.Hour); after.Before(long) {
		after = long
	}
	for next := c.Next(after); !next.IsZero() && !next.After(now); next = c.Next(next) {
		due = next
	}
	return due
}

// once does the job if nobody else does.
func (s *Schedule) once(ctx context.Context, j Job, due time.Time) {
	mine, err := s.Claims.Claim(ctx, j.Name, due)
	if err == nil && mine {
		err = j.Run(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.Alert(ctx, Alert{Job: j.Name, Err: err})
	}
}

// watch raises the alarm of an overdue job, again each time as much time has passed.
func (s *Schedule) watch(ctx context.Context, j Job, alarmed time.Time) time.Time {
	if j.Overdue <= 0 || ctx.Err() != nil {
		return alarmed
	}
	now := s.Now()
	last, err := j.Last(ctx)
	switch {
	case err != nil:
		if now.Sub(alarmed) >= j.Overdue && ctx.Err() == nil {
			s.Alert(ctx, Alert{Job: j.Name, Err: fmt.Errorf("schedule: when %s was last done is not known: %w", j.Name, err)})
			return now
		}
	case now.Sub(last) > j.Overdue && now.Sub(alarmed) >= j.Overdue:
		s.Alert(ctx, Alert{Job: j.Name, Overdue: now.Sub(last)})
		return now
	}
	return alarmed
}
