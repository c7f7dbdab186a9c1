package masking

import (
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/fold"
)

// number is a written number taken apart: the digits it consists of and where each of them stands. A star
// counts as a digit, so that a masked number is understood and stays as it is.
type number struct {
	n     int
	digit [maxDigits]byte
	at    [maxDigits]uint16
	seps  int
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
		r, w := utf8.DecodeRuneInString(s[i:])
		if v, script := fold.Rune(r); script != fold.None {
			if !num.add(v, i) {
				return false
			}
		} else if letters && isWideLetter(r) {
			if !num.add(byte(r-0xFEE0), i) {
				return false
			}
		} else if !fold.Invisible(r) {
			if fold.Separator(r) == 0 {
				return false
			}
			num.seps++
		}
		i += w
	}
	return num.n > 0 && num.seps <= num.n
}

func (num *number) add(c byte, at int) bool {
	if num.n == maxDigits {
		return false
	}
	num.digit[num.n], num.at[num.n] = c, uint16(at)
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

func isLetter(c byte) bool     { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isWideLetter(r rune) bool { return r >= 0xFF21 && r <= 0xFF3A || r >= 0xFF41 && r <= 0xFF5A }
