package detect

import "strings"

// word looks at a run of ASCII letters and digits with at least one of each, around an anchor inside it.
func word(w string, start, end int) (Span, bool) {
	if span, ok := token(w, start, end); ok {
		return span, true
	}
	if span, ok := hexWord(w, start, end); ok {
		return span, true
	}
	if start > 0 && (w[start-1] == '-' || w[start-1] == '.') && start > 1 && isWord(w[start-2]) && !insideURL(w, start) {
		return Span{}, false
	}
	if span, ok := iban(w, start); ok {
		return span, true
	}
	s := w[start:end]
	if len(s) == 18 && creditCode([]byte(s)) {
		return Span{start, end, USCC, Checked, certain}, true
	}
	if len(s) == 18 && s[17]|0x20 == 'x' && allDigits(s[:17]) {
		return Span{}, false // the cluster reads it
	}
	return paper(w, start, end)
}

func insideURL(w string, start int) bool { return w[start-1] == '.' && start > 3 && w[start-2] == '/' }

// paper finds documents of letters and digits: passports, permits, the cards of Hong Kong and Taiwan, and
// credit codes that a word announces.
func paper(w string, start, end int) (Span, bool) {
	s := w[start:end]
	nearest, all := near(w, start)
	digits := len(s) - len(strings.TrimLeft(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
	letters, tail := digits, s[digits:]
	switch {
	case all&tUSCC != 0 && (len(s) == 18 || len(s) == 15) && nearest&tCode == 0:
		return Span{start, end, USCC, Context, likely}, true
	case nearest&tPermit != 0 && (letters == 1 || letters == 2) && allDigits(tail) && len(tail) >= 7 && len(tail) <= 10:
		return Span{start, end, Permit, Context, strong}, true
	case nearest&tPassport != 0 && passportShape(s):
		return Span{start, end, Passport, Context, strong}, true
	case all&tID != 0 && letters == 1 && len(tail) == 9 && allDigits(tail) && taiwanCheck(s):
		return Span{start, end, ID, Checked, strong}, true
	case (letters == 1 || letters == 2) && len(tail) == 6 && allDigits(tail):
		return hongKong(w, start, end, all)
	case letters >= 1 && letters <= 2 && len(tail) == 7 && allDigits(tail[:6]) && all&tID != 0 && hongKongCheck(s[:letters+6], s[letters+6]):
		return Span{start, end, ID, Checked, strong}, true
	case nearest&(tWeChat|tQQ) != 0 && len(s) >= 6 && len(s) <= 24 && isLetter(s[0]) && !(len(s) == 18 && hasFold(s, "wx")) && closeBy(w, start, 14):
		return Span{start, chatEnd(w, end), Chat, Context, strong}, true
	case hasFold(s, "wxid_") && len(s) > 10:
		return Span{start, end, Chat, Shape, strong}, true
	}
	return Span{}, false
}

// passportShape: one or two letters and seven or eight digits, or letters spread as other countries do.
func passportShape(s string) bool {
	if len(s) < 7 || len(s) > 10 {
		return false
	}
	digits := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			digits++
		} else if !isUpper(s[i]) && i > 1 {
			return false
		}
	}
	return digits >= 5
}

// hongKong is A123456(7).
func hongKong(w string, start, end int, all topic) (Span, bool) {
	rest := w[end:]
	size := 3
	switch {
	case len(rest) >= 3 && rest[0] == '(' && rest[2] == ')' && isWord(rest[1]):
		rest = rest[1:2]
	case hasPrefix(rest, "\uFF08") && len(rest) >= 7 && hasPrefix(rest[4:], "\uFF09"):
		rest, size = rest[3:4], 7
	default:
		return Span{}, false
	}
	if !hongKongCheck(w[start:end], rest[0]) && all&tID == 0 {
		return Span{}, false
	}
	return Span{start, end + size, ID, Checked, strong}, true
}

func hongKongCheck(s string, check byte) bool {
	sum, weight := 0, 9
	if len(s) == 7 {
		sum, weight = 36*9, 8
	}
	for i := range len(s) {
		v := int(upper(s[i]) - '0')
		if isLetter(s[i]) {
			v = int(upper(s[i])-'A') + 10
		}
		sum += v * weight
		weight--
	}
	v := int(upper(check) - '0')
	if upper(check) == 'A' {
		v = 10
	}
	return (sum+v)%11 == 0
}

// taiwanCheck is the check digit of national IDs (second digit 1, 2) and residents (8, 9).
func taiwanCheck(s string) bool {
	const codes = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
	n := strings.IndexByte(codes, upper(s[0]))
	if n < 0 || !strings.Contains("1289", s[1:2]) {
		return false
	}
	n += 10
	sum := n/10 + n%10*9
	for i, weight := 1, 8; i < 9; i, weight = i+1, weight-1 {
		sum += int(s[i]-'0') * weight
	}
	return (sum+int(s[9]-'0'))%10 == 0
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return len(s) > 0
}
