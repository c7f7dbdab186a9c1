package detect

import (
	"strings"

	"github.com/confide-go/confide/masking/internal/fold"
)

// birth finds a date next to a word that says birth.
func (c *cluster) birth(g int) (Span, bool) {
	end, ok := c.dateEnd(g)
	if !ok {
		return Span{}, false
	}
	if c.nearest(g)&tBirth == 0 {
		if soon(c.w, end, 9)&tBirth == 0 {
			return Span{}, false
		}
	}
	span := c.span(g, end, BirthDate, Context, strong)
	span.Start = monthBefore(c.w, span.Start)
	return span, true
}

// dateEnd reads 1990-03-07, 19900307, 07/03/1990, 1990年3月7日 and what named reads.
func (c *cluster) dateEnd(g int) (end int, ok bool) {
	d, w := c.text(g, g), c.w
	end = c.groups[g].end
	switch {
	case len(d) == 8 && dateIn(d):
		return end, true
	case (len(d) == 4 && yearLike(d) || len(d) == 2) && strings.HasPrefix(w[end:], "年"):
		return hanDate(w, end)
	}
	if end, ok = c.named(g); ok {
		return end, true
	}
	if g+2 >= c.n || !c.uniform(g, g+2) || !allowed(c.groups[g+1].sep, "-/. ") || c.groups[g+1].sep == joined {
		return 0, false
	}
	a, b, z := c.groups[g], c.groups[g+1], c.groups[g+2]
	switch {
	case yearLike(d) && b.size <= 2 && z.size <= 2:
		return z.end, dayOf(number(d), number(c.text(g+1, g+1)), number(c.text(g+2, g+2)))
	case a.size <= 2 && b.size <= 2 && (z.size == 4 && yearLike(c.text(g+2, g+2)) || z.size == 2):
		x, y := number(d), number(c.text(g+1, g+1))
		return z.end, x >= 1 && y >= 1 && (x <= 12 && y <= 31 || x <= 31 && y <= 12)
	}
	return 0, false
}

// named reads dates with the name of a month: 7 March 1990, 1990 March 7 and, behind its month, 7, 1990 and 1990.
func (c *cluster) named(g int) (end int, ok bool) {
	d, w := c.text(g, g), c.w
	end = c.groups[g].end
	if len(d) > 2 && !yearLike(d) {
		return 0, false
	}
	behind := monthBefore(w, c.groups[g].start) < c.groups[g].start
	switch at := toMonth(w, end); {
	case len(d) <= 2 && monthName(w[at:]) > 0:
		at += monthName(w[at:])
		rest := strings.TrimPrefix(strings.TrimPrefix(strings.TrimLeft(w[at:], " ,.-"), "de "), "del ")
		if len(rest) >= 4 && yearLike([]byte(rest[:4])) && (len(rest) == 4 || !isDigit(rest[4])) {
			return len(w) - len(rest) + 4, true
		}
		return at, true
	case len(d) <= 2 && behind:
		if g+1 < c.n && yearLike(c.text(g+1, g+1)) {
			return c.groups[g+1].end, true
		}
		rest := strings.TrimLeft(w[end:], " ,.-stndrh")
		if len(rest) >= 4 && yearLike([]byte(rest[:4])) {
			return len(w) - len(rest) + 4, true
		}
		return end, true
	case yearLike(d) && behind:
		return end, true
	case yearLike(d) && monthName(w[at:]) > 0:
		at += monthName(w[at:])
		rest := strings.TrimLeft(w[at:], " -,.")
		n := 0
		for n < len(rest) && isDigit(rest[n]) {
			n++
		}
		return len(w) - len(rest) + n, n == 1 || n == 2
	}
	return 0, false
}

// yearLike: a year in which somebody alive can be born.
func yearLike(d []byte) bool {
	return len(d) == 4 && (d[0] == '1' && (d[1] == '9' || d[1] == '8') || d[0] == '2' && d[1] == '0')
}

// hanDate reads what follows the year in 1990年3月7日.
func hanDate(w string, end int) (int, bool) {
	end += len("年")
	for _, unit := range [...]string{"月", "日"} {
		rest := strings.TrimLeft(w[end:], " ")
		n := dayNumber(rest)
		tail := strings.TrimLeft(rest[n:], " ")
		if n == 0 || !strings.HasPrefix(tail, unit) && !(unit == "日" && strings.HasPrefix(tail, "号")) {
			return end, unit == "日"
		}
		end = len(w) - len(tail) + len(unit)
	}
	return end, true
}

// dayNumber is the length of the number of a day or month s begins with, in digits or as 二十六.
func dayNumber(s string) int {
	n := 0
	for count := 0; n < len(s) && count < 4; count++ {
		_, width, script := fold.Digit(s, n)
		if width == 0 && strings.HasPrefix(s[n:], "十") {
			width = len("十")
		}
		if width == 0 {
			return n
		}
		if count == 3 || count == 2 && script == fold.ASCII {
			return 0
		}
		n += width
	}
	return n
}

// toMonth steps from the end of a day over th, of and de to where its month may begin.
func toMonth(w string, end int) int {
	rest := strings.TrimLeft(w[end:min(len(w), end+24)], " ,.-")
	if len(rest) > 2 && ordinal(rest[:2]) && !isLetter(rest[2]) {
		rest = rest[2:]
	}
	rest = strings.TrimLeft(rest, " ,.-")
	for _, of := range [...]string{"of ", "de "} {
		rest = strings.TrimPrefix(rest, of)
	}
	return min(len(w), end+24) - len(rest)
}

// foreignMonths are the names of months in German, French, Spanish and Italian that English does not begin.
const foreignMonths = "januar februar märz März mai juni juli oktober dezember janvier février mars avril juin juillet août septembre octobre décembre " +
	"enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre"

var foreignMonthList = strings.Fields(foreignMonths)

var months = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september",
	"october", "november", "december"}

// monthName returns the length of the English month s starts with, short or long.
func monthName(s string) int {
	for _, m := range months {
		switch {
		case hasFold(s, m):
			return len(m)
		case hasFold(s, m[:3]) && (len(s) == 3 || !isLetter(s[3])):
			return 3
		}
	}
	if len(s) > 2 && strings.IndexByte("jfmadoesgln", s[0]|0x20) >= 0 {
		for _, m := range foreignMonthList {
			if hasFold(s, m) && (len(s) == len(m) || !isLetter(s[len(m)])) {
				return len(m)
			}
		}
	}
	return 0
}

// monthBefore returns the start of the month in front of a day, or start.
func monthBefore(w string, start int) int {
	end := len(strings.TrimRight(w[:start], " ."))
	from := end
	for from > 0 && end-from < 10 && isLetter(w[from-1]) {
		from--
	}
	if n := monthName(w[from:end]); n > 0 && n == end-from && end < start {
		return from
	}
	return start
}

// instant returns the end of a date with a time of day at w[at:], as logs and JSON are full of, or 0. It is
// nobody's number and not worth a closer look.
func instant(w string, at int) int {
	const form = "0000-00-00 00:00:00"
	if len(w)-at < len(form) || at > 0 && isWord(w[at-1]) {
		return 0
	}
	s := w[at : at+len(form)]
	for i := range len(form) {
		switch c := s[i]; form[i] {
		case '0':
			if !isDigit(c) {
				return 0
			}
		case ' ':
			if c != ' ' && c != 'T' {
				return 0
			}
		default:
			if c != form[i] {
				return 0
			}
		}
	}
	if top, _ := near(w, at); top&tBirth != 0 {
		return 0
	}
	at += len(form)
	if at+1 < len(w) && (w[at] == '.' || w[at] == ',') {
		for at++; at < len(w) && isDigit(w[at]); at++ {
		}
	}
	return at
}

// timestamp returns how many groups a date with or without a time takes, which are then nobody's number.
func (c *cluster) timestamp(g int) int {
	if g+2 < c.n && c.dateFrom(g) && c.uniform(g, g+2) && allowed(c.groups[g+1].sep, "-/.") {
		return 3
	}
	if c.groups[g].size <= 4 && strings.HasPrefix(c.w[c.groups[g].end:], "年") {
		return 1
	}
	return 0
}

// birthUnit: a lone group of digits can begin a birth date only in front of these.
func birthUnit(w string, end int) bool {
	return strings.HasPrefix(w[end:], "年") || monthName(w[toMonth(w, end):]) > 0 ||
		end >= 6 && monthBefore(w, strings.LastIndexFunc(w[:end], func(r rune) bool { return r < '0' || r > '9' })+1) < end-4
}
