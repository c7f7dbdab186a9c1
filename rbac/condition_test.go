package rbac_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// sealed stands for an encrypted field.
type sealed string

func (sealed) MaskAt(l masking.Level) string { return "sealed@" + l.String() }

type Odd struct {
	ID      string `gorm:"primaryKey"`
	Phone   sealed
	Price   float64
	Blob    []byte
	Tags    []string `gorm:"serializer:json"`
	Code    string   `gorm:"type:char(4)"`
	Folded  string   `gorm:"type:citext"`
	Name    string
	Other   string
	Count   int64
	Flag    bool
	At      time.Time
	Until   *time.Time
	Owner   *string
	Deleted gorm.DeletedAt
}

func oddAuthorizer(t *testing.T) *rbac.Authorizer {
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(rbac.Policy{}), Record: rbac.Discard,
		Resources: []rbac.Resource{{Model: &Odd{}}}, Attrs: map[string]any{"level": int64(0), "teams": []string(nil), "boss": false}})
	require.NoError(t, err)
	return a
}

func withCondition(when string) rbac.Policy {
	return rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "odd", Actions: []string{"read"}, When: when}}}
}

// TestRefusedConditions pins what cannot be written into a policy, and with which words.
func TestRefusedConditions(t *testing.T) {
	a := oddAuthorizer(t)
	deep := strings.Repeat("!(", 40) + "row.flag" + strings.Repeat(")", 40)
	wide := "row.flag" + strings.Repeat(" && row.flag", 300)
	items := `row.name in ["x"` + strings.Repeat(`,""`, 1000) + `]`
	for _, c := range []struct{ when, want string }{
		{`row.nope == "x"`, "row.nope: odd has no such column; it has id, phone, price, blob, tags, code, folded, name, other, count, flag, at, until, owner, deleted"},
		{`row.phone == "x"`, "row.phone is sealed: the database cannot compare it, so no condition may read it"},
		{`row.price == 1.5`, "row.price is a floating-point number, which rounds differently in Go and SQL: store an integer of the smallest unit"},
		{`row.blob == b"x"`, "row.blob has the Go type []uint8, which conditions cannot read: use string, an integer, bool or time.Time"},
		{`row.tags == "x"`, "row.tags is stored through a serializer: a condition would compare something else than Go sees"},
		{`row.code == "x"`, `row.code has the database type "char(4)", which compares differently from Go's string: drop the type tag`},
		{`row.folded == "x"`, `row.folded has the database type "citext", which compares differently from Go's string: drop the type tag`},
		{`caller.nope == "x"`, `caller.nope is not declared: add "nope" to Config.Attrs`},
		{`row.name == 1`, "at column 10: found no matching overload for '_==_' applied to '(string, int)'"},
		{`row.count == "1"`, "at column 11: found no matching overload for '_==_' applied to '(int, string)'"},
		{`row.flag == 1`, "at column 10: found no matching overload for '_==_' applied to '(bool, int)'"},
		{`row.count == 1.0`, "at column 11: found no matching overload for '_==_' applied to '(int, double)'"},
		{`row.count == 1u`, "at column 11: found no matching overload for '_==_' applied to '(int, uint)'"},
		{`row.count == 9223372036854775808`, "at column 14: invalid int literal"},
		{`row.name < "m"`, `row.name < "m" orders strings: their order depends on each database's collation; use == or in`},
		{`row.flag < true`, `row.flag < true orders true and false; use ==`},
		{`row.at < row.until`, "row.at < row.until compares two time columns: SQLite keeps them as text; compare each with now or timestamp()"},
		{`row.name == null`, "at column 10: found no matching overload for '_==_' applied to '(string, null)'"},
		{`row.at == null`, "row.at == null is never true: only a column with a pointer or sql.Null type can be null"},
		{`null == null`, "null == null is never true: only a column with a pointer or sql.Null type can be null"},
		{`row.count + 1 == 2`, "arithmetic is not allowed, except now plus or minus a duration: each database rounds and overflows in its own way"},
		{`row.count * 2 == 2`, "arithmetic is not allowed: each database rounds and overflows in its own way"},
		{`row.count % 2 == 0`, "arithmetic is not allowed: each database rounds and overflows in its own way"},
		{`-row.count == 1`, "arithmetic is not allowed: each database rounds and overflows in its own way"},
		{`row.name + "x" == "yx"`, "arithmetic is not allowed, except now plus or minus a duration: each database rounds and overflows in its own way"},
		{`row.at + duration("1h") < now`, "arithmetic is not allowed, except now plus or minus a duration: each database rounds and overflows in its own way"},
		{`now - row.at < duration("1h")`, "now - row.at is not a column, an attribute of the caller or a literal"},
		{`now - duration("1ms") < row.at`, `now - duration("1ms"): write a duration as duration("24h"), in whole seconds`},
		{`now - duration(row.name) < row.at`, `now - duration(row.name): write a duration as duration("24h"), in whole seconds`},
		{`row.at < timestamp("2026-01-02")`, `timestamp("2026-01-02"): write a time as timestamp("2026-01-31T08:00:00Z"), in whole seconds and with its zone`},
		{`row.at < timestamp("2026-01-02T00:00:00.5Z")`, `timestamp("2026-01-02T00:00:00.5Z"): write a time as timestamp("2026-01-31T08:00:00Z"), in whole seconds and with its zone`},
		{`row.at < timestamp(row.name)`, `timestamp(row.name): write a time as timestamp("2026-01-31T08:00:00Z"), in whole seconds and with its zone`},
		{`string(row.count) == "1"`, "the cast string() is not allowed: databases convert in their own ways"},
		{`int(row.name) == 1`, "the cast int() is not allowed: databases convert in their own ways"},
		{`dyn(row.name) == 1`, "the cast dyn() is not allowed: databases convert in their own ways"},
		{`row.name.startsWith("x")`, "startsWith() is not allowed: no database matches text exactly as Go does; compare with == or in"},
		{`row.name.contains("x")`, "contains() is not allowed: no database matches text exactly as Go does; compare with == or in"},
		{`row.name.matches("(a+)+$")`, "matches() is not allowed: no database matches text exactly as Go does; compare with == or in"},
		{`size(row.name) > 3`, "size() is not allowed: no database matches text exactly as Go does; compare with == or in"},
		{`row.at.getFullYear() == 2026`, "the function getFullYear is not allowed: a condition is made of && || ! == != < <= > >= in, within(), shared(), timestamp(), duration() and cidr()"},
		{`row.Wipe()`, "the function Wipe is not allowed: a condition is made of && || ! == != < <= > >= in, within(), shared(), timestamp(), duration() and cidr()"},
		{`has(row.owner)`, "has() is not allowed: write row.column != null"},
		{`caller.teams.exists(t, t == row.name)`, "the function exists is not allowed: a condition is made of && || ! == != < <= > >= in, within(), shared(), timestamp(), duration() and cidr()"},
		{`caller.teams[0] == row.name`, "indexing with [] is not allowed"},
		{`row.flag ? row.name == "x" : true`, "?: is not allowed: write it with && and ||"},
		{`{"a": row.name}.a == "x"`, "maps, messages and comprehensions cannot be translated into SQL"},
		{`row.name in ["a", row.other]`, `row.name in ["a", row.other]: an item of the list is not a string that is known without the row`},
		{`row.name in ["a", 1]`, `row.name in ["a", 1]: an item of the list is not a string that is known without the row`},
		{`row.at in [now]`, "row.at in [now]: only strings and integers can be looked for in a list"},
		{`row.name in row.other`, "at column 10: found no matching overload for '@in' applied to '(string, string)'"},
		{`caller.teams == caller.teams`, "caller.teams == caller.teams compares a []string with a []string"},
		{`(row.name == "a") == (row.other == "b")`, `row.name == "a" is not a column, an attribute of the caller or a literal`},
		{`row.name`, "the condition is a string; it must be true or false"},
		{`"true"`, "the condition is a string; it must be true or false"},
		{`row`, "the condition is a confide.rbac.Row; it must be true or false"},
		{`row.name == "x`, "at column 13: Syntax error: token recognition error at: '\"x'"},
		{`row.name = "x"`, "at column 10: Syntax error: token recognition error at: '= '"},
		{`nobody.name == "x"`, "at column 1: undeclared reference to 'nobody'"},
		{`row.name.length == 1`, "at column 9: type 'string' does not support field selection"},
		{deep, "the condition is nested 41 deep; at most 32 is allowed"},
		{strings.Repeat("(", 500) + "row.flag" + strings.Repeat(")", 500), "expression recursion limit exceeded: 64"},
		{wide, "the condition has 601 parts; at most 256 are allowed"},
		{items, "a list has 1001 items; at most 1000 are allowed"},
		{`row.name == "` + strings.Repeat("x", 4096) + `"`, "the condition has 4110 bytes; at most 4096 are allowed"},
	} {
		err := a.Validate(withCondition(c.when))
		require.ErrorIs(t, err, rbac.ErrPolicy, c.when)
		require.Equal(t, fmt.Sprintf(`rbac: policy refused: rule "r": condition: %s`, c.want), err.Error(), c.when)
		err = a.Edit(t.Context(), func(p *rbac.Policy) error { *p = withCondition(c.when); return nil })
		require.ErrorIs(t, err, rbac.ErrPolicy, "%s: it must not reach the store", c.when)
	}
	require.EqualValues(t, 1, a.Version())
}

// What is allowed, so that the refusals above do not refuse everything.
func TestAcceptedConditions(t *testing.T) {
	a := oddAuthorizer(t)
	for _, when := range []string{
		"", "  ", "true", "row.flag", "!row.flag", "caller.boss || row.flag", `row.name == "x" && row.count >= -9223372036854775808`,
		`caller.id == row.owner`, `row.owner == null || row.owner in caller.teams`, `row.name == row.other`, `"admin" in caller.roles`,
		`row.at > now - duration("720h")`, `row.until == null || timestamp("2026-01-02T00:00:00+08:00") < row.until`, `caller.level > row.count`,
		`row.deleted == null`, `row.name in []`, `row.count in [1, caller.level]`, "1 == 1", `row.name in ["x"` + strings.Repeat(`,""`, 999) + `]`,
	} {
		require.NoError(t, a.Validate(withCondition(when)), when)
	}
}

// TestRefusedPolicies pins the other mistakes.
func TestRefusedPolicies(t *testing.T) {
	a := oddAuthorizer(t)
	rule := rbac.Rule{ID: "r", Role: "s", Resource: "odd", Actions: []string{"read"}}
	with := func(change func(*rbac.Rule)) rbac.Policy {
		r := rule
		change(&r)
		return rbac.Policy{Roles: []rbac.Role{{Name: "s"}}, Rules: []rbac.Rule{r}}
	}
	field := func(f rbac.FieldRule) rbac.Policy {
		return rbac.Policy{Roles: []rbac.Role{{Name: "s"}}, Fields: []rbac.FieldRule{f}}
	}
	for want, p := range map[string]rbac.Policy{
		`a role is ""; give it a name`:  {Roles: []rbac.Role{{}}},
		`a role is "*"; give it a name`: {Roles: []rbac.Role{{Name: "*"}}},
		`role "s" is declared twice`:    {Roles: []rbac.Role{{Name: "s"}, {Name: "s"}}},
		`the role "s " must be at most 128 bytes of text without control characters or spaces at its ends`:   {Roles: []rbac.Role{{Name: "s "}}},
		`the role "a\nb" must be at most 128 bytes of text without control characters or spaces at its ends`: {Roles: []rbac.Role{{Name: "a\nb"}}},
		`role "s" inherits "t", which is not a role of the policy`:                                           {Roles: []rbac.Role{{Name: "s", Inherits: []string{"t"}}}},
		`role "s" inherits "*", which is not a role of the policy`:                                           {Roles: []rbac.Role{{Name: "s", Inherits: []string{"*"}}}},
		`role "a" inherits itself`:                                                                     {Roles: []rbac.Role{{Name: "a", Inherits: []string{"b"}}, {Name: "b", Inherits: []string{"c"}}, {Name: "c", Inherits: []string{"a"}}}},
		`rule "r": the role "x" is unknown: declare it in Policy.Roles`:                                with(func(r *rbac.Rule) { r.Role = "x" }),
		`rule "r": the resource "x" is unknown: add it to Config.Resources`:                            with(func(r *rbac.Rule) { r.Resource = "x" }),
		`rule "r": the effect "Deny" is neither allow nor deny`:                                        with(func(r *rbac.Rule) { r.Effect = "Deny" }),
		`rule "r" names no action`:                                                                     with(func(r *rbac.Rule) { r.Actions = nil }),
		`rule "r": the action "*" is not a lower-case word; name each action, there is no wildcard`:    with(func(r *rbac.Rule) { r.Actions = []string{"*"} }),
		`rule "r": the action "Read" is not a lower-case word; name each action, there is no wildcard`: with(func(r *rbac.Rule) { r.Actions = []string{"Read"} }),
		`rule "r" names the action read twice`:                                                         with(func(r *rbac.Rule) { r.Actions = []string{"read", "read"} }),
		`a rule id is ""; give it a name`:                                                              with(func(r *rbac.Rule) { r.ID = "" }),
		`rule "r": the id is used twice`:                                                               {Roles: []rbac.Role{{Name: "s"}}, Rules: []rbac.Rule{rule, rule}},
		`field rule odd.nope of role "s": odd has no such column; it has id, phone, price, blob, tags, code, folded, name, other, count, flag, at, until, owner, deleted`: field(rbac.FieldRule{Role: "s", Resource: "odd", Field: "nope"}),
		`field rule odd.name of role "s": Level(9) is not a level`:                                                                                                     field(rbac.FieldRule{Role: "s", Resource: "odd", Field: "name", Level: 9}),
		`field rule odd.name of role "x": the role "x" is unknown: declare it in Policy.Roles`:                                                                         field(rbac.FieldRule{Role: "x", Resource: "odd", Field: "name"}),
		`field rule odd.* of role "s": condition: row.price is a floating-point number, which rounds differently in Go and SQL: store an integer of the smallest unit`: field(rbac.FieldRule{Role: "s", Resource: "odd", Field: "*", When: "row.price > 1.0"}),
		`an assignment gives the role "x", which is not a role of the policy`:                                                                                          {Assignments: []rbac.Assignment{{User: "u", Role: "x"}}},
		`an assignment gives the role "*", which is not a role of the policy`:                                                                                          {Assignments: []rbac.Assignment{{User: "u", Role: "*"}}},
		`an assignment of role "s" has no user`:                                                                                                                        {Roles: []rbac.Role{{Name: "s"}}, Assignments: []rbac.Assignment{{Role: "s"}}},
	} {
		err := a.Validate(p)
		require.ErrorIs(t, err, rbac.ErrPolicy, want)
		require.EqualError(t, err, "rbac: policy refused: "+want)
	}
}
