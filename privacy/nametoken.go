package privacy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/confide-go/confide/privacy/internal/pinyin"
)

// nameSearch is the tokenizer of search=name. Its name and version are part of what is stored.
const nameSearch = "name/1"

// maxNameRunes bounds the tokens of one value.
const maxNameRunes = 200

// A nameText is a text cut into what search looks at: runs of characters of scripts that write no spaces, and
// words of all others.
type nameText struct {
	runs  []string
	words []string
}

// cutName folds a name and cuts it. Spaces and middle dots between characters of the first kind do not count:
// 王 小明 is 王小明.
func cutName(s string) nameText {
	var t nameText
	var run, word []rune
	endRun := func() {
		if len(run) > 0 {
			t.runs, run = append(t.runs, string(run)), nil
		}
	}
	endWord := func() {
		if len(word) > 0 {
			t.words, word = append(t.words, string(word)), nil
		}
	}
	for _, r := range foldName(s) {
		switch {
		case isCharacter(r):
			endWord()
			run = append(run, r)
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			endRun()
			word = append(word, r)
		case isJoint(r):
			endWord()
		case isApostrophe(r): // O’Neill is oneill
		default:
			endRun()
			endWord()
		}
	}
	endRun()
	endWord()
	return t
}

// foldName is text/1 without marks: ç is c, ö is o, and both Turkish letters i are i. Marks that are part of
// a character of Japanese or Korean stay.
func foldName(s string) string {
	s = norm.NFD.String(foldText(s))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == 0x3099 || r == 0x309A:
			return r
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
			return -1
		case r == 'ı':
			return 'i'
		case r == 'ł':
			return 'l'
		case r == 'ø':
			return 'o'
		case r == 'đ':
			return 'd'
		}
		return r
	}, s)
	return norm.NFC.String(s)
}

func isCharacter(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r == '々' || r == 'ー'
}

func isJoint(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune("·•・‧∙・", r)
}

func isApostrophe(r rune) bool { return strings.ContainsRune("'’‘ʼ`´", r) }

// tokens returns what a stored name is found by: single characters, pairs of neighbours, words, and what
// people type for Chinese names.
func (t nameText) tokens(table *pinyin.Table) []string {
	var out []string
	for _, run := range t.runs {
		rs := []rune(run)
		for i, r := range rs {
			out = append(out, string(r))
			if i > 0 {
				out = append(out, string(rs[i-1:i+1]))
			}
		}
		out = append(out, latin(table, rs)...)
	}
	out = append(out, t.words...)
	slices.Sort(out)
	return slices.Compact(out)
}

// latin returns initials and syllables of every part of a name in characters: of 王小明 wxm, xm, wang,
// xiaoming and so on. Names are short; a long run has its syllables only.
func latin(table *pinyin.Table, run []rune) []string {
	read := make([]string, len(run))
	for i, r := range run {
		read[i] = table.Read(r)
	}
	out := parts(read)
	if s := table.Surname(run[0]); s != "" {
		read[0] = s
		out = append(out, parts(read)...)
	}
	return out
}

func parts(read []string) []string {
	var out []string
	for i := range read {
		initials, full := "", ""
		for j := i; j < len(read) && read[j] != ""; j++ {
			initials += read[j][:1]
			full += read[j]
			if j == i || len(read) <= 6 {
				out = append(out, full)
			}
			if j > i && len(read) <= 6 {
				out = append(out, initials)
			}
		}
	}
	return out
}

// needleTokens returns the tokens that a name must all have, and whether a name that has them may still not
// match.
func (t nameText) needleTokens() (tokens []string, more bool) {
	for _, run := range t.runs {
		rs := []rune(run)
		if len(rs) == 1 {
			tokens = append(tokens, run)
		}
		for i := 1; i < len(rs); i++ {
			tokens = append(tokens, string(rs[i-1:i+1]))
		}
		more = more || len(rs) > 2
	}
	tokens = append(tokens, t.words...)
	slices.Sort(tokens)
	return slices.Compact(tokens), more
}

// matches compares an opened name with a needle: runs as they stand, words as tokens.
func (t nameText) matches(value string, table *pinyin.Table) bool {
	name := cutName(value)
	for _, run := range t.runs {
		if !slices.ContainsFunc(name.runs, func(s string) bool { return strings.Contains(s, run) }) {
			return false
		}
	}
	if len(t.words) == 0 {
		return true
	}
	have := name.tokens(table)
	for _, w := range t.words {
		if _, ok := slices.BinarySearch(have, w); !ok {
			return false
		}
	}
	return true
}

// tooShort reports a word that would match too much to be meant: a single Latin letter.
func (t nameText) tooShort() bool {
	return slices.ContainsFunc(t.words, func(w string) bool { return utf8.RuneCountInString(w) < 2 })
}

func tokenInput(tenant, logical, text string) []byte {
	return encode("confide.token", tenant, logical, nameSearch, text)
}

// tokens returns the cells of a value's tokens under the newest index key.
func (k *tenantKeys) tokens(tenant string, f *sealedField, table *pinyin.Table, value string) ([]Index, error) {
	if k.dead.Load() {
		return nil, errForgotten
	}
	if utf8.RuneCountInString(value) > maxNameRunes {
		return nil, refuse(f.logical, "a name of more than 200 characters is not searched", "shorten it, or remove search=name from the field")
	}
	var out []Index
	for _, text := range cutName(value).tokens(table) {
		sum, err := k.index.ComputePrimaryPRF(tokenInput(tenant, f.logical, text), indexSize-1)
		if err != nil {
			return nil, refuse(f.logical, "its search tokens cannot be computed", "look at the index key")
		}
		out = append(out, append(Index{indexVersion}, sum...))
	}
	return out, nil
}

// tokenAll returns the cells that one token may have under any index key.
func (k *tenantKeys) tokenAll(tenant string, f *sealedField, text string) ([]any, error) {
	if k.dead.Load() {
		return nil, errForgotten
	}
	var out []any
	for _, p := range k.index.PRFs {
		sum, err := p.ComputePRF(tokenInput(tenant, f.logical, text), indexSize-1)
		if err != nil {
			return nil, refuse(f.logical, "its search tokens cannot be computed", "look at the index key")
		}
		out = append(out, append(Index{indexVersion}, sum...))
	}
	return out, nil
}
