package privacy

import (
	"context"
	"strings"
)

// Part computes the cell of an index with match= and bits=.
func (s *Stack) Part(ctx context.Context, tenant, field, norm, match, region, value string, bits int) (Index, error) {
	keys, err := s.ring.tenantKeys(ctx, nil, tenant, false)
	if err != nil {
		return nil, err
	}
	n, err := findNormaliser(norm)
	if err != nil {
		return nil, err
	}
	m, err := parseMatch(match)
	if err != nil {
		return nil, err
	}
	return keys.blind(tenant, &indexField{of: &sealedField{logical: field}, norm: n, match: m, bits: bits}, region, []byte(value))
}

// Token computes the cell of one search token.
func (s *Stack) Token(ctx context.Context, tenant, field, text string) (Index, error) {
	keys, err := s.ring.tenantKeys(ctx, nil, tenant, false)
	if err != nil {
		return nil, err
	}
	all, err := keys.tokenAll(tenant, &sealedField{logical: field}, text)
	if err != nil {
		return nil, err
	}
	return all[0].(Index), nil
}

// Compound computes a compound index. Fields, normalisers and values have + between them.
func (s *Stack) Compound(ctx context.Context, tenant, field, norm, region, value string, bits int) (Index, error) {
	keys, err := s.ring.tenantKeys(ctx, nil, tenant, false)
	if err != nil {
		return nil, err
	}
	x, values, err := compoundFor(field, norm, value, bits)
	if err != nil {
		return nil, err
	}
	return keys.blindParts(tenant, x, region, values)
}

// CompoundInput returns what the index key is applied to.
func CompoundInput(tenant, field, norm, region, value string, bits int) []byte {
	x, values, err := compoundFor(field, norm, value, bits)
	if err != nil {
		return nil
	}
	return x.inputOf(tenant, x.forms(region, values))
}

func compoundFor(field, norm, value string, bits int) (*indexField, [][]byte, error) {
	x := &indexField{bits: bits}
	var values [][]byte
	norms, texts := strings.Split(norm, "+"), strings.Split(value, "+")
	for i, f := range strings.Split(field, "+") {
		n, err := findNormaliser(norms[i])
		if err != nil {
			return nil, nil, err
		}
		x.parts = append(x.parts, part{&sealedField{logical: f}, n})
		values = append(values, []byte(texts[i]))
	}
	x.of = x.parts[0].of
	return x, values, nil
}

// NameTokens returns the texts behind the tokens of a name.
func NameTokens(v *Vault, name string) []string { return cutName(name).tokens(v.names) }

// Read is the pinyin of a character, and how it is read in a surname if that differs.
func Read(v *Vault, r rune) (string, string) { return v.names.Read(r), v.names.Surname(r) }

// NeedleTokens returns the texts that a search looks for.
func NeedleTokens(needle string) ([]string, bool) { return cutName(needle).needleTokens() }

// NameMatches compares an opened name with a needle.
func NameMatches(v *Vault, needle, name string) bool { return cutName(needle).matches(name, v.names) }
