package detect

import (
	"strings"
	"unicode/utf8"
)

const plateRegions = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使"

// plate finds number plates of the mainland: region, letter, five or six characters without I and O, of
// which at least one is a digit.
func plate(w string, at int) (Span, bool) {
	i := at + len("京")
	if i >= len(w) || !isUpper(w[i]) || w[i] == 'I' {
		return Span{}, false
	}
	i++
	if r, size := utf8.DecodeRuneInString(w[i:]); r == 0xB7 || r == 0x2022 || r == ' ' || r == '-' || r == 0x30FB || r == '.' {
		i += size
	}
	start, digits := i, 0
	for i < len(w) && (isDigit(w[i]) || isUpper(w[i]) && w[i] != 'I' && w[i] != 'O') {
		if isDigit(w[i]) {
			digits++
		}
		i++
	}
	n := i - start
	if n == 4 {
		for _, tail := range [...]string{"警", "学", "挂", "港", "澳", "领", "使", "试", "超"} {
			if strings.HasPrefix(w[i:], tail) {
				return Span{at, i + len(tail), Plate, Shape, strong}, digits >= 2
			}
		}
	}
	if n != 5 && n != 6 || digits == 0 || i < len(w) && (isWord(w[i]) || w[i] == '-') {
		return Span{}, false
	}
	return Span{at, i, Plate, Shape, strong}, digits >= 2 || n == 5
}
