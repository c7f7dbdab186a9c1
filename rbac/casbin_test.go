package rbac_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/rbac"
)

// Doc is a row with the fields that casbin's evaluator stumbles over.
type Doc struct {
	ID      string `gorm:"primaryKey"`
	Owner   string
	OwnerNo int64
	Class   status
	Code    string
	Team    *string
	Tenant  string
	At      time.Time
}

func docs(t *testing.T, p rbac.Policy) *rbac.Authorizer {
	for i := range p.Rules {
		p.Rules[i].Resource, p.Rules[i].Actions = "doc", []string{"read"}
		if p.Rules[i].ID == "" {
			p.Rules[i].ID = fmt.Sprint("r", i)
		}
		if p.Rules[i].Role == "" {
			p.Rules[i].Role = rbac.Everyone
		}
	}
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(p), Record: rbac.Discard,
		Resources: []rbac.Resource{{Model: &Doc{}}}, Attrs: map[string]any{"no": int64(0)}})
	require.NoError(t, err)
	return a
}

func reads(a *rbac.Authorizer, user, tenant string, row Doc) bool {
	ctx := inContext(rbac.Caller{ID: user, Tenant: tenant, Attrs: map[string]any{"no": int64(1<<53 + 1)}})
	return a.Check(ctx, "read", &row) == nil
}

func when(conds ...string) (p rbac.Policy) {
	for _, c := range conds {
		p.Rules = append(p.Rules, rbac.Rule{When: c})
	}
	return p
}

// TestCasbinDefects: what casbin v2.135, govaluate and the GORM adapter get wrong (the numbers are those of
// the list in our research), asked of our API.
func TestCasbinDefects(t *testing.T) {
	t.Run("1: removing another rule does not turn a deny into an allow", func(t *testing.T) {
		a := docs(t, rbac.Policy{Rules: []rbac.Rule{{ID: "other"}, {ID: "no-mallory", Effect: rbac.Deny, When: "caller.id == 'mallory'"}, {ID: "all"}}})
		require.False(t, reads(a, "mallory", "", Doc{}))
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error { p.Rules = p.Rules[1:]; return nil }))
		require.False(t, reads(a, "mallory", "", Doc{}))
		require.True(t, reads(a, "alice", "", Doc{}))
	})
	t.Run("2, 3: names with separators stay apart", func(t *testing.T) {
		p := rbac.Policy{
			Roles:       []rbac.Role{{Name: "a,b"}, {Name: "a"}, {Name: "b"}},
			Rules:       []rbac.Rule{{Role: "a,b"}},
			Assignments: []rbac.Assignment{{Tenant: "t", User: "x$$y", Role: "a,b"}, {Tenant: "t", User: "u", Role: "a"}, {Tenant: "t", User: "u", Role: "b"}},
		}
		a := docs(t, p)
		require.True(t, reads(a, "x$$y", "t", Doc{}))
		require.False(t, reads(a, "u", "t", Doc{}))
		require.False(t, reads(a, "y", "t$$x", Doc{}))
		require.False(t, reads(a, "x", "t", Doc{}))
	})
	t.Run("4: a revoked role or rule is gone at once", func(t *testing.T) {
		p := rbac.Policy{Roles: []rbac.Role{{Name: "r"}}, Rules: []rbac.Rule{{Role: "r"}}, Assignments: []rbac.Assignment{{User: "u", Role: "r"}}}
		a := docs(t, p)
		require.True(t, reads(a, "u", "", Doc{}))
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error { p.Assignments = nil; return nil }))
		require.False(t, reads(a, "u", "", Doc{}))
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
			p.Assignments, p.Rules = []rbac.Assignment{{User: "u", Role: "r"}}, nil
			return nil
		}))
		require.False(t, reads(a, "u", "", Doc{}))
	})
	t.Run("5: numbers beyond 2^53 stay apart", func(t *testing.T) {
		a := docs(t, when("row.owner_no == caller.no"))
		require.True(t, reads(a, "u", "", Doc{OwnerNo: 1<<53 + 1}))
		require.False(t, reads(a, "u", "", Doc{OwnerNo: 1 << 53}))
	})
	t.Run("6, 7: named types and pointers compare by value", func(t *testing.T) {
		team := "x"
		a := docs(t, when("row.class != 'secret' && row.team == 'x'"))
		require.True(t, reads(a, "u", "", Doc{Team: &team}))
		require.False(t, reads(a, "u", "", Doc{Team: &team, Class: "secret"}))
		require.False(t, reads(docs(t, when("row.team != 'x'")), "u", "", Doc{Team: &team}))
	})
	t.Run("8: a string that looks like a date is a string", func(t *testing.T) {
		require.True(t, reads(docs(t, when("row.code == '2024-01-02'")), "u", "", Doc{Code: "2024-01-02"}))
		require.False(t, reads(docs(t, when("row.code != '2024-01-02'")), "u", "", Doc{Code: "2024-01-02"}))
	})
	t.Run("12: a bad rule is refused, and does not stop the others", func(t *testing.T) {
		a := docs(t, when("row.owner == caller.id"))
		require.ErrorIs(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
			p.Rules = append(p.Rules, rbac.Rule{ID: "bad", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}, When: "row.nope == 'x'"})
			return nil
		}), rbac.ErrPolicy)
		require.True(t, reads(a, "u", "", Doc{Owner: "u"}))
	})
	t.Run("13, 14: literals are taken as written", func(t *testing.T) {
		for _, s := range []string{"a r.b", "a # b", "p.sub", "r_sub", `\`, "${x}", "?", "@x", "%s", "/* x */", "-- x"} {
			require.True(t, reads(docs(t, when(fmt.Sprintf("row.owner == %q", s))), "u", "", Doc{Owner: s}), s)
		}
	})
	t.Run("15: deep inheritance is kept", func(t *testing.T) {
		p := rbac.Policy{Rules: []rbac.Rule{{Role: "r0"}}, Assignments: []rbac.Assignment{{User: "u", Role: "r49"}}}
		for i := range 50 {
			role := rbac.Role{Name: fmt.Sprint("r", i)}
			if i > 0 {
				role.Inherits = []string{fmt.Sprint("r", i-1)}
			}
			p.Roles = append(p.Roles, role)
		}
		require.True(t, reads(docs(t, p), "u", "", Doc{}))
	})
	t.Run("18: times do not depend on the server's zone", func(t *testing.T) {
		a := docs(t, when(`row.at < timestamp("2026-01-01T00:00:00+08:00")`))
		edge := time.Date(2025, 12, 31, 16, 0, 0, 0, time.UTC)
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 8*3600), time.FixedZone("", -5*3600)} {
			require.True(t, reads(a, "u", "", Doc{At: edge.Add(-time.Second).In(zone)}))
			require.False(t, reads(a, "u", "", Doc{At: edge.In(zone)}))
		}
	})
	t.Run("19: a caller's name is not parsed", func(t *testing.T) {
		p := rbac.Policy{Roles: []rbac.Role{{Name: "admin"}}, Rules: []rbac.Rule{{Role: "admin"}}, Assignments: []rbac.Assignment{{User: "root", Role: "admin"}}}
		require.False(t, reads(docs(t, p), `{"Role":"admin"}`, "", Doc{}))
	})
	t.Run("a user called like a role, or like its number, does not have it", func(t *testing.T) {
		p := rbac.Policy{Roles: []rbac.Role{{Name: "admin"}, {Name: "2"}}, Rules: []rbac.Rule{{Role: "admin"}}, Assignments: []rbac.Assignment{{User: "admin", Role: "2"}, {User: "u", Role: "2"}}}
		a := docs(t, p)
		for _, user := range []string{"admin", "1", "2", "u", "*"} {
			require.False(t, reads(a, user, "", Doc{}), user)
		}
	})
	t.Run("23: empty parts neither vanish nor break the load", func(t *testing.T) {
		p := rbac.Policy{Roles: []rbac.Role{{Name: "r"}}, Rules: []rbac.Rule{{Role: "r", When: ""}}, Assignments: []rbac.Assignment{{Tenant: "", User: "u", Role: "r"}}}
		a := docs(t, p)
		require.True(t, reads(a, "u", "", Doc{}))
		require.False(t, reads(a, "u", "t", Doc{}))
	})
	t.Run("24: case and spaces matter", func(t *testing.T) {
		p := rbac.Policy{Roles: []rbac.Role{{Name: "r"}}, Rules: []rbac.Rule{{Role: "r"}}, Assignments: []rbac.Assignment{{Tenant: "t", User: "Alice", Role: "r"}}}
		a := docs(t, p)
		for _, c := range [][2]string{{"alice", "t"}, {"Alice ", "t"}, {"Alice", "T"}, {"Alice", "t "}} {
			require.False(t, reads(a, c[0], c[1], Doc{}), c)
		}
	})
	t.Run("25: a refusal says why", func(t *testing.T) {
		x, err := docs(t, when("row.owner == caller.id")).Explain(inContext(rbac.Caller{ID: "u"}), "read", &Doc{})
		require.NoError(t, err)
		require.Equal(t, []rbac.NearMiss{{Rule: "r0", Failed: []string{"row.owner == caller.id"}}}, x.Near)
	})
	t.Run("30: a policy handed in or out is a copy", func(t *testing.T) {
		p := rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "doc", Actions: []string{"write"}}}}
		store := rbac.NewMemory(p)
		p.Rules[0].Actions[0] = "read"
		loaded, err := store.Load(t.Context())
		require.NoError(t, err)
		require.Equal(t, "write", loaded.Rules[0].Actions[0])
	})
}

const casbinModel = `
[request_definition]
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

// TestCasbinEquivalence: where casbin can say the same, a fresh enforcer decides the same.
func TestCasbinEquivalence(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	roles, users, actions := []string{"r0", "r1", "r2", "r3"}, []string{"u0", "u1", "u2"}, []string{"read", "update", "delete"}
	allowed := 0
	for range 150 {
		m, err := model.NewModelFromString(casbinModel)
		require.NoError(t, err)
		e, err := casbin.NewEnforcer(m)
		require.NoError(t, err)
		var p rbac.Policy
		for i, name := range roles {
			role := rbac.Role{Name: name}
			if i > 0 && r.IntN(2) == 0 {
				role.Inherits = []string{roles[r.IntN(i)]}
				_, _ = e.AddGroupingPolicy(name, role.Inherits[0])
			}
			p.Roles = append(p.Roles, role)
		}
		for i := range 5 {
			rule := rbac.Rule{ID: fmt.Sprint(i), Role: pick(r, roles), Resource: "doc", Actions: []string{pick(r, actions)}, Effect: rbac.Allow}
			if r.IntN(3) == 0 {
				rule.Effect = rbac.Deny
			}
			p.Rules = append(p.Rules, rule)
			_, _ = e.AddPolicy(rule.Role, "doc", rule.Actions[0], string(rule.Effect))
		}
		for _, u := range users {
			for range r.IntN(3) {
				role := pick(r, roles)
				p.Assignments = append(p.Assignments, rbac.Assignment{User: u, Role: role})
				_, _ = e.AddGroupingPolicy(u, role)
			}
		}
		a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(p), Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Doc{}}}})
		require.NoError(t, err)
		for _, u := range users {
			for _, act := range actions {
				want, err := e.Enforce(u, "doc", act)
				require.NoError(t, err)
				got := a.Check(inContext(rbac.Caller{ID: u}), act, &Doc{}) == nil
				require.Equal(t, want, got, "%s %s %+v", u, act, p)
				if got {
					allowed++
				}
			}
		}
	}
	require.Greater(t, allowed, 100)
	require.Less(t, allowed, 150*9-100)
}
