package sharing

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/confide-go/confide/rbac"
)

// Separate reports the first way in which p mixes the duties of the three administrators, or lets one of
// them at the named resources: a person or role with two of the duties, or with one of them and a right
// there; an action that some rule allows there and that is not forbidden to each of the three on every row.
func Separate(p rbac.Policy, resources ...string) error {
	for _, r := range p.Roles {
		has := inherited(p, r.Name)
		if i := slices.IndexFunc(administrators(), func(a string) bool { return slices.Contains(has, a) }); i >= 0 && len(has) > 1 {
			return fmt.Errorf("sharing: the role %q joins %s with other roles: an administrator's role inherits nothing and is inherited by none", r.Name, administrators()[i])
		}
	}
	for _, resource := range resources {
		for _, admin := range administrators() {
			for _, action := range actionsOf(p, resource) {
				if !forbidden(p, admin, resource, action) {
					return fmt.Errorf("sharing: %s of %s is not forbidden to %s: add it to a deny rule of that role without a condition", action, resource, admin)
				}
			}
		}
	}
	return separatePeople(p, resources)
}

func separatePeople(p rbac.Policy, resources []string) error {
	type person struct{ tenant, user string }
	admin := map[person]string{}
	for _, a := range p.Assignments {
		if slices.Contains(administrators(), a.Role) {
			who := person{a.Tenant, a.User}
			if other := admin[who]; other != "" && other != a.Role {
				return fmt.Errorf("sharing: the user %q is both %s and %s: give each to a person of its own", a.User, other, a.Role)
			}
			admin[who] = a.Role
		}
	}
	for _, a := range p.Assignments {
		duty := admin[person{a.Tenant, a.User}]
		if duty == "" || duty == a.Role {
			continue
		}
		for _, r := range p.Rules {
			if r.Effect != rbac.Deny && slices.Contains(resources, r.Resource) && slices.Contains(inherited(p, a.Role), r.Role) {
				return fmt.Errorf("sharing: the user %q is %s and has the role %q, which has rights on %s: give them to two people", a.User, duty, a.Role, r.Resource)
			}
		}
	}
	return nil
}

func forbidden(p rbac.Policy, role, resource, action string) bool {
	return slices.ContainsFunc(p.Rules, func(r rbac.Rule) bool {
		return r.Effect == rbac.Deny && r.Role == role && r.Resource == resource && r.When == "" && slices.Contains(r.Actions, action)
	})
}

// inherited returns a role and all that it inherits.
func inherited(p rbac.Policy, role string) []string {
	has := []string{role}
	for i := 0; i < len(has); i++ {
		for _, r := range p.Roles {
			if r.Name != has[i] {
				continue
			}
			for _, parent := range r.Inherits {
				if !slices.Contains(has, parent) {
					has = append(has, parent)
				}
			}
		}
	}
	return has
}

// Checked wraps a change for Authorizer.Edit: what comes out must be Separate on the resources, and may
// take rights from the actor, the user who makes the change, but not give any.
//
//	err := authz.Edit(ctx, sharing.Checked(caller.ID, []string{"customer"}, change))
func Checked(actor string, resources []string, change func(*rbac.Policy) error) func(*rbac.Policy) error {
	return func(p *rbac.Policy) error {
		if actor == "" {
			return fmt.Errorf("sharing: a change of the policy needs its author: pass the caller's id")
		}
		before := snapshot(*p)
		if err := change(p); err != nil {
			return err
		}
		for _, tenant := range append(tenants(before, actor), tenants(*p, actor)...) {
			if err := rightsOf(before, tenant, actor).atLeast(rightsOf(*p, tenant, actor)); err != nil {
				return fmt.Errorf("sharing: the user %q would give rights to themselves: %w; somebody else must make this change", actor, err)
			}
		}
		return Separate(*p, resources...)
	}
}

// snapshot copies what a change could alter in place.
func snapshot(p rbac.Policy) rbac.Policy {
	p.Roles, p.Rules, p.Fields, p.Assignments = slices.Clone(p.Roles), slices.Clone(p.Rules), slices.Clone(p.Fields), slices.Clone(p.Assignments)
	for i := range p.Roles {
		p.Roles[i].Inherits = slices.Clone(p.Roles[i].Inherits)
	}
	for i := range p.Rules {
		p.Rules[i].Actions, p.Rules[i].Needs = slices.Clone(p.Rules[i].Actions), slices.Clone(p.Rules[i].Needs)
	}
	return p
}

// tenants lists where the user has roles, and "" for what everyone has.
func tenants(p rbac.Policy, user string) []string {
	all := []string{""}
	for _, a := range p.Assignments {
		if a.User == user && !slices.Contains(all, a.Tenant) {
			all = append(all, a.Tenant)
		}
	}
	return all
}

// rights is what one user has in one tenant.
type rights struct {
	roles  []string
	rules  []rbac.Rule
	fields []rbac.FieldRule
}

func rightsOf(p rbac.Policy, tenant, user string) rights {
	has := rights{roles: []string{rbac.Everyone}}
	for _, a := range p.Assignments {
		if a.User == user && a.Tenant == tenant {
			has.roles = append(has.roles, inherited(p, a.Role)...)
		}
	}
	for _, r := range p.Rules {
		if slices.Contains(has.roles, r.Role) {
			r.ID, r.Role = "", ""
			has.rules = append(has.rules, r)
		}
	}
	for _, f := range p.Fields {
		if slices.Contains(has.roles, f.Role) {
			has.fields = append(has.fields, f)
		}
	}
	return has
}

// atLeast reports what the later rights have that these have not.
func (r rights) atLeast(later rights) error {
	has := func(list []rbac.Rule, one rbac.Rule) bool {
		return slices.ContainsFunc(list, func(r rbac.Rule) bool { return reflect.DeepEqual(r, one) })
	}
	for _, role := range later.roles {
		if !slices.Contains(r.roles, role) {
			return fmt.Errorf("the role %q", role)
		}
	}
	for _, rule := range later.rules {
		if rule.Effect != rbac.Deny && !has(r.rules, rule) {
			return fmt.Errorf("a rule on %s", rule.Resource)
		}
	}
	for _, rule := range r.rules {
		if rule.Effect == rbac.Deny && !has(later.rules, rule) {
			return fmt.Errorf("without a deny rule on %s", rule.Resource)
		}
	}
	for _, f := range append(slices.Clone(r.fields), later.fields...) {
		if slices.Contains(r.fields, f) != slices.Contains(later.fields, f) && slices.Contains(later.roles, f.Role) {
			return fmt.Errorf("a field rule on %s", f.Resource) // a rule for one field replaces those for all
		}
	}
	return nil
}
