// Package fold reads digits and separators the way people hide them: full-width and other Unicode
// decimal digits, Chinese numerals, and invisible characters between them. It never rewrites the text, so
// every offset it hands out is an offset into the original.
package fold

import (
	"unicode"
	"unicode/utf8"
)

// Script says how a digit was written. A change of script ends a group of digits, because in
// "其一13812345678" the numeral is a word and not part of the number.
type Script uint8

const (
	None    Script = iota
	ASCII          // 0-9
	Wide           // full-width and all other Unicode decimal digits
	Numeral        // 零一二 and their financial forms
)

// Digit reads one digit at s[i:]. The width is 0 when there is none.
func Digit(s string, i int) (value byte, width int, script Script) {
	c := s[i]
	if c < utf8.RuneSelf {
		if c-'0' < 10 {
			return c, 1, ASCII
		}
		return 0, 0, None
	}
	r, w := utf8.DecodeRuneInString(s[i:])
	v, sc := Rune(r)
	if sc == None {
		return 0, 0, None
	}
	return v, w, sc
}

// Rune is Digit for one rune.
func Rune(r rune) (value byte, script Script) {
	switch {
	case r >= '0' && r <= '9':
		return byte(r), ASCII
	case r < 0x660:
		return 0, None
	case r >= 0xFF10 && r <= 0xFF19:
		return byte(r-0xFF10) + '0', Wide
	case r >= 0x3007 && r <= 0x96F6:
		if v := numeral(r); v != 0 {
			return v, Numeral
		}
		return 0, None
	case r > 0x1C59 && r < 0xA620, r > 0xABF9 && r < 0x10000: // no other script has its digits there
		return 0, None
	}
	return decimal(r)
}

// decimal covers the other scripts: every range of unicode.Nd is a multiple of ten and starts at a zero.
func decimal(r rune) (byte, Script) {
	if !unicode.Is(unicode.Nd, r) {
		return 0, None
	}
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r-rune(t.Lo))%10) + '0', Wide
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r-rune(t.Lo))%10) + '0', Wide
		}
	}
	return 0, None
}

func numeral(r rune) byte {
	switch r {
	case '〇', '零':
		return '0'
	case '一', '壹', '幺':
		return '1'
	case '二', '贰', '貳':
		return '2'
	case '三', '叁', '參':
		return '3'
	case '四', '肆':
		return '4'
	case '五', '伍':
		return '5'
	case '六', '陆', '陸':
		return '6'
	case '七', '柒':
		return '7'
	case '八', '捌':
		return '8'
	case '九', '玖':
		return '9'
	}
	return 0
}

// Invisible reports characters that a reader does not see and that must not split a number: zero-width
// spaces and joiners, the soft hyphen, the byte order mark, variation selectors and bidi controls.
func Invisible(r rune) bool {
	switch {
	case r < 0xAD:
		return false
	case r == 0xAD, r == 0x34F, r == 0x61C, r == 0x115F, r == 0x1160, r == 0x180E, r == 0xFEFF:
		return true
	case r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F:
		return true
	case r >= 0xFE00 && r <= 0xFE0F:
		return true
	}
	return false
}

// Bidi reports the controls that open or close a direction.
func Bidi(r rune) (opens, closes bool) {
	switch r {
	case 0x202A, 0x202B, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068:
		return true, false
	case 0x202C, 0x2069:
		return false, true
	}
	return false, false
}

// Separator maps a character people put between groups of digits to its plain form: ' ', '-', '.',
// '(', ')', '+', '/'. It returns 0 for everything else.
func Separator(r rune) byte {
	switch r {
	case ' ', 0xA0, 0x2002, 0x2003, 0x2007, 0x2009, 0x202F, 0x3000:
		return ' '
	case '-', 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFF0D, 0xFE63:
		return '-'
	case '.', 0xFF0E, 0xB7, 0x2022, 0x30FB:
		return '.'
	case '(', 0xFF08:
		return '('
	case ')', 0xFF09:
		return ')'
	case '+', 0xFF0B:
		return '+'
	case '/', 0xFF0F:
		return '/'
	}
	return 0
}
