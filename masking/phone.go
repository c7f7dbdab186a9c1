package masking

import (
	"strings"
	"unicode/utf8"
)

// appendPhone keeps the country code and, by shape, the digits of research table 6a. A shape it does not
// know shows at most the last four of ten digits; fewer than seven digits show nothing.
func appendPhone(dst []byte, s string, p Profile) []byte {
	if p != Log && p != Waybill && plainMobile(s) {
		return append(append(append(dst, s[:3]...), "****"...), s[7:]...)
	}
	s, ext := cutExtension(s)
	var num number
	if !parseNumber(&num, s, false) {
		return append(dst, fixed...)
	}
	from, head, tail, ok := phoneShape(num.digits(), strings.IndexByte(s, '+') >= 0)
	if !ok {
		return append(dst, fixed...)
	}
	if p == Log || p == Waybill {
		tail = min(tail, 2)
	}
	dst = num.appendKept(dst, s, from, head, tail)
	if ext {
		dst = append(dst, "x***"...)
	}
	return dst
}

// cutExtension drops "x123", "ext. 12", "转808", "#5" from the end of a number.
func cutExtension(s string) (string, bool) {
	const shortest = 5
	for i := shortest; i < len(s); i++ {
		switch c := s[i]; {
		case c <= '9' && c != '#' && c != ',', c == '*': // the number goes on
		case c|0x20 == 'x', c|0x20 == 'e', c == '#', c == ',', c == ';',
			c >= utf8.RuneSelf && (strings.HasPrefix(s[i:], "转") || strings.HasPrefix(s[i:], "轉") || strings.HasPrefix(s[i:], "分机")):
			return strings.TrimRight(s[:i], " "), true
		}
	}
	return s, false
}

// phoneShape decides from the digits alone which to keep: from counts the country code, head and tail
// follow and end the national number.
func phoneShape(d []byte, plus bool) (from, head, tail int, ok bool) {
	n := len(d)
	cc := countryDigits(d, plus)
	nat := d[cc:]
	home := cc == 0
	switch {
	case mobileCN(nat) && (home || isCode(d[:cc], "86")):
		return cc, 3, 4, true
	case home && n == 13 && d[0] == '1' && (d[1] == '4' || d[1] == '0'): // IoT
		return 0, 3, 4, true
	case isCode(d[:cc], "852"), isCode(d[:cc], "853"):
		return cc, 2, 2, len(nat) == 8
	case home && n == 8 && (d[0] == '5' || d[0] == '6' || d[0] == '9'):
		return 0, 2, 2, true
	case isCode(d[:cc], "886") && len(nat) == 9:
		return cc, 2, 3, true
	case home && n == 10 && d[0] == '0' && d[1] == '9':
		return 0, 2, 3, true
	case home && d[0] == '0' && n >= 10 && n <= 12:
		return 0, areaDigits(d), 3, true
	case isCode(d[:cc], "86") && len(nat) >= 9 && len(nat) <= 12:
		return cc, areaDigitsAbroad(nat), 3, true
	case home && (n == 7 || n == 8):
		return 0, 0, n - 5, true
	}
	if len(nat) < 7 || n > 17 {
		return 0, 0, 0, false
	}
	return cc, 0, min(4, len(nat)-6), true
}

func mobileCN(d []byte) bool {
	return len(d) == 11 && d[0] == '1' && d[1] >= '3' && d[1] <= '9'
}

// isCode compares the country code, leading zeros of the international prefix aside.
func isCode(d []byte, code string) bool {
	for len(d) > 0 && d[0] == '0' {
		d = d[1:]
	}
	return string(d) == code
}

// countryDigits counts the digits of the country code with its international prefix.
func countryDigits(d []byte, plus bool) int {
	n := len(d)
	switch {
	case plus && n > 7:
		return codeLength(d)
	case n > 9 && d[0] == '0' && d[1] == '0':
		return 2 + codeLength(d[2:])
	case n == 13 && d[0] == '8' && d[1] == '6' && mobileCN(d[2:]):
		return 2
	case n == 11 && d[0] == '8' && d[1] == '5' && (d[2] == '2' || d[2] == '3'):
		return 3
	case n == 12 && d[0] == '8' && d[1] == '8' && d[2] == '6':
		return 3
	}
	return 0
}

// codeLength is the ITU rule: 1 and 7 stand alone, the second digit tells two from three.
func codeLength(d []byte) int {
	switch d[0] {
	case '1', '7':
		return 1
	case '2':
		if d[1] == '0' || d[1] == '7' {
			return 2
		}
		return 3
	case '3':
		if d[1] == '5' || d[1] == '7' || d[1] == '8' {
			return 3
		}
		return 2
	case '4':
		if d[1] == '2' {
			return 3
		}
		return 2
	case '5':
		if d[1] == '0' || d[1] == '9' {
			return 3
		}
		return 2
	case '6':
		if d[1] >= '7' {
			return 3
		}
		return 2
	case '8':
		if d[1] == '1' || d[1] == '2' || d[1] == '4' || d[1] == '6' {
			return 2
		}
		return 3
	case '9':
		if d[1] == '6' || d[1] == '7' || d[1] == '9' {
			return 3
		}
		return 2
	}
	return 0
}

// areaDigits is the length of a Chinese area code with its zero: 010 and 02x have three digits.
func areaDigits(d []byte) int {
	if d[1] == '1' || d[1] == '2' {
		return 3
	}
	return min(4, len(d)-7)
}

func areaDigitsAbroad(d []byte) int {
	if d[0] == '1' || d[0] == '2' {
		return 2
	}
	return max(0, min(3, len(d)-7))
}
