package detect

import (
	"strings"
	"unicode/utf8"
)

// topic is what a word near a candidate says about it.
type topic uint32

const (
	tPhone topic = 1 << iota
	tCard
	tID
	tSSN
	tPassport
	tPermit
	tMilitary
	tBirth
	tVersion
	tCode // order numbers and other numbers that are nobody's
	tQQ
	tWeChat
	tGeo
	tUSCC
	tHK
	tName
	tAddress
	tSecret
	tMoney
	tPlate
	tIBAN
	tNetwork
	tDesk // office, home: a telephone number's place, if it stands right beside it
)

// lookBack is how far before a candidate a word can speak about it, and lookFurther how far one can that
// stands before another.
const (
	lookBack    = 64
	lookFurther = 40
)

// wordBoundary: an English word must not be a piece of a longer one. Chinese words have no boundaries.
func wordBoundary(w string, start, end int) bool {
	if start > 0 && isLetter(w[start]) && isLetter(w[start-1]) && !(isUpper(w[start]) && !isUpper(w[start-1])) {
		return false
	}
	if end < len(w) && isLetter(w[end-1]) && isLetter(w[end]) && !(isUpper(w[end]) && !isUpper(w[end-1])) {
		return w[end] == 's' && (end+1 == len(w) || !isLetter(w[end+1]))
	}
	return true
}

// near returns the topic of the nearest word before end, and of all words before it in the same sentence.
func near(w string, end int) (nearest, all topic) {
	l := lookFrom(end)
	for l.next(w) {
	}
	return l.nearest, l.all
}

// look goes back from a candidate, word by word. Most recognisers ask for the nearest only.
type look struct {
	i, stop, end int
	text         bool // something stands between
	nearest, all topic
}

func lookFrom(end int) look { return look{i: end, stop: max(0, end-lookBack), end: end} }

// next takes in the topic of one more word before those it has, and reports whether there was one.
func (l *look) next(w string) bool {
	for i := l.i; i > l.stop; {
		c := w[i-1]
		if c >= utf8.RuneSelf && i >= 3 && w[i-3]&0xF0 == 0xE0 && w[i-2]&0xC0 == 0x80 && c&0xC0 == 0x80 && !words.hanEnd(w, i) {
			if l.text && endsClause(w[:i]) { // the common case, a character of three bytes
				break
			}
			l.text = true
			i -= 3
			continue
		}
		if c < utf8.RuneSelf && canEnd(w, i, c) || c >= utf8.RuneSelf && words.hanEnd(w, i) {
			if top, size := words.endingAt(w, i); size > 0 {
				l.i = i
				l.take(top, size)
				return true
			}
		}
		if l.text && endsSentence(w, i) {
			break
		}
		i--
		if c >= utf8.RuneSelf {
			for i > l.stop && !utf8.RuneStart(w[i]) {
				i--
			}
			l.text = true
		} else if isLetter(c) {
			l.text = true
		}
	}
	l.i = l.stop
	return false
}

// take takes in a word of the given size that ends at i.
func (l *look) take(top topic, size int) {
	if l.nearest == 0 {
		l.nearest = top
		l.stop = max(l.stop, l.end-lookFurther)
	}
	l.all |= top
	l.i -= size
}

// canEnd reports whether a word can end with the ASCII byte c at w[:i]: most bytes are inside a word.
func canEnd(w string, i int, c byte) bool {
	if !words.ends[c] {
		return false
	}
	return i == len(w) || !isLetter(c) || !isLetter(w[i]) || isUpper(w[i]) || w[i] == 's'
}

// endsSentence is endsClause for w[:end], and knows the full stop between a number and another sentence.
func endsSentence(w string, end int) bool {
	if w[end-1] != '.' {
		return endsClause(w[:end])
	}
	return end >= 2 && end+1 < len(w) && isDigit(w[end-2]) && w[end] == ' ' && isUpper(w[end+1])
}

// endsClause reports the end of a line or a sentence, behind which words no longer speak about what follows.
func endsClause(s string) bool {
	switch s[len(s)-1] {
	case '\n', ';', '!', '?', '{', '}':
		return true
	case 0x82:
		return strings.HasSuffix(s, "。")
	case 0x9B:
		return strings.HasSuffix(s, "；")
	}
	return false
}

// counted is nearest with code words only where they stand close, because an order is often what a sentence
// is about and seldom what its telephone number is.
func (c *cluster) counted(g int) topic {
	const close = 20
	nearest := c.nearest(g)
	if nearest&^(tCode|tMoney) == 0 && nearest != 0 && !closeBy(c.w, c.groups[g].start, close) {
		return 0
	}
	return nearest
}

// soon returns the topic of the first word within n bytes after start, in the same clause.
func soon(w string, start, n int) topic {
	for i := start + 1; i <= len(w) && i-start <= n; i++ {
		if c := w[i-1]; c == '\n' || c == ';' || c == ',' || c == '.' || c-'0' < 10 {
			return 0
		}
		if top, size := words.endingAt(w, i); top != 0 && i-size >= start {
			return top
		}
		if strings.HasSuffix(w[start:i], "，") || strings.HasSuffix(w[start:i], "。") {
			return 0
		}
	}
	return 0
}

// lower brings the ways of writing a word together: api_key, api-key and API key.
func lower(c byte) byte {
	switch {
	case c-'A' < 26:
		return c | 0x20
	case c == '_' || c == '-':
		return ' '
	}
	return c
}

func isLetter(c byte) bool { return c|0x20-'a' < 26 && c < utf8.RuneSelf }
func isUpper(c byte) bool  { return c-'A' < 26 }
func isDigit(c byte) bool  { return c-'0' < 10 }
func isWord(c byte) bool   { return wordBytes[c] }

var wordBytes = func() (t [256]bool) {
	for c := range utf8.RuneSelf {
		t[c] = isLetter(byte(c)) || isDigit(byte(c)) || c == '_'
	}
	return t
}()
