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

// trie holds the words backwards, as lists of siblings.
type trie struct {
	last  [1024]uint64 // characters of three bytes that end a word: a quick test
	first [256]uint16
	nodes []trieNode
}

type trieNode struct {
	c           byte
	child, next uint16
	topic       topic
}

var words = buildTrie(topicWords)

func buildTrie(lists []topicList) *trie {
	t := &trie{nodes: make([]trieNode, 1, 1<<14)}
	for _, l := range lists {
		for word := range strings.FieldsSeq(l.words) {
			t.add(strings.Map(plain, word), l.topic)
		}
	}
	return t
}

func plain(r rune) rune {
	if r < utf8.RuneSelf {
		return rune(lower(byte(r)))
	}
	return r
}

func (t *trie) add(word string, top topic) {
	if r, size := utf8.DecodeLastRuneInString(word); size == 3 {
		t.last[r>>6] |= 1 << (r & 0x3F)
	}
	at := &t.first[word[len(word)-1]]
	for i := len(word) - 1; ; i-- {
		for *at != 0 && t.nodes[*at].c != word[i] {
			at = &t.nodes[*at].next
		}
		if *at == 0 {
			t.nodes = append(t.nodes, trieNode{c: word[i]})
			*at = uint16(len(t.nodes) - 1) // nodes has room: at stays valid
		}
		n := *at
		if i == 0 {
			t.nodes[n].topic |= top
			return
		}
		at = &t.nodes[n].child
	}
}

// hanEnd reports whether a word can end with the character before w[end:].
func (t *trie) hanEnd(w string, end int) bool {
	return end >= 3 && t.last[int(w[end-3]&0xF)<<6|int(w[end-2]&0x3F)]>>(w[end-1]&0x3F)&1 != 0
}

// endingAt returns the topic and length of the longest word that ends at w[:end].
func (t *trie) endingAt(w string, end int) (top topic, size int) {
	if c := w[end-1]; c >= utf8.RuneSelf {
		if !t.hanEnd(w, end) {
			return 0, 0
		}
	} else if end < len(w) && isLetter(c) && isLetter(w[end]) && lower(w[end]) != 's' && !isUpper(w[end]) {
		return 0, 0 // inside an English word
	}
	n := t.first[lower(w[end-1])]
	for i := end - 1; n != 0; {
		node := &t.nodes[n]
		if node.topic != 0 && wordBoundary(w, i, end) {
			top, size = node.topic, end-i
		}
		if i--; i < 0 {
			break
		}
		c := lower(w[i])
		n = node.child
		for n != 0 && t.nodes[n].c != c {
			n = t.nodes[n].next
		}
	}
	return top, size
}

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
	text := false
	stop := max(0, end-lookBack)
	for i := end; i > stop; {
		if c := w[i-1]; c < utf8.RuneSelf && !canEnd(w, i, c) || c >= utf8.RuneSelf && !words.hanEnd(w, i) {
			if text && endsClause(w[:i]) {
				return nearest, all
			}
			text = text || isLetter(c) || c >= utf8.RuneSelf
			for i--; i > stop && c >= utf8.RuneSelf && !utf8.RuneStart(w[i]); i-- {
			}
			continue
		}
		if top, size := words.endingAt(w, i); size > 0 {
			if nearest == 0 {
				nearest = top
				stop = max(stop, end-lookFurther)
			}
			all |= top
			i -= size
			continue
		}
		c := w[i-1]
		if text && endsClause(w[:i]) {
			return nearest, all
		}
		i--
		if c >= utf8.RuneSelf {
			for i > stop && !utf8.RuneStart(w[i]) {
				i--
			}
			text = true
		} else if isLetter(c) {
			text = true
		}
	}
	return nearest, all
}

// canEnd reports whether a word can end with the ASCII byte c at w[:i]: most bytes are inside a word.
func canEnd(w string, i int, c byte) bool {
	if words.first[lower(c)] == 0 {
		return false
	}
	return i == len(w) || !isLetter(c) || !isLetter(w[i]) || isUpper(w[i]) || w[i] == 's'
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

// counted is near with code words only where they stand close, because an order is often what a sentence is
// about and seldom what its telephone number is.
func (c *cluster) counted(g int) (nearest, all topic) {
	const close = 20
	nearest, all = c.near(g)
	if nearest&^(tCode|tMoney) == 0 && nearest != 0 && !closeBy(c.w, c.groups[g].start, close) {
		nearest = 0
	}
	return nearest, all
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
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }
