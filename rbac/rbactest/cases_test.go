package rbactest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/rbactest"
)

type Customer struct {
	ID     string `gorm:"primaryKey"`
	Owner  string
	Hidden bool
	Phone  string `mask:"phone"`
}

func suite() rbactest.Suite {
	return rbactest.Suite{
		Config: rbac.Config{Resources: []rbac.Resource{{Model: &Customer{}}}, Attrs: map[string]any{"reports": []string(nil)}},
		Policy: rbac.Policy{
			Roles: []rbac.Role{{Name: "sales"}, {Name: "manager"}, {Name: "auditor"}},
			Rules: []rbac.Rule{
				{ID: "own", Role: "sales", Resource: "customer", Actions: []string{"read"}, When: "row.owner == caller.id"},
				{ID: "team", Role: "manager", Resource: "customer", Actions: []string{"read"}, When: "row.owner in caller.reports"},
				{ID: "no-hidden", Role: rbac.Everyone, Resource: "customer", Actions: []string{"read"}, When: "row.hidden", Effect: rbac.Deny},
			},
			Fields: []rbac.FieldRule{{Role: "sales", Resource: "customer", Field: "phone", Level: masking.Partial}},
		},
		Rows:  map[string]any{"ann's own": &Customer{ID: "1", Owner: "ann"}, "ann's hidden": &Customer{ID: "2", Owner: "ann", Hidden: true}},
		Attrs: map[string]map[string]any{"mia": {"reports": []string{"ann"}}},
		Cases: `
user | role    | action        | row          | expected | comment
ann  | sales   | read customer | ann's own    | allow    | 自己的客户 / her own customer
bob  | sales   | read customer | ann's own    | deny     | 别人的客户 / not his
ann  | sales   | read customer | ann's hidden | deny     |
# fields
ann  | sales   | see phone     | ann's own    | partial  | 看到一部分 | a part
mia  | manager | read customer | ann's own    | allow    |
bob  |         | see phone     | ann's own    | hidden   |
`,
	}
}

func TestSuite(t *testing.T) {
	s := suite()
	s.Least = 1
	c := rbactest.Run(t, s)
	require.Equal(t, rbactest.Coverage{Cases: 6, Rules: 4, Decisive: 4, Unused: []string{"auditor"}}, c)
	require.EqualValues(t, 1, c.Part())
}

// A case that ends otherwise is named with its line; a rule that no case tests is named too.
func TestSuiteFindsWhatIsWrong(t *testing.T) {
	s := suite()
	s.Policy.Rules = append(s.Policy.Rules,
		rbac.Rule{ID: "all-hidden", Role: "auditor", Resource: "customer", Actions: []string{"read"}, When: "row.hidden"},
		rbac.Rule{ID: "again", Role: "sales", Resource: "customer", Actions: []string{"read"}, When: "row.owner == caller.id && row.id == '77'"})
	s.Cases += "tom | auditor | read customer | ann's hidden | allow | 审计 / the auditor\nann | sales | see phone | ann's own | full |\n"
	c, wrong, err := rbactest.Try(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, []string{
		"line 10: tom read customer ann's hidden: deny, expected allow (审计 / the auditor)",
		"line 11: ann see phone ann's own: partial, expected full ()",
	}, wrong)
	require.Equal(t, []string{"all-hidden", "again"}, c.Never)
	require.Equal(t, []string{"all-hidden"}, c.Shadowed)
	require.Equal(t, 4, c.Decisive)

	f := &failed{TB: t}
	s = suite()
	s.Cases, s.Least = "ann | sales | read customer | ann's own | deny |", 0.5
	rbactest.Run(f, s)
	require.Equal(t, 2, f.errors, "one wrong case, and too little coverage")
}

// failed counts what would have failed a test.
type failed struct {
	testing.TB
	errors int
}

func (f *failed) Error(...any)          { f.errors++ }
func (f *failed) Errorf(string, ...any) { f.errors++ }

func TestSuiteRefusesTables(t *testing.T) {
	for cases, want := range map[string]string{
		"":                            "rbactest: Suite.Cases holds no case: nothing would be tested",
		"ann | sales | read customer": "rbactest: line 1: write user | role | action | row | expected | comment",
		" | | read customer | ann's own | allow |":         "rbactest: line 1: name a user, and an action like \"read customer\" or \"see phone\"",
		"ann | | read | ann's own | allow |":               "rbactest: line 1: name a user, and an action like \"read customer\" or \"see phone\"",
		"\nann | | read customer | nobody's | allow |":     "rbactest: line 2: the row \"nobody's\" is not in Suite.Rows",
		"ann | | read customer | ann's own | allowed |":    "rbactest: line 1: expected is \"allowed\", not one of allow, deny",
		"ann | | see phone | ann's own | allow |":          "rbactest: line 1: expected is \"allow\", not one of hidden, token, partial, full",
		"ann | | read invoice | ann's own | allow |":       "rbactest: line 1: the row \"ann's own\" is a customer, not a invoice",
		"ann | boss | read customer | ann's own | allow |": "rbac: policy refused: an assignment gives the role \"boss\", which is not a role of the policy",
	} {
		s := suite()
		s.Cases = cases
		_, _, err := rbactest.Try(t.Context(), s)
		require.EqualError(t, err, want)
	}
}
