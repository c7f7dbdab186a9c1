package rbac

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/casbin/casbin/v2/effector"
	"github.com/casbin/casbin/v2/model"
	casbinrbac "github.com/casbin/casbin/v2/rbac"
	defaultrolemanager "github.com/casbin/casbin/v2/rbac/default-role-manager"
)

// perm is the casbin model: a role graph, and deny overrides allow. Casbin is used for these two and
// nowhere else, on a model that is built once per snapshot and never changed: what it gets wrong, it gets
// wrong while policies change (RemovePolicy, its caches, its reload).
const perm = `
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

// engine answers the two questions we ask casbin, as tables.
type engine struct {
	inherited [][]int // by role: the roles it has, itself first
	allows    [2][2]bool
}

// newEngine builds the tables. parents holds, by role, the roles it inherits directly. Roles go to casbin as
// numbers: it joins names with commas, and would take the role "a,b" for two, and a user called like a
// role for the role.
func newEngine(parents [][]int) (*engine, error) {
	m, err := model.NewModelFromString(perm)
	if err != nil {
		return nil, fmt.Errorf("rbac: casbin model: %w", err)
	}
	for role, list := range parents {
		for _, parent := range list {
			if err := m.AddPolicy("g", "g", []string{strconv.Itoa(role), strconv.Itoa(parent)}); err != nil {
				return nil, fmt.Errorf("rbac: casbin role: %w", err)
			}
		}
	}
	// One level more than there are roles: casbin drops deeper inheritance without a word.
	graph := defaultrolemanager.NewRoleManager(len(parents) + 1)
	if err := m.BuildRoleLinks(map[string]casbinrbac.RoleManager{"g": graph}); err != nil {
		return nil, fmt.Errorf("rbac: casbin role graph: %w", err)
	}
	e := &engine{}
	if err := e.inherit(graph, parents); err != nil {
		return nil, err
	}
	return e, e.arbitrate(m["e"]["e"].Value)
}

func (e *engine) inherit(graph casbinrbac.RoleManager, parents [][]int) error {
	for role := range parents {
		names, err := graph.GetImplicitRoles(strconv.Itoa(role))
		if err != nil {
			return fmt.Errorf("rbac: casbin role graph: %w", err)
		}
		has := []int{role}
		for _, name := range names {
			if i, err := strconv.Atoi(name); err == nil && !slices.Contains(has, i) {
				has = append(has, i)
			}
		}
		e.inherited = append(e.inherited, has)
	}
	return nil
}

// arbitrate asks casbin's effector what an allow and a deny rule come to, for each combination of the two
// holding. The SQL form assumes deny over allow over nothing, so anything else is an error.
func (e *engine) arbitrate(expr string) error {
	effects := []effector.Effect{effector.Allow, effector.Deny}
	for allow := range 2 {
		for deny := range 2 {
			matches := []float64{float64(allow), float64(deny)}
			result := effector.Indeterminate
			for i := range effects {
				got, _, err := effector.NewDefaultEffector().MergeEffects(expr, effects, matches, i, len(effects))
				if err != nil {
					return fmt.Errorf("rbac: casbin effect: %w", err)
				}
				if result = got; got != effector.Indeterminate {
					break
				}
			}
			e.allows[allow][deny] = result == effector.Allow
			if e.allows[allow][deny] != (allow == 1 && deny == 0) {
				return fmt.Errorf("rbac: casbin no longer lets deny override allow")
			}
		}
	}
	return nil
}

// decide joins the rules: denied says whether a deny rule holds or may hold.
func (e *engine) decide(allowed, denied bool) bool { return e.allows[bit(allowed)][bit(denied)] }
