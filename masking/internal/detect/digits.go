package detect

import (
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/fold"
)

// digit looks at the digit at i and everything that belongs to it, and returns where to go on.
func (s *Scanner) digit(i int) int {
	w, at, lo := s.view(i)
	if end := instant(w, at); end > at {
		return lo + end
	}
	if insideNumber(w, at) {
		return lo + skipNumber(w, at)
	}
	if at+17 <= len(w) && w[at+2] == '-' && mac(w[at:at+17]) && outside(w, at, at+17) {
		return max(i+1, s.hit(Span{at, at + 17, MAC, Shape, certain}, lo))
	}
	if start, end, mixed := wordAround(w, at); mixed {
		if span, ok := word(w, start, end); ok {
			return max(i+1, s.hit(span, lo))
		}
		if !letterThenNumber(w, start, at, end) {
			return lo + max(end, at+1)
		}
	}
	c := cluster{w: w}
	if s.spoken.end == i && s.spoken.size > 0 {
		c.asked, c.back = 1, lookFrom(at)
		c.back.take(s.spoken.topic, s.spoken.size)
	}
	c.read(at)
	return lo + s.cluster(&c, lo, at)
}

// cluster asks the recognisers of numbers at each group in turn.
func (s *Scanner) cluster(c *cluster, lo, at int) int {
	if c.n == 0 {
		return max(c.next, at+1)
	}
	total := c.groups[c.n-1].from + c.groups[c.n-1].size
	if next := c.wrapAt(); next > 0 {
		if span, g := c.wrapped(next); span.Kind != 0 {
			if c.n = g; g > 0 {
				c.next = c.groups[g-1].end
				s.cluster(c, lo, at)
			}
			return s.hit(span, lo)
		}
	}
	if c.n == 1 && total < 5 && !addressUnit(c.w, c.groups[0].start, c.groups[0].end) {
		if !birthUnit(c.w, c.groups[0].end) {
			return c.next
		}
	}
	g := 0
	for g < c.n {
		if c.cut && g > 0 && c.groups[g].size < 40 && g > c.n/2 { // the row goes on: read it again from here
			return c.groups[g].start
		}
		span, skip, ok := c.find(g)
		if !ok {
			g += max(1, skip)
			continue
		}
		s.hit(span, lo)
		for g < c.n && c.groups[g].start < span.End {
			g++
		}
		if span.End > c.next {
			return span.End
		}
	}
	return c.next
}

// find runs the recognisers that start at group g, from the most to the least certain. Without a find it
// may say how many groups are known to be something else.
func (c *cluster) find(g int) (span Span, skip int, ok bool) {
	n := c.groups[g].size
	start := c.plainStart(g)
	if start && c.from(g) >= 12 {
		if span, ok = c.resident(g); ok {
			return span, 0, true
		}
		if span, ok = c.card(g); ok {
			return span, 0, true
		}
		if span, ok = c.uscc(g); ok {
			return span, 0, true
		}
	}
	if n <= 3 {
		if span, ok = c.ipv4(g); ok {
			return span, 0, true
		}
		if span, ok = c.geo(g); ok {
			return span, 0, true
		}
	}
	if span, ok = c.birth(g); ok {
		return span, 0, true
	}
	if skip := c.timestamp(g); skip > 0 {
		return Span{}, skip, false
	}
	if start {
		if span, ok = c.ssn(g); ok {
			return span, 0, true
		}
		if span, ok = c.numbered(g); ok {
			return span, 0, true
		}
	}
	if span, ok = c.phone(g, start); ok {
		return span, 0, true
	}
	if span, ok = c.address(g); ok {
		return span, 0, true
	}
	return Span{}, 0, false
}

// insideNumber: the anchor is not the first digit of its run. That happens behind a number too long to read.
func insideNumber(w string, at int) bool {
	if at == 0 {
		return false
	}
	if c := w[at-1]; c < utf8.RuneSelf {
		return isDigit(c) && isDigit(w[at])
	}
	if hanBefore(w, at) && isDigit(w[at]) {
		return false
	}
	r, size := utf8.DecodeLastRuneInString(w[:at])
	if fold.Invisible(r) && at > size {
		r, _ = utf8.DecodeLastRuneInString(w[:at-size])
	}
	_, script := fold.Rune(r)
	if script == fold.None {
		return false
	}
	_, now := runeAt(w, at)
	return script == now
}

// hanBefore knows the most frequent characters before a number by their bytes: Han, which separates nothing
// and is visible.
func hanBefore(w string, at int) bool {
	return at >= 3 && w[at-3] >= 0xE4 && w[at-3] <= 0xE9 && w[at-2]&0xC0 == 0x80 && w[at-1]&0xC0 == 0x80
}

func runeAt(w string, at int) (byte, fold.Script) {
	r, _ := utf8.DecodeRuneInString(w[at:])
	return fold.Rune(r)
}

func skipNumber(w string, at int) int {
	for at < len(w) {
		_, width, _ := fold.Digit(w, at)
		if width == 0 {
			break
		}
		at += width
	}
	return at
}

// wordAround returns the run of ASCII letters and digits around at, and whether it has letters.
func wordAround(w string, at int) (start, end int, mixed bool) {
	const longest = 200
	start, end = at, at
	for start > 0 && at-start < longest && isWord(w[start-1]) {
		start--
		mixed = mixed || !isDigit(w[start])
	}
	for stop := min(len(w), at+longest); end < stop && isWord(w[end]); end++ {
		mixed = mixed || !isDigit(w[end])
	}
	return start, end, mixed
}

// letterThenNumber: tel13800138000, or digits with an extension or the check letter of an ID behind them.
func letterThenNumber(w string, start, at, end int) bool {
	digits := at
	for digits < end && isDigit(w[digits]) {
		digits++
	}
	if start < at {
		top, _ := words.endingAt(w, at)
		if top&(tPhone|tCard|tID|tSSN|tQQ|tPermit|tPassport) == 0 {
			return false
		}
	}
	if digits == end {
		return true
	}
	switch w[digits] | 0x20 {
	case 'x':
		return true
	case 'e':
		return hasFold(w[digits:], "ext")
	}
	return start == at && (digits-at <= 2 && end-digits == 2 && ordinal(w[digits:end]) || digits-at <= 4 && end-digits == 1 && capitalBefore(w, at))
}

// ordinal reports the letters behind a day: 1st, 22nd.
func ordinal(s string) bool {
	return hasFold(s, "st") || hasFold(s, "nd") || hasFold(s, "rd") || hasFold(s, "th")
}

// hasFold reports whether s begins with prefix, which is in lower case.
func hasFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if s[i] != prefix[i] && (!isUpper(s[i]) || s[i]|0x20 != prefix[i]) {
			return false
		}
	}
	return true
}
