package masking

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/fold"
	"github.com/confide-go/confide/masking/internal/grapheme"
)

// appendOther masks the kinds that need no file of their own.
func appendOther(dst []byte, k Kind, p Profile, s string) []byte {
	switch k {
	case KindUSCC:
		return appendEnds(dst, s, ends{min: 15, max: 18, letters: 12, head: 8, tail: 2, strict: 2}, p)
	case KindPassport, KindPermit:
		return appendEnds(dst, s, ends{min: 8, max: 12, letters: 3, head: 1, tail: 4, strict: 2}, p)
	case KindMilitary:
		return appendMilitary(dst, s, p)
	case KindIBAN:
		return appendEnds(dst, s, ends{min: 15, max: 34, letters: 24, head: 4, tail: 4, strict: 4}, p)
	case KindSSN:
		return appendEnds(dst, s, ends{min: 9, max: 9, head: 0, tail: 4, strict: 4}, p)
	case KindPlate:
		return appendPlate(dst, s, p)
	case KindIP:
		return appendIP(dst, s, p)
	case KindMAC:
		return appendMAC(dst, s, p)
	case KindBirthDate:
		return appendBirthDate(dst, s)
	case KindGeo:
		return appendGeo(dst, s, p)
	case KindChat:
		return appendChat(dst, s, p)
	}
	return append(dst, fixed...) // KindSecret, and every kind that does not exist
}

// ends keeps so many characters at both ends of a number with at most so many letters; Log keeps half the
// head and at most strict characters of the tail.
type ends struct{ min, max, letters, head, tail, strict int }

func appendEnds(dst []byte, s string, e ends, p Profile) []byte {
	var num number
	if !parseNumber(&num, s, true) || num.n < e.min || num.n > e.max || num.letters() > e.letters {
		return append(dst, fixed...)
	}
	if p == Log {
		e.head, e.tail = e.head/2, min(e.tail, e.strict)
	}
	return num.appendKept(dst, s, 0, e.head, e.tail)
}

// appendMilitary keeps the words of 军字第12345678号 and half its digits.
func appendMilitary(dst []byte, s string, p Profile) []byte {
	const most = 8
	digits := 0
	for i, r := range s {
		if _, script := fold.Rune(r); script == fold.ASCII || script == fold.Wide || r == '*' {
			digits++
		} else if !unicode.Is(unicode.Han, r) || i > maxWritten {
			return append(dst, fixed...)
		}
	}
	if n := utf8.RuneCountInString(s) - digits; digits < 6 || digits > 10 || n > most {
		return append(dst, fixed...)
	}
	shown := digits / 2
	if p == Log {
		shown = 2
	}
	for _, r := range s {
		if _, script := fold.Rune(r); script == fold.ASCII || script == fold.Wide || r == '*' {
			if digits > shown {
				r = '*'
			}
			digits--
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// appendPlate keeps region, authority and the last two characters: 京A***45, 京AD***45.
func appendPlate(dst []byte, s string, p Profile) []byte {
	first, w := utf8.DecodeRuneInString(s)
	if !unicode.Is(unicode.Han, first) || len(s) < w+6 || !isLetter(s[w]) {
		return append(dst, fixed...)
	}
	rest := strings.TrimLeft(s[w+1:], " \u00B7\u2022\u30FB.-")
	n := utf8.RuneCountInString(rest)
	if n < 5 || n > 6 || !plateTail(rest) {
		return append(dst, fixed...)
	}
	dst = append(dst, s[:w+1]...)
	if p == Log {
		return append(dst, "*****"...)
	}
	hidden := n - 2
	dst = append(dst, "****"[:hidden]...)
	for _, r := range rest {
		if hidden--; hidden < 0 {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func plateTail(s string) bool {
	for _, r := range s {
		if !(r < utf8.RuneSelf && (isLetter(byte(r)) || r >= '0' && r <= '9' || r == '*')) &&
			!strings.ContainsRune("警学挂港澳使领试超", r) {
			return false
		}
	}
	return true
}

// appendIP keeps the /24 of an IPv4 and the /48 of an IPv6 address; Log keeps /16 and /32.
func appendIP(dst []byte, s string, p Profile) []byte {
	groups, width := 3, 16
	if p == Log {
		groups = 2
	}
	if strings.HasSuffix(s, "*") {
		return appendMaskedIP(dst, s)
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return append(dst, fixed...)
	}
	if addr.Is4() { // written in one way only
		end := 0
		for range groups {
			end += strings.IndexByte(s[end:], '.') + 1
		}
		return append(append(dst, s[:end-1]...), ".*.*"[:2*(4-groups)]...)
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		width = 8
	}
	prefix, err := addr.Prefix(groups * width)
	if err != nil {
		return append(dst, fixed...)
	}
	var buf [48]byte
	text := prefix.Addr().AppendTo(buf[:0])
	if addr.Is4() {
		for range 4 - groups {
			text = text[:bytes.LastIndexByte(text, '.')]
		}
		return append(append(dst, text...), ".*.*"[:2*(4-groups)]...)
	}
	if string(text) == "::" {
		return append(dst, "::*"...)
	}
	return append(append(dst, bytes.TrimRight(text, ":")...), ":*"...)
}

// appendMaskedIP leaves an address alone that is masked already: 10.0.0.*, 10.0.*.*, 2001:db8:1:*.
func appendMaskedIP(dst []byte, s string) []byte {
	shown, sep, width, stars := strings.TrimSuffix(s, ":*"), ":", 4, 0
	if shown == s {
		sep, width = ".", 3
		for rest, ok := strings.CutSuffix(shown, ".*"); ok; rest, ok = strings.CutSuffix(shown, ".*") {
			shown = rest
			stars++
		}
	}
	groups := strings.Count(shown, sep) + 1
	if groups > 3 || sep == "." && groups+stars != 4 {
		return append(dst, fixed...)
	}
	for group := range strings.SplitSeq(shown, sep) {
		if len(group) > width || sep == "." && group == "" || strings.Trim(group, "0123456789abcdefABCDEF") != "" {
			return append(dst, fixed...)
		}
	}
	return append(dst, s...)
}

// appendMAC keeps the maker's half.
func appendMAC(dst []byte, s string, p Profile) []byte {
	digits, kept := 0, 6
	if p == Log {
		kept = 2
	}
	start := len(dst)
	for i := range len(s) {
		c := s[i]
		switch {
		case c-'0' < 10, c|0x20 >= 'a' && c|0x20 <= 'f', c == '*':
			if digits++; digits > kept {
				c = '*'
			}
		case c != ':' && c != '-' && c != '.' || i > 16:
			return append(dst[:start], fixed...)
		}
		dst = append(dst, c)
	}
	if digits != 12 {
		return append(dst[:start], fixed...)
	}
	return dst
}

// appendBirthDate keeps the year: 1990-**-**.
func appendBirthDate(dst []byte, s string) []byte {
	const longest = 40
	var year []byte
	digits, start := 0, len(dst)
	for i, r := range s {
		v, script := fold.Rune(r)
		switch {
		case i > longest:
			return append(dst[:start], fixed...)
		case script != fold.None || r == '*':
			if r == '*' {
				v = '*'
			}
			if digits++; digits <= 4 {
				year = append(year, v)
			}
		case digits > 0 && digits < 4, fold.Separator(r) == 0 && !strings.ContainsRune("年月日号:T", r):
			return append(dst[:start], fixed...)
		}
	}
	if digits < 4 || year[0] != '1' && year[0] != '2' {
		return append(dst, fixed...)
	}
	return append(append(dst, year...), "-**-**"...)
}

// appendGeo keeps one decimal, about eleven kilometres; Log keeps none.
func appendGeo(dst []byte, s string, p Profile) []byte {
	const longest = 64
	if len(s) > longest {
		return append(dst, fixed...)
	}
	start, numbers, points, whole, after := len(dst), 0, 0, 0, -1
	for i := range len(s) {
		c := s[i]
		switch {
		case c-'0' < 10 && after < 0:
			if whole++; whole > 3 {
				return append(dst[:start], fixed...)
			}
			if whole == 1 {
				numbers++
			}
		case after >= 0 && (c-'0' < 10 || c == '*'):
			if after++; p == Log || after > 1 {
				if after == 1 || after == 2 && p != Log {
					dst = append(dst, '*')
				}
				continue
			}
		case c == '.' && after < 0:
			after = 0
			points++
		case c == ',' || c == ' ' || c == ';' || c == '-' || c == '+' || c == '/' || isCompass(c):
			whole, after = 0, -1
		default:
			return append(dst[:start], fixed...)
		}
		dst = append(dst, c)
	}
	// Degrees, minutes and seconds are not understood: they would show minutes as if they were degrees.
	if points == 0 || points > 2 || numbers != points {
		return append(dst[:start], fixed...)
	}
	return dst
}

func isCompass(c byte) bool { return c == 'N' || c == 'S' || c == 'E' || c == 'W' }

// appendChat keeps the first and the last character of an account of six or more.
func appendChat(dst []byte, s string, p Profile) []byte {
	n := grapheme.Count(s, maxNameClusters)
	size, first := grapheme.Next(s)
	last := strings.TrimRightFunc(s, unicode.IsSpace)
	if end := s[size:]; p != Log && n == 5 && len(end) == 4 && strings.HasPrefix(end, "***") && isPlain(end[3]) && showable(first, size) {
		return append(dst, s...) // masked already
	}
	if n < 6 || n >= maxNameClusters || p == Log || !showable(first, size) {
		return append(dst, "***"...)
	}
	c := last[len(last)-1]
	if !isPlain(c) {
		return append(dst, "***"...)
	}
	dst = append(append(dst, s[:size]...), "***"...)
	return append(dst, c)
}

// isPlain reports an ASCII letter or digit.
func isPlain(c byte) bool { return c-'0' <= 9 || isLetter(c) }
