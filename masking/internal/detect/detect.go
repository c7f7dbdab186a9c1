// Package detect finds personal data in free text in one pass, without regular expressions.
//
// A table marks the bytes at which something can begin to look personal: a digit, an @, a colon, a few
// Chinese characters. At each of them a recogniser looks at a window of bounded size around it, and nowhere
// else. That makes the work linear, and it makes a stream give the same result as a string however it is
// cut.
package detect

// Kind is what was found.
type Kind uint8

const (
	Phone Kind = iota + 1
	Email
	Name
	ID
	Card
	Address
	Plate
	Passport
	Permit
	Military
	USCC
	IP
	MAC
	IBAN
	SSN
	BirthDate
	Geo
	Secret
	Chat
)

// Span is one find: text[Start:End] of the original.
type Span struct {
	Start, End int
	Kind       Kind
	Rule       Rule
	rank       rank
}

// Rule says why something was found.
type Rule uint8

const (
	Shape   Rule = iota + 1 // the way it is written is enough
	Checked                 // a check digit, a calendar or a table agrees
	Context                 // a word nearby says what it is
)

func (r Rule) String() string {
	switch r {
	case Shape:
		return "shape"
	case Checked:
		return "checked"
	case Context:
		return "context"
	}
	return "none"
}

// rank settles overlaps: the higher rank wins, then the longer span, then the earlier.
type rank uint8

const (
	guess rank = iota + 1
	likely
	strong
	certain
	declared // the text itself says password=
)

// Append appends what it finds in text to dst, in order and without overlap.
func Append(dst []Span, text string) []Span {
	s := Scanner{Text: text, Spans: dst, floor: len(dst)}
	s.Run(len(text))
	return s.Spans
}

// Clean reports that there is nothing to find in text.
func Clean(text string) bool {
	if harmless(text) {
		return true
	}
	s := Scanner{Text: text, first: true}
	s.Run(len(text))
	return len(s.Spans) == 0
}

// harmless knows two shapes in which no recogniser finds anything, because most of what is logged has one
// of them: words in lower case, and a short word with a few digits.
func harmless(text string) bool {
	const longest, digits = 10, 4
	if len(text) > 64 {
		return false
	}
	var seen byte
	n := 0
	for i := range len(text) {
		c := plainness[text[i]]
		seen |= c
		n += int(c) & 1
	}
	return seen&otherByte == 0 && (n == 0 || seen&spaceByte == 0 && n <= digits && len(text) <= longest)
}

const (
	digitByte byte = 1 << iota
	wordByte
	spaceByte
	otherByte
)

var plainness = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = digitByte
		case c >= 'a' && c <= 'z', c == '_', c == '-':
			t[c] = wordByte
		case c == ' ', c == '.', c == ',', c == '\'':
			t[c] = spaceByte
		default:
			t[c] = otherByte
		}
	}
	return t
}()
