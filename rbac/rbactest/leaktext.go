package rbactest

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// difference names the places in which an answer of a world differs from that of the first, where the
// worlds that are the same agree.
func (s *search) difference(role string, i int, w *world) (places []string) {
	a, got := s.asks[i], w.answers[role][i]
	var same []answer
	names := map[string]bool{}
	note := func(h map[string][]string) {
		for name := range h {
			names[name] = true
		}
	}
	for _, b := range s.base {
		same = append(same, b.answers[role][i])
		note(b.answers[role][i].header)
	}
	note(got.header)
	if !slices.ContainsFunc(same, func(b answer) bool { return b.status == got.status }) {
		return []string{"status"}
	}
	compare := func(part func(answer) string) string {
		if !slices.ContainsFunc(same, func(b answer) bool { return part(b) != part(got) }) {
			return ""
		}
		texts := make([]string, len(same))
		for n, b := range same {
			texts[n] = s.base[n].level(role, a, part(b))
		}
		return compareText(texts, w.level(role, a, part(got)))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if name == "Date" || name == "Content-Length" {
			continue // the length of a body shows in the body
		}
		if compare(func(x answer) string { return strings.Join(x.header.Values(name), "\n") }) != "" {
			places = append(places, channel("header "+name, same[0]))
		}
	}
	var plain []string
	for _, b := range same {
		plain = append(plain, b.plain)
	}
	if d := compareText(plain, got.plain); d != "" {
		places = append(places, "body "+d)
	}
	return places
}

// compareText compares a text with what should be the same, where that agrees with itself: "" if it is the
// same, "order" if the same words stand in another order, "count" if only numbers differ, "length" if
// something is there or is not.
func compareText(same []string, c string) string {
	if !slices.ContainsFunc(same, func(s string) bool { return s != c }) {
		return ""
	}
	left := slices.Clone(same)
	var was, is []string
	for {
		word, steady := nextWord(&left[0]), true
		for i := range left[1:] {
			other := nextWord(&left[1+i])
			if (other == "") != (word == "") {
				return "" // not steady
			}
			steady = steady && other == word
		}
		got := nextWord(&c)
		if (got == "") != (word == "") {
			return "length"
		}
		if word == "" {
			break
		}
		if steady && got != word {
			was, is = append(was, word), append(is, got)
		}
	}
	switch {
	case len(was) == 0:
		return ""
	case sameWords(was, is):
		return "order"
	case allNumbers(was) && allNumbers(is):
		return "count"
	}
	return "content"
}

func sameShape(a, b string) bool { return a == b || len(words(a)) == len(words(b)) }

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

// apart divides a text into what is the same in another and the words that are not.
func apart(text, other string) (steady, random string) {
	if text == other || len(words(text)) != len(words(other)) {
		return text, ""
	}
	a, b := words(text), words(other)
	var stays, differs strings.Builder
	for i, word := range a {
		at := strings.Index(text, word) // what stands before it is spaces
		stays.WriteString(text[:at])
		text = text[at+len(word):]
		if word == b[i] {
			stays.WriteString(word)
			continue
		}
		differs.WriteString(word + "\n")
	}
	return stays.String() + text, differs.String()
}

// words splits a text into words and the characters between them.
func words(s string) []string {
	var list []string
	for word := nextWord(&s); word != ""; word = nextWord(&s) {
		list = append(list, word)
	}
	return list
}

// nextWord takes the next word off a text, or the next character that is neither of one nor a space; "" at the
// end. What tokens are made of is one word, so that a nonce stays one whatever is in it.
func nextWord(s *string) string {
	from := -1
	for i, r := range *s {
		if inWord(r) {
			if from < 0 {
				from = i
			}
			continue
		}
		if from >= 0 {
			word := (*s)[from:i]
			*s = (*s)[i:]
			return word
		}
		if !unicode.IsSpace(r) {
			word := (*s)[i:]
			_, size := utf8.DecodeRuneInString(word)
			word, *s = word[:size], word[size:]
			return word
		}
	}
	word := ""
	if from >= 0 {
		word = (*s)[from:]
	}
	*s = ""
	return word
}

func inWord(r rune) bool {
	if r < 0x80 {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.IndexByte("\x01\x02_.+/=-", byte(r)) >= 0
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}
