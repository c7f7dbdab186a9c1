package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A token is a piece of SQL text. Comments are none.
type token struct {
	kind       byte // 'w' word, 'q' quoted name, 's' string, 'n' number or parameter, 'p' punctuation
	start, end int
	text       string // a quoted name without its quotes; a word in lower case
}

func (t token) is(words ...string) bool {
	for _, w := range words {
		if t.kind == 'w' && t.text == w || t.kind == 'p' && t.text == w {
			return true
		}
	}
	return false
}

func (t token) name() bool { return t.kind == 'w' || t.kind == 'q' }

// tokenize reads SQL as the engine does. clear is false where it cannot be sure
// of that: then the caller must expect anything anywhere in the text.
func tokenize(s, engine string) (tokens []token, clear bool) {
	if strings.ContainsAny(s, "\\\x00") || strings.Contains(s, "/*!") || strings.Contains(s, "/*M!") {
		return nil, false // escapes, and comments that MySQL executes
	}
	for i := 0; i < len(s); {
		c, start := s[i], i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			i++
			continue
		case isComment(s[i:], engine):
			if i = endComment(s, i); i < 0 {
				return nil, false
			}
			continue
		case c == '\'' || c == '"' || c == '`' || c == '[' && engine == "sqlite":
			if i = endQuote(s, i); i < 0 {
				return nil, false
			}
			tokens = append(tokens, quoted(s[start:i], start, engine))
			continue
		case c == '$' && i+1 < len(s) && (s[i+1] == '$' || wordByte(s[i+1]) && !digit(s[i+1])):
			return nil, false // a dollar quote, or an engine that knows none
		case digit(c) || c == '$' || c == '?' || c == '@' || c == ':' && i+1 < len(s) && wordByte(s[i+1]):
			for i++; i < len(s) && (wordByte(s[i]) || s[i] == '.'); i++ {
			}
			tokens = append(tokens, token{'n', start, i, s[start:i]})
			continue
		case wordByte(c):
			for i++; i < len(s) && wordByte(s[i]); i++ {
			}
			tokens = append(tokens, token{'w', start, i, strings.ToLower(s[start:i])})
			continue
		}
		i++
		tokens = append(tokens, token{'p', start, i, s[start:i]})
	}
	return tokens, true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func wordByte(c byte) bool {
	return c == '_' || digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf
}

func isComment(s, engine string) bool {
	switch {
	case strings.HasPrefix(s, "/*"):
		return true
	case strings.HasPrefix(s, "--"): // MySQL wants a blank behind it
		return engine != "mysql" || len(s) == 2 || s[2] <= ' '
	}
	return s[0] == '#' && engine == "mysql"
}

// endComment returns the place behind a comment. One inside another is a matter
// the engines disagree on, and an open one hides the rest: -1.
func endComment(s string, i int) int {
	if s[i] != '/' {
		if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
			return i + n + 1
		}
		return len(s)
	}
	n := strings.Index(s[i+2:], "*/")
	if n < 0 || strings.Contains(s[i+2:i+2+n], "/*") {
		return -1
	}
	return i + 2 + n + 2
}

// endQuote returns the place behind the quoted text at i, or -1 if it is open.
func endQuote(s string, i int) int {
	q := s[i]
	if q == '[' {
		q = ']'
	}
	for j := i + 1; j < len(s); j++ {
		if s[j] != q {
			continue
		}
		if j+1 < len(s) && s[j+1] == q && q != ']' {
			j++
			continue
		}
		return j + 1
	}
	return -1
}

func quoted(text string, start int, engine string) token {
	t := token{'q', start, start + len(text), text[1 : len(text)-1]}
	if text[0] == '\'' || text[0] == '"' && engine == "mysql" {
		t.kind = 's'
	}
	if q := text[:1]; q != "[" {
		t.text = strings.ReplaceAll(t.text, q+q, q)
	}
	return t
}

// words returns every word of a text that cannot be read with certainty.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r < utf8.RuneSelf && !wordByte(byte(r)) })
}

// fingerprint names the shape of a statement: two that differ in values, case
// or blanks only have one fingerprint. No value goes into it, so none can be guessed.
func fingerprint(s, engine string) string {
	tokens, clear := tokenize(s, engine)
	h := sha256.New()
	for _, t := range tokens {
		switch t.kind {
		case 's', 'n':
			h.Write([]byte("? "))
		default:
			h.Write([]byte(t.text + " "))
		}
	}
	if !clear {
		h.Write([]byte("unreadable")) // its literals cannot be told from its text
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// renumber moves PostgreSQL's parameters down by n, so that the end of a statement
// can stand alone.
func renumber(s string, n int, engine string) (string, bool) {
	if engine != "postgres" || n == 0 {
		return s, true
	}
	tokens, clear := tokenize(s, engine)
	if !clear {
		return "", false
	}
	var b strings.Builder
	copied := 0
	for _, t := range tokens {
		if t.kind != 'n' || s[t.start] != '$' {
			continue
		}
		k := 0
		for _, c := range []byte(t.text[1:]) {
			k = 10*k + int(c-'0')
		}
		if k <= n {
			return "", false
		}
		b.WriteString(s[copied:t.start])
		b.WriteString("$" + strconv.Itoa(k-n))
		copied = t.end
	}
	b.WriteString(s[copied:])
	return b.String(), true
}
