package rbac

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// span is a part of an SQL text.
type span struct{ from, to int }

// words yields every run of letters, digits, underscores and non-ASCII characters, whether it stands in
// code, in quotes, in a string or in a comment: a guarded name is found in all of them.
func words(query string) iter.Seq[span] {
	return func(yield func(span) bool) {
		from := -1
		for i := 0; i <= len(query); i++ {
			if i < len(query) && inWord(query[i]) {
				if from < 0 {
					from = i
				}
				continue
			}
			if from >= 0 && !yield(span{from, i}) {
				return
			}
			from = -1
		}
	}
}

func inWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf
}

// mentioned returns the names of the resources whose tables the text names.
func (a *Authorizer) mentioned(query string) []string {
	var names []string
	for w := range words(query) {
		for table, res := range a.tables {
			if strings.EqualFold(query[w.from:w.to], table) {
				names = append(names, res.name)
			}
		}
	}
	return names
}

// dynamic reports whether the word at w runs a string as SQL, so that a table's name need not stand in the
// text: functions anywhere, commands where a statement begins.
func dynamic(query string, w span) bool {
	switch strings.ToLower(query[w.from:w.to]) {
	case "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "table_to_xml", "table_to_xmlschema",
		"table_to_xml_and_xmlschema", "schema_to_xml", "database_to_xml", "cursor_to_xml", "dblink", "dblink_exec", "load_extension":
		return true
	case "execute", "prepare", "do", "call":
		before := strings.TrimRight(query[:w.from], " \t\r\n")
		return before == "" || strings.HasSuffix(before, ";") || strings.HasSuffix(before, "*/")
	}
	return false
}

// qualifies reports whether the word that ends at i is followed by a dot, past a closing quote: it names
// the table of a column.
func qualifies(query string, i int) bool {
	for i < len(query) && (strings.IndexByte("\"`]", query[i]) >= 0 || space(query[i])) {
		i++
	}
	return i < len(query) && query[i] == '.'
}

// qualifier returns the word that qualifies the one starting at i, or "".
func qualifier(query string, i int) string {
	i--
	for i >= 0 && (strings.IndexByte("\"`[", query[i]) >= 0 || space(query[i])) {
		i--
	}
	if i < 0 || query[i] != '.' {
		return ""
	}
	i--
	for i >= 0 && (strings.IndexByte("\"`]", query[i]) >= 0 || space(query[i])) {
		i--
	}
	end := i + 1
	for i >= 0 && inWord(query[i]) {
		i--
	}
	return query[i+1 : end]
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// token is a word of the code or a significant character; quoted words and strings are one token each.
type token struct {
	span
	depth int
	quote byte // the kind of quotes around it, or 0
}

// tokenize reads SQL text as each of the databases would, and refuses what they read differently: comments,
// several statements, backslashes in strings, dollar quotes, unbalanced parentheses. GORM writes none of
// these; bound variables may hold anything.
func tokenize(query, dialect string) ([]token, error) {
	tokens := make([]token, 0, len(query)/4+8)
	depth := 0
	for i := 0; i < len(query); {
		c := query[i]
		if why := ambiguous(query[i:], dialect); why != "" {
			return nil, refused("%s in the text of a condition or column: pass values as variables (?), not as text", why)
		}
		t := token{span: span{i, i + 1}, depth: depth}
		switch {
		case space(c):
			i++
			continue
		case c == '(':
			depth++
		case c == ')':
			depth--
			if t.depth = depth; depth < 0 {
				return nil, refused("a closing parenthesis too many in the text of a condition or column")
			}
		case c == '\'' || c == '"' || c == '`':
			t.to, t.quote = endQuote(query, i), c
			if t.to < 0 {
				return nil, refused("an open quote, or a backslash in quotes, in the text of a condition or column: pass values as variables (?)")
			}
		case inWord(c):
			for t.to < len(query) && inWord(query[t.to]) {
				t.to++
			}
		}
		tokens = append(tokens, t)
		i = t.to
	}
	if depth != 0 {
		return nil, refused("an open parenthesis too many in the text of a condition or column")
	}
	return tokens, nil
}

func ambiguous(rest, dialect string) string {
	two := rest[:min(2, len(rest))]
	switch {
	case two == "--" || two == "/*" || rest[0] == '#' && dialect == mysql:
		return "a comment"
	case rest[0] == ';':
		return "a semicolon"
	case rest[0] == 0:
		return "a NUL byte"
	case rest[0] == '[' && dialect == sqlite:
		return "a bracket, which quotes on SQLite,"
	case rest[0] == '$' && (len(rest) < 2 || rest[1] < '0' || rest[1] > '9'):
		return "a dollar quote"
	case len(rest) > 2 && rest[0]|0x20 == 'u' && rest[1] == '&' && (rest[2] == '"' || rest[2] == '\''):
		return "an escaped identifier"
	}
	return ""
}

// endQuote returns the place behind the quoted text that starts at i, or -1.
func endQuote(query string, i int) int {
	q := query[i]
	for j := i + 1; j < len(query); j++ {
		switch {
		case query[j] == '\\':
			return -1
		case query[j] == q && j+1 < len(query) && query[j+1] == q:
			j++
		case query[j] == q:
			return j + 1
		}
	}
	return -1
}
