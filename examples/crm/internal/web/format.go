package web

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// number writes 1234567 as 1,234,567, in both languages.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// money writes an amount in US dollars, the currency of the invoices.
func money(lang string, cents int64) string {
	sign, symbol := "", "$"
	if lang == chinese {
		symbol = "US$"
	}
	if cents < 0 {
		sign = "-"
	}
	// The remainder is negated, not the whole: there is no -math.MinInt64.
	units, rest := cents/100, cents%100
	rest = max(rest, -rest)
	return sign + symbol + strings.TrimPrefix(number(units), "-") + "." + string([]byte{'0' + byte(rest/10), '0' + byte(rest%10)})
}

// date writes the day of an invoice: a day, wherever one is.
func date(lang string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if lang == chinese {
		return t.UTC().Format("2006年1月2日")
	}
	return t.UTC().Format("2 Jan 2006")
}

// moment writes when something happened, in the zone of the pages.
func moment(lang string, zone *time.Location, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if lang == chinese {
		return t.In(zone).Format("2006年1月2日 15:04:05")
	}
	return t.In(zone).Format("2 Jan 2006, 15:04:05")
}

// printable reports whether s is text without control characters, such as a
// person types into one line.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
