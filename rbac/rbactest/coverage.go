package rbactest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/confide-go/confide/rbac"
)

type callerKey struct{}

// runner asks one policy after the other.
type runner struct {
	suite Suite
	cases []testCase
	authz *rbac.Authorizer
	used  map[string]bool // roles that somebody had
}

// run answers all cases under a policy.
func (r *runner) run(ctx context.Context, p rbac.Policy) ([]string, error) {
	if r.authz == nil {
		cfg := r.suite.Config
		cfg.Policies, cfg.Record = rbac.NewMemory(rbac.Policy{}), rbac.Discard
		cfg.Caller = func(ctx context.Context) (rbac.Caller, error) {
			c, _ := ctx.Value(callerKey{}).(rbac.Caller)
			return c, nil
		}
		var err error
		if r.authz, err = rbac.Open(ctx, cfg); err != nil {
			return nil, err
		}
	}
	r.used = map[string]bool{}
	answers := make([]string, len(r.cases))
	for _, role := range r.roles() { // one policy for all cases that give the same role
		if err := r.authz.Edit(ctx, func(now *rbac.Policy) error { *now = r.with(p, role); return nil }); err != nil {
			return nil, err
		}
		for i, c := range r.cases {
			if c.role != role {
				continue
			}
			var err error
			if answers[i], err = r.ask(ctx, c); err != nil {
				return nil, fmt.Errorf("rbactest: line %d: %w", c.line, err)
			}
		}
	}
	return answers, nil
}

// roles are those that the cases give.
func (r *runner) roles() []string {
	var roles []string
	for _, c := range r.cases {
		if !slices.Contains(roles, c.role) {
			roles = append(roles, c.role)
		}
	}
	return roles
}

// with assigns a role to the users of the cases that give it.
func (r *runner) with(p rbac.Policy, role string) rbac.Policy {
	p.Assignments = slices.Clone(p.Assignments)
	for _, c := range r.cases {
		if role == "" || c.role != role {
			continue
		}
		who := r.caller(c)
		p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: who.Tenant, User: who.ID, Role: role})
	}
	return p
}

func (r *runner) caller(c testCase) rbac.Caller {
	tenant, id, ok := strings.Cut(c.user, "/")
	if !ok {
		tenant, id = "", c.user
	}
	return rbac.Caller{Tenant: tenant, ID: id, Attrs: r.suite.Attrs[c.user]}
}

func (r *runner) ask(ctx context.Context, c testCase) (string, error) {
	ctx = context.WithValue(ctx, callerKey{}, r.caller(c))
	roles, err := r.authz.RolesOf(ctx)
	if err != nil {
		return "", err
	}
	for _, role := range roles {
		r.used[role] = true
	}
	row := r.suite.Rows[c.row]
	if c.what == "see" {
		views, err := r.authz.View(ctx, row)
		if err != nil {
			return "", err
		}
		return views[0].Level(c.object).String(), nil
	}
	x, err := r.authz.Explain(ctx, c.what, row)
	switch {
	case err != nil:
		return "", err
	case x.Resource != c.object:
		return "", fmt.Errorf("the row %q is a %s, not a %s", c.row, x.Resource, c.object)
	case x.Allowed:
		return "allow", nil
	}
	return "deny", nil
}

// cover leaves out one rule after the other: one that no case misses is one that no case tests.
func (r *runner) cover(ctx context.Context, answers []string) (Coverage, error) {
	p := r.suite.Policy
	c := Coverage{Cases: len(r.cases), Rules: len(p.Rules) + len(p.Fields)}
	for _, role := range p.Roles {
		if !r.used[role.Name] {
			c.Unused = append(c.Unused, role.Name)
		}
	}
	open := p
	open.Rules = slices.DeleteFunc(slices.Clone(p.Rules), func(x rbac.Rule) bool { return x.Effect == rbac.Deny })
	free, err := r.run(ctx, open)
	if err != nil {
		return c, err
	}
	for i, rule := range p.Rules {
		without := p
		without.Rules = slices.Delete(slices.Clone(p.Rules), i, i+1)
		same, err := r.same(ctx, without, answers)
		if err != nil {
			return c, err
		}
		if !same {
			c.Decisive++
			continue
		}
		c.Never = append(c.Never, rule.ID)
		if rule.Effect == rbac.Deny {
			continue
		}
		without.Rules = slices.DeleteFunc(slices.Clone(open.Rules), func(x rbac.Rule) bool { return x.ID == rule.ID })
		if same, err = r.same(ctx, without, free); err != nil {
			return c, err
		}
		if !same {
			c.Shadowed = append(c.Shadowed, rule.ID)
		}
	}
	err = r.coverFields(ctx, &c, answers)
	return c, err
}

func (r *runner) coverFields(ctx context.Context, c *Coverage, answers []string) error {
	p := r.suite.Policy
	for i, f := range p.Fields {
		without := p
		without.Fields = slices.Delete(slices.Clone(p.Fields), i, i+1)
		same, err := r.same(ctx, without, answers)
		if err != nil {
			return err
		}
		if same {
			c.Never = append(c.Never, fmt.Sprintf("%s of %s.%s", f.Role, f.Resource, f.Field))
		} else {
			c.Decisive++
		}
	}
	return nil
}

func (r *runner) same(ctx context.Context, p rbac.Policy, answers []string) (bool, error) {
	got, err := r.run(ctx, p)
	return slices.Equal(got, answers), err
}
