package masking

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/grapheme"
	"github.com/confide-go/confide/masking/internal/zh"
)

// longest name that is shown at all, in characters and in words
const (
	maxNameClusters = 60
	maxNameWords    = 8
)

// appendName keeps the surname of a Han name and the first character of every word of another. Log keeps
// the first character of the whole name and a fixed number of stars; Waybill fixes the stars.
func appendName(dst []byte, s string, p Profile) []byte {
	if n := shortHan(s); n > 1 && p == Screen {
		return appendHan(dst, s, n)
	}
	s = strings.TrimSpace(s)
	if s == "" || s == fixed || !utf8.ValidString(s) || grapheme.Count(s, maxNameClusters+1) > maxNameClusters {
		return append(dst, fixed...)
	}
	start := len(dst)
	words := 0
	for i := 0; i < len(s); {
		j := i + wordEnd(s[i:])
		if words++; words > maxNameWords {
			return append(dst[:start], fixed...)
		}
		if p == Log && words > 1 {
			break
		}
		dst = appendWord(dst, s[i:j], p, middleDot(s) > 0)
		if j < len(s) && p != Log {
			_, w := utf8.DecodeRuneInString(s[j:])
			dst = append(dst, s[j:j+w]...)
			j += w
		} else if j < len(s) {
			break
		}
		i = j
	}
	return dst
}

// shortHan returns the number of characters of a name of two to four common Han characters, or 0.
func shortHan(s string) int {
	if len(s) > 12 || len(s)%3 != 0 {
		return 0
	}
	for i := 0; i < len(s); i += 3 {
		if s[i] < 0xE4 || s[i] > 0xE9 || s[i+1]&0xC0 != 0x80 || s[i+2]&0xC0 != 0x80 || s[i] == 0xE4 && s[i+1] < 0xB8 {
			return 0
		}
	}
	return len(s) / 3
}

// appendHan masks what shortHan has recognised, as appendWord would.
func appendHan(dst []byte, s string, n int) []byte {
	kept := len("王")
	if n > 2 && zh.CompoundSurname(s) {
		kept = len("欧阳")
	}
	dst = append(dst, s[:kept]...)
	return append(dst, "***"[:min(3, n-kept/3)]...)
}

// appendWord masks one word. Stars follow the number of hidden characters only as far as convention
// goes: three for Han, four for others, always three in names with a middle dot.
func appendWord(dst []byte, word string, p Profile, dotted bool) []byte {
	if word == "" {
		return dst
	}
	size, first := grapheme.Next(word)
	hidden := grapheme.Count(word, 6) - 1
	han := unicode.Is(unicode.Han, first)
	kept := size
	if han && !dotted && p != Log && hidden > 1 && zh.CompoundSurname(word) {
		kept = len("欧阳")
		hidden--
	}
	if !unicode.IsLetter(first) || !showable(first, size) || hidden == 0 && !dotted {
		kept = 0
		hidden++
	}
	dst = append(dst, word[:kept]...)
	switch {
	case p == Log || p == Waybill:
		hidden = 2
	case dotted:
		hidden = 3
	case han || kept == 0 && hidden < 3:
		hidden = min(hidden, 3)
	default:
		hidden = min(hidden, 4)
	}
	return append(dst, "****"[:hidden]...)
}

// wordEnd is the offset of the first space or middle dot.
func wordEnd(s string) int {
	for i, r := range s {
		if r == ' ' || isMiddleDot(r) || r == 0xA0 || r == 0x3000 {
			return i
		}
	}
	return len(s)
}

func middleDot(s string) int { return strings.IndexFunc(s, isMiddleDot) }

func isMiddleDot(r rune) bool {
	return r == 0xB7 || r == 0x2022 || r == 0x30FB || r == 0x2027 || r == 0xFF65
}
