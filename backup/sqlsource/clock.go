package sqlsource

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/confide-go/confide/backup/cell"
)

// appendClock encodes what MySQL shows of a date or time. What is no real date,
// such as 0000-00-00 or the 31st of February, stays as text.
func appendClock(row []byte, kind cell.Kind, text string) []byte {
	switch kind {
	case cell.Date:
		if d, err := time.Parse(time.DateOnly, text); err == nil && d.Year() > 0 {
			return cell.AppendDate(row, floorDiv(d.Unix(), 86400))
		}
	case cell.DateTime, cell.Instant:
		if d, err := time.Parse("2006-01-02 15:04:05.999999", text); err == nil && d.Year() > 0 {
			if kind == cell.Instant {
				return cell.AppendInstant(row, d.Unix(), uint32(d.Nanosecond()))
			}
			return cell.AppendDateTime(row, d.Unix(), uint32(d.Nanosecond()))
		}
	case cell.Time:
		if nanos, ok := parseSpan(text); ok {
			return cell.AppendTime(row, nanos)
		}
	}
	return cell.AppendRaw(row, cell.Native, text)
}

// parseSpan reads [-]hours:minutes:seconds[.fraction], where hours may exceed 24.
func parseSpan(text string) (int64, bool) {
	rest, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(rest, ".")
	parts := strings.Split(whole, ":")
	if len(parts) != 3 || len(fraction) > 9 {
		return 0, false
	}
	var seconds int64
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return 0, false
		}
		seconds = seconds*60 + int64(n)
	}
	nanos, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return 0, false
	}
	total := seconds*1e9 + int64(nanos)
	if negative {
		total = -total
	}
	return total, true
}

// formatClock is the text of a date or time that both PostgreSQL and MySQL read
// exactly; years before 1 are PostgreSQL's.
func formatClock(v cell.Value) string {
	switch v.Kind {
	case cell.Date:
		return formatDay(time.Unix(v.Int*86400, 0).UTC(), "")
	case cell.Time:
		return formatSpan(v.Int)
	}
	return formatDay(time.Unix(v.Int, 0).UTC(), clockOf(v))
}

func clockOf(v cell.Value) string {
	t := time.Unix(v.Int, int64(v.Nanos)).UTC()
	if v.Nanos == 0 {
		return " " + t.Format(time.TimeOnly)
	}
	return " " + t.Format("15:04:05.000000")
}

// formatInstant says that the clock is in UTC, which MySQL's form cannot.
func formatInstant(v cell.Value) string {
	return formatDay(time.Unix(v.Int, 0).UTC(), clockOf(v)+"+00")
}

func formatDay(t time.Time, clock string) string {
	year, era := t.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	return fmt.Sprintf("%04d-%02d-%02d%s%s", year, t.Month(), t.Day(), clock, era)
}

func formatSpan(nanos int64) string {
	sign := ""
	if nanos < 0 {
		sign, nanos = "-", -nanos
	}
	seconds, micros := nanos/1e9, nanos%1e9/1e3
	text := fmt.Sprintf("%s%02d:%02d:%02d", sign, seconds/3600, seconds/60%60, seconds%60)
	if micros != 0 {
		text += fmt.Sprintf(".%06d", micros)
	}
	return text
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
