package detect

import (
	"unicode"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/fold"
)

// A recogniser sees Behind bytes before its anchor and Ahead bytes after it. A span begins at most Behind
// bytes before the anchor that found it.
const (
	Behind = 320
	Ahead  = 640
)

// Scanner walks over a text, or over the part of a stream that is in memory.
type Scanner struct {
	Text  string
	Pos   int    // everything before it has been looked at
	Spans []Span // found so far; the last ones may still give way to a better one

	floor  int  // spans before it are not ours
	window int  // end of the last view
	secret int  // end of a secret that the window cut off, or 0
	quote  byte // that ends it, or 0
	first  bool // one span is enough

	spoken struct { // the Han word met last
		end, size int
		topic     topic
	}
}

// Run looks at every anchor before limit. To give what it would give for the whole text, Text must hold
// Ahead bytes after limit or end there, and Behind bytes before Pos or begin there.
func (s *Scanner) Run(limit int) {
	text, i := s.Text, s.Pos
	for i < limit {
		c := text[i]
		kind := anchors[c]
		if kind == none && i != s.secret {
			i++
			continue
		}
		if kind == wide && i+2 < len(text) {
			b, d := text[i+1], text[i+2]
			if c&0xF0 == 0xE0 && b&0xC0 == 0x80 && d&0xC0 == 0x80 && hanAnchors[int(c&0xF)<<6|int(b&0x3F)]>>(d&0x3F)&1 == 0 {
				i += 3
				continue
			}
		}
		i = s.anchor(i, kind)
		if s.first && len(s.Spans) > 0 {
			break
		}
	}
	s.Pos = i
}

// anchor looks at the character at i and returns where to go on.
func (s *Scanner) anchor(i int, kind class) int {
	if i == s.secret && i > 0 {
		if next := s.more(i); next > i {
			return next
		}
	}
	switch kind {
	case none:
		return i + 1
	case digit:
		return s.digit(i)
	case at:
		s.email(i)
		return i + 1
	case mark:
		return s.mark(i, 1)
	case letter:
		return s.capital(i, 1)
	}
	return s.wide(i)
}

// Shift forgets the first n bytes of the text, which the caller has dropped from it.
func (s *Scanner) Shift(n int) {
	s.Pos -= n
	s.secret = max(0, s.secret-n)
	s.spoken.size = 0
	for i := range s.Spans {
		s.Spans[i].Start -= n
		s.Spans[i].End -= n
	}
}

// Settle forgets the first n spans, which the caller has done with.
func (s *Scanner) Settle(n int) {
	s.Spans = s.Spans[:copy(s.Spans, s.Spans[n:])]
}

// view is the window around anchor i, the anchor's place in it, and its own place in the text.
func (s *Scanner) view(i int) (w string, at, lo int) {
	lo, s.window = max(0, i-Behind), min(len(s.Text), i+Ahead)
	return s.Text[lo:s.window], i - lo, lo
}

// take returns the end of what a recogniser found in the window at lo, or i where it found nothing.
func (s *Scanner) take(i, lo int, span Span, ok bool) int {
	if !ok {
		return i
	}
	return s.hit(span, lo)
}

// hit takes a span of a window that begins at lo, unless a better one stands there.
func (s *Scanner) hit(span Span, lo int) int {
	span.Start += lo
	span.End += lo
	if span.Kind == Secret && span.End == s.window {
		s.secret, s.quote = span.End, quoteBefore(s.Text, span.Start)
	}
	n := len(s.Spans)
	for n > s.floor && s.Spans[n-1].End > span.Start {
		if !span.beats(s.Spans[n-1]) {
			return span.End
		}
		n--
	}
	s.Spans = s.Spans[:n]
	s.push(span)
	return span.End
}

// push appends a span. It is written so that the compiler sees that neither text nor spans escape.
func (s *Scanner) push(span Span) {
	n := len(s.Spans)
	if n == cap(s.Spans) {
		s.grow()
	}
	s.Spans = s.Spans[:n+1]
	s.Spans[n] = span
}

func (s *Scanner) grow() {
	const first = 32
	grown := make([]Span, len(s.Spans), max(4, min(first, len(s.Text)/32), 2*len(s.Spans)))
	copy(grown, s.Spans)
	s.Spans = grown
}

func (a Span) beats(b Span) bool {
	if a.rank != b.rank {
		return a.rank > b.rank
	}
	return a.End-a.Start > b.End-b.Start
}

type class uint8

const (
	none class = iota
	digit
	at
	mark
	letter
	wide
)

var anchors = func() (t [256]class) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = digit
		case c >= 0xC2:
			t[c] = wide
		}
	}
	t['@'] = at
	t[':'], t['='] = mark, mark
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = letter
	}
	return t
}()

// wide looks at a character outside ASCII.
func (s *Scanner) wide(i int) int {
	text := s.Text
	r, w := decode(text, i)
	if r == utf8.RuneError && w == 1 {
		return i + 1
	}
	if w == 2 && unicode.IsUpper(r) {
		return s.capital(i, w)
	}
	if _, script := fold.Rune(r); script != fold.None {
		if script == fold.Numeral && !digitAfter(text, i+w) {
			return i + w
		}
		return max(i+w, s.digit(i))
	}
	return s.han(i, r, w)
}

// decode is utf8.DecodeRuneInString at s[i:], quicker for Han.
func decode(s string, i int) (r rune, size int) {
	if i+2 < len(s) {
		a, b, c := s[i], s[i+1], s[i+2]
		if a > 0xE0 && a < 0xF0 && a != 0xED && b&0xC0 == 0x80 && c&0xC0 == 0x80 {
			return rune(a&0xF)<<12 | rune(b&0x3F)<<6 | rune(c&0x3F), 3
		}
	}
	return utf8.DecodeRuneInString(s[i:])
}

// digitAfter reports whether another digit follows, so that a lone 一 costs nothing.
func digitAfter(text string, i int) bool {
	for range 3 {
		if i >= len(text) {
			return false
		}
		r, w := utf8.DecodeRuneInString(text[i:])
		if _, script := fold.Rune(r); script != fold.None {
			return true
		}
		if fold.Separator(r) == 0 && !fold.Invisible(r) {
			return false
		}
		i += w
	}
	return false
}

// hanAnchors is a set of characters of three bytes, indexed by their first two.
var hanAnchors = func() (t [1024]uint64) {
	add := func(r rune) {
		t[r>>6] |= 1 << (r & 0x3F)
	}
	for r := rune(0x800); r <= 0xFFFF; r++ {
		if _, script := fold.Rune(r); script != fold.None {
			add(r)
		}
	}
	for _, r := range plateRegions + firstOfTitles() + keyEndRunes + "男女" {
		add(r)
	}
	for _, r := range [...]rune{0xFF1A, 0xFF1D, 0xFF20} {
		add(r)
	}
	return t
}()
