package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Cron is a parsed cron expression in a time zone.
type Cron struct {
	minute, hour, day, month, weekday uint64 // one bit a value
	anyDay, anyWeekday                bool   // the field was *
	where                             *time.Location
}

// A field is one of the five of an expression.
type field struct {
	name      string
	low, high int
	names     []string // of the values, from low
}

func fields() []field {
	return []field{
		{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of the month", 1, 31, nil},
		{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// Parse reads the five fields of a cron expression: minute, hour, day of the
// month, month, day of the week (0 and 7 are Sunday; names may be used for the
// last two). A field is *, a value, a range a-b, any of those with a step /n, or
// several of them with commas. If both days are given, either will do. An
// expression that never comes true is an error. A nil zone is UTC.
func Parse(expression string, where *time.Location) (Cron, error) {
	if where == nil {
		where = time.UTC
	}
	parts := strings.Fields(expression)
	if len(parts) != 5 {
		return Cron{}, fmt.Errorf("schedule: %q has %d fields; a cron expression has five: minute, hour, day, month, day of the week", expression, len(parts))
	}
	var sets [5]uint64
	for i, f := range fields() {
		set, err := f.parse(parts[i])
		if err != nil {
			return Cron{}, fmt.Errorf("schedule: %q: %s: %w", expression, f.name, err)
		}
		sets[i] = set
	}
	sets[4] = sets[4]&0x7f | sets[4]>>7 // 7 is 0
	c := Cron{sets[0], sets[1], sets[2], sets[3], sets[4], strings.HasPrefix(parts[2], "*"), strings.HasPrefix(parts[4], "*"), where}
	if c.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Cron{}, fmt.Errorf("schedule: %q never comes true", expression)
	}
	return c, nil
}

func (f field) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, step, err := f.span(part)
		if err != nil {
			return 0, err
		}
		for v := from; v <= to; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f field) span(part string) (from, to, step int, err error) {
	span, stepText, stepped := strings.Cut(part, "/")
	step = 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.high {
			return 0, 0, 0, fmt.Errorf("%q is no step", stepText)
		}
	}
	first, last, ranged := strings.Cut(span, "-")
	switch {
	case span == "*":
		return f.low, min(f.high, f.low+f.count()-1), step, nil
	case ranged:
		if to, err = f.value(last); err != nil {
			return 0, 0, 0, err
		}
	}
	if from, err = f.value(first); err != nil {
		return 0, 0, 0, err
	}
	if !ranged {
		to = from
		if stepped {
			to = f.high
		}
	}
	if from > to {
		return 0, 0, 0, fmt.Errorf("%q ends before it begins", span)
	}
	return from, to, step, nil
}

// count is how many different values there are: 7 is Sunday once more.
func (f field) count() int {
	if f.high == 7 {
		return 7
	}
	return f.high - f.low + 1
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.low + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.high || strings.ContainsAny(text, "+-") {
		return 0, fmt.Errorf("%q is not a value from %d to %d", text, f.low, f.high)
	}
	return n, nil
}

// Next returns the first time after t at which the expression comes true, zero if
// there is none within thirty years.
//
// A time that the clock skips in spring happens at the moment of the change, one
// that it shows twice in autumn happens the first time. Expressions that come true
// every hour or more often (a * or a step in the hour) follow the hours as they
// pass, all 23 or 25 of that day.
func (c Cron) Next(t time.Time) time.Time {
	local := t.In(c.where)
	day := time.Date(local.Year(), local.Month(), local.Day(), 12, 0, 0, 0, time.UTC) // noon exists everywhere
	for end := day.AddDate(30, 0, 0); !day.After(end); day = day.AddDate(0, 0, 1) {
		if !c.holds(day) {
			continue
		}
		if next := c.within(day, t); !next.IsZero() {
			return next
		}
	}
	return time.Time{}
}

// holds reports whether the expression comes true on this day.
func (c Cron) holds(day time.Time) bool {
	if c.month&(1<<int(day.Month())) == 0 {
		return false
	}
	inMonth, inWeek := c.day&(1<<day.Day()) != 0, c.weekday&(1<<int(day.Weekday())) != 0
	if c.anyDay || c.anyWeekday {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// within returns the first moment of the day after t.
func (c Cron) within(day, after time.Time) time.Time {
	var best time.Time
	for hour := range 24 {
		if c.hour&(1<<hour) == 0 {
			continue
		}
		for minute := range 60 {
			if c.minute&(1<<minute) == 0 {
				continue
			}
			for _, at := range c.moments(day, hour, minute) {
				if at.After(after) && (best.IsZero() || at.Before(best)) {
					best = at
				}
			}
		}
	}
	return best
}

// moments are when a clock in the zone shows this time: once, twice, or never, and
// then the moment at which it was put forward.
func (c Cron) moments(day time.Time, hour, minute int) []time.Time {
	var out []time.Time
	utc := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, time.UTC)
	for _, around := range []time.Duration{-36 * time.Hour, 36 * time.Hour} {
		_, offset := utc.Add(around).In(c.where).Zone()
		at := utc.Add(-time.Duration(offset) * time.Second).In(c.where)
		shows := at.Day() == day.Day() && at.Hour() == hour && at.Minute() == minute
		if shows && (len(out) == 0 || !out[0].Equal(at)) {
			out = append(out, at)
		}
	}
	every := c.hour == 1<<24-1
	switch {
	case len(out) == 0 && !every:
		return []time.Time{c.change(utc)}
	case len(out) == 2 && !every:
		if out[1].Before(out[0]) {
			out[0] = out[1]
		}
		return out[:1]
	}
	return out
}

// change finds the moment near a skipped time at which the clock was put forward.
func (c Cron) change(near time.Time) time.Time {
	low, high := near.Add(-36*time.Hour), near.Add(36*time.Hour)
	_, before := low.In(c.where).Zone()
	for high.Sub(low) > time.Second {
		middle := low.Add(high.Sub(low) / 2)
		if _, offset := middle.In(c.where).Zone(); offset == before {
			low = middle
		} else {
			high = middle
		}
	}
	return high.Truncate(time.Second).In(c.where)
}
