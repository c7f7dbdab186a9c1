package privacy

import "strings"

// The reader below splits SQL fragments into words so that the plugin can see which columns a fragment
// names. It is not a parser and need not be one: what it does not recognise around a sealed column is
// refused.

type tokenKind uint8

const (
	tokenName   tokenKind = iota // word, or quoted identifier
	tokenParam                   // ?
	tokenString                  // 'text', also $tag$text$tag$
	tokenOther                   // number, operator, punctuation, @name, $1
)

type token struct {
	kind   tokenKind
	text   string // a name without its quotes
	quoted bool
	start  int
	end    int
}

// is compares an unquoted word or an operator.
func (t token) is(words ...string) bool {
	for _, w := range words {
		if !t.quoted && t.kind != tokenString && strings.EqualFold(t.text, w) {
			return true
		}
	}
	return false
}

// murky reports whether the dialects disagree on where the strings and comments of s end. Then every word
// counts as a name, also those in what may be a string or a comment.
func murky(s string) bool {
	return strings.ContainsAny(s, "\\#") || strings.Contains(s, "--") || strings.Contains(s, "/*")
}

func tokenize(s string) []token {
	read := nextToken
	if murky(s) {
		read = nextWord
	}
	var out []token
	for i := 0; i < len(s); {
		t, next := read(s, i)
		if t.end > t.start {
			out = append(out, t)
		}
		i = next
	}
	return out
}

func nextToken(s string, i int) (token, int) {
	switch c := s[i]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		return token{}, i + 1
	case c == '\'':
		return stringToken(s, i)
	case c == '"' || c == '`' || c == '[':
		return quotedName(s, i)
	case c == '$':
		return dollar(s, i)
	case c == '?':
		return token{kind: tokenParam, text: "?", start: i, end: i + 1}, i + 1
	case isWord(c):
		return word(s, i)
	case strings.HasPrefix(s[i:], "<>"), strings.HasPrefix(s[i:], "!="), strings.HasPrefix(s[i:], "<="), strings.HasPrefix(s[i:], ">="), strings.HasPrefix(s[i:], "||"):
		return token{kind: tokenOther, text: s[i : i+2], start: i, end: i + 2}, i + 2
	}
	return token{kind: tokenOther, text: s[i : i+1], start: i, end: i + 1}, i + 1
}

// nextWord reads words and single characters only.
func nextWord(s string, i int) (token, int) {
	if isWord(s[i]) {
		return word(s, i)
	}
	kind := tokenOther
	if s[i] == '?' {
		kind = tokenParam
	}
	return token{kind: kind, text: s[i : i+1], start: i, end: i + 1}, i + 1
}

func word(s string, i int) (token, int) {
	j := i
	for j < len(s) && (isWord(s[j]) || s[j] >= '0' && s[j] <= '9' || s[j] == '$') {
		j++
	}
	return token{kind: tokenName, text: s[i:j], start: i, end: j}, j
}

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// through returns the position behind the next mark, or the end.
func through(s string, from int, mark string) int {
	if n := strings.Index(s[from:], mark); n >= 0 {
		return from + n + len(mark)
	}
	return len(s)
}

func stringToken(s string, i int) (token, int) {
	j := i + 1
	for j < len(s) {
		if s[j] == '\'' {
			if j+1 < len(s) && s[j+1] == '\'' {
				j += 2
				continue
			}
			j++
			break
		}
		j++
	}
	return token{kind: tokenString, text: s[i:j], start: i, end: j}, j
}

// quotedName reads "x", `x` and [x]. MySQL takes "x" for a string; to read it as a name refuses too much
// rather than too little.
func quotedName(s string, i int) (token, int) {
	closing := s[i]
	if closing == '[' {
		closing = ']'
	}
	var name strings.Builder
	j := i + 1
	for j < len(s) {
		if s[j] == closing {
			if j+1 < len(s) && s[j+1] == closing && closing != ']' {
				j++
			} else {
				j++
				break
			}
		}
		name.WriteByte(s[j])
		j++
	}
	return token{kind: tokenName, text: name.String(), quoted: true, start: i, end: j}, j
}

// dollar reads $1 and PostgreSQL's $tag$text$tag$.
func dollar(s string, i int) (token, int) {
	j := i + 1
	for j < len(s) && (isWord(s[j]) || s[j] >= '0' && s[j] <= '9') {
		j++
	}
	if j < len(s) && s[j] == '$' && (j == i+1 || isWord(s[i+1])) {
		end := through(s, j+1, s[i:j+1])
		return token{kind: tokenString, text: s[i:end], start: i, end: end}, end
	}
	return token{kind: tokenOther, text: s[i:j], start: i, end: j}, j
}

// A name is a possibly qualified name in a fragment: tokens from to up to, but not including, end.
type sqlName struct {
	qualifier string
	name      string
	from, end int
	call      bool // a function
}

// readName reads the name that starts at token i.
func readName(toks []token, i int) sqlName {
	n := sqlName{name: toks[i].text, from: i, end: i + 1}
	for n.end+1 < len(toks) && toks[n.end].is(".") && (toks[n.end+1].kind == tokenName || toks[n.end+1].is("*")) {
		n.qualifier, n.name = n.name, toks[n.end+1].text
		n.end += 2
	}
	n.call = n.end < len(toks) && toks[n.end].is("(") && n.qualifier == "" && !toks[i].quoted
	return n
}

// simpleName reads a string that is nothing but a name, such as phone, customers.phone or `c`.`phone`.
func simpleName(s string) (qualifier, name string, ok bool) {
	toks := tokenize(s)
	if len(toks) == 0 || toks[0].kind != tokenName {
		return "", "", false
	}
	n := readName(toks, 0)
	return n.qualifier, n.name, n.end == len(toks)
}
