package masking

// appendID keeps three and four characters of a resident ID of 15 or 18 characters. Log keeps one and one,
// Compat six and four. The cards of Hong Kong and Taiwan keep two and, in Taiwan, three.
func appendID(dst []byte, s string, p Profile) []byte {
	if (len(s) == 15 || len(s) == 18) && plainDigits(s[:min(17, len(s))]) && (len(s) == 15 || s[17]-'0' < 10 || s[17]|0x20 == 'x') {
		head, tail := residentEnds(p)
		return appendStarred(dst, s, head, tail)
	}
	var num number
	if !parseNumber(&num, s, true) {
		return append(dst, fixed...)
	}
	d := num.digits()
	head, tail := residentEnds(p)
	switch {
	case residentShape(d):
	case islandShape(d):
		if p == Log {
			break
		}
		head, tail = 2, 0
		if num.n == 10 {
			tail = 3
		}
	default:
		return append(dst, fixed...)
	}
	return num.appendKept(dst, s, 0, head, tail)
}

// residentEnds is how much of a resident ID is kept at its ends.
func residentEnds(p Profile) (head, tail int) {
	switch p {
	case Log:
		return 1, 1
	case Compat:
		return 6, 4
	}
	return 3, 4
}

func residentShape(d []byte) bool {
	n := len(d)
	if n != 15 && n != 18 {
		return false
	}
	for i, c := range d {
		if isLetter(c) && !(i == 17 && c|0x20 == 'x') {
			return false
		}
	}
	return true
}

// islandShape is A123456(7) or AB123456(7) in Hong Kong and A123456789 in Taiwan.
func islandShape(d []byte) bool {
	n := len(d)
	if n < 8 || n > 10 || !isLetter(d[0]) {
		return false
	}
	for i, c := range d[1:] {
		if isLetter(c) && i != 0 && !(i == n-2 && c|0x20 == 'a') {
			return false
		}
	}
	return true
}
