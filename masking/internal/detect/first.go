package detect

import "github.com/confide-go/confide/masking/internal/fold"

// Append appends what it finds in text to dst, in order and without overlap.
func Append(dst []Span, text string) []Span {
	for i := 0; i < len(text); {
		c := text[i]
		if c == '@' {
			if s, ok := email(text, i); ok {
				for len(dst) > 0 && dst[len(dst)-1].End > s.Start {
					dst = dst[:len(dst)-1]
				}
				dst = append(dst, s)
				i = s.End
				continue
			}
		}
		if c >= '0' && c <= '9' || c >= 0xEF {
			end, s, ok := digits(text, i)
			if ok {
				dst = append(dst, s)
			}
			if end > i {
				i = end
				continue
			}
		}
		i++
	}
	return dst
}

func digits(text string, i int) (int, Span, bool) {
	var d [20]byte
	n, j, start := 0, i, i
	last := i
	for j < len(text) {
		v, w, _ := fold.Digit(text, j)
		if w == 0 {
			if n > 0 && (text[j] == ' ' || text[j] == '-') && j+1 < len(text) && text[j+1] >= '0' && text[j+1] <= '9' && n < 20 {
				j++
				continue
			}
			break
		}
		if n == len(d) {
			n = 99
			for j < len(text) {
				if _, w, _ := fold.Digit(text, j); w == 0 {
					break
				} else {
					j += w
				}
			}
			return j, Span{}, false
		}
		d[n] = v
		n++
		j += w
		last = j
	}
	if start > 0 && letter(text[start-1]) {
		return last, Span{}, false
	}
	if n == 17 && last < len(text) && text[last]|0x20 == 'x' {
		d[17], n = 'X', 18
		last++
	}
	if last < len(text) && letter(text[last]) {
		return last, Span{}, false
	}
	b := d[:n]
	switch {
	case n == 18 && residentCheck(b):
		return last, Span{start, last, ID}, true
	case n == 11 && b[0] == '1' && b[1] >= '3', n == 13 && b[0] == '8' && b[1] == '6' && b[2] == '1' && b[3] >= '3':
		return last, Span{start, last, Phone}, true
	case n >= 13 && n <= 19 && b[0] >= '3' && luhn(b):
		return last, Span{start, last, Card}, true
	}
	return last, Span{}, false
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func residentCheck(d []byte) bool {
	sum := 0
	for i, w := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(d[i]-'0') * w
	}
	return "10X98765432"[sum%11] == d[17]
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

func email(text string, at int) (Span, bool) {
	s, e := at, at+1
	for s > 0 && at-s < 64 && (letter(text[s-1]) || text[s-1] >= '0' && text[s-1] <= '9' || text[s-1] == '.' || text[s-1] == '-' || text[s-1] == '+') {
		s--
	}
	dot := -1
	for e < len(text) && (letter(text[e]) || text[e] >= '0' && text[e] <= '9' || text[e] == '.' || text[e] == '-') {
		if text[e] == '.' {
			dot = e
		}
		e++
	}
	for e > at && text[e-1] == '.' {
		e--
	}
	return Span{s, e, Email}, s < at && dot > at+1 && dot < e
}
