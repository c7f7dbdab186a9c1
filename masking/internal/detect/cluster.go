package detect

import (
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/fold"
)

// cluster is a row of groups of digits with nothing but separators between them, in any script.
type cluster struct {
	w      string
	digits [maxClusterDigits]byte
	groups [maxGroups]group
	n      int // groups
	next   int // where the scan goes on
	cut    bool

	asked int // group that before looks back from, plus one
	back  look
}

type group struct {
	start, end int  // in w
	from, size int  // in digits
	sep        byte // what stands before it: one of the separators below
	script     fold.Script
}

const (
	maxClusterDigits = 64
	maxGroups        = 14
	maxSeparator     = 3 // characters
)

// Separators in their plain form. joined is a change of script with nothing between.
const (
	joined byte = 0
	mixed  byte = 'm'
	comma  byte = ','
)

// read fills an empty cluster from the digit at w[at].
func (c *cluster) read(at int) {
	w, used := c.w, 0
	var sep byte
	for at < len(w) && c.n < maxGroups {
		end, size, script := c.group(at, used)
		if size > maxClusterDigits-used { // too long to be anything
			if c.n == 0 {
				c.next = end
			}
			c.cut = true
			return
		}
		c.groups[c.n] = group{start: at, end: end, from: used, size: size, sep: sep, script: script}
		c.n++
		used += size
		c.next = end
		if at, sep = separator(w, end); at < 0 {
			return
		}
	}
	c.cut = true
}

// group reads digits of one script from at; invisible characters between them do not count.
func (c *cluster) group(at, used int) (end, size int, first fold.Script) {
	w := c.w
	_, _, first = fold.Digit(w, at)
	end = at
	for end < len(w) && isDigit(w[end]) { // the common case
		end++
	}
	size = end - at
	copy(c.digits[min(used, maxClusterDigits):], w[at:end])
	if end < len(w) && w[end] < utf8.RuneSelf && size > 0 {
		return end, size, first
	}
	at = end
	for at < len(w) {
		r, width := decode(w, at)
		v, script := fold.Rune(r)
		if script == fold.None {
			if !fold.Invisible(r) {
				break
			}
			at += width
			continue
		}
		if script != first {
			break
		}
		if used+size < maxClusterDigits {
			c.digits[used+size] = v
		}
		size++
		at += width
		end = at
	}
	return end, size, first
}

// separator reads what stands between two groups. It returns the place of the next digit, or -1.
func separator(w string, at int) (next int, sep byte) {
	for n := 0; at < len(w); {
		switch b := w[at]; {
		case isDigit(b):
			return at, sep
		case b < utf8.RuneSelf:
			if n++; !separators[b] || n > maxSeparator {
				return -1, 0
			}
			sep = joinSeparators(sep, b)
			at++
			continue
		}
		r, width := decode(w, at)
		if _, script := fold.Rune(r); script != fold.None {
			return at, sep
		}
		if !fold.Invisible(r) {
			s := fold.Separator(r)
			if n++; s == 0 || s == '+' || n > maxSeparator {
				return -1, 0
			}
			sep = joinSeparators(sep, s)
		}
		at += width
	}
	return -1, 0
}

// separators are the ASCII bytes that can stand between two groups.
var separators = [utf8.RuneSelf]bool{' ': true, '-': true, '.': true, '(': true, ')': true, '/': true, ',': true}

// joinSeparators keeps brackets, because they say more than the space beside them.
func joinSeparators(a, b byte) byte {
	switch {
	case a == joined || a == ' ' && (b == '(' || b == '-' || b == '/'):
		return b
	case a == ')' && (b == ' ' || b == '-' || b == '/' || b == '.'), a == comma && b == ' ', a == b && a == ' ':
		return a
	case a == '-' && b == ' ', a == '/' && b == ' ':
		return a
	case b == '(' && (a == '-' || a == '.'):
		return b
	}
	return mixed
}

// near is the function near for the place in front of group g. Every recogniser asks.
func (c *cluster) near(g int) (nearest, all topic) {
	c.nearest(g)
	for c.back.next(c.w) {
	}
	return c.back.nearest, c.back.all
}

// nearest is near for those that do not need all.
func (c *cluster) nearest(g int) topic {
	if c.asked != g+1 {
		c.asked, c.back = g+1, lookFrom(c.groups[g].start)
		c.back.next(c.w)
	}
	return c.back.nearest
}

// all reports whether any word before group g speaks about one of these topics.
func (c *cluster) all(g int, topics topic) bool {
	if c.nearest(g)&topics != 0 {
		return true
	}
	_, all := c.near(g)
	return all&topics != 0
}

// text returns the digits of groups g to h.
func (c *cluster) text(g, h int) []byte {
	return c.digits[c.groups[g].from : c.groups[h].from+c.groups[h].size]
}

// from counts the digits from group g on.
func (c *cluster) from(g int) int {
	last := c.groups[c.n-1]
	return last.from + last.size - c.groups[g].from
}

// upTo returns the group at which exactly n digits from group g on are complete and no separator but the
// given ones was met, or -1.
func (c *cluster) upTo(g, n int, seps string) int {
	total := 0
	for h := g; h < c.n; h++ {
		if h > g && !allowed(c.groups[h].sep, seps) {
			return -1
		}
		if total += c.groups[h].size; total >= n {
			if total == n {
				return h
			}
			return -1
		}
	}
	return -1
}

func allowed(sep byte, seps string) bool {
	if sep == joined {
		return true
	}
	for i := range len(seps) {
		if seps[i] == sep {
			return true
		}
	}
	return false
}

// sizes reports whether groups g to h have exactly these sizes.
func (c *cluster) sizes(g, h int, want ...int) bool {
	if h-g+1 != len(want) {
		return false
	}
	for i, n := range want {
		if c.groups[g+i].size != n {
			return false
		}
	}
	return true
}

// uniform reports whether the same separator stands between all groups from g to h.
func (c *cluster) uniform(g, h int) bool {
	for i := g + 2; i <= h; i++ {
		if c.groups[i].sep != c.groups[g+1].sep {
			return false
		}
	}
	return true
}

// singles reports whether every group is one digit, as in 1 3 8 0 0.
func (c *cluster) singles(g, h int) bool {
	for ; g <= h; g++ {
		if c.groups[g].size != 1 {
			return false
		}
	}
	return true
}

// plainEnd reports that nothing after group h makes it a part of something longer: no letter, no further
// digits behind the separator its own groups use, no decimals.
func (c *cluster) plainEnd(g, h int) bool {
	end := c.groups[h].end
	if end < len(c.w) && (isLetter(c.w[end]) && extension(c.w, end) == end || c.w[end] == '_' || c.w[end] == '%') {
		return false
	}
	if h+1 < c.n {
		switch sep := c.groups[h+1].sep; {
		case sep == joined:
			return c.groups[h+1].script == fold.Numeral || c.groups[h].script == fold.Numeral
		case sep == '.', sep == '-' && !c.dateFrom(h+1):
			return false
		case sep == ' ' && h > g && c.groups[h].sep == ' ':
			return c.groups[h+1].size != c.groups[h].size || c.groups[h+1].size > 5
		}
	}
	return true
}

// dateFrom reports whether a date starts at group g.
func (c *cluster) dateFrom(g int) bool {
	if g+2 >= c.n || !c.sizes(g, g, 4) || c.groups[g+1].size > 2 || c.groups[g+2].size > 2 {
		return false
	}
	year, month, day := number(c.text(g, g)), number(c.text(g+1, g+1)), number(c.text(g+2, g+2))
	return year >= 1800 && year < 2100 && dayOf(year, month, day)
}

// plainStart reports that nothing before group g makes it a part of something longer.
func (c *cluster) plainStart(g int) bool {
	start := c.groups[g].start
	if g > 0 {
		switch sep := c.groups[g].sep; sep {
		case joined:
			return c.groups[g].script == fold.Numeral || c.groups[g-1].script == fold.Numeral
		case '.', '-':
			return false
		}
		return true
	}
	if start == 0 {
		return true
	}
	switch b := c.w[start-1]; {
	case isLetter(b):
		top, _ := words.endingAt(c.w, start)
		return top&^(tCode|tVersion) != 0
	case b == '_', b == '$', b == '#', b == '*':
		return false
	case b == '-', b == '.':
		if start < 2 || !isWord(c.w[start-2]) {
			return true
		}
		top, _ := words.endingAt(c.w, start-1)
		return top&^(tCode|tVersion) != 0
	case b == 0xA5 || b == 0xA3 || b == 0xAC: // ¥ £ € and full-width ¥
		r, _ := utf8.DecodeLastRuneInString(c.w[:start])
		return r != 0xA5 && r != 0xFFE5 && r != 0xA3 && r != 0x20AC
	}
	return true
}
