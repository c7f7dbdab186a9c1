package rbac

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking"
)

// builder fills a snapshot from a policy and refuses what it does not understand.
type builder struct {
	*snapshot
	old       *snapshot // nil for the first
	resources map[string]*resource
	langs     map[*resource]*language
	number    map[string]int // of each role
}

func (b *builder) addRoles(p Policy) error {
	for _, r := range p.Roles {
		if err := plainName("role", r.Name); err != nil {
			return err
		}
		if _, twice := b.number[r.Name]; twice {
			return badPolicy("role %q is declared twice", r.Name)
		}
		b.number[r.Name] = len(b.roles)
		b.roles = append(b.roles, r.Name)
	}
	parents := make([][]int, len(b.roles))
	for _, r := range p.Roles {
		for _, parent := range r.Inherits {
			id, ok := b.number[parent]
			if !ok || id == 0 {
				return badPolicy("role %q inherits %q, which is not a role of the policy", r.Name, parent)
			}
			parents[b.number[r.Name]] = append(parents[b.number[r.Name]], id)
		}
	}
	for role := range parents {
		if cyclic(parents, role, role, map[int]bool{}) {
			return badPolicy("role %q inherits itself", b.roles[role])
		}
	}
	var err error
	b.engine, err = newEngine(parents)
	return err
}

func cyclic(parents [][]int, from, target int, seen map[int]bool) bool {
	for _, p := range parents[from] {
		if p == target {
			return true
		}
		if !seen[p] {
			seen[p] = true
			if cyclic(parents, p, target, seen) {
				return true
			}
		}
	}
	return false
}

func (b *builder) addRules(p Policy) error {
	ids := map[string]bool{}
	for _, r := range p.Rules {
		if err := plainName("rule id", r.ID); err != nil {
			return err
		}
		if ids[r.ID] {
			return badPolicy("rule %q: the id is used twice", r.ID)
		}
		ids[r.ID] = true
		if err := b.addRule(r); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addRule(r Rule) error {
	role, res, err := b.target(r.Role, r.Resource)
	if err != nil {
		return badPolicy("rule %q: %v", r.ID, err)
	}
	if r.Effect == "" {
		r.Effect = Allow
	}
	if r.Effect != Allow && r.Effect != Deny {
		return badPolicy("rule %q: the effect %q is neither allow nor deny", r.ID, r.Effect)
	}
	cond, err := b.compile(res, r.When)
	if err != nil {
		return badPolicy("rule %q: condition: %v", r.ID, err)
	}
	if len(r.Actions) == 0 {
		return badPolicy("rule %q names no action", r.ID)
	}
	if len(r.Needs) > 0 && r.Effect == Deny {
		return badPolicy("rule %q: a deny rule cannot need anything: it denies, or its condition says when", r.ID)
	}
	compiled := &rule{Rule: r, role: role, res: res, cond: cond, bare: cond, allows: r.Effect == Allow}
	for i, action := range r.Actions {
		if !word(action) {
			return badPolicy("rule %q: the action %q is not a lower-case word; name each action, there is no wildcard", r.ID, action)
		}
		if slices.Contains(r.Actions[:i], action) {
			return badPolicy("rule %q names the action %s twice", r.ID, action)
		}
		number, ok := b.actions[action]
		if !ok {
			if number = uint64(len(b.actions)); number == maxActions {
				return badPolicy("rule %q: the policy names more than %d actions", r.ID, maxActions)
			}
			b.actions[action] = number
		}
		key := keyOfRule(role, res, number)
		bound, err := b.bind(compiled, action)
		if err != nil {
			return badPolicy("rule %q: %v", r.ID, err)
		}
		b.rules[key] = append(b.rules[key], bound)
	}
	b.ordered = append(b.ordered, compiled)
	return nil
}

func (b *builder) addFields(p Policy) error {
	for _, f := range p.Fields {
		role, res, err := b.target(f.Role, f.Resource)
		if err != nil {
			return badPolicy("field rule %s.%s of role %q: %v", f.Resource, f.Field, f.Role, err)
		}
		key := fieldKey{role: role, res: res}
		if f.Field != "*" {
			if key.col = res.byName[f.Field]; key.col == nil {
				return badPolicy("field rule %s.%s of role %q: %s has no such column; it has %s", f.Resource, f.Field, f.Role, f.Resource, res.columnNames())
			}
		}
		if f.Level > masking.Full {
			return badPolicy("field rule %s.%s of role %q: %v is not a level", f.Resource, f.Field, f.Role, f.Level)
		}
		if err := f.checkRights(key.col); err != nil {
			return badPolicy("field rule %s.%s of role %q: %v", f.Resource, f.Field, f.Role, err)
		}
		cond, err := b.compile(res, f.When)
		if err != nil {
			return badPolicy("field rule %s.%s of role %q: condition: %v", f.Resource, f.Field, f.Role, err)
		}
		b.fields[key] = append(b.fields[key], &fieldRule{FieldRule: f, cond: cond})
	}
	return nil
}

func (b *builder) addAssignments(p Policy) error {
	direct := map[userKey][]int{}
	for _, a := range p.Assignments {
		id, ok := b.number[a.Role]
		if !ok || id == 0 {
			return badPolicy("an assignment gives the role %q, which is not a role of the policy", a.Role)
		}
		if a.User == "" {
			return badPolicy("an assignment of role %q has no user", a.Role)
		}
		key := userKey{a.Tenant, a.User}
		direct[key] = append(direct[key], id)
	}
	sets := map[string]*roleSet{}
	for key, roles := range direct {
		set := b.set(roles)
		same := fmt.Sprint(set.ids)
		if sets[same] == nil {
			sets[same] = b.withUses(set)
		}
		b.assigned[key] = sets[same]
	}
	b.nobody = b.withUses(b.set(nil))
	return nil
}

// compile compiles each condition once.
func (b *builder) compile(res *resource, when string) (*node, error) {
	key := condKey{res, when}
	if n := b.conds[key]; n != nil {
		return n, nil
	}
	var n *node
	if b.old != nil {
		n = b.old.conds[key]
	}
	if n == nil {
		var err error
		if n, err = b.langs[res].compile(when); err != nil {
			return nil, err
		}
	}
	b.conds[key] = n
	if n.shares() > 0 {
		b.shared[res] = true
	}
	n.sealedTests(func(test *node) { b.sealed[res] = append(b.sealed[res], test) })
	b.asksEnv = b.asksEnv || n.asksEnv()
	return n, nil
}

// withUses completes a set of roles with the columns they may not use freely.
func (b *builder) withUses(set *roleSet) *roleSet {
	set.uses = map[*resource]map[string]*fieldUse{}
	for _, res := range b.resources {
		set.uses[res] = b.fieldUses(set, res)
	}
	return set
}

func (b *builder) target(role, name string) (int, *resource, error) {
	id, ok := b.number[role]
	if !ok {
		return 0, nil, fmt.Errorf("the role %q is unknown: declare it in Policy.Roles", role)
	}
	res := b.resources[name]
	if res == nil {
		return 0, nil, fmt.Errorf("the resource %q is unknown: add it to Config.Resources", name)
	}
	return id, res, nil
}

// word reports whether s can be an action: lower-case letters, digits and underscores.
func word(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// plainName refuses names that look alike but differ, or that could forge a line of a log.
func plainName(what, s string) error {
	switch {
	case s == "" || s == Everyone:
		return badPolicy("a %s is %q; give it a name", what, s)
	case len(s) > 128 || !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return badPolicy("the %s %q must be at most 128 bytes of text without control characters or spaces at its ends", what, s)
	}
	return nil
}
