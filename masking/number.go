package masking

import (
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/fold"
)

// number is a written number taken apart: the digits it consists of and where each of them stands. A star
// counts as a digit, so that a masked number is understood and stays as it is.
type number struct {
	n     int
	seps  int
	plain bool // nothing outside ASCII
	digit [maxDigits]byte
	at    [maxDigits]uint8
}

const (
	maxDigits  = 40
	maxWritten = 255 // bytes; longer input is not a number people write
)

// parseNumber reads s as a number with the separators people use. Letters are allowed only where the kind
// asks for them. It reports false for anything it does not fully understand.
func parseNumber(num *number, s string, letters bool) bool {
	if len(s) > maxWritten {
		return false
	}
	num.plain = true
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c-'0' < 10 || c == '*' || letters && isLetter(c):
			if !num.add(c, i) {
				return false
			}
			i++
			continue
		case c < utf8.RuneSelf:
			if fold.Separator(rune(c)) == 0 {
				return false
			}
			num.seps++
			i++
			continue
		}
		w, ok := num.wide(s, i, letters)
		if !ok {
			return false
		}
		i += w
	}
	return num.n > 0 && num.seps <= num.n
}

// wide reads one character outside ASCII.
func (num *number) wide(s string, i int, letters bool) (width int, ok bool) {
	num.plain = false
	r, w := utf8.DecodeRuneInString(s[i:])
	if v, script := fold.Rune(r); script != fold.None {
		return w, num.add(v, i)
	}
	if letters && isWideLetter(r) {
		return w, num.add(byte(r-0xFEE0), i)
	}
	if !fold.Invisible(r) {
		num.seps++
		return w, fold.Separator(r) != 0
	}
	return w, true
}

func (num *number) add(c byte, at int) bool {
	if num.n == maxDigits {
		return false
	}
	num.digit[num.n], num.at[num.n] = c, uint8(at)
	num.n++
	return true
}

// digits returns the number without separators.
func (num *number) digits() []byte { return num.digit[:num.n] }

func (num *number) letters() int {
	n := 0
	for _, c := range num.digits() {
		if isLetter(c) {
			n++
		}
	}
	return n
}

// appendKept appends s with every digit starred except digits [from,from+head) and the last tail ones;
// those before from, a country code, stay. Invisible characters are dropped.
func (num *number) appendKept(dst []byte, s string, from, head, tail int) []byte {
	if num.plain {
		start := len(dst)
		dst = append(dst, s...)
		for _, at := range num.at[from+head : max(from+head, num.n-tail)] {
			dst[start+int(at)] = '*'
		}
		return dst
	}
	k := 0
	for i := 0; i < len(s); {
		_, w := utf8.DecodeRuneInString(s[i:])
		if k < num.n && int(num.at[k]) == i {
			if k < from+head || k >= num.n-tail {
				dst = append(dst, s[i:i+w]...)
			} else {
				dst = append(dst, '*')
			}
			k++
		} else if r, _ := utf8.DecodeRuneInString(s[i:]); !fold.Invisible(r) {
			dst = append(dst, s[i:i+w]...)
		}
		i += w
	}
	return dst
}

// plainDigits reports that s is nothing but ASCII digits, the common case that needs no parser.
func plainDigits(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return true
}

// appendStarred appends s, which is ASCII, with stars for all but head and tail.
func appendStarred(dst []byte, s string, head, tail int) []byte {
	dst = append(dst, s...)
	hidden := dst[len(dst)-len(s)+head : len(dst)-tail]
	for i := range hidden {
		hidden[i] = '*'
	}
	return dst
}

func isLetter(c byte) bool     { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isWideLetter(r rune) bool { return r >= 0xFF21 && r <= 0xFF3A || r >= 0xFF41 && r <= 0xFF5A }
