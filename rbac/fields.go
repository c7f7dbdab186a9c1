package rbac

import (
	"strings"

	"github.com/confide-go/confide/masking"
)

// rulesOf returns a role's rules for one field: those that name it, or else those for all fields.
func (s *snapshot) rulesOf(role int, res *resource, col *column) []*fieldRule {
	if named := s.fields[fieldKey{role: role, res: res, col: col}]; len(named) > 0 {
		return named
	}
	return s.fields[fieldKey{role: role, res: res}]
}

// level is how much of a field of one row the caller sees: the most that any rule that holds gives. A rule
// whose condition is unknown gives nothing.
func (s *snapshot) level(e *env, res *resource, col *column) masking.Level {
	best := masking.Hidden
	for _, role := range e.who.roles.ids {
		for _, f := range s.rulesOf(role, res, col) {
			if f.Level > best && f.cond.eval(e) == yes {
				best = f.Level
			}
		}
	}
	return best
}

// hiddenColumns returns the columns that no rule ever shows to these roles, in lower case: a statement may
// not use them. A blind index goes with the field it is made of.
func (s *snapshot) hiddenColumns(roles *roleSet, res *resource) map[string]bool {
	hidden := map[string]bool{}
	for _, col := range res.columns {
		shown := col
		if col.match != nil {
			shown = col.match
		}
		if !shown.free && !s.everShown(roles, res, shown) {
			hidden[strings.ToLower(col.name)] = true
		}
	}
	return hidden
}

func (s *snapshot) everShown(roles *roleSet, res *resource, col *column) bool {
	for _, role := range roles.ids {
		for _, f := range s.rulesOf(role, res, col) {
			if f.Level > masking.Hidden {
				return true
			}
		}
	}
	return false
}
