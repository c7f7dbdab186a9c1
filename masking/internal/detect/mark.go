package detect

import "strings"

// mark looks at a colon or equals sign of the given size: the end of a key, or a part of an address of
// machines.
func (s *Scanner) mark(i, size int) int {
	w, at, lo := s.view(i)
	if span, ok := urlPassword(w, at); ok {
		s.hit(span, lo)
		return i + size
	}
	if size == 1 && w[at] == ':' && at+1 < len(w) && isHexMark(w[at+1]) && (at == 0 || isHexMark(w[at-1]) || w[at+1] == ':') {
		if span, ok := hexWord(w, at, at+1); ok {
			return max(i+1, s.hit(span, lo))
		}
	}
	key := keyEnd(w, at)
	if key == 0 || at-key > 30 {
		return i + size
	}
	top, long := words.endingAt(w, key)
	if top&(tSecret|tName|tAddress|tWeChat|tQQ) == 0 {
		if span, ok := keyedLatin(w, key, at+size); ok {
			s.hit(span, lo)
		} else if span, ok := speaker(w, key); ok {
			s.hit(span, lo)
		}
		return i + size
	}
	return max(i+size, s.value(w, lo, at+size, top, w[key-long:key], true))
}

// keyEnd steps back from a mark over quotes, spaces and a remark in brackets.
func keyEnd(w string, at int) int {
	end := at
	for end > 0 && (w[end-1] == ' ' || w[end-1] == '"' || w[end-1] == '\'' || w[end-1] == '`' || w[end-1] == '*' || w[end-1] == ']') {
		end--
	}
	if end == 0 || w[end-1] != ')' && w[end-1] != 0x89 { // 0x89 ends the full-width bracket
		return end
	}
	for _, b := range [...][2]string{{"（", "）"}, {"(", ")"}} {
		if strings.HasSuffix(w[:end], b[1]) && end > 0 {
			if open := strings.LastIndex(w[max(0, end-30):end], b[0]); open >= 0 {
				return max(0, end-30) + open
			}
		}
	}
	return end
}

// value reads what follows a key, at w[at:], and returns where to go on.
func (s *Scanner) value(w string, lo, at int, top topic, key string, marked bool) int {
	var span Span
	ok := false
	switch {
	case top&tSecret != 0:
		span, ok = secretValue(w, at, key, marked)
	case top&tName != 0:
		span, ok = nameValue(w, at, marked)
	case top&tAddress != 0:
		span, ok = addressValue(w, at, marked)
	case top&(tWeChat|tQQ) != 0:
		span, ok = chatValue(w, at, marked)
	}
	if !ok {
		return 0
	}
	return s.hit(span, lo)
}

// longestSecret bounds what a stream has to keep; what is longer is masked in pieces.
const longestSecret = 8 << 10

// more continues a secret that was longer than the window.
func (s *Scanner) more(i int) int {
	w, at, lo := s.view(i)
	end := at
	for end < len(w) && (secretByte(w[end]) || s.quote != 0 && w[end] >= ' ' && (w[end] != s.quote || escaped(w, end))) {
		end++
	}
	s.secret = 0
	if n := len(s.Spans); n > s.floor && s.Spans[n-1].End == i && end > at {
		if i-s.Spans[n-1].Start > longestSecret {
			s.push(Span{Start: i, Kind: Secret, Rule: Context, rank: declared})
			n++
		}
		s.Spans[n-1].End = lo + end
		if end == len(w) {
			s.secret = lo + end
		}
		return lo + end
	}
	return i
}

// escaped reports an odd number of backslashes in front of w[i].
func escaped(w string, i int) bool {
	n := 0
	for n < i && w[i-n-1] == '\\' {
		n++
	}
	return n%2 == 1
}

// skipBlank steps over spaces, quotes and a copula between a key and its value.
func skipBlank(w string, at int, marked bool) int {
	start := at
	for at < len(w) && at-start < 8 {
		switch {
		case w[at] == ' ' || w[at] == '"' || w[at] == '\'' || w[at] == '\t' || w[at] == '\\' || w[at] == '`' || w[at] == '*':
			at++
		case !marked && (w[at] == ':' || w[at] == '=' || hasPrefix(w[at:], "\uFF1A")):
			return len(w) // the mark is an anchor itself
		case strings.HasPrefix(w[at:], "是"), strings.HasPrefix(w[at:], "为"), strings.HasPrefix(w[at:], "\u3000"),
			strings.HasPrefix(w[at:], "“"), strings.HasPrefix(w[at:], "「"), strings.HasPrefix(w[at:], "【"), strings.HasPrefix(w[at:], "叫"):
			at += 3
		default:
			return at
		}
	}
	return at
}

// han looks at one of the characters of hanAnchorRunes.
func (s *Scanner) han(i int, r rune, size int) int {
	switch r {
	case 0xFF1A, 0xFF1D:
		return s.mark(i, size)
	case 0xFF20:
		s.email(i)
		return i + size
	}
	if next := i + size; plateSet.Has(r) && next < len(s.Text) && isUpper(s.Text[next]) {
		w, at, lo := s.view(i)
		span, ok := plate(w, at)
		return max(next, s.take(i, lo, span, ok))
	}
	if titleSet.Has(r) {
		w, at, lo := s.view(i)
		span, ok := titled(w, at)
		s.take(i, lo, span, ok)
	}
	if r == '男' || r == '女' {
		w, at, lo := s.view(i)
		span, ok := gendered(w, at)
		s.take(i, lo, span, ok)
	}
	if r == '是' && !strings.HasSuffix(s.Text[:i], "我") || !keySet.Has(r) {
		return i + size
	}
	if r == '礼' {
		s.closing(i, size)
		return i + size
	}
	if next := i + size; next < len(s.Text) && (s.Text[next] == ':' || s.Text[next] == '=' || hasPrefix(s.Text[next:], "\uFF1A")) {
		return next // the mark is an anchor itself
	}
	w, at, lo := s.view(i)
	top, long := words.endingAt(w, at+size)
	s.spoken.end, s.spoken.size, s.spoken.topic = i+size, long, top
	if r == '叫' || r == '是' {
		top, long = tName, size
	}
	if top == 0 {
		return i + size
	}
	return max(i+size, s.value(w, lo, at+size, top, w[at+size-long:at+size], false))
}

func (s *Scanner) email(i int) {
	w, at, lo := s.view(i)
	span, ok := email(w, at)
	s.take(i, lo, span, ok)
}

// closing looks behind 敬礼 for a signature.
func (s *Scanner) closing(i, size int) {
	if !strings.HasSuffix(s.Text[:i], "敬") {
		return
	}
	w, at, lo := s.view(i)
	if span, ok := closing(w, at+size); ok {
		s.hit(span, lo)
	}
}
