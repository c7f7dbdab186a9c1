package rbac

import (
	"strings"

	"github.com/confide-go/confide/masking"
)

// fieldUse is what one set of roles needs to know of a column when a statement names it. Columns that may be
// used freely have none.
type fieldUse struct {
	res    *resource
	col    *column // the field; of a blind index the field it is made of
	name   string  // the column that was named
	index  bool    // a blind index: it has no order
	hidden bool    // no rule shows anything of it or gives a right: it may not even be named
	unseen bool    // no rule shows anything of it
}

// fieldUses returns the uses of all columns that these roles may not use freely, by name in lower case.
func (s *snapshot) fieldUses(roles *roleSet, res *resource) map[string]*fieldUse {
	uses := map[string]*fieldUse{}
	for _, col := range res.columns {
		u := &fieldUse{res: res, col: col, name: col.name}
		if col.match != nil {
			u.col, u.index = col.match, true
		}
		shown, given, open := s.everGiven(roles, res, u.col)
		if u.col.free || open && !u.index {
			continue
		}
		u.unseen, u.hidden = !shown, !shown && !given
		uses[strings.ToLower(col.name)] = u
	}
	return uses
}

// everGiven reports whether any rule shows the field or gives a right to use it, and whether rules without
// a condition show it in full and give all rights.
func (s *snapshot) everGiven(roles *roleSet, res *resource, col *column) (shown, given, open bool) {
	var always Right
	full := false
	for _, role := range roles.ids {
		for _, f := range s.rulesOf(role, res, col) {
			shown = shown || f.Level > masking.Hidden
			given = given || f.rights() != 0
			if f.cond.op == opConst && f.cond.truth == yes {
				always |= f.rights()
				full = full || f.Level == masking.Full
			}
		}
	}
	return shown, given, full && always|Export == allRights
}

// rightRule is the rows on which the caller has the right; 0 asks for the rows on which the field is seen in
// full.
func (s *snapshot) rightRule(roles *roleSet, res *resource, col *column, right Right) *node {
	var conds []*node
	for _, role := range roles.ids {
		for _, f := range s.rulesOf(role, res, col) {
			if right != 0 && f.rights()&right != 0 || right == 0 && f.Level == masking.Full {
				conds = append(conds, f.cond)
			}
		}
	}
	return anyOf(conds...)
}

// holds reports whether the caller has one right on the row.
func (s *snapshot) holds(e *env, res *resource, col *column, right Right) bool {
	return s.rightRule(e.who.roles, res, col, right).eval(e) == yes
}

// mayUse reports nil if the caller has the right on every row that a statement inside within can reach.
func (s *snapshot) mayUse(who *asker, u *fieldUse, right Right, within *node) error {
	no := &FieldRefused{Resource: u.res.name, Field: u.name, Right: right, Version: s.version}
	if u.index && right&(Sort|Range) != 0 {
		return refused("the column %s of %s is a blind index, which has no order: match by %s instead", u.name, u.res.name, u.col.name)
	}
	rows, err := s.rightRule(who.roles, u.res, u.col, right).fold(&env{who: *who})
	if err != nil {
		return err
	}
	switch {
	case within != nil && within.implies(rows), rows.op == opConst && rows.truth == yes:
		return nil
	case rows.op != opConst && right != 0:
		no.Some = true
	}
	return no
}
