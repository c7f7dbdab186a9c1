package rbactest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/confide-go/confide/rbac"
)

// A Suite tests a policy by a table of cases.
//
//	user | role    | action         | row       | expected | comment
//	ann  | sales   | read customer  | ann's own | allow    | 自己的客户 / her own customer
//	bob  | sales   | read customer  | ann's own | deny     |
//	ann  | sales   | see phone      | ann's own | partial  | 看到一部分
//
// The role is given to the user for the case, beside the policy's own assignments; it may be empty, and so
// may lines be; "#" begins a comment. A user is "tenant/id" or "id".
type Suite struct {
	// Config holds the resources, attributes and the clock. Caller, Policies and Record are the suite's own.
	Config rbac.Config
	Policy rbac.Policy
	Rows   map[string]any            // the rows by the names in the table: registered models
	Attrs  map[string]map[string]any // the attributes of users, by name
	Cases  string
	// Least is the part of all rules and field rules, 0 to 1, that the cases must decide by.
	Least float64
}

// Coverage says what the cases did not test.
type Coverage struct {
	Cases    int
	Rules    int      // rules and field rules of the policy
	Decisive int      // without which at least one case ends differently
	Never    []string // those without which every case ends the same
	Shadowed []string // those of Never that would decide if there were no deny rules
	Unused   []string // roles that nobody has in any case
}

// Part is the covered part of the rules, 0 to 1.
func (c Coverage) Part() float64 {
	if c.Rules == 0 {
		return 1
	}
	return float64(c.Decisive) / float64(c.Rules)
}

// Run fails t for each case that ends otherwise than expected, and if the coverage is below s.Least.
func Run(t testing.TB, s Suite) Coverage {
	t.Helper()
	c, wrong, err := Try(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	t.Logf("policy coverage: %d cases, %d of %d rules decisive\nnever decisive: %s\nof them shadowed by a deny: %s\nroles never used: %s",
		c.Cases, c.Decisive, c.Rules, strings.Join(c.Never, ", "), strings.Join(c.Shadowed, ", "), strings.Join(c.Unused, ", "))
	if c.Part() < s.Least {
		t.Errorf("policy coverage %.2f is below %.2f: add cases that fail without %s", c.Part(), s.Least, strings.Join(c.Never, ", "))
	}
	return c
}

// Try is Run without a testing.TB: it returns the coverage and a line for each case that ended otherwise.
func Try(ctx context.Context, s Suite) (Coverage, []string, error) {
	cases, err := s.parse()
	if err != nil {
		return Coverage{}, nil, err
	}
	r := &runner{suite: s, cases: cases}
	answers, err := r.run(ctx, s.Policy)
	if err != nil {
		return Coverage{}, nil, err
	}
	var wrong []string
	for i, c := range cases {
		if answers[i] != c.expected {
			wrong = append(wrong, fmt.Sprintf("line %d: %s %s %s: %s, expected %s (%s)", c.line, c.user, c.action, c.row, answers[i], c.expected, c.comment))
		}
	}
	cover, err := r.cover(ctx, answers)
	return cover, wrong, err
}

type testCase struct {
	line                                       int
	user, role, action, row, expected, comment string
	what, object                               string // "read", "customer"; "see", "phone"
}

func (s Suite) parse() ([]testCase, error) {
	var cases []testCase
	for i, line := range strings.Split(s.Cases, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "user ") && len(cases) == 0 && strings.Contains(line, "expected") {
			continue
		}
		parts := strings.SplitN(line, "|", 6)
		if len(parts) < 5 {
			return nil, fmt.Errorf("rbactest: line %d: write user | role | action | row | expected | comment", i+1)
		}
		for j := range parts {
			parts[j] = strings.TrimSpace(parts[j])
		}
		c := testCase{line: i + 1, user: parts[0], role: parts[1], action: parts[2], row: parts[3], expected: parts[4]}
		if len(parts) == 6 {
			c.comment = parts[5]
		}
		c.what, c.object, _ = strings.Cut(c.action, " ")
		want := []string{"allow", "deny"}
		if c.what == "see" {
			want = []string{"hidden", "token", "partial", "full"}
		}
		switch {
		case c.user == "" || c.object == "":
			return nil, fmt.Errorf("rbactest: line %d: name a user, and an action like \"read customer\" or \"see phone\"", i+1)
		case s.Rows[c.row] == nil:
			return nil, fmt.Errorf("rbactest: line %d: the row %q is not in Suite.Rows", i+1, c.row)
		case !slices.Contains(want, c.expected):
			return nil, fmt.Errorf("rbactest: line %d: expected is %q, not one of %s", i+1, c.expected, strings.Join(want, ", "))
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("rbactest: Suite.Cases holds no case: nothing would be tested")
	}
	return cases, nil
}
