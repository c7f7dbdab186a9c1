package casbinimport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/confide-go/confide/rbac"
)

// build makes the policy. A name that others inherit is a role. Every other name is a user; one that rules
// name gets a role of its own.
func (m model) build(rows []Row, o Options) (rbac.Policy, error) {
	b := builder{model: m, options: o, parent: map[string]bool{}, role: map[string]int{}}
	for _, row := range rows {
		if row.Type == "g" {
			b.parent[row.Values[1]] = true
		}
	}
	for _, row := range rows {
		var err error
		if row.Type == "g" {
			b.link(row)
		} else {
			err = b.rule(row)
		}
		if err != nil {
			return rbac.Policy{}, fmt.Errorf("casbinimport: line %d: %w", row.Line, err)
		}
	}
	return b.policy, nil
}

type builder struct {
	model
	options Options
	policy  rbac.Policy
	parent  map[string]bool
	role    map[string]int // each role's place in the policy
}

// named returns the place of a role, which it makes if it is new.
func (b *builder) named(name string) int {
	i, ok := b.role[name]
	if !ok {
		i = len(b.policy.Roles)
		b.role[name] = i
		b.policy.Roles = append(b.policy.Roles, rbac.Role{Name: name})
	}
	return i
}

func (b *builder) link(row Row) {
	child, parent, tenant := row.Values[0], row.Values[1], b.options.Tenant
	if b.domains {
		tenant = row.Values[2]
	}
	b.named(parent)
	if !b.parent[child] {
		b.assign(tenant, child, parent)
		return
	}
	r := &b.policy.Roles[b.named(child)]
	if !slices.Contains(r.Inherits, parent) {
		r.Inherits = append(r.Inherits, parent)
	}
}

func (b *builder) assign(tenant, user, role string) {
	a := rbac.Assignment{Tenant: tenant, User: user, Role: role}
	if !slices.Contains(b.policy.Assignments, a) {
		b.policy.Assignments = append(b.policy.Assignments, a)
	}
}

// Own is the prefix of the role that a user gets who is named by rules.
const Own = "user "

func (b *builder) rule(row Row) error {
	value := func(field string) string {
		if i := slices.Index(b.fields, field); i >= 0 {
			return row.Values[i]
		}
		return ""
	}
	sub, tenant := value("sub"), b.options.Tenant
	if b.domains {
		tenant = value("dom")
	}
	role := sub
	if !b.parent[sub] {
		role = Own + sub
		if b.parent[role] {
			return fmt.Errorf("%q is a role, but also what the user %q would get: rename it", role, sub)
		}
		b.assign(tenant, sub, role)
	}
	b.named(role)
	resource, when, err := b.options.object(value("obj"))
	if err != nil {
		return err
	}
	if b.domains {
		when = strings.Trim("caller.tenant == "+strconv.Quote(tenant)+" && ("+when+")", " ")
		when = strings.TrimSuffix(when, " && ()")
	}
	effect := rbac.Effect(value("eft"))
	if effect == "" {
		effect = rbac.Allow
	}
	b.policy.Rules = append(b.policy.Rules, rbac.Rule{ID: fmt.Sprint("casbin ", row.Line), Role: role, Resource: resource,
		Actions: []string{b.options.action(value("act"))}, When: when, Effect: effect})
	return nil
}

func (o Options) object(obj string) (resource, when string, err error) {
	if o.Object != nil {
		return o.Object(obj)
	}
	if !word(obj) {
		return "", "", fmt.Errorf("the object %q is not a resource's name: say what it is in Options.Object", obj)
	}
	return obj, "", nil
}

func (o Options) action(act string) string {
	if ours := o.Actions[act]; ours != "" {
		return ours
	}
	return act
}

func word(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
