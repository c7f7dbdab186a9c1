package sharing

import (
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/rbac"
)

// The roles of the policy. Managers are staff too. The administrators are nothing else.
const (
	Staff         = "staff"
	Manager       = "manager"
	SystemAdmin   = "system_admin"
	SecurityAdmin = "security_admin"
	AuditAdmin    = "audit_admin"
)

// The rights of shares.
const (
	Read   = "read"
	Change = "update"
	Member = "member"
	Hide   = "hidden"
)

// Policy writes the rules. The result has no assignments; it is checked against the models, so that
// rbac.Open will take it.
func Policy(cfg Config) (rbac.Policy, error) {
	cfg.Resources = slices.Clone(cfg.Resources)
	if cfg.Naming == nil {
		cfg.Naming = schema.NamingStrategy{IdentifierMaxLength: 64}
	}
	w := writer{policy: rbac.Policy{Roles: []rbac.Role{{Name: Staff}, {Name: Manager, Inherits: []string{Staff}}}}}
	for _, name := range administrators() {
		w.role(name)
	}
	for i := range cfg.Resources {
		r := &cfg.Resources[i]
		if err := r.complete(cfg.Naming); err != nil {
			return rbac.Policy{}, err
		}
		if err := w.resource(r); err != nil {
			return rbac.Policy{}, err
		}
	}
	if err := cfg.compile(w.policy); err != nil {
		return rbac.Policy{}, fmt.Errorf("sharing: %w", err)
	}
	return w.policy, nil
}

func administrators() []string { return []string{SystemAdmin, SecurityAdmin, AuditAdmin} }

type writer struct{ policy rbac.Policy }

func (w *writer) role(name string) {
	if !slices.ContainsFunc(w.policy.Roles, func(r rbac.Role) bool { return r.Name == name }) {
		w.policy.Roles = append(w.policy.Roles, rbac.Role{Name: name})
	}
}

func (w *writer) allow(r *Resource, id, role, when string, actions ...string) {
	w.policy.Rules = append(w.policy.Rules, rbac.Rule{ID: r.Name + "-" + id, Role: role, Resource: r.Name, Actions: actions, When: when})
}

// deny forbids everything that some rule so far allows, or the named actions.
func (w *writer) deny(r *Resource, id, role, when string, actions ...string) {
	if len(actions) == 0 {
		actions = actionsOf(w.policy, r.Name)
	}
	w.policy.Rules = append(w.policy.Rules, rbac.Rule{ID: r.Name + "-" + id, Role: role, Resource: r.Name, Actions: actions, When: when, Effect: rbac.Deny})
}

func (w *writer) resource(r *Resource) error {
	own, managed := fmt.Sprintf("row.%s == caller.id", r.Owner), r.managed()
	w.allow(r, "own", Staff, own, "read", "create", "update", "share", "reveal")
	if r.Read != Private {
		w.allow(r, "read-"+string(r.Read), Staff, r.reach(r.Read), "read")
	}
	if r.Write != Private {
		w.allow(r, "write-"+string(r.Write), Staff, r.reach(r.Write), "update")
	}
	w.allow(r, "managed", Manager, managed, "read", "create", "update", "delete", "share", "reveal", "export")
	if r.Shared {
		w.allow(r, "shared-read", Staff, shared(Read, Change, Member), "read")
		w.allow(r, "shared-update", Staff, shared(Change, Member), "update")
	}
	for i, l := range r.Limits {
		where := map[string]string{Staff: own, Manager: managed}[l.Role]
		if where == "" {
			return fmt.Errorf("sharing: resource %s: the role %q of a limit is neither staff nor manager", r.Name, l.Role)
		}
		w.allow(r, fmt.Sprintf("limit-%d", i+1), l.Role, fmt.Sprintf("(%s) && row.%s <= caller.%s", where, l.Column, l.Attr), l.Actions...)
		w.deny(r, fmt.Sprintf("over-limit-%d", i+1), rbac.Everyone, fmt.Sprintf("row.%s > caller.%s", l.Column, l.Attr), l.Actions...)
	}
	if r.Shared {
		w.deny(r, "hidden-by-share", rbac.Everyone, shared(Hide))
	}
	for i, h := range r.Hidden {
		if h.Role != rbac.Everyone {
			w.role(h.Role)
		}
		w.deny(r, fmt.Sprintf("hidden-%d", i+1), h.Role, h.When)
	}
	for _, name := range administrators() {
		w.deny(r, "not-for-"+strings.ReplaceAll(name, "_", "-"), name, "")
	}
	w.policy.Fields = append(w.policy.Fields, rbac.FieldRule{Role: Staff, Resource: r.Name, Field: "*", Level: r.See, Reveal: true})
	return nil
}

// managed is the rows of everybody below. A row without an owner, and a path without a department, is
// nobody's.
func (r *Resource) managed() string {
	by := fmt.Sprintf(`row.%[1]s != "" && row.%[1]s in caller.reports`, r.Owner)
	if r.Path != "" {
		by += fmt.Sprintf(" || within(row.%s, caller.dept_path)", r.Path)
	}
	return by
}

func (r *Resource) reach(to Reach) string {
	switch to {
	case OwnTeam:
		return fmt.Sprintf(`row.%[1]s != "" && row.%[1]s in caller.teams`, r.Team)
	case OwnDepartment:
		return fmt.Sprintf("row.%[1]s == caller.dept_path && within(row.%[1]s, caller.dept_path)", r.Path)
	case DepartmentBelow:
		return fmt.Sprintf("within(row.%s, caller.dept_path)", r.Path)
	}
	return ""
}

func shared(rights ...string) string {
	var tests []string
	for _, right := range rights {
		tests = append(tests, fmt.Sprintf("shared(row, %q)", right))
	}
	return strings.Join(tests, " || ")
}

// actionsOf lists what any rule allows on a resource.
func actionsOf(p rbac.Policy, resource string) []string {
	var all []string
	for _, r := range p.Rules {
		if r.Resource != resource || r.Effect == rbac.Deny {
			continue
		}
		for _, action := range r.Actions {
			if !slices.Contains(all, action) {
				all = append(all, action)
			}
		}
	}
	return all
}
