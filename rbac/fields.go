package rbac

import "github.com/confide-go/confide/masking"

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
