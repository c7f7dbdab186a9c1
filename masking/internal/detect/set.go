package detect

import (
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/zh"
)

// set is a list of words, made once and never changed.
type set struct {
	words map[string]struct{}
	first *zh.Runes // what its Han words begin with: a quick test
}

func newSet(list string) set {
	s := set{words: make(map[string]struct{})}
	var first strings.Builder
	for word := range strings.FieldsSeq(list) {
		s.words[word] = struct{}{}
		r, _ := utf8.DecodeRuneInString(word)
		first.WriteRune(r)
	}
	s.first = zh.NewRunes(first.String())
	return s
}

func (s set) has(word string) bool {
	if word == "" || word[0] >= 0xE4 && word[0] < 0xF0 {
		if r, _ := utf8.DecodeRuneInString(word); !s.first.Has(r) {
			return false
		}
	}
	_, ok := s.words[word]
	return ok
}
