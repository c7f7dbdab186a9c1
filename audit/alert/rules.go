package alert

import (
	"log/slog"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
)

// A Finding is what a rule says of an event.
type Finding struct {
	Count  int64
	Detail string // never a value out of the event
}

// A Rule looks at every event, in the order of the log. What it remembers is in
// counts, which outlive the process.
type Rule interface {
	Name() string // of letters, digits and dashes; it identifies the rule for ever
	See(e audit.Event, counts *Counts) (Finding, bool)
}

// A Match selects events.
type Match func(e audit.Event) bool

// Actions matches events by their actions. A star at the beginning or the end stands
// for any text: "*.reveal", "export.*".
func Actions(patterns ...string) Match {
	return func(e audit.Event) bool {
		for _, p := range patterns {
			prefix, isPrefix := strings.CutSuffix(p, "*")
			suffix, isSuffix := strings.CutPrefix(p, "*")
			if p == e.Action || isPrefix && strings.HasPrefix(e.Action, prefix) || isSuffix && strings.HasSuffix(e.Action, suffix) {
				return true
			}
		}
		return false
	}
}

// Result matches events by their result.
func Result(result string) Match { return func(e audit.Event) bool { return e.Result == result } }

// Many alerts when one actor's events are more than Most within a Window, and not again
// before the window is over.
type Many struct {
	ID     string
	Match  Match
	Most   int64
	Window time.Duration
	Rows   bool // count the rows the events are about, not the events
}

// Name implements Rule.
func (r Many) Name() string { return r.ID }

// See implements Rule.
func (r Many) See(e audit.Event, counts *Counts) (Finding, bool) {
	if !r.Match(e) {
		return Finding{}, false
	}
	n := int64(1)
	if r.Rows {
		n = RowsOf(e)
	}
	sum, alert := counts.Add(e.Actor.ID, e.Time, n, r.Most, r.Window)
	return Finding{sum, "within " + r.Window.String()}, alert
}

// RowsOf is how many rows an event is about, also where it does not name them.
func RowsOf(e audit.Event) int64 {
	n := int64(len(e.Rows))
	for _, a := range e.Attrs {
		if a.Key == "count" && a.Value.Kind() == slog.KindInt64 {
			n = max(n, a.Value.Int64())
		}
	}
	return n
}

// FirstUse alerts when an actor does something for the first time, outside of hours.
// What is learned within hours is known afterwards, and forgotten after Memory without use.
// With Of returning the purpose it watches purposes, if these are a list and not free text.
type FirstUse struct {
	ID     string
	Match  Match
	Of     func(e audit.Event) string // what is used: the action, the purpose; "" is nothing
	Hours  func(t time.Time) bool     // tells whether this is a time to work
	Memory time.Duration
}

// Name implements Rule.
func (r FirstUse) Name() string { return r.ID }

// See implements Rule.
func (r FirstUse) See(e audit.Event, counts *Counts) (Finding, bool) {
	used := r.Of(e)
	if used == "" || !r.Match(e) {
		return Finding{}, false
	}
	first := counts.First(e.Actor.ID+"\x00"+used, e.Time, r.Memory)
	return Finding{1, "for the first time, out of hours"}, first && !r.Hours(e.Time)
}

// Each alerts for every event it matches.
type Each struct {
	ID     string
	Match  Match
	Detail string
}

// Name implements Rule.
func (r Each) Name() string { return r.ID }

// See implements Rule.
func (r Each) See(e audit.Event, _ *Counts) (Finding, bool) {
	return Finding{1, r.Detail}, r.Match(e)
}

// WorkingHours tells that it is Monday to Friday between two full hours somewhere.
func WorkingHours(in *time.Location, from, to int) func(time.Time) bool {
	return func(t time.Time) bool {
		t = t.In(in)
		return t.Weekday() != time.Sunday && t.Weekday() != time.Saturday && t.Hour() >= from && t.Hour() < to
	}
}

// Usual are rules to begin with. Their numbers suit an office of some dozen people;
// take them as a list to change.
func Usual(in *time.Location) []Rule {
	any := func(audit.Event) bool { return true }
	hours := WorkingHours(in, 8, 19)
	return []Rule{
		Many{ID: "many-reveals", Match: Actions("*.reveal"), Most: 50, Window: time.Hour},
		Many{ID: "many-reads", Match: Actions("*.read"), Rows: true, Most: 2000, Window: time.Hour},
		Many{ID: "many-exports", Match: Actions("*.export", "export.*"), Most: 5, Window: 24 * time.Hour},
		Many{ID: "many-denied", Match: Result("denied"), Most: 20, Window: 10 * time.Minute},
		Many{ID: "mass-change", Match: Actions("*.update", "*.upsert"), Rows: true, Most: 500, Window: time.Hour},
		Many{ID: "mass-delete", Match: Actions("*.delete"), Rows: true, Most: 50, Window: time.Hour},
		FirstUse{ID: "first-action", Match: any, Of: func(e audit.Event) string { return e.Action }, Hours: hours, Memory: 90 * 24 * time.Hour},
		Each{ID: "gap", Match: Actions(audit.GapAction), Detail: "events were lost"},
		Each{ID: "out-of-band", Match: Actions("audit.outofband", "audit.raw"), Detail: "a write went past the application"},
		Each{ID: "purge", Match: Actions("audit.purge"), Detail: "old events were removed"},
		Each{ID: "break-glass", Match: Actions("*.breakglass", "*.break-glass", "rbac.system", "system.*"), Detail: "the rules were suspended"},
	}
}
