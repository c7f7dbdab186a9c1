package masking

import (
	"fmt"
	"strings"

	"github.com/confide-go/confide/masking/internal/detect"
)

// Finding is one piece of personal data in a text: what it is, why it was taken for it, and where it
// stands. It never holds the value.
type Finding struct {
	Kind Kind
	// Rule is "shape" where the way it is written is enough, "checked" where a check digit or a table
	// agrees, "context" where a word nearby says what it is.
	Rule       string
	Start, End int // byte offsets
}

// Report lists what was found, in order and without overlap.
type Report []Finding

// Find searches free text for personal data.
func Find(text string) Report {
	var r Report
	for _, span := range detect.Append(nil, text) {
		r = append(r, Finding{found[span.Kind], span.Rule.String(), span.Start, span.End})
	}
	return r
}

// Counts returns how often each kind was found.
func (r Report) Counts() map[Kind]int {
	counts := make(map[Kind]int)
	for _, f := range r {
		counts[f.Kind]++
	}
	return counts
}

// String is a summary that may be logged: "2 phone, 1 email".
func (r Report) String() string {
	counts := r.Counts()
	var parts []string
	for _, k := range kinds {
		if n := counts[k]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k))
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}
