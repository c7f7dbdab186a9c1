package detect

import "strings"

// set is a list of words, made once and never changed.
type set map[string]struct{}

func newSet(list string) set {
	s := make(set)
	for word := range strings.FieldsSeq(list) {
		s[word] = struct{}{}
	}
	return s
}

func (s set) has(word string) bool {
	_, ok := s[word]
	return ok
}
