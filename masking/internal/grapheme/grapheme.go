// Package grapheme finds the end of what a reader sees as one character, so that a mask never tears an
// emoji or an accented letter apart. It follows UAX 29 and joins rather too much than too little.
package grapheme

import (
	"unicode"
	"unicode/utf8"
)

// Next returns the length in bytes of the first cluster of s and its first rune.
func Next(s string) (size int, first rune) {
	if len(s) > 1 && s[0] < utf8.RuneSelf && s[1] < utf8.RuneSelf && s[0] != '\r' {
		return 1, rune(s[0])
	}
	first, size = utf8.DecodeRuneInString(s)
	if first == '\r' && len(s) > 1 && s[1] == '\n' {
		return 2, first
	}
	if size == 0 || control(first) {
		return size, first
	}
	prev, pair := first, regional(first)
	for size < len(s) {
		c := s[size]
		if c < utf8.RuneSelf && prev < utf8.RuneSelf {
			break
		}
		r, w := utf8.DecodeRuneInString(s[size:])
		switch {
		case extends(r), prepends(prev) && !control(r), hangul(prev, r):
		case prev == 0x200D && r >= utf8.RuneSelf && !control(r):
		case pair && regional(r):
			pair = false
			size += w
			prev = r
			continue
		default:
			return size, first
		}
		pair = false
		size += w
		prev = r
	}
	return size, first
}

// Count returns the number of clusters in s, counting no further than limit.
func Count(s string, limit int) int {
	n := 0
	for len(s) > 0 && n < limit {
		size, _ := Next(s)
		s = s[size:]
		n++
	}
	return n
}

func control(r rune) bool {
	return r < ' ' || r == 0x7F || r == 0x85 || r == 0x2028 || r == 0x2029 || r == utf8.RuneError
}

func extends(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r == 0x200C, r == 0x200D, r >= 0xFE00 && r <= 0xFE0F, r >= 0x1F3FB && r <= 0x1F3FF:
		return true
	case r >= 0xE0020 && r <= 0xE007F, r == 0xFF9E, r == 0xFF9F:
		return true
	}
	return unicode.Is(unicode.M, r)
}

// prepends covers the marks that attach to what follows them (Arabic number signs, Indic repha).
func prepends(r rune) bool {
	switch {
	case r < 0x600:
		return false
	case r <= 0x605, r == 0x6DD, r == 0x70F, r == 0x890, r == 0x891, r == 0x8E2, r == 0xD4E:
		return true
	case r == 0x110BD, r == 0x110CD, r == 0x111C2, r == 0x111C3:
		return true
	}
	return false
}

func regional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// hangul joins jamo into syllables; joining every jamo to its neighbour is coarser than the standard and safe.
func hangul(a, b rune) bool {
	return (jamo(a) || a >= 0xAC00 && a <= 0xD7A3) && jamo(b)
}

func jamo(r rune) bool {
	return r >= 0x1100 && r <= 0x11FF || r >= 0xA960 && r <= 0xA97C || r >= 0xD7B0 && r <= 0xD7FB
}
