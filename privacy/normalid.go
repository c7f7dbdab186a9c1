package privacy

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// normalName is text/1 without white space, middle dots and characters that do not show: 王 小明 is 王小明, and
// 阿不都·热合曼 is the same with and without its dot.
func normalName(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || isJoint(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, foldText(s))
}

// normalDigits keeps the digits of a number that people write in groups. Text without digits is folded like
// text, so that every value has an index.
func normalDigits(s string) string {
	if digits := onlyDigits(norm.NFKC.String(s)); digits != "" {
		return digits
	}
	return "text:" + foldText(s)
}

// normalIDCard is the 18 characters of a Chinese identity number. One of the first generation, 15 digits, is
// of a person born in the 1900s and gets its century and check character. What is neither is kept, in upper
// case and without white space and hyphens.
func normalIDCard(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, strings.ToUpper(norm.NFKC.String(s)))
	if len(s) != 15 || onlyDigits(s) != s {
		return s
	}
	s = s[:6] + "19" + s[6:]
	sum := 0
	for i, weight := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * weight
	}
	return s + string("10X98765432"[sum%11])
}
