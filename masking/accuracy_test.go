package masking_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// score counts for one kind. A label is found when one find of its kind covers it whole; a find is right
// when it touches a label of its kind.
type score struct{ found, missed, right, wrong int }

func measure(docs []labelled) map[masking.Kind]*score {
	scores := map[masking.Kind]*score{}
	of := func(k masking.Kind) *score {
		if scores[k] == nil {
			scores[k] = &score{}
		}
		return scores[k]
	}
	for _, d := range docs {
		finds := masking.Find(d.text)
		for _, label := range d.spans {
			if slices.ContainsFunc(finds, func(f masking.Finding) bool {
				return f.Kind == label.Kind && f.Start <= label.Start && f.End >= label.End
			}) {
				of(label.Kind).found++
			} else {
				of(label.Kind).missed++
			}
		}
		for _, f := range finds {
			if slices.ContainsFunc(d.spans, func(label masking.Finding) bool {
				return f.Kind == label.Kind && f.Start < label.End && f.End > label.Start
			}) {
				of(f.Kind).right++
			} else {
				of(f.Kind).wrong++
			}
		}
	}
	return scores
}

// wilson is the 95 % interval of a proportion.
func wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m)) / (1 + z*z/m)
	return math.Max(0, mid-half), math.Min(1, mid+half)
}

func board(name string, scores map[masking.Kind]*score) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-10s %-28s %s\n", name, "recall [95 %]", "precision [95 %]")
	for _, k := range masking.Kinds() {
		s := scores[k]
		if s == nil {
			continue
		}
		rl, rh := wilson(s.found, s.found+s.missed)
		pl, ph := wilson(s.right, s.right+s.wrong)
		fmt.Fprintf(&b, "%-10s %4d/%-4d %.3f [%.3f %.3f]  %4d/%-4d %.3f [%.3f %.3f]\n", k,
			s.found, s.found+s.missed, part(s.found, s.missed), rl, rh,
			s.right, s.right+s.wrong, part(s.right, s.wrong), pl, ph)
	}
	return b.String()
}

func part(yes, no int) float64 {
	if yes+no == 0 {
		return 1
	}
	return float64(yes) / float64(yes+no)
}

var validated = []masking.Kind{
	masking.KindEmail, masking.KindID, masking.KindCard, masking.KindUSCC, masking.KindIP, masking.KindMAC,
	masking.KindIBAN, masking.KindSSN,
}

func TestAccuracy(t *testing.T) {
	for name, docs := range map[string][]labelled{"presidio": presidioCorpus(t), "own": ownCorpus(t)} {
		t.Run(name, func(t *testing.T) {
			scores := measure(docs)
			t.Log(board(name, scores))
			for _, k := range validated {
				if s := scores[k]; s != nil {
					assert.GreaterOrEqual(t, part(s.found, s.missed), 0.99, "recall of %s", k)
					assert.GreaterOrEqual(t, part(s.right, s.wrong), 0.99, "precision of %s", k)
				}
			}
			phone := scores[masking.KindPhone]
			require.NotNil(t, phone)
			assert.GreaterOrEqual(t, part(phone.found, phone.missed), 0.97, "recall of phone")
			assert.GreaterOrEqual(t, part(phone.right, phone.wrong), 0.95, "precision of phone")
			assert.GreaterOrEqual(t, part(scores[masking.KindName].right, scores[masking.KindName].wrong), 0.95, "precision of name")
		})
	}
}

func TestAccuracyCorpusIsLargeEnough(t *testing.T) {
	positives, negatives, kinds := 0, 0, map[masking.Kind]int{}
	for _, d := range ownCorpus(t) {
		if len(d.spans) == 0 {
			negatives++
			continue
		}
		positives++
		for _, s := range d.spans {
			kinds[s.Kind]++
		}
	}
	assert.GreaterOrEqual(t, positives, 400)
	assert.GreaterOrEqual(t, negatives, 400)
	for _, k := range masking.Kinds() {
		if k != masking.KindText {
			assert.GreaterOrEqual(t, kinds[k], 8, "positives of %s", k)
		}
	}
}

// Whatever the corpus marks must not be readable in the masked text.
func TestAccuracyMaskedTextHoldsNoLabel(t *testing.T) {
	for _, d := range ownCorpus(t) {
		masked := masking.Text(d.text)
		for _, s := range d.spans {
			if value := d.text[s.Start:s.End]; s.Kind != masking.KindAddress {
				assert.NotContains(t, masked, value, s.Kind)
			}
		}
		if len(d.spans) == 0 && len(masking.Find(d.text)) == 0 {
			assert.Equal(t, d.text, masked)
		}
	}
}
