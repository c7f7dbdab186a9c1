package alert_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/alert"
)

var monday = time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)

func event(actor, action string, after time.Duration) audit.Event {
	return audit.Event{Action: action, Actor: audit.Actor{ID: actor}, Time: monday.Add(after), Result: "ok"}
}

func TestMany(t *testing.T) {
	r := alert.Many{ID: "many", Match: alert.Actions("*.reveal", "export.*", "exactly"), Most: 2, Window: time.Hour}
	c := &alert.Counts{}
	for i, step := range []struct {
		e     audit.Event
		count int64
		alert bool
	}{
		{event("u1", "customer.reveal", 0), 1, false},
		{event("u1", "export.customers", time.Minute), 2, false},
		{event("u1", "customer.read", time.Minute), 0, false},
		{event("u2", "exactly", time.Minute), 1, false},
		{event("u1", "exactly", 2*time.Minute), 3, true},
		{event("u1", "exactly", 3*time.Minute), 4, false},  // told
		{event("u1", "exactly", 66*time.Minute), 1, false}, // the others are not within an hour any more
		{event("u1", "exactly", 67*time.Minute), 2, false},
		{event("u1", "exactly", 64*time.Minute), 3, true}, // the clock of another process
		{event("u1", "exactly", 200*time.Minute), 1, false},
	} {
		f, got := r.See(step.e, c)
		require.Equal(t, step.alert, got, "step %d: %d", i, f.Count)
		require.Equal(t, step.count, f.Count, "step %d", i)
	}
}

func TestRowsOf(t *testing.T) {
	e := event("u1", "customer.delete", 0)
	require.EqualValues(t, 0, alert.RowsOf(e))
	e.Rows = []audit.Row{{ID: "1"}, {ID: "2"}}
	require.EqualValues(t, 2, alert.RowsOf(e))
	e.Attrs = []slog.Attr{slog.String("count", "900"), slog.Int("count", 70)}
	require.EqualValues(t, 70, alert.RowsOf(e))
}

func TestFirstUse(t *testing.T) {
	r := alert.FirstUse{ID: "first", Match: alert.Actions("*"), Of: func(e audit.Event) string { return e.Action },
		Hours: alert.WorkingHours(time.UTC, 8, 19), Memory: 30 * 24 * time.Hour}
	c := &alert.Counts{}
	const night, day = 12 * time.Hour, 24 * time.Hour
	for i, step := range []struct {
		e     audit.Event
		alert bool
	}{
		{event("u1", "read", 0), false},
		{event("u1", "read", night), false}, // known since the morning
		{event("u1", "export", night), true},
		{event("u1", "export", night+time.Minute), false},
		{event("u2", "read", night), true},
		{event("u1", "", night), false},
		{event("u3", "read", 5*day), true}, // Saturday
		{event("u1", "read", 25*day+night), false},
		{event("u1", "read", 60*day+night), true}, // forgotten
	} {
		_, got := r.See(step.e, c)
		require.Equal(t, step.alert, got, "step %d", i)
	}
}

func TestWorkingHours(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	in := alert.WorkingHours(shanghai, 9, 18)
	require.False(t, in(time.Date(2026, 11, 30, 0, 59, 59, 0, time.UTC)))
	require.True(t, in(time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)))
	require.True(t, in(time.Date(2026, 11, 30, 9, 59, 59, 0, time.UTC)))
	require.False(t, in(time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)))
	require.False(t, in(time.Date(2026, 12, 4, 20, 0, 0, 0, time.UTC)), "Saturday morning there")
}

// Whoever acts under many names fills no memory, and the busy ones stay known.
func TestCountsAreBounded(t *testing.T) {
	c := &alert.Counts{}
	r := alert.Many{ID: "many", Match: alert.Actions("*"), Most: 100, Window: time.Hour}
	for i := range 5000 {
		r.See(event(fmt.Sprint("u", i), "a", time.Duration(i)*time.Millisecond*100), c)
		r.See(event("busy", "a", time.Duration(i)*time.Millisecond*100), c)
		require.LessOrEqual(t, len(c.Keys), 2000)
	}
	f, _ := r.See(event("busy", "a", 500*time.Second), c)
	require.EqualValues(t, 5001, f.Count)
	for _, x := range c.Keys {
		require.LessOrEqual(t, len(x.Parts), 13)
	}
}

func TestUsualRulesMatchWhatTheLogRecords(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range alert.Usual(time.UTC) {
		c := &alert.Counts{}
		for _, action := range []string{"customer.reveal", "customer.read", "customer.export", "customer.update", "customer.delete", "audit.gap", "audit.raw", "audit.purge", "rbac.system"} {
			for range 60 {
				e := event("u1", action, 12*time.Hour)
				e.Attrs = []slog.Attr{slog.Int("count", 100)}
				if action == "customer.update" {
					e.Result = "denied"
				}
				if _, alert := r.See(e, c); alert {
					seen[r.Name()] = true
				}
			}
		}
	}
	for _, r := range alert.Usual(time.UTC) {
		require.True(t, seen[r.Name()], r.Name())
	}
}
