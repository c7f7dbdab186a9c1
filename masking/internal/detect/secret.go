package detect

import "strings"

// secretValue reads the value of a key such as password. What is plainly a sentence or an empty value is
// left alone.
func secretValue(w string, at int, key string, marked bool) (Span, bool) {
	start := skipBlank(w, at, marked)
	for _, scheme := range [...]string{"bearer ", "basic ", "token ", "digest "} {
		if hasFold(w[start:], scheme) {
			start += len(scheme)
		}
	}
	quote := byte(0)
	if start > at && start < len(w) && (w[start-1] == '"' || w[start-1] == '\'') {
		quote = w[start-1]
	}
	end := start
	cookie := hasFold(key, "cookie")
	for end < len(w) && (secretByte(w[end]) || quote != 0 && w[end] != quote && w[end] >= ' ' || cookie && w[end] >= ' ' && w[end] < 0x7F && w[end] != '"') {
		if quote != 0 && w[end] == '\\' && end+1 < len(w) {
			end++
		}
		end++
	}
	for quote == 0 && end > start && (w[end-1] == '.' || w[end-1] == '?' || w[end-1] == ':') {
		end--
	}
	if end > start && end-1 > start && quote == 0 && w[end-1] == '\\' {
		end--
	}
	s := w[start:end]
	if !secretLike(s, quote != 0, marked) || quote == 0 && sentence(w, start, end) {
		return Span{}, false
	}
	return Span{start, end, Secret, Context, declared}, true
}

// quoteBefore returns the quotation mark in front of a value, or 0.
func quoteBefore(w string, start int) byte {
	if start > 0 && (w[start-1] == '"' || w[start-1] == '\'') {
		return w[start-1]
	}
	return 0
}

func secretByte(c byte) bool {
	return c > ' ' && c < 0x7F && strings.IndexByte("\"',;&<>()[]{}`", c) < 0
}

// secretLike rejects what stands for no value at all.
func secretLike(s string, quoted, marked bool) bool {
	if len(s) < 3 || strings.Trim(s, "*•xX.-_") == "" || s[0] == '$' && len(s) > 1 && s[1] == '{' || s[0] == '%' && len(s) == 2 {
		return false
	}
	switch strings.ToLower(s) {
	case "null", "nil", "none", "true", "false", "undefined", "required", "string", "empty", "missing", "invalid", "expired", "optional":
		return false
	}
	if strings.HasPrefix(s, "//") {
		return false
	}
	return quoted || marked || strings.ContainsAny(s, "0123456789") && len(s) >= 4
}

// sentence: a lower-case word followed by more words is English, not a password.
func sentence(w string, start, end int) bool {
	for i := start; i < end; i++ {
		if c := w[i]; c < 'a' || c > 'z' {
			return false
		}
	}
	return end+1 < len(w) && w[end] == ' ' && (isLetter(w[end+1]) || isDigit(w[end+1]))
}

// tokens are the openings by which services mark their keys.
var tokens = [...]struct {
	prefix string
	least  int
}{
	{"eyJ", 24}, {"sk_", 16}, {"sk-", 16}, {"pk_", 16}, {"rk_", 16}, {"ghp_", 30}, {"gho_", 30}, {"ghu_", 30}, {"ghs_", 30},
	{"github_pat_", 30}, {"glpat", 20}, {"xoxb", 20}, {"xoxp", 20}, {"xoxa", 20}, {"AKIA", 20}, {"ASIA", 20}, {"AIza", 35}, {"LTAI", 16},
	{"AKID", 20}, {"npm_", 30}, {"ya29", 20}, {"hf_", 30},
}

// token finds keys by their opening, and what follows the word Bearer.
func token(w string, start, end int) (Span, bool) {
	for start > 0 && (w[start-1] == '-' || w[start-1] == '_') && start > 2 && isWord(w[start-2]) { // sk-live-51…
		from := start - 1
		for from > 0 && isWord(w[from-1]) {
			from--
		}
		if n := start - from; n > 8 {
			break
		}
		start = from
	}
	stop := end
	for stop < len(w) && (isWord(w[stop]) || strings.IndexByte("-.+/=", w[stop]) >= 0) {
		stop++
	}
	for stop > end && (w[stop-1] == '.' || w[stop-1] == '-' || w[stop-1] == '/') {
		stop--
	}
	for _, t := range tokens {
		if stop-start < 16 {
			break
		}
		if hasPrefix(w[start:], t.prefix) && stop-start >= t.least {
			return Span{start, stop, Secret, Shape, declared}, true
		}
	}
	if start >= 7 && hasFold(w[start-7:], "bearer ") && stop-start >= 8 {
		return Span{start, stop, Secret, Context, declared}, true
	}
	return Span{}, false
}

// urlPassword finds the password in scheme://user:password@host, from the colon of the scheme.
func urlPassword(w string, at int) (Span, bool) {
	if !hasPrefix(w[at:], "://") {
		return Span{}, false
	}
	start := 0
	for i := at + 3; i < len(w) && i < at+300 && w[i] > ' ' && w[i] != '/' && w[i] != '"'; i++ {
		switch {
		case w[i] == ':' && start == 0:
			start = i + 1
		case w[i] == '@' && start > 0 && i > start:
			return Span{start, i, Secret, Shape, declared}, true
		}
	}
	return Span{}, false
}
