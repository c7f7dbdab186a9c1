package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// email finds the address around an @. Its name is ASCII, or letters of one other script with digits; Chinese
// in front of an ASCII name is the sentence, not the name.
func email(w string, at int) (Span, bool) {
	sign := 1
	if w[at] != '@' {
		sign = len("\uFF20")
	}
	start := localStart(w, at)
	if start == at {
		return Span{}, false
	}
	end := domainEnd(w, at+sign)
	if end == 0 {
		return Span{}, false
	}
	return Span{start, end, Email, Shape, certain}, true
}

func localStart(w string, at int) int {
	const longest = 128
	start := at
	if at > 0 && w[at-1] == '"' { // "john doe"@example.com
		if open := strings.LastIndexByte(w[max(0, at-longest):at-1], '"'); open >= 0 {
			return max(0, at-longest) + open
		}
	}
	ascii := at > 0 && w[at-1] < utf8.RuneSelf
	for start > 0 && at-start < longest {
		if c := w[start-1]; c < utf8.RuneSelf {
			if !localBytes[c] {
				break
			}
			start--
			continue
		}
		r, size := utf8.DecodeLastRuneInString(w[:start])
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) || ascii && isHan(r) {
			break
		}
		start -= size
	}
	for start < at && !isWord(w[start]) && w[start] < utf8.RuneSelf {
		start++
	}
	if eq := strings.LastIndexByte(w[start:at], '='); eq >= 0 { // email=a@b.cn
		start += eq + 1
	}
	if eq := strings.LastIndexByte(w[start:at], '/'); eq >= 0 {
		start += eq + 1
	}
	return start
}

var localBytes = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = isWord(byte(c)) || strings.IndexByte(".-+'=&/!#$%*?^`{|}~", byte(c)) >= 0
	}
	return t
}()

func isHan(r rune) bool {
	return r >= 0x3400 && r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF || r >= 0x20000 && r <= 0x3FFFF
}

// hanTLDs are the top-level domains in Chinese; behind one of them the sentence goes on.
var hanTLDs = [...]string{"中国", "中國", "公司", "网络", "網絡", "网址", "香港", "台湾", "台灣", "澳门", "澳門", "在线", "中文网", "集团",
	"我爱你", "商标", "移动", "网店", "商城", "公益", "政务", "广东", "佛山", "娱乐", "企业", "信息", "广告", "手机", "例子", "测试", "測試"}

// domainEnd reads labels separated by dots and returns the end of the last one that can be a top level, or
// 0. A label is of one script; where the script changes, the sentence goes on.
func domainEnd(w string, at int) int {
	if at < len(w) && w[at] == '[' { // a literal address
		if end := strings.IndexByte(w[at:min(len(w), at+48)], ']'); end > 4 {
			return at + end + 1
		}
		return 0
	}
	best, labels := 0, 0
	for at < len(w) {
		end, top := label(w, at)
		if end == at {
			break
		}
		if labels++; labels > 1 && top {
			best = end
		}
		dot := dotAt(w, end)
		if dot == 0 {
			break
		}
		at = end + dot
	}
	return best
}

// label returns the end of the label at w[at:] and whether it can be a top-level domain.
func label(w string, at int) (end int, top bool) {
	end = at
	ascii, letters := true, 0
	for end < len(w) && end-at < 63*3 {
		r, size := utf8.DecodeRuneInString(w[end:])
		switch {
		case r < utf8.RuneSelf:
			if !isLetter(byte(r)) && !isDigit(byte(r)) && r != '-' && r != '_' || !ascii && isLetter(byte(r)) {
				return trimLabel(w, at, end, ascii, letters)
			}
			if isLetter(byte(r)) {
				letters++
			}
		case !unicode.IsLetter(r) && !unicode.IsMark(r) || end > at && ascii && isHan(r):
			return trimLabel(w, at, end, ascii, letters)
		case isHan(r):
			ascii = false
			if end == at {
				for _, tld := range hanTLDs {
					if strings.HasPrefix(w[at:], tld) && dotAt(w, at+len(tld)) == 0 {
						return at + len(tld), true
					}
				}
			}
			letters++
		default:
			letters++
		}
		end += size
	}
	return trimLabel(w, at, end, ascii, letters)
}

func trimLabel(w string, at, end int, ascii bool, letters int) (int, bool) {
	for end > at && (w[end-1] == '-' || w[end-1] == '_') {
		end--
	}
	if ascii {
		return end, letters >= 2 && (letters == end-at || hasFold(w[at:end], "xn--") || w[at] >= utf8.RuneSelf || !asciiOnly(w[at:end]))
	}
	return end, letters >= 2
}

func asciiOnly(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// dotAt returns the size of a dot between labels, in the forms IDNA knows.
func dotAt(w string, at int) int {
	switch {
	case at < len(w) && w[at] == '.':
		return 1
	case hasPrefix(w[at:], "\uFF0E"), hasPrefix(w[at:], "\uFF61"):
		return 3
	case hasPrefix(w[at:], "。"):
		return 0 // a full stop in every text we know
	}
	return 0
}
