package detect

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// trie holds the words backwards as a double array: the child of node n by byte c is the cell at
// cells[n].base+c, if its parent is n. A step is one look at one place, however many siblings there are.
type trie struct {
	last  [1024]uint64 // characters of three bytes that end a word: a quick test
	ends  [256]bool    // bytes that end a word
	cells []trieCell
}

type trieCell struct {
	parent, base uint16
	topic        topic
}

const trieRoot = 1 // 0 is the parent of free cells

var words = buildTrie(topicWords)

// trieWord is a word written backwards.
type trieWord struct {
	back  string
	topic topic
}

func buildTrie(lists []topicList) *trie {
	t := &trie{cells: make([]trieCell, 2, 1<<14)}
	t.cells[trieRoot].parent = 1<<16 - 1 // nobody's child, and not free
	var all []trieWord
	for _, l := range lists {
		for word := range strings.FieldsSeq(l.words) {
			word = strings.Map(plain, word)
			if r, size := utf8.DecodeLastRuneInString(word); size == 3 {
				t.last[r>>6] |= 1 << (r & 0x3F)
			}
			back := []byte(word)
			slices.Reverse(back)
			all = append(all, trieWord{string(back), l.topic})
		}
	}
	slices.SortFunc(all, func(a, b trieWord) int { return cmp.Compare(a.back, b.back) })
	free := 256 // so that no base is negative
	t.place(all, 0, trieRoot, &free)
	for c := range t.ends {
		_, t.ends[c] = t.child(trieRoot, lower(byte(c)))
	}
	return t
}

func plain(r rune) rune {
	if r < utf8.RuneSelf {
		return rune(lower(byte(r)))
	}
	return r
}

// place gives node n, which stands for the first depth bytes of all the words, its children.
func (t *trie) place(all []trieWord, depth int, n uint16, free *int) {
	for len(all) > 0 && len(all[0].back) == depth {
		t.cells[n].topic |= all[0].topic
		all = all[1:]
	}
	var next []byte
	for _, w := range all {
		if c := w.back[depth]; len(next) == 0 || next[len(next)-1] != c {
			next = append(next, c)
		}
	}
	if len(next) == 0 {
		return
	}
	base := t.room(next, free)
	t.cells[n].base = base
	for _, c := range next {
		t.cells[base+uint16(c)].parent = n
	}
	for _, c := range next {
		same := 0
		for same < len(all) && all[same].back[depth] == c {
			same++
		}
		t.place(all[:same], depth+1, base+uint16(c), free)
		all = all[same:]
	}
}

// room finds a base under which the cells of all these bytes are free.
func (t *trie) room(next []byte, free *int) uint16 {
	for len(t.cells) < *free+512 {
		t.cells = append(t.cells, trieCell{})
	}
	for t.cells[*free].parent != 0 {
		*free++
	}
	for base := *free - int(next[0]); ; base++ {
		for len(t.cells) < base+256 {
			t.cells = append(t.cells, trieCell{})
		}
		if !slices.ContainsFunc(next, func(c byte) bool { return t.cells[base+int(c)].parent != 0 }) {
			return uint16(base)
		}
	}
}

func (t *trie) child(n uint16, c byte) (uint16, bool) {
	i := int(t.cells[n].base) + int(c)
	return uint16(i), i < len(t.cells) && t.cells[i].parent == n
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
	cells := t.cells
	n, base := uint(trieRoot), uint(cells[trieRoot].base)
	for i := end - 1; i >= 0; i-- {
		at := base + uint(lowered[w[i]])
		if at >= uint(len(cells)) {
			break
		}
		cell := &cells[at]
		if uint(cell.parent) != n {
			break
		}
		n, base = at, uint(cell.base)
		if cell.topic != 0 && wordBoundary(w, i, end) {
			top, size = cell.topic, end-i
		}
	}
	return top, size
}

var lowered = func() (t [256]byte) {
	for c := range t {
		t[c] = lower(byte(c))
	}
	return t
}()
