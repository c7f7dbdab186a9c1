package masking

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/detect"
)

// JSON appends src to dst with every value masked for the caller in ctx: whole values under keys such as
// phone or 手机号, and whatever personal data stands in other strings, numbers and keys. Order and white
// space stay. Invalid JSON gives ErrSyntax with its offset, and dst as it was.
//
// A masked number becomes a string.
func (p Policy) JSON(ctx context.Context, dst, src []byte) ([]byte, error) {
	m := jsonMasker{src: string(src), dst: dst, p: p, level: p.level(ctx), valid: utf8.Valid(src)}
	m.blank()
	if m.value(member{}, 0) {
		m.blank()
		if m.i == len(m.src) {
			return m.flush(), nil
		}
	}
	return dst, fmt.Errorf("masking: %w at byte %d", ErrSyntax, m.i)
}

// jsonMasker walks over src once. Everything before i is valid; src[out:i] has not been copied yet.
type jsonMasker struct {
	src   string
	i     int
	out   int
	dst   []byte
	p     Policy
	level Level
	valid bool     // src is UTF-8 throughout
	names [64]name // keys met, by nameSlot
}

// nameSlot spreads keys over the table of names.
func nameSlot(key string) int {
	if key == "" {
		return 0
	}
	return (len(key)*7 + int(key[0])*3 + int(key[len(key)/2])*11 + int(key[len(key)-1])) & 63
}

// name is what there is to know about a key.
type name struct {
	key   string
	kind  Kind
	clean bool
}

// name looks a key up once, because the keys of a document repeat. A key that has to make room for another
// finds some in the neighbouring slot.
func (m *jsonMasker) name(key string) *name {
	slot := nameSlot(key)
	known := &m.names[slot]
	if known.key == key && key != "" {
		return known
	}
	if next := &m.names[slot^1]; next.key == key && key != "" {
		return next
	}
	m.names[slot^1] = *known
	*known = name{key, kindOfKey(key), clean(key)}
	return known
}

// member is what is known about the value to come.
type member struct {
	key  string
	kind Kind
}

// jsonDepth is the limit encoding/json has.
const jsonDepth = 10000

func (m *jsonMasker) flush() []byte {
	m.dst = append(m.dst, m.src[m.out:m.i]...)
	m.out = m.i
	return m.dst
}

func (m *jsonMasker) blank() {
	if m.i < len(m.src) && m.src[m.i] <= ' ' {
		m.skipBlank()
	}
}

func (m *jsonMasker) skipBlank() {
	for m.i < len(m.src) {
		switch m.src[m.i] {
		case ' ', '\t', '\n', '\r':
			m.i++
		default:
			return
		}
	}
}

func (m *jsonMasker) eat(c byte) bool {
	if m.i < len(m.src) && m.src[m.i] == c {
		m.i++
		return true
	}
	return false
}

func (m *jsonMasker) value(in member, depth int) bool {
	if m.i >= len(m.src) || depth > jsonDepth {
		return false
	}
	switch c := m.src[m.i]; {
	case c == '{':
		return m.object(in, depth)
	case c == '[':
		return m.array(in, depth)
	case c == '"':
		return m.text(in)
	case c == '-' || c >= '0' && c <= '9':
		return m.number(in)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(m.src[m.i:], word) {
			start := m.i
			m.i += len(word)
			if in.kind == KindSecret && word != "null" {
				m.replace(start, in, word)
			}
			return true
		}
	}
	return false
}

func (m *jsonMasker) object(in member, depth int) bool {
	m.i++
	m.blank()
	if m.eat('}') {
		return true
	}
	for {
		m.blank()
		start := m.i
		key, ok := m.quoted()
		if !ok {
			return false
		}
		in := m.under(in, key, m.key(start, key))
		m.blank()
		if !m.eat(':') {
			return false
		}
		m.blank()
		if !m.value(in, depth+1) {
			return false
		}
		m.blank()
		if m.eat('}') {
			return true
		}
		if !m.eat(',') {
			return false
		}
	}
}

// under decides the kind of a member's value. Inside a secret everything is one.
func (m *jsonMasker) under(outer member, key string, named Kind) member {
	in := member{key: key, kind: named}
	if in.kind == "" || outer.kind == KindSecret {
		in.kind = outer.kind
	}
	return in
}

func (m *jsonMasker) array(in member, depth int) bool {
	m.i++
	m.blank()
	if m.eat(']') {
		return true
	}
	for {
		m.blank()
		if !m.value(in, depth+1) {
			return false
		}
		m.blank()
		if m.eat(']') {
			return true
		}
		if !m.eat(',') {
			return false
		}
	}
}

// quoted reads a string and returns what it means.
func (m *jsonMasker) quoted() (s string, ok bool) {
	if !m.eat('"') {
		return "", false
	}
	start, raw := m.i, true
	for m.i < len(m.src) {
		for m.i+8 <= len(m.src) {
			special := specials(m.src[m.i : m.i+8])
			if special != 0 {
				m.i += bits.TrailingZeros64(special) / 8
				break
			}
			m.i += 8
		}
		if m.i == len(m.src) {
			break
		}
		switch c := m.src[m.i]; {
		case c == '"':
			s = m.src[start:m.i]
			m.i++
			if raw {
				return s, true
			}
			return unescape(m.src[start-1 : m.i])
		case c == '\\':
			raw = false
			m.i += 2
		case c < ' ':
			return "", false
		default:
			m.i++
		}
	}
	m.i = min(m.i, len(m.src))
	return "", false
}

// unescape stands alone because what it decodes into lives on the heap.
func unescape(quoted string) (s string, ok bool) {
	err := json.Unmarshal([]byte(quoted), &s)
	return s, err == nil
}

// specials marks, among eight bytes, those that end, escape or break a string. The lowest mark is exact.
func specials(s string) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	quote, slash := x^(ones*'"'), x^(ones*'\\')
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & tops
}

// key masks a key where it needs it, and returns the kind it names.
func (m *jsonMasker) key(start int, key string) Kind {
	known := m.name(key)
	if known.clean {
		return known.kind
	}
	if m.level != Full && !detect.Clean(key) {
		m.put(start, string(appendText(nil, key, m.p, m.level)))
	} else if !utf8.ValidString(m.src[start:m.i]) {
		m.put(start, key)
	}
	return known.kind
}

func (m *jsonMasker) text(in member) bool {
	start := m.i
	s, ok := m.quoted()
	if !ok {
		return false
	}
	switch {
	case m.level == Full:
	case in.kind != "":
		var buf [64]byte
		m.put(start, string(m.p.append(buf[:0], in.kind, m.level, s)))
		return true
	case !detect.Clean(s):
		var buf [128]byte
		m.put(start, string(appendKeyed(buf[:0], in.key, s, m.p, m.level)))
		return true
	}
	if !m.valid && !utf8.ValidString(m.src[start:m.i]) {
		m.put(start, s)
	}
	return true
}

func (m *jsonMasker) number(in member) bool {
	start := m.i
	if !m.numeral() {
		return false
	}
	if m.level == Full {
		return true
	}
	const shortest = 9
	if in.kind != "" || m.i-start >= shortest {
		m.replace(start, in, m.src[start:m.i])
	}
	return true
}

// replace masks a literal that is no string, where it needs it.
func (m *jsonMasker) replace(start int, in member, literal string) {
	if in.kind != "" {
		m.put(start, string(m.p.append(nil, in.kind, m.level, literal)))
	} else if !clean(literal) {
		if masked := string(appendKeyed(nil, in.key, literal, m.p, m.level)); masked != literal {
			m.put(start, masked)
		}
	}
}

// numeral steps over a number as JSON defines it.
func (m *jsonMasker) numeral() bool {
	m.eat('-')
	if !m.eat('0') && !m.digits() {
		return false
	}
	if m.eat('.') && !m.digits() {
		return false
	}
	if m.eat('e') || m.eat('E') {
		if !m.eat('+') {
			m.eat('-')
		}
		return m.digits()
	}
	return true
}

func (m *jsonMasker) digits() bool {
	start := m.i
	for m.i < len(m.src) && m.src[m.i]-'0' < 10 {
		m.i++
	}
	return m.i > start
}

// put writes s as a string in place of src[start:i].
func (m *jsonMasker) put(start int, s string) {
	m.dst = append(m.dst, m.src[m.out:start]...)
	m.out = m.i
	m.dst = append(m.dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, w := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || w > 1 {
				i += w
				continue
			}
		}
		m.dst = append(m.dst, s[from:i]...)
		switch {
		case c >= utf8.RuneSelf:
			m.dst = append(m.dst, "\uFFFD"...)
		case c == '"' || c == '\\':
			m.dst = append(m.dst, '\\', c)
		default:
			m.dst = fmt.Appendf(m.dst, "\\u%04x", c)
		}
		i++
		from = i
	}
	m.dst = append(append(m.dst, s[from:]...), '"')
}
