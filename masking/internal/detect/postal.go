package detect

import "strings"

// postal extends an address over what follows its street: flat, place, state and post code, with commas or
// line breaks between. A place is taken with the post code behind it, or at the end of a line; posted says
// that there was a post code or a flat. Where the street is not sure to be one, only what numbers of other
// things do not have behind them is taken.
func postal(w string, end int, sure bool) (to int, posted bool) {
	to = end
	for i, plain := end, 0; plain < 3; {
		next, comma := segmentStart(w, i)
		if next == 0 {
			return to, posted
		}
		stop, code, unit := segment(w, next, sure)
		switch {
		case stop == 0, !sure && code && !comma && w[next-1] == ' ' && !strings.Contains(w[i:next], "\n"):
			return to, posted
		case code, unit:
			to, posted, sure = stop, true, true
		case comma && (stop == len(w) || w[stop] == '\n' || w[stop] == '"'):
			return stop, posted
		default:
			plain++
		}
		i = stop
	}
	return to, posted
}

// segmentStart steps over what separates the parts of an address.
func segmentStart(w string, i int) (next int, comma bool) {
	next = i
	lines := 0
	for next < len(w) && next-i < 12 {
		switch c := w[next]; {
		case c == ',' && !comma:
			comma = true
		case c == '\n' && lines < 2:
			lines++
		case c == ' ', c == '\r', c == '-' && next > i && w[next-1] == ' ':
		default:
			if next == i {
				return 0, false
			}
			return next, comma
		}
		next++
	}
	return 0, false
}

// unitWords stand in front of the number of a flat; the first six are for nothing else.
var unitWords = [...]string{"Apt. ", "Apt ", "Apartment ", "Suite ", "Ste. ", "Flat ", "Ste ", "Unit ", "Floor ", "Room ", "# ", "#", "Bldg ", "Building ", "Lot ", "piso ", "Piso ", "apto ", "Apto ", "bus ", "Etage "}

// segment reads one part of an address at w[i:]. It returns 0 for anything else.
func segment(w string, i int, sure bool) (end int, code, unit bool) {
	words := unitWords[:]
	if !sure {
		words = words[:6]
	}
	for _, word := range words {
		if strings.HasPrefix(w[i:], word) {
			n := i + len(word)
			for n < len(w) && (isWord(w[n]) || w[n] == '-') {
				n++
			}
			if n == i+len(word) || !isDigit(w[i+len(word)]) && n > i+len(word)+2 {
				return 0, false, false
			}
			return n, false, true
		}
	}
	if end = floor(w, i); end > 0 {
		return end, false, sure
	}
	if end = postCode(w, i, sure); end > 0 {
		if end < len(w) && w[end] == ' ' {
			if place := words2(w, end+1, 4); place > 0 {
				end = province(w, place)
			}
		}
		return end, true, false
	}
	end = words2(w, i, 4)
	if end == 0 {
		return 0, false, false
	}
	return codeBehind(w, end, sure)
}

// floor is 3º B.
func floor(w string, i int) int {
	n := i
	for n < len(w) && n-i < 2 && isDigit(w[n]) {
		n++
	}
	if n == i || !strings.HasPrefix(w[n:], "º") && !strings.HasPrefix(w[n:], "ª") {
		return 0
	}
	n += len("º")
	if n+1 < len(w) && w[n] == ' ' && isUpper(w[n+1]) && (n+2 == len(w) || !isLetter(w[n+2])) {
		n += 2
	}
	return n
}

// province takes (MI) and - SP behind a place in.
func province(w string, end int) int {
	if end+5 <= len(w) && w[end:end+2] == " (" && isUpper(w[end+2]) && isUpper(w[end+3]) && w[end+4] == ')' {
		return end + 5
	}
	return end
}

// codeForms are the post codes that stand in front of a place: 0 is a digit, A a letter.
var codeForms = [...]string{"00000-000", "0000-000", "00000-0000", "0000 AA", "000 00", "00-000", "00000", "0000"}

// postCode returns the end of a post code at w[i:]. One of four digits must have a place behind it.
func postCode(w string, i int, sure bool) int {
	for _, form := range codeForms {
		end := i + len(form)
		if form == "0000" && !sure || !looksLike(w[i:], form) || end < len(w) && isWord(w[end]) {
			continue
		}
		if len(form) <= 6 && (end+1 >= len(w) || w[end] != ' ' || words2(w, end+1, 1) == 0) && form != "00000" {
			continue
		}
		return end
	}
	return 0
}

func looksLike(s, form string) bool {
	if len(s) < len(form) {
		return false
	}
	for i := range len(form) {
		switch c := s[i]; form[i] {
		case '0':
			if !isDigit(c) {
				return false
			}
		case 'A':
			if !isUpper(c) {
				return false
			}
		default:
			if c != form[i] {
				return false
			}
		}
	}
	return true
}

// behindForms are the post codes that stand behind a place or a state.
var behindForms = [...]string{"00000-0000", "000000", "00000", "0000", "A0 0AA", "A0A 0AA", "A00 0AA", "AA0 0AA", "AA00 0AA", "A0A 0A0", "AA0A 0AA", "00000-000"}

// codeBehind reads the state and the post code behind a place that ends at w[:end].
func codeBehind(w string, end int, sure bool) (to int, code, unit bool) {
	if end+4 <= len(w) && w[end:end+3] == " - " && looksLike(w[end+3:], "AA") {
		end += 5
	}
	if end+1 >= len(w) || w[end] != ' ' {
		return end, false, false
	}
	for _, form := range behindForms {
		stop := end + 1 + len(form)
		if (form != "0000" || sure) && looksLike(w[end+1:], form) && (stop == len(w) || !isWord(w[stop]) && (w[stop] != '-' || stop+1 == len(w) || !isWord(w[stop+1]))) {
			return stop, true, false
		}
	}
	return end, false, false
}

// unitBefore returns where an address with a flat in front of its house number begins: Flat 3, 28 …
func unitBefore(w string, start int) int {
	if start < 6 || w[start-2:start] != ", " {
		return start
	}
	i := start - 2
	for i > 0 && start-i < 8 && isWord(w[i-1]) {
		i--
	}
	for _, word := range unitWords {
		if i < start-2 && strings.HasSuffix(w[:i], word) {
			return i - len(word)
		}
	}
	return start
}
