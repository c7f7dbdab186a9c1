package privacy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Day is a day of the calendar, without a time and without a zone: a birthday is the same day everywhere.
// It is what Date reveals, and it prints as it is.
type Day struct {
	Year  int // 1 to 9999
	Month time.Month
	Day   int
}

// String returns the day as 2006-01-02.
func (d Day) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

func (d Day) valid() bool {
	y, m, day := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Date()
	return d.Year >= 1 && d.Year <= 9999 && y == d.Year && m == d.Month && day == d.Day
}

func readDay(s string) (Day, bool) {
	if len(s) != len("2006-01-02") {
		return Day{}, false
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return Day{}, false
	}
	y, m, d := t.Date()
	return Day{y, m, d}, Day{y, m, d}.String() == s
}

// Date is a day of the calendar that is stored sealed. With mask=birthdate it shows its year.
type Date struct{ sealed }

// NewDate returns a day, to be sealed when the row it is assigned to is saved. A day that does not exist,
// such as 30 February, makes saving fail.
func NewDate(year int, month time.Month, day int) Date {
	d := Day{year, month, day}
	if !d.valid() {
		return Date{sealed{brokenCell(fmt.Errorf("%w: the calendar has no such day in the years 1 to 9999", ErrUnreadable))}}
	}
	return Date{sealed{plainCell([]byte(d.String()), formDate)}}
}

// ParseDate reads a day in the form 2006-01-02.
func ParseDate(s string) (Date, error) {
	if _, ok := readDay(s); !ok {
		return Date{}, errors.New("privacy: a date is a day that exists, in the form 2006-01-02")
	}
	return Date{sealed{plainCell([]byte(s), formDate)}}, nil
}

// NullDate returns the value that is stored as NULL.
func NullDate() Date { return Date{sealed{nullCell()}} }

// Reveal returns the day under the same conditions as String.Reveal.
func (d Date) Reveal(ctx context.Context, purpose string) (Day, error) {
	b, err := d.c.reveal(ctx, purpose)
	if err != nil {
		return Day{}, err
	}
	day, ok := readDay(string(b))
	if !ok {
		return Day{}, formDate.misfit()
	}
	return day, nil
}

// Equal reports whether d and e are the same day, under the same rules as String.Equal.
func (d Date) Equal(e Date) bool { return d.c.equal(e.c) }

// UnmarshalJSON reads a new value from a JSON string in the form 2006-01-02.
func (d *Date) UnmarshalJSON(data []byte) (err error) {
	d.c, err = cellOfJSON(data, formDate, d.c)
	return err
}

func (Date) form() form { return formDate }

// Time is an instant that is stored sealed, to the nanosecond, with its offset from UTC in minutes. The
// name of its zone is not kept. It cannot be searched for: index a Date instead. It is always shown as
// [sealed].
type Time struct{ sealed }

// NewTime returns t, to be sealed when the row it is assigned to is saved. A year outside 1 to 9999 makes
// saving fail.
func NewTime(t time.Time) Time {
	b, ok := writeTime(t)
	if !ok {
		return Time{sealed{brokenCell(fmt.Errorf("%w: a time is in the years 1 to 9999", ErrUnreadable))}}
	}
	return Time{sealed{plainCell(b, formTime)}}
}

// NullTime returns the value that is stored as NULL.
func NullTime() Time { return Time{sealed{nullCell()}} }

// Reveal returns the instant, in a zone with its offset and without name, under the same conditions as
// String.Reveal.
func (t Time) Reveal(ctx context.Context, purpose string) (time.Time, error) {
	b, err := t.c.reveal(ctx, purpose)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := readTime(string(b))
	if !ok {
		return time.Time{}, formTime.misfit()
	}
	return at, nil
}

// Equal reports whether t and u are the same instant at the same offset, under the same rules as
// String.Equal.
func (t Time) Equal(u Time) bool { return t.c.equal(u.c) }

// UnmarshalJSON reads a new value from a JSON string in the form of RFC 3339.
func (t *Time) UnmarshalJSON(data []byte) (err error) {
	t.c, err = cellOfJSON(data, formTime, t.c)
	return err
}

func (Time) form() form { return formTime }
