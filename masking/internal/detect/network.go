package detect

import (
	"net/netip"
	"strings"
)

// ipv4 finds four numbers below 256. A word such as version before them, or a fifth number behind them,
// makes them something else.
func (c *cluster) ipv4(g int) (Span, bool) {
	h := g + 3
	if h >= c.n {
		return Span{}, false
	}
	for i := g; i <= h; i++ {
		d := c.text(i, i)
		if i > g && c.groups[i].sep != '.' || len(d) > 3 || number(d) > 255 || len(d) > 1 && d[0] == '0' {
			return Span{}, false
		}
	}
	start, end := c.groups[g].start, c.groups[h].end
	if g > 0 && c.groups[g].sep != ' ' && c.groups[g].sep != comma && c.groups[g].sep != '/' && c.groups[g].sep != '(' || h+1 < c.n && c.groups[h+1].sep == '.' {
		return Span{}, false
	}
	if end < len(c.w) && (isLetter(c.w[end]) || c.w[end] == '_' || c.w[end] == '-' && end+1 < len(c.w) && isLetter(c.w[end+1])) {
		return Span{}, false
	}
	if start > 0 && (isLetter(c.w[start-1]) || c.w[start-1] == '_') {
		return Span{}, false
	}
	if c.nearest(g)&tVersion != 0 && closeBy(c.w, start, 16) {
		return Span{}, false
	}
	return c.span(g, end, IP, Checked, strong), true
}

// hexWord finds hardware addresses and IPv6 addresses from any place inside them.
func hexWord(w string, start, end int) (Span, bool) {
	for start > 0 && isHexMark(w[start-1]) {
		start--
	}
	for end < len(w) && isHexMark(w[end]) {
		end++
	}
	if end-start > 2 && w[start] == ':' && w[start+1] != ':' { // behind a key
		start++
	}
	s := w[start:end]
	if mac(s) {
		return Span{Start: start, End: end, Kind: MAC, Rule: Shape, rank: certain}, outside(w, start, end)
	}
	for end > start && (w[end-1] == ':' && (end-start < 2 || w[end-2] != ':') || w[end-1] == '.' || w[end-1] == '-') {
		end--
	}
	if end-start < 3 || end-start > 45 || !v6Colons(w[start:end]) {
		return Span{}, false
	}
	addr, err := netip.ParseAddr(strings.Clone(w[start:end])) // its errors keep what they are given
	if err != nil || !addr.Is6() || !outside(w, start, end) {
		return Span{}, false
	}
	return Span{Start: start, End: end, Kind: IP, Rule: Checked, rank: certain}, true
}

// v6Colons is a test that a time of day does not pass.
func v6Colons(s string) bool {
	n := strings.Count(s, ":")
	return n == 7 || n >= 2 && n < 7 && (strings.Contains(s, "::") || n == 6 && strings.IndexByte(s, '.') > 0)
}

func outside(w string, start, end int) bool {
	return (start == 0 || !isWord(w[start-1])) && (end == len(w) || !isWord(w[end]))
}

func isHexMark(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' || c == ':' || c == '.' || c == '-'
}

// mac is six pairs or three fours of hexadecimal digits.
func mac(s string) bool {
	width, mark := 3, byte(':')
	switch {
	case len(s) == 17:
		mark = s[2]
	case len(s) == 14:
		width, mark = 5, '.'
	default:
		return false
	}
	if mark != ':' && mark != '-' && mark != '.' || width == 3 && mark == '.' {
		return false
	}
	letters := false
	for i := range len(s) {
		if i%width == width-1 {
			if s[i] != mark {
				return false
			}
			continue
		}
		if s[i] == ':' || s[i] == '-' || s[i] == '.' {
			return false
		}
		letters = letters || isLetter(s[i])
	}
	return letters || mark == ':' || width == 5
}
