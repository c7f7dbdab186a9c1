package sqlsource

import (
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
func formatClock(v cell.Value) string { return string(appendClockText(nil, v)) }

func appendClockText(dst []byte, v cell.Value) []byte {
	switch v.Kind {
	case cell.Time:
		return appendSpan(dst, v.Int)
	case cell.Date:
		year, month, day := time.Unix(v.Int*86400, 0).UTC().Date()
		dst = appendDay(dst, year, month, day)
		return appendEra(dst, year)
	}
	return appendMoment(dst, v, "")
}

// appendInstant says that the clock is in UTC, which MySQL's form cannot.
func appendInstant(dst []byte, v cell.Value) []byte { return appendMoment(dst, v, "+00") }

func appendMoment(dst []byte, v cell.Value, zone string) []byte {
	year, month, day := time.Unix(v.Int, 0).UTC().Date()
	dst = append(appendDay(dst, year, month, day), ' ')
	second := v.Int - floorDiv(v.Int, 86400)*86400
	dst = appendSpan(dst, second*1e9+int64(v.Nanos))
	return appendEra(append(dst, zone...), year)
}

func appendDay(dst []byte, year int, month time.Month, day int) []byte {
	if year < 1 {
		year = 1 - year
	}
	dst = append(appendPadded(dst, int64(year), 4), '-')
	dst = append(appendPadded(dst, int64(month), 2), '-')
	return appendPadded(dst, int64(day), 2)
}

func appendEra(dst []byte, year int) []byte {
	if year < 1 {
		return append(dst, " BC"...)
	}
	return dst
}

func formatSpan(nanos int64) string { return string(appendSpan(nil, nanos)) }

func appendSpan(dst []byte, nanos int64) []byte {
	if nanos < 0 {
		dst, nanos = append(dst, '-'), -nanos
	}
	seconds, micros := nanos/1e9, nanos%1e9/1e3
	dst = append(appendPadded(dst, seconds/3600, 2), ':')
	dst = append(appendPadded(dst, seconds/60%60, 2), ':')
	dst = appendPadded(dst, seconds%60, 2)
	if micros != 0 {
		dst = appendPadded(append(dst, '.'), micros, 6)
	}
	return dst
}

// appendPadded is what %0*d of fmt does for a number that is not negative, in a
// fraction of the time: these are most of what a restore writes.
func appendPadded(dst []byte, n int64, width int) []byte {
	var digits [20]byte
	i := len(digits)
	for ; n > 0 || len(digits)-i < width; n /= 10 {
		i--
		digits[i] = byte('0' + n%10)
	}
	return append(dst, digits[i:]...)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
