package detect

import "strings"

// chatValue reads the account behind 微信 or QQ. Without a colon it needs to look like an account, because
// people speak of WeChat all the time.
func chatValue(w string, at int, marked bool) (Span, bool) {
	start := skipBlank(w, at, marked)
	end := chatEnd(w, start)
	s := w[start:end]
	if len(s) < 5 || len(s) > 24 || allDigits(s) && (len(s) > 11 || s[0] == '0') {
		return Span{}, false
	}
	digits := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			digits++
		}
	}
	if len(s) == 11 && digits == 11 && s[0] == '1' && s[1] >= '3' {
		return Span{}, false // a mobile number
	}
	if len(s) == 18 && hasFold(s, "wx") {
		return Span{}, false // an application's identifier
	}
	if !marked && digits == 0 && (len(s) < 6 || start == at && !strings.ContainsAny(s, "_-")) || marked && digits == 0 && len(s) < 6 || end < len(w) && w[end] == '@' {
		return Span{}, false
	}
	return Span{start, end, Chat, Context, strong}, true
}

// chatEnd is the end of the run of characters that accounts are made of.
func chatEnd(w string, end int) int {
	for end < len(w) && (isWord(w[end]) || w[end] == '-') {
		end++
	}
	return end
}
