package sharing_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/sharing"
)

func ready(t *testing.T) rbac.Policy {
	p, err := sharing.Policy(config())
	require.NoError(t, err)
	return p
}

func give(user, role string) func(*rbac.Policy) error {
	return func(p *rbac.Policy) error {
		p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: "t1", User: user, Role: role})
		return nil
	}
}

// TestSeparate: each way of joining what belongs apart is refused by name, and the ready policy joins nothing.
func TestSeparate(t *testing.T) {
	require.NoError(t, sharing.Separate(ready(t), "customer"))
	drop := func(id string) func(*rbac.Policy) error {
		return func(p *rbac.Policy) error {
			p.Rules = slices.DeleteFunc(p.Rules, func(r rbac.Rule) bool { return r.ID == id })
			return nil
		}
	}
	then := func(changes ...func(*rbac.Policy) error) func(*rbac.Policy) error {
		return func(p *rbac.Policy) error {
			for _, change := range changes {
				_ = change(p)
			}
			return nil
		}
	}
	for want, change := range map[string]func(*rbac.Policy) error{
		"": then(give("sue", sharing.SecurityAdmin), give("sid", sharing.SystemAdmin), give("ann", sharing.Manager)),
		`sharing: the user "sue" is both security_admin and audit_admin: give each to a person of its own`:                            then(give("sue", sharing.SecurityAdmin), give("sue", sharing.AuditAdmin)),
		`sharing: the user "sue" is security_admin and has the role "manager", which has rights on customer: give them to two people`: then(give("sue", sharing.Manager), give("sue", sharing.SecurityAdmin)),
		`sharing: read of customer is not forbidden to audit_admin: add it to a deny rule of that role without a condition`:           drop("customer-not-for-audit-admin"),
		`sharing: print of customer is not forbidden to system_admin: add it to a deny rule of that role without a condition`: func(p *rbac.Policy) error {
			p.Rules = append(p.Rules, rbac.Rule{ID: "print", Role: sharing.Staff, Resource: "customer", Actions: []string{"print"}})
			return nil
		},
		`sharing: the role "boss" joins security_admin with other roles: an administrator's role inherits nothing and is inherited by none`: func(p *rbac.Policy) error {
			p.Roles = append(p.Roles, rbac.Role{Name: "boss", Inherits: []string{sharing.SecurityAdmin}})
			return nil
		},
		`sharing: the role "audit_admin" joins audit_admin with other roles: an administrator's role inherits nothing and is inherited by none`: func(p *rbac.Policy) error {
			i := slices.IndexFunc(p.Roles, func(r rbac.Role) bool { return r.Name == sharing.AuditAdmin })
			p.Roles[i].Inherits = []string{sharing.Staff}
			return nil
		},
	} {
		p := ready(t)
		require.NoError(t, change(&p))
		err := sharing.Separate(p, "customer")
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, want)
	}
}

// TestNobodyGivesToThemselves: sue, who may change the policy, may change it for everybody but herself.
func TestNobodyGivesToThemselves(t *testing.T) {
	base := ready(t)
	require.NoError(t, give("sue", sharing.SecurityAdmin)(&base))
	base.Roles = append(base.Roles, rbac.Role{Name: "clerk"})
	base.Fields = append(base.Fields, rbac.FieldRule{Role: sharing.SecurityAdmin, Resource: "customer", Field: "id", Level: masking.Hidden})
	base.Rules = append(base.Rules, rbac.Rule{ID: "open", Role: sharing.SecurityAdmin, Resource: "desk", Actions: []string{"open"}, Needs: []string{"approval", "reason"}})
	allow := func(role string) func(*rbac.Policy) error {
		return func(p *rbac.Policy) error {
			p.Rules = append(p.Rules, rbac.Rule{ID: "new", Role: role, Resource: "customer", Actions: []string{"read"}})
			return nil
		}
	}
	const self = `sharing: the user "sue" would give rights to themselves: `
	for _, c := range []struct {
		change func(*rbac.Policy) error
		want   string
	}{
		{give("bea", sharing.Manager), ""},
		{allow(sharing.Staff), ""},
		{func(p *rbac.Policy) error { p.Roles[0].Inherits = nil; return nil }, ""},
		{func(p *rbac.Policy) error { p.Rules[len(p.Rules)-1].Needs[0] = "reason"; return nil }, self + "a rule on desk; somebody else must make this change"},
		{func(p *rbac.Policy) error { p.Rules[len(p.Rules)-1].Actions[0] = "close"; return nil }, self + "a rule on desk; somebody else must make this change"},
		{give("sue", "clerk"), self + `the role "clerk"; somebody else must make this change`},
		{func(p *rbac.Policy) error {
			p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: "t2", User: "sue", Role: "clerk"})
			return nil
		}, self + `the role "clerk"; somebody else must make this change`},
		{allow(sharing.SecurityAdmin), self + "a rule on customer; somebody else must make this change"},
		{allow(rbac.Everyone), self + "a rule on customer; somebody else must make this change"},
		{func(p *rbac.Policy) error {
			i := slices.IndexFunc(p.Rules, func(r rbac.Rule) bool { return r.ID == "customer-not-for-security-admin" })
			p.Rules[i].When = "row.vip"
			return nil
		}, self + "without a deny rule on customer; somebody else must make this change"},
		{func(p *rbac.Policy) error { p.Assignments = nil; return nil }, self + "without a deny rule on customer; somebody else must make this change"},
		{func(p *rbac.Policy) error { p.Fields[len(p.Fields)-1].Level = masking.Full; return nil }, self + "a field rule on customer; somebody else must make this change"},
		{func(p *rbac.Policy) error { p.Fields = p.Fields[:len(p.Fields)-1]; return nil }, self + "a field rule on customer; somebody else must make this change"},
	} {
		p := rbac.Policy{Roles: slices.Clone(base.Roles), Rules: slices.Clone(base.Rules), Fields: slices.Clone(base.Fields), Assignments: slices.Clone(base.Assignments)}
		last := &p.Rules[len(p.Rules)-1] // the two changes in place below are not to reach base
		last.Needs, last.Actions = slices.Clone(last.Needs), slices.Clone(last.Actions)
		err := sharing.Checked("sue", []string{"customer"}, c.change)(&p)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, c.want)
	}
	require.EqualError(t, sharing.Checked("", nil, give("bea", "clerk"))(&base), "sharing: a change of the policy needs its author: pass the caller's id")
}
