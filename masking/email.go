package masking

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/grapheme"
)

// appendEmail keeps the first character of the local part and the domain: d***@example.com. A local part
// of one character shows none of it.
func appendEmail(dst []byte, s string, p Profile) []byte {
	at, w := strings.LastIndexByte(s, '@'), 1
	if strings.IndexByte(s[at+1:], 0xEF) >= 0 {
		if wide := strings.LastIndex(s, "\uFF20"); wide > at {
			at, w = wide, len("\uFF20")
		}
	}
	if at < 1 || !plainDomain(s[at+w:]) || at > maxWritten || !isASCII(s[:at]) && !utf8.ValidString(s[:at]) {
		return append(dst, fixed...)
	}
	local, domain := s[:at], s[at+w:]
	if size, first := grapheme.Next(local); size < len(local) && showable(first, size) {
		dst = append(dst, local[:size]...)
	}
	dst = append(dst, "***@"...)
	if p == Log {
		return append(append(dst, "***"...), domain[strings.LastIndexByte(domain, '.'):]...)
	}
	return append(dst, domain...)
}

// plainDomain accepts a host name in any script. Seven digits in a row could be someone's number.
func plainDomain(d string) bool {
	if len(d) > maxWritten {
		return false
	}
	digits, dots, label := 0, 0, 0
	for _, r := range d {
		switch {
		case r >= 'a' && r <= 'z':
			label++
			digits = 0
			continue
		case r >= '0' && r <= '9':
			digits++
			label++
			if digits >= 7 {
				return false
			}
			continue
		case r == '.':
			if label == 0 {
				return false
			}
			dots++
			label = 0
			digits = 0
			continue
		case r == '-', r == '*', r == '_', unicode.IsLetter(r), unicode.IsMark(r):
			label++
		default:
			return false
		}
		digits = 0
	}
	return dots > 0 && label > 0
}

// isASCII is a quick test for short text.
func isASCII(s string) bool {
	var seen byte
	for i := range len(s) {
		seen |= s[i]
	}
	return seen < utf8.RuneSelf
}

// showable says whether a first character may be shown: a letter or digit, not an ornament, and not so
// many marks that something could hide in it.
func showable(first rune, size int) bool {
	const most = 16
	return size <= most && (unicode.IsLetter(first) || unicode.IsDigit(first))
}
