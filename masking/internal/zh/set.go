package zh

import "strings"

// set is a list of words, made once and never changed.
type set map[string]struct{}

func newSet(lists ...string) set {
	s := make(set)
	for _, list := range lists {
		for word := range strings.FieldsSeq(list) {
			s[word] = struct{}{}
		}
	}
	return s
}

func (s set) has(word string) bool {
	_, ok := s[word]
	return ok
}

// Runes is a set of characters of three bytes, indexed by their first two.
type Runes [1024]uint64

// NewRunes returns the set of the characters of s.
func NewRunes(s string) *Runes {
	var t Runes
	for _, r := range s {
		if r > ' ' {
			t[r>>6&0x3FF] |= 1 << (r & 0x3F)
		}
	}
	return &t
}

// Has reports whether r is in the set.
func (t *Runes) Has(r rune) bool {
	return r >= 0x800 && r <= 0xFFFF && t[r>>6]>>(r&0x3F)&1 != 0
}
