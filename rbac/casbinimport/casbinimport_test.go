package casbinimport_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/casbinimport"
)

const denying = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
`

// Item is a row of the one resource that casbin's objects become: the row whose id is the object's name.
type Item struct {
	ID string `gorm:"primaryKey;size:100"`
}

func options() casbinimport.Options {
	return casbinimport.Options{
		Object:  func(obj string) (string, string, error) { return "item", "row.id == " + strconv.Quote(obj), nil },
		Actions: map[string]string{"GET": "get", "POST": "post"},
	}
}

// open shows that the policy is one.
func open(t *testing.T, p rbac.Policy) {
	nobody := func(context.Context) (rbac.Caller, error) { return rbac.Caller{}, nil }
	_, err := rbac.Open(t.Context(), rbac.Config{Caller: nobody, Policies: rbac.NewMemory(p), Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Item{}}}})
	require.NoError(t, err)
}

// Each hostile row is refused, with its line and for this reason.
func TestHostileRows(t *testing.T) {
	deep := ""
	for i := range 12 {
		deep += fmt.Sprintf("g, r%d, r%d\n", i, i+1)
	}
	for row, want := range map[string]string{
		"p, alice, data1, read, Deny":                             `the effect "Deny" is neither allow nor deny: casbin lets such a row pass without a word`,
		"p, alice, data1, read, DENY":                             `the effect "DENY" is neither`,
		"p, alice, data1, read, forbid":                           `the effect "forbid" is neither`,
		`p, "alice,x", data1, read, allow`:                        `"alice,x" has a comma`,
		"p, alice, data$$1, read, allow":                          `"data$$1" has $$`,
		"p, alice, data1, read":                                   "3 values where the model has 4",
		"p, alice, data1, read, allow, x":                         "5 values where the model has 4",
		"p, alice, , read, allow":                                 "an empty value",
		"p, alice, data1, read,":                                  "an empty value",
		"p2, alice, data1, read, allow":                           `the model has no "p2"`,
		"g2, data1, group":                                        `the model has no "g2"`,
		"g, alice, admin, domain1":                                "3 values where the model has 2",
		"p, *, data1, read, allow":                                `"*": a star`,
		"p, alice, /data/*, read, allow":                          `"/data/*": a star`,
		"p, alice, data1, *, allow":                               `"*": a star`,
		`p, "{""Role"":""admin""}", d, r, allow`:                  "",
		"p, alice, data1, Burn, allow":                            `the action "Burn" is not a lower-case word`,
		"p, alice, data1, (read)|(write), allow":                  "is not a lower-case word",
		"p, alice, eval(p.sub_rule), read, allow":                 "the row's text calls eval()",
		"p, r.sub.Age > 18, data1, read, allow":                   "",
		"p, alice, r.obj.Wipe(), read, allow":                     "the row's text calls r.obj.Wipe(), which may do anything",
		"p, alice, r.sub.ID == 9007199254740993, read, allow":     "above 2^53",
		`p, alice, r.obj.Day == '2024-01-02', read, allow`:        "takes for a time in the server's zone",
		`p, alice, r.obj.Day == 'a r.b', read, allow`:             "in which casbin rewrites r. and p.",
		"p, alice, " + strings.Repeat("(", 40) + ", read, allow":  "32 deep",
		"p, Bob, data1, read, allow\np, bob, data1, read, allow":  "differ in case or spaces only",
		"p, alice , data1, read, allow":                           "without control characters or spaces at its ends",
		"p, " + strings.Repeat("x", 101) + ", data1, read, allow": "at most 100 bytes",
		"p, ali\x01ce, data1, read, allow":                        "without control characters",
		"p, ali\xffce, data1, read, allow":                        "at most 100 bytes of text",
		`p, "alice, data1, read, allow`:                           "the line is not CSV",
		"g, a, b\ng, b, c\ng, c, a":                               `the role "c" inherits itself by this row`,
		"g, a, a":                                                 `the role "a" inherits itself`,
		deep:                                                      `"r0" stands on more than ten levels of roles`,
		"alice":                                                   `the model has no "alice"`,
	} {
		if want == "" {
			continue
		}
		rows := casbinimport.ReadCSV("# a comment\n\np, zoe, data9, read, allow\n" + row)
		p, report, err := casbinimport.Import(denying, rows, options())
		require.Error(t, err, row)
		require.Empty(t, p, row)
		require.NotEmpty(t, report.Refused, row)
		require.Contains(t, report.String(), want, row)
		require.GreaterOrEqual(t, report.Refused[0].Line, 4, row)
		require.ErrorContains(t, err, "rows are refused, the first in line ")
	}
}

// What looks like JSON or like a condition is not imported as a name without a word.
func TestTextsThatLookLikePrograms(t *testing.T) {
	for row, want := range map[string]string{
		`p, "{""Role"":""admin""}", data1, read, allow`:  "looks like JSON",
		`p, "[1]", data1, read, allow`:                   "looks like JSON",
		"p, r.sub.Age > 18, data1, read, allow":          "is an expression, not a name",
		"p, alice, r.obj.Owner == r.sub.ID, read, allow": "is an expression, not a name",
	} {
		_, report, err := casbinimport.Import(denying, casbinimport.ReadCSV(row), options())
		require.Error(t, err, row)
		require.Contains(t, report.String(), want)
	}
}

// LeaveOut imports what is left, unless what is left could allow more than casbin.
func TestLeaveOut(t *testing.T) {
	o := options()
	o.LeaveOut = true
	p, report, err := casbinimport.Import(denying, casbinimport.ReadCSV("p, alice, data1, read, allow\np, bob, *, read, allow"), o)
	require.NoError(t, err)
	require.Len(t, p.Rules, 1)
	require.Equal(t, "1 of 2 rows imported\npolicy line 2: \"*\": a star is a plain letter to this model; name what is meant\n", report.String())
	open(t, p)
	for _, row := range []string{"p, bob, *, read, deny", "p, bob, data1, read, Deny", "g, bob, *", `p, "x`} {
		_, report, err = casbinimport.Import(denying, casbinimport.ReadCSV("p, alice, data1, read, allow\n"+row), o)
		require.ErrorContains(t, err, "casbinimport: the row in line 2 may deny something and cannot be left out: ", row)
		require.Len(t, report.Refused, 1)
	}
	// Where the effect knows no deny, a deny row forbade nothing, and is told all the same.
	allowing := strings.Replace(denying, " && !some(where (p.eft == deny))", "", 1)
	_, _, err = casbinimport.Import(allowing, casbinimport.ReadCSV("p, bob, data1, read, deny"), options())
	require.ErrorContains(t, err, "a deny row, which the model's effect ignores")
	_, _, err = casbinimport.Import(allowing, casbinimport.ReadCSV("p, bob, data1, read, deny"), o)
	require.NoError(t, err)
}

// A model that means something else is refused whatever the options say.
func TestHostileModels(t *testing.T) {
	o := options()
	o.LeaveOut = true
	for _, c := range []struct{ from, to, want string }{
		{" && r.act == p.act", "", "the matcher leaves out r.act==p.act"},
		{" && r.act == p.act", " && r.act == p.act || true", "is refused: only equality"},
		{"r.obj == p.obj", "r.obj != p.obj", "is refused: only equality"},
		{"r.obj == p.obj", "keyMatch(r.obj, p.obj)", "calls keyMatch()"},
		{"r.obj == p.obj", "r.obj.Wipe()", "calls r.obj.Wipe(), which may do anything"},
		{"r.obj == p.obj", "r.obj == p.obj && r.sub != '2024-01-02'", "takes for a time in the server's zone"},
		{"r.obj == p.obj", "r.obj == p.obj && r.sub.ID != 9007199254740993", "above 2^53"},
		{"r.obj == p.obj", "r.obj == 'a # b'", "a comment sign behind a quote"},
		{"g(r.sub, p.sub)", "g(p.sub, r.sub)", "is refused: only equality"},
		{"g(r.sub, p.sub)", "eval(p.sub_rule)", "calls eval()"},
		{"g = _, _", "g = _, _, (_, _)", "temporal roles"},
		{"g = _, _", "g = _, _, _", "does not fit the request"},
		{"g = _, _", "g = _, _\ng2 = _, _", "g2: roles of objects"},
		{"some(where (p.eft == allow)) && ", "", "allows whatever no rule denies"},
		{"e = some", "e = priority(p.eft) || deny # ", "depends on the order of rows"},
		{"p = sub, obj, act, eft", "p = priority, sub, obj, act, eft", "priorities depend on the order"},
		{"[matchers]", "[matchers]\nm = g(r.sub, p.sub)", "m is defined twice"},
		{"[matchers]", "[constraint_definition]\nc = sod\n[matchers]", "[constraint_definition] is unknown"},
		{"[policy_effect]\n", "[policy_effect]\nnonsense\n", "the line is no assignment"},
		{"[role_definition]\ng = _, _\n", "", "is refused"},
		{denying, "", "the section [matchers] is missing or empty"},
	} {
		text := strings.Replace(denying, c.from, c.to, 1)
		require.NotEqual(t, denying, text, c.from)
		p, report, err := casbinimport.Import(text, casbinimport.ReadCSV("p, alice, data1, read, allow"), o)
		require.ErrorContains(t, err, "casbinimport: the model cannot be imported: line ", c.to)
		require.Contains(t, report.String(), c.want)
		require.Empty(t, p.Rules)
	}
}

// A casbin_rule table gives the policy that the same rows in a file give.
func TestReadTable(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.Exec("CREATE TABLE casbin_rule (id BIGINT PRIMARY KEY, ptype VARCHAR(100), v0 VARCHAR(100), v1 VARCHAR(100), v2 VARCHAR(100), v3 VARCHAR(100), v4 VARCHAR(100), v5 VARCHAR(100))").Error)
		csv := "p, admin, data1, read, allow\np, bob, data1, read, deny\ng, alice, admin\ng, bob, admin"
		for _, row := range casbinimport.ReadCSV(csv) {
			values := map[string]any{"id": row.Line, "ptype": row.Type, "v5": ""} // the adapter writes "", other writers NULL
			for i, v := range row.Values {
				values[fmt.Sprint("v", i)] = v
			}
			require.NoError(t, db.Table("casbin_rule").Create(values).Error)
		}
		rows, err := casbinimport.ReadTable(t.Context(), db.DB, "casbin_rule")
		require.NoError(t, err)
		got, report, err := casbinimport.Import(denying, rows, options())
		require.NoError(t, err)
		require.Equal(t, 4, report.Imported)
		want, _, err := casbinimport.Import(denying, casbinimport.ReadCSV(csv), options())
		require.NoError(t, err)
		require.Equal(t, want, got)

		require.NoError(t, db.Table("casbin_rule").Create(map[string]any{"id": 7, "ptype": "p", "v0": strings.Repeat("x", 100), "v1": "d", "v2": "read", "v3": "allow"}).Error)
		rows, err = casbinimport.ReadTable(t.Context(), db.DB, "casbin_rule")
		require.NoError(t, err)
		_, _, err = casbinimport.Import(denying, rows, options())
		require.ErrorContains(t, err, "the first in line 7: a value fills its column of 100 characters: its end may be lost")
		_, err = casbinimport.ReadTable(t.Context(), db.DB, "nowhere")
		require.ErrorContains(t, err, "casbinimport: read nowhere: ")
	})
}

// Without Options objects and actions must be ours already.
func TestNamesOfOurOwn(t *testing.T) {
	_, _, err := casbinimport.Import(denying, casbinimport.ReadCSV("p, alice, Data 1, read, allow"), casbinimport.Options{})
	require.ErrorContains(t, err, `the object "Data 1" is not a resource's name: say what it is in Options.Object`)
	p, _, err := casbinimport.Import(denying, casbinimport.ReadCSV("p, alice, item, read, allow"), casbinimport.Options{Tenant: "t1"})
	require.NoError(t, err)
	require.Equal(t, "t1", p.Assignments[0].Tenant)
	open(t, p)
}

// Whatever the text, the import ends, and what it imports is a policy.
func FuzzImport(f *testing.F) {
	f.Add(denying, "p, alice, data1, read, allow\ng, bob, alice")
	f.Add(strings.Replace(denying, "sub, obj", "sub, dom, obj", 2), "p, a, d, o, r, allow\ng, x, a, d")
	f.Add("[matchers]\nm = \\\n", "\"")
	f.Fuzz(func(t *testing.T, conf, csv string) {
		o := options()
		o.LeaveOut = true
		p, report, err := casbinimport.Import(conf, casbinimport.ReadCSV(csv), o)
		if err == nil {
			open(t, p)
		} else if len(p.Rules) > 0 {
			t.Fatal("an error and a policy")
		}
		_ = report.String()
	})
}
