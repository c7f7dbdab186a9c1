package privacy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A lookup is how one value of a condition is found.
type lookup struct {
	index  *indexField // nil: by tokens
	cells  []any       // one of these
	tokens [][]any     // for each token of a needle: one of these
	// keep decides on an opened candidate. Nil: what the index finds is the answer.
	keep func(value string) bool
}

// plan says how a value is looked up in a field, or which tag is missing.
func (s *scope) plan(f *sealedField, v any) (lookup, error) {
	if j, ok := v.(*joint); ok {
		return s.planJoint(f, j)
	}
	c, ok := cellOf(v)
	switch {
	case !ok:
		return lookup{}, refuse(f.logical, "is compared with a plain value, which would go to the database and its logs as it is", "compare it with privacy.New(…)")
	case c == nil || c.state == stateNull:
		return lookup{}, refuse(f.logical, "NULL is never equal to anything", "use IS NULL")
	case c.state != stateQuery:
		return s.planWhole(f, c)
	}
	needle := c.ask.needle()
	switch c.ask.kind {
	case askEnd:
		return s.planPart(f, c.ask.kind, matchLast, needle)
	case askStart:
		return s.planPart(f, c.ask.kind, matchPrefix, needle)
	case askDomain:
		return s.planPart(f, c.ask.kind, matchDomain, needle)
	}
	return s.planName(f, needle)
}

// planWhole looks a whole value up, in an index of all bits if there is one.
func (s *scope) planWhole(f *sealedField, c *cell) (lookup, error) {
	var x *indexField
	for _, one := range f.indexes {
		if one.match.kind == matchWhole && (x == nil || x.bits != 0 && (one.bits == 0 || one.bits > x.bits)) {
			x = one
		}
	}
	if x == nil && f.form == formTime {
		return lookup{}, refuse(f.logical, "is an instant, and instants have no blind index", "keep its day in a privacy.Date and search for that")
	}
	if x == nil {
		return lookup{}, f.alone()
	}
	cells, err := s.tenant.of(x, c)
	if err != nil || x.bits == 0 {
		return lookup{index: x, cells: cells}, err
	}
	value, err := c.open()
	if err != nil {
		return lookup{}, err
	}
	region := s.v.cfg.Region
	forms := x.norm.candidates(string(value), region)
	return lookup{index: x, cells: cells, keep: func(v string) bool { return slices.Contains(forms, x.norm.apply(v, region)) }}, nil
}

// planPart looks the end, the beginning or the domain of values up.
func (s *scope) planPart(f *sealedField, kind inquiryKind, match matchKind, text string) (lookup, error) {
	var x *indexField
	needle, shortest := "", 0
	for _, one := range f.indexes {
		if one.match.kind != match {
			continue
		}
		n := one.needle(text, s.v.cfg.Region)
		if n == "" {
			return lookup{}, refuse(f.logical, kind.String()+" has nothing to look for", "give it letters or digits")
		}
		if shortest == 0 || one.match.n < shortest {
			shortest = one.match.n
		}
		if utf8.RuneCountInString(n) >= one.match.n && (x == nil || better(one, x)) {
			x, needle = one, n
		}
	}
	switch {
	case x == nil && shortest > 0:
		return lookup{}, refuse(f.logical, fmt.Sprintf("%s looks for less than the %d characters that are indexed", kind, shortest), "search for more of the value")
	case x == nil:
		return lookup{}, refuse(f.logical, "has no index that "+kind.String()+" could use", "declare one beside it: "+suggestion(f, match))
	}
	part, _ := x.match.part(needle)
	if match == matchDomain {
		part = needle
	}
	cells, err := s.tenant.ofForm(x, partForm(part, true))
	l := lookup{index: x, cells: cells}
	if x.bits != 0 || part != needle {
		region := s.v.cfg.Region
		l.keep = func(v string) bool { return x.has(x.searchable(v, region), needle) }
	}
	return l, err
}

// better prefers the longer part, and of two alike the one of more bits.
func better(x, y *indexField) bool {
	if x.match.n != y.match.n {
		return x.match.n > y.match.n
	}
	return x.bits == 0 || y.bits != 0 && x.bits > y.bits
}

func suggestion(f *sealedField, match matchKind) string {
	normName := "text"
	if len(f.indexes) > 0 {
		normName = f.indexes[0].norm.base()
	}
	switch match {
	case matchLast:
		return indexTag(f, normName, "last4")
	case matchPrefix:
		return indexTag(f, normName, "prefix3")
	}
	return indexTag(f, "email", "domain")
}

// has compares the searchable text of a value with a needle.
func (x *indexField) has(text, needle string) bool {
	switch x.match.kind {
	case matchLast:
		return strings.HasSuffix(text, needle)
	case matchPrefix:
		return strings.HasPrefix(text, needle)
	}
	part, ok := x.match.part(text)
	return ok && part == needle
}

// needle brings what is looked for into the form of the indexed text.
func (x *indexField) needle(text, regionName string) string {
	switch {
	case x.match.kind == matchDomain:
		text = foldText(text)
		return strings.TrimSuffix(text[strings.LastIndexByte(text, '@')+1:], ".")
	case x.norm.base() == "digits":
		return onlyDigits(norm.NFKC.String(text))
	case x.norm.base() == "idcard":
		return strings.TrimSpace(strings.ToUpper(norm.NFKC.String(text)))
	case x.norm.base() != "phone":
		return x.norm.apply(text, regionName)
	case x.match.kind == matchLast:
		return onlyDigits(norm.NFKC.String(text))
	}
	digits, _, plus := phoneParts(norm.NFKC.String(text))
	if plus || digits == "" {
		return digits
	}
	if rest, ok := strings.CutPrefix(digits, "00"); ok {
		return rest
	}
	if r, ok := phoneRegion(regionName); ok {
		if rest, cut := strings.CutPrefix(digits, r.trunk); cut && r.trunk != "" {
			digits = rest
		}
		return r.code + digits
	}
	return digits
}

// planName looks the words of a name up among the tokens.
func (s *scope) planName(f *sealedField, text string) (lookup, error) {
	if !f.search {
		return lookup{}, refuse(f.logical, "has no search tokens that Match could use", `add search=name to its tag: privacy:"search=name"`)
	}
	needle := cutName(text)
	tokens, more := needle.needleTokens()
	switch {
	case len(tokens) == 0:
		return lookup{}, refuse(f.logical, "Match has nothing to look for", "give it letters")
	case needle.tooShort():
		return lookup{}, refuse(f.logical, "Match looks for a single letter, which is in too many names", "search for a word, or for two initials")
	case len(tokens) > 16:
		return lookup{}, refuse(f.logical, "Match looks for more than 16 pieces of a name at once", "search for less")
	}
	l := lookup{}
	if err := s.tenant.load(); err != nil {
		return l, err
	}
	for _, t := range tokens {
		var cells []any
		if s.tenant.keys != nil {
			var err error
			if cells, err = s.tenant.keys.tokenAll(s.tenant.tenant, f, t); err != nil {
				return l, err
			}
		}
		l.tokens = append(l.tokens, cells)
	}
	if more {
		l.keep = func(v string) bool { return needle.matches(v, s.v.names) }
	}
	return l, nil
}

// ofForm returns the cells that rows with this form may have.
func (t *tenantIndex) ofForm(x *indexField, form string) ([]any, error) {
	if err := t.load(); err != nil {
		return nil, err
	}
	if t.keys == nil {
		return t.none()
	}
	all, err := t.keys.blindAll(t.tenant, x, []string{form})
	out := make([]any, len(all))
	for i, idx := range all {
		out[i] = idx
	}
	return out, err
}
