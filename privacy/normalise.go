package privacy

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// A normaliser makes one text of all spellings that should find each other. Its name and version are part
// of what is indexed, so a changed rule is a new version and never silently misses old rows.
type normaliser struct {
	name  string
	apply func(s, region string) string
	// search returns the forms to look for, where that is more than one.
	search func(s, region string) []string
}

// candidates returns the forms under which a value that is searched for may be stored.
func (n normaliser) candidates(s, region string) []string {
	if n.search == nil {
		return []string{n.apply(s, region)}
	}
	return n.search(s, region)
}

func normalisers() []normaliser {
	return []normaliser{
		{"exact/1", func(s, _ string) string { return s }, nil},
		{"text/1", func(s, _ string) string { return foldText(s) }, nil},
		{"email/1", func(s, _ string) string { return foldText(s) }, nil},
		{"phone/1", normalPhone, phoneCandidates},
		{"name/1", func(s, _ string) string { return normalName(s) }, nil},
		{"digits/1", func(s, _ string) string { return normalDigits(s) }, nil},
		{"idcard/1", func(s, _ string) string { return normalIDCard(s) }, nil},
	}
}

// findNormaliser returns the newest version of a normaliser by its name in a tag.
func findNormaliser(name string) (normaliser, error) {
	all := normalisers()
	slices.Reverse(all)
	for _, n := range all {
		if base, _, _ := strings.Cut(n.name, "/"); base == name {
			return n, nil
		}
	}
	return normaliser{}, fmt.Errorf("norm=%s is unknown; write exact, text, email, phone, name, digits or idcard", name)
}

// foldText makes full-width and half-width, composed and decomposed, upper and lower case the same.
func foldText(s string) string {
	s = norm.NFKC.String(s)
	s = cases.Fold().String(s)
	return strings.TrimSpace(norm.NFKC.String(s))
}

// base is the name without the version.
func (n normaliser) base() string {
	name, _, _ := strings.Cut(n.name, "/")
	return name
}
