package rbac

import (
	"slices"
	"sort"
)

// snapshot is one version of the policy, compiled. It never changes: a new version is a new snapshot, so
// there is no cache to go stale and no moment without a policy.
type snapshot struct {
	version  int64
	engine   *engine
	rules    map[ruleKey][]*rule
	actions  map[string]uint64 // each action's number
	fields   map[fieldKey][]*fieldRule
	assigned map[userKey]*roleSet
	nobody   *roleSet // only Everyone
	roles    []string // by number; 0 is Everyone
	ordered  []*rule  // as in the policy, for explanations
	conds    map[condKey]*node
	shared   map[*resource]bool    // a condition on it asks for shares
	sealed   map[*resource][]*node // the comparisons of sealed columns
	asksEnv  bool                  // a condition asks for the environment
	needy    bool                  // a rule has needs
}

// condKey finds a compiled condition. Nodes never change, so the next snapshot takes over those it shares.
type condKey struct {
	res  *resource
	when string
}

// ruleKey is the numbers of role, resource and action in one word: a map finds it three times as fast as the
// three of them.
type ruleKey uint64

const (
	maxActions   = 1 << 16
	maxResources = 1 << 16
)

func keyOfRule(role int, res *resource, action uint64) ruleKey {
	return ruleKey(uint64(role)<<32 | uint64(res.number)<<16 | action)
}

// roleRules returns the rules of one role.
func (s *snapshot) roleRules(role int, res *resource, action uint64) []*rule {
	return s.rules[keyOfRule(role, res, action)]
}

type fieldKey struct {
	role int
	col  *column // nil means every field of res
	res  *resource
}

type userKey struct{ tenant, user string }

// roleSet is what a user's assignments come to: the roles and all they inherit.
type roleSet struct {
	ids   []int
	names []string
	uses  map[*resource]map[string]*fieldUse // columns these roles may not use freely
}

type rule struct {
	cond   *node // for one action: with its obligation
	allows bool
	Rule
	role int
	res  *resource
	bare *node       // as written
	must *obligation // nil: no needs
}

type fieldRule struct {
	FieldRule
	cond *node
}

func (s *snapshot) rolesOf(tenant, user string) *roleSet {
	if set := s.assigned[userKey{tenant, user}]; set != nil {
		return set
	}
	return s.nobody
}

// rulesFor calls f for each rule of the caller's roles, until f returns false.
func (s *snapshot) rulesFor(roles *roleSet, res *resource, action string, f func(*rule) bool) {
	number, ok := s.actions[action]
	if !ok {
		return
	}
	for _, role := range roles.ids {
		for _, r := range s.roleRules(role, res, number) {
			if !f(r) {
				return
			}
		}
	}
}

// newSnapshot validates and compiles a policy. Any mistake refuses the whole policy: leaving out the rule
// that cannot be read would open what it forbids.
func newSnapshot(p Policy, old *snapshot, res map[string]*resource, langs map[*resource]*language) (*snapshot, error) {
	s := &snapshot{
		version: p.Version, rules: map[ruleKey][]*rule{}, actions: map[string]uint64{}, fields: map[fieldKey][]*fieldRule{},
		assigned: map[userKey]*roleSet{}, roles: []string{Everyone}, conds: map[condKey]*node{}, shared: map[*resource]bool{}, sealed: map[*resource][]*node{},
	}
	b := &builder{snapshot: s, old: old, resources: res, langs: langs, number: map[string]int{Everyone: 0}}
	for _, step := range []func(Policy) error{b.addRoles, b.addRules, b.addFields, b.addAssignments} {
		if err := step(p); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// set makes the roleSet of some directly assigned roles.
func (s *snapshot) set(direct []int) *roleSet {
	set := &roleSet{ids: []int{0}}
	for _, role := range direct {
		for _, id := range s.engine.inherited[role] {
			if !slices.Contains(set.ids, id) {
				set.ids = append(set.ids, id)
				set.names = append(set.names, s.roles[id])
			}
		}
	}
	sort.Ints(set.ids)
	sort.Strings(set.names)
	return set
}
