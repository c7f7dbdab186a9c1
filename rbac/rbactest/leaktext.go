package rbactest

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// difference names the places in which an answer of a world differs from that of the first, where the
// first and the second agree.
func (s *search) difference(role string, i int, w *world) (places []string) {
	a, b, c := s.first.answers[role][i], s.second.answers[role][i], w.answers[role][i]
	if a.status == b.status && a.status != c.status {
		return []string{"status"}
	}
	names := map[string]bool{}
	for _, h := range []map[string][]string{a.header, b.header, c.header} {
		for name := range h {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		join := func(x answer) string { return strings.Join(x.header.Values(name), "\n") }
		if name == "Date" || name == "Content-Length" {
			continue // the length of a body shows in the body
		}
		if d, _ := compareText(s.first.stand(join(a)), s.second.stand(join(b)), w.stand(join(c))); d != "" {
			places = append(places, channel("header "+name, a))
		}
	}
	d, _ := compareText(s.first.stand(a.body), s.second.stand(b.body), w.stand(c.body))
	if d != "" {
		places = append(places, "body "+d)
	}
	return places
}

// compareText compares c with a where a and b agree: "" if it is the same, "order" if the same words stand
// in another order, "count" if only numbers differ, "length" if something is there or is not.
func compareText(a, b, c string) (string, bool) {
	if a == b && a == c {
		return "", true
	}
	ta, tb, tc := words(a), words(b), words(c)
	if len(ta) != len(tb) {
		return "", false
	}
	if len(tc) != len(ta) {
		return "length", true
	}
	var was, is []string
	for i, word := range ta {
		if word == tb[i] && word != tc[i] {
			was, is = append(was, word), append(is, tc[i])
		}
	}
	switch {
	case len(was) == 0:
		return "", true
	case sameWords(was, is):
		return "order", true
	case allNumbers(was) && allNumbers(is):
		return "count", true
	}
	return "content", true
}

func sameWords(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// allNumbers does not take a telephone number for a count.
func allNumbers(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return len(s) > 8 || strings.Trim(s, "0123456789.,") != "" })
}

// words splits a text into words and the characters between them. What tokens are made of is one word,
// so that a nonce stays one whatever is in it.
func words(s string) []string {
	var list []string
	from := -1
	for i, r := range s {
		inside := unicode.IsLetter(r) || unicode.IsDigit(r) || r < 0x80 && strings.IndexByte("\x01\x02_.+/=-", byte(r)) >= 0
		if inside && from < 0 {
			from = i
		}
		if inside {
			continue
		}
		if from >= 0 {
			list = append(list, s[from:i])
			from = -1
		}
		if !unicode.IsSpace(r) {
			list = append(list, string(r))
		}
	}
	if from >= 0 {
		list = append(list, s[from:])
	}
	return list
}
