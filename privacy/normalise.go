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
}

func normalisers() []normaliser {
	return []normaliser{
		{"exact/1", func(s, _ string) string { return s }},
		{"text/1", func(s, _ string) string { return foldText(s) }},
		{"email/1", func(s, _ string) string { return foldText(s) }},
		{"phone/1", normalPhone},
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
	return normaliser{}, fmt.Errorf("norm=%s is unknown; write exact, text, email or phone", name)
}

// foldText makes full-width and half-width, composed and decomposed, upper and lower case the same.
func foldText(s string) string {
	s = norm.NFKC.String(s)
	s = cases.Fold().String(s)
	return strings.TrimSpace(norm.NFKC.String(s))
}
