package schedule_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/schedule"
)

func next(t *testing.T, expression, zone, after string, n int) (out []string) {
	t.Helper()
	where, err := time.LoadLocation(zone)
	require.NoError(t, err)
	c, err := schedule.Parse(expression, where)
	require.NoError(t, err, expression)
	at, err := time.ParseInLocation("2006-01-02 15:04:05", after, where)
	require.NoError(t, err)
	for range n {
		at = c.Next(at)
		out = append(out, at.Format("2006-01-02 15:04 -07"))
	}
	return out
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		expression, after string
		want              []string
	}{
		{"* * * * *", "2024-01-01 00:00:30", []string{"2024-01-01 00:01 +00", "2024-01-01 00:02 +00"}},
		{"15 2 * * *", "2024-01-01 02:15:00", []string{"2024-01-02 02:15 +00"}},
		{"15 2 * * *", "2024-01-01 02:14:59", []string{"2024-01-01 02:15 +00"}},
		{"*/20 8-9 * * *", "2024-01-01 00:00:00", []string{"2024-01-01 08:00 +00", "2024-01-01 08:20 +00", "2024-01-01 08:40 +00", "2024-01-01 09:00 +00"}},
		{"5/30 0 * * *", "2024-01-01 00:00:00", []string{"2024-01-01 00:05 +00", "2024-01-01 00:35 +00", "2024-01-02 00:05 +00"}},
		{"0 0 29 2 *", "2024-03-01 00:00:00", []string{"2028-02-29 00:00 +00"}},
		{"0 0 31 * *", "2024-01-31 00:00:00", []string{"2024-03-31 00:00 +00", "2024-05-31 00:00 +00"}},
		{"0 0 * * sun", "2024-01-01 00:00:00", []string{"2024-01-07 00:00 +00"}},
		{"0 0 * * 7", "2024-01-01 00:00:00", []string{"2024-01-07 00:00 +00", "2024-01-14 00:00 +00"}},
		{"0 0 * * 5-7", "2024-01-01 00:00:00", []string{"2024-01-05 00:00 +00", "2024-01-06 00:00 +00", "2024-01-07 00:00 +00", "2024-01-12 00:00 +00"}},
		{"0 0 13 * FRI", "2024-01-01 00:00:00", []string{"2024-01-05 00:00 +00", "2024-01-12 00:00 +00", "2024-01-13 00:00 +00"}}, // either day will do
		{"0 0 1,15 jan,JUL *", "2024-01-02 00:00:00", []string{"2024-01-15 00:00 +00", "2024-07-01 00:00 +00"}},
		{"59 23 31 12 *", "2024-12-31 23:59:00", []string{"2025-12-31 23:59 +00"}},
	} {
		require.Equal(t, c.want, next(t, c.expression, "UTC", c.after, len(c.want)), c.expression)
	}
}

func TestClocksThatAreChanged(t *testing.T) {
	for _, c := range []struct {
		expression, zone, after string
		want                    []string
	}{
		// Berlin, 31 March 2024: 02:00 becomes 03:00. 27 October: 03:00 becomes 02:00.
		{"30 2 * * *", "Europe/Berlin", "2024-03-30 12:00:00", []string{"2024-03-31 03:00 +02", "2024-04-01 02:30 +02"}},
		{"30 2 * * *", "Europe/Berlin", "2024-10-26 12:00:00", []string{"2024-10-27 02:30 +02", "2024-10-28 02:30 +01"}},
		{"30 * * * *", "Europe/Berlin", "2024-03-31 00:59:00", []string{"2024-03-31 01:30 +01", "2024-03-31 03:30 +02"}},
		{"30 * * * *", "Europe/Berlin", "2024-10-27 01:00:00", []string{"2024-10-27 01:30 +02", "2024-10-27 02:30 +02", "2024-10-27 02:30 +01", "2024-10-27 03:30 +01"}},
		{"0 3 * * *", "Europe/Berlin", "2024-03-30 12:00:00", []string{"2024-03-31 03:00 +02", "2024-04-01 03:00 +02"}},
		{"0,30 2,3 * * *", "Europe/Berlin", "2024-03-30 12:00:00", []string{"2024-03-31 03:00 +02", "2024-03-31 03:30 +02", "2024-04-01 02:00 +02"}},
		// New York, 10 March and 3 November 2024.
		{"15 2 * * *", "America/New_York", "2024-03-09 12:00:00", []string{"2024-03-10 03:00 -04", "2024-03-11 02:15 -04"}},
		{"15 1 * * *", "America/New_York", "2024-11-02 12:00:00", []string{"2024-11-03 01:15 -04", "2024-11-04 01:15 -05"}},
		// Lord Howe changes by half an hour; midnight does not exist in Santiago on 8 September.
		{"15 2 * * *", "Australia/Lord_Howe", "2024-10-05 12:00:00", []string{"2024-10-06 02:30 +11", "2024-10-07 02:15 +11"}},
		{"0 0 * * *", "America/Santiago", "2024-09-07 12:00:00", []string{"2024-09-08 01:00 -03", "2024-09-09 00:00 -03"}},
		// Samoa skipped the whole of 30 December 2011.
		{"0 12 * * *", "Pacific/Apia", "2011-12-29 13:00:00", []string{"2011-12-31 00:00 +14", "2011-12-31 12:00 +14"}},
		{"0 8 * * *", "Asia/Shanghai", "2024-01-01 07:00:00", []string{"2024-01-01 08:00 +08"}},
	} {
		require.Equal(t, c.want, next(t, c.expression, c.zone, c.after, len(c.want)), "%s in %s", c.expression, c.zone)
	}
}

func TestNextAlwaysGoesOnAndNeverSkipsAMinuteThatFits(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	c, err := schedule.Parse("*/7 * * * *", berlin)
	require.NoError(t, err)
	for _, day := range []string{"2024-03-30T22:00:00Z", "2024-10-26T22:00:00Z"} {
		at, err := time.Parse(time.RFC3339, day)
		require.NoError(t, err)
		var want []time.Time // by looking at the clock every minute
		for m := at.Add(time.Minute); m.Before(at.Add(26 * time.Hour)); m = m.Add(time.Minute) {
			if m.In(berlin).Minute()%7 == 0 {
				want = append(want, m)
			}
		}
		for _, w := range want {
			at = c.Next(at)
			require.True(t, w.Equal(at), "%s instead of %s", at, w)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for expression, text := range map[string]string{
		"":               "has 0 fields; a cron expression has five",
		"* * * *":        "has 4 fields",
		"* * * * * *":    "has 6 fields",
		"60 * * * *":     `minute: "60" is not a value from 0 to 59`,
		"* 24 * * *":     `hour: "24"`,
		"* * 0 * *":      `day of the month: "0"`,
		"* * * 13 *":     `month: "13"`,
		"* * * * 8":      `day of the week: "8"`,
		"5-3 * * * *":    `"5-3" ends before it begins`,
		"*/0 * * * *":    `"0" is no step`,
		"*/x * * * *":    `"x" is no step`,
		"1,,2 * * * *":   `"" is not a value`,
		"-1 * * * *":     "is not a value",
		"+1 * * * *":     "is not a value",
		"* * * foo *":    `"foo" is not a value`,
		"0 0 30 2 *":     "never comes true",
		"0 0 31 4,6,9 *": "never comes true",
		"@daily":         "has 1 fields",
	} {
		_, err := schedule.Parse(expression, nil)
		require.ErrorContains(t, err, text, expression)
	}
}

// world is a clock and what several instances do by it.
type world struct {
	mu     sync.Mutex
	now    time.Time
	done   []time.Time
	alerts []schedule.Alert
	fail   error
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// instance is a schedule whose clock goes on when it sleeps.
func (w *world) instance(t *testing.T, claims schedule.Claims, expression string, until time.Time, stop func()) *schedule.Schedule {
	c, err := schedule.Parse(expression, nil)
	require.NoError(t, err)
	return &schedule.Schedule{
		Claims: claims, Now: w.clock,
		Sleep: func(_ context.Context, d time.Duration) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.now = w.now.Add(d); w.now.After(until) {
				stop()
			}
		},
		Alert: func(_ context.Context, a schedule.Alert) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.alerts = append(w.alerts, a)
		},
		Jobs: []schedule.Job{{
			Name: "backup", Cron: c, Overdue: 26 * time.Hour,
			Run: func(context.Context) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				if w.fail == nil {
					w.done = append(w.done, w.now)
				}
				return w.fail
			},
			Last: func(context.Context) (time.Time, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if len(w.done) == 0 {
					return time.Time{}, nil
				}
				return w.done[len(w.done)-1], nil
			},
		}},
	}
}

func TestOfSeveralInstancesOneDoesTheJob(t *testing.T) {
	w := &world{now: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	until := w.now.AddDate(0, 0, 5)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	claims := schedule.StoreClaims(backup.NewMemory())
	var instances sync.WaitGroup
	for range 4 {
		s := w.instance(t, claims, "0 */6 * * *", until, stop)
		instances.Go(func() { require.ErrorIs(t, s.Run(ctx), context.Canceled) })
	}
	instances.Wait()
	require.GreaterOrEqual(t, len(w.done), 18)
	require.LessOrEqual(t, len(w.done), 20, "each occasion once")
	seen := map[string]bool{}
	for _, at := range w.done {
		slot := at.Truncate(6 * time.Hour).String()
		require.False(t, seen[slot], slot)
		seen[slot] = true
	}
}

func TestMissedOccasionsAreMadeUpForOnce(t *testing.T) {
	w := &world{now: time.Date(2024, 1, 10, 12, 0, 0, 0, time.UTC)}
	w.done = []time.Time{w.now.AddDate(0, 0, -7)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := w.instance(t, schedule.StoreClaims(backup.NewMemory()), "0 2 * * *", w.now.Add(6*time.Hour), stop)
	require.ErrorIs(t, s.Run(ctx), context.Canceled)
	require.Len(t, w.done, 2)
	require.Empty(t, w.alerts)
}

func TestOverdueJobsAndFailuresAreAlerted(t *testing.T) {
	w := &world{now: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), fail: errors.New("disk full")}
	w.done = []time.Time{w.now}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := w.instance(t, schedule.StoreClaims(backup.NewMemory()), "0 2 * * *", w.now.AddDate(0, 0, 4), stop)
	require.ErrorIs(t, s.Run(ctx), context.Canceled)
	failures, overdue := 0, 0
	for _, a := range w.alerts {
		require.Equal(t, "backup", a.Job)
		if a.Err != nil {
			require.ErrorContains(t, a.Err, "disk full")
			failures++
		} else {
			require.Greater(t, a.Overdue, 26*time.Hour)
			overdue++
		}
	}
	require.Equal(t, 4, failures)
	require.Equal(t, 3, overdue, "again and again, but not every minute")

	_, err := schedule.Parse("0 2 * * *", nil)
	require.NoError(t, err)
	require.ErrorContains(t, (&schedule.Schedule{}).Run(t.Context()), "needs Claims and Alert")
	s.Jobs[0].Last = nil
	require.ErrorContains(t, s.Run(t.Context()), `job "backup" needs a Name`)
}

func TestClaimsThatCannotBeMadeAreAlerted(t *testing.T) {
	w := &world{now: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := w.instance(t, broken{}, "0 2 * * *", w.now.Add(3*time.Hour), stop)
	require.ErrorIs(t, s.Run(ctx), context.Canceled)
	require.Empty(t, w.done, "nothing is done that somebody else may be doing")
	require.ErrorContains(t, w.alerts[len(w.alerts)-1].Err, "no network")
}

type broken struct{}

func (broken) Claim(context.Context, string, time.Time) (bool, error) {
	return false, errors.New("no network")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "*/5 1-3,7 29 feb sun", "0 0 31 2 *", "59/59 23 1 1 7"} {
		f.Add(s, int64(1700000000))
	}
	f.Fuzz(func(t *testing.T, expression string, unix int64) {
		c, err := schedule.Parse(expression, nil)
		if err != nil {
			return
		}
		at := time.Unix(unix%4e9, 0)
		next := c.Next(at)
		if !next.After(at) || next.Second() != 0 {
			t.Fatalf("%q after %s is %s", expression, at, next)
		}
	})
}
