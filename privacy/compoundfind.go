package privacy

import (
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm/clause"
)

// A joint is an operand that is looked up together with those of other fields, in a compound index. It stands
// where the operand stood, so that each condition becomes the same lookup.
type joint struct {
	index *indexField
	cells []*cell // by index.parts
	value any     // the operand
}

// An equality is a condition "column = value" on a sealed field that must hold for the whole statement.
type equality struct {
	field     *sealedField
	qualifier string
	cell      *cell
	value     any
	put       func(*joint) // in place of value
}

// joints joins equalities of which a compound index knows the answer.
func (s *scope) joints(where clause.Expression) clause.Expression {
	w, ok := where.(clause.Where)
	if !ok || !slices.ContainsFunc(s.reg.all, func(m *model) bool { return len(m.compounds) > 0 }) {
		return where
	}
	var found []equality
	w.Exprs = s.equalities(w.Exprs, &found)
	taken := make([]bool, len(found))
	for i, e := range found {
		for _, x := range e.field.model.compounds {
			if !taken[i] {
				join(x, e.qualifier, found, taken)
			}
		}
	}
	return w
}

// join puts a compound index in place of one equality for each of its parts, if there are.
func join(x *indexField, qualifier string, found []equality, taken []bool) {
	j := joint{index: x}
	var at []int
	for _, p := range x.parts {
		n := slices.IndexFunc(found, func(e equality) bool { return e.field == p.of && e.qualifier == qualifier })
		if n < 0 || taken[n] {
			return
		}
		at, j.cells = append(at, n), append(j.cells, found[n].cell)
	}
	for _, n := range at {
		one := j
		one.value = found[n].value
		found[n].put(&one)
		taken[n] = true
	}
}

// equalities collects what must hold of every row. It returns a copy of the conditions for the operands to be
// replaced in.
func (s *scope) equalities(exprs []clause.Expression, found *[]equality) []clause.Expression {
	if slices.ContainsFunc(exprs, func(e clause.Expression) bool { _, or := e.(clause.OrConditions); return or }) {
		return exprs
	}
	out := slices.Clone(exprs)
	for i, e := range out {
		if r, again := e.(rewritten); again {
			e = r.original
		}
		switch x := e.(type) {
		case clause.AndConditions:
			out[i] = clause.AndConditions{Exprs: s.equalities(x.Exprs, found)}
		case clause.Eq:
			hit, ok, err := s.columnOf(x.Column, s.main)
			if err == nil && ok {
				s.equal(found, hit, rename(x.Column, "").(clause.Column).Table, x.Value, func(j *joint) { out[i] = clause.Eq{Column: x.Column, Value: j} })
			}
		case clause.Expr:
			x.Vars = slices.Clone(x.Vars)
			s.equalTexts(x, found)
			out[i] = x
		}
	}
	return out
}

func (s *scope) equal(found *[]equality, hit column, qualifier string, value any, put func(*joint)) {
	c, ok := cellOf(value)
	if hit.cell == nil || hit.loose || !ok || c == nil || c.state == stateNull || c.state == stateQuery {
		return
	}
	if qualifier == clause.CurrentTable || strings.EqualFold(qualifier, s.stmt.Table) {
		qualifier = ""
	}
	*found = append(*found, equality{hit.cell, strings.ToLower(qualifier), c, value, put})
}

// equalTexts finds "name = ? AND birth = ?" in a text that joins its conditions by AND only. What it does not
// take for that stays as it is.
func (s *scope) equalTexts(x clause.Expr, found *[]equality) {
	if murky(x.SQL) {
		return
	}
	w := fragment{s: s, text: x.SQL, vars: x.Vars, toks: tokenize(x.SQL), current: s.main, mode: mayRewrite}
	for _, t := range w.toks {
		if t.is("OR", "XOR", "BETWEEN", "CASE", "SELECT", "(", ")", "|", "||", "&", "&&", ":", "@", "^") {
			return
		}
	}
	for i := 0; i < len(w.toks); i++ {
		if w.toks[i].kind != tokenName {
			continue
		}
		n := readName(w.toks, i)
		i = n.end - 1
		hit, ok := s.resolve(n.qualifier, n.name, s.main)
		if !ok || n.end >= len(w.toks) || !w.toks[n.end].is("=") || n.from > 0 && !w.toks[n.from-1].is("AND") {
			continue
		}
		if list, _, _, ok := w.operatorAt(n); ok && len(list) == 1 {
			at := w.paramsBefore(w.toks[n.end].start)
			s.equal(found, hit, n.qualifier, list[0], func(j *joint) { x.Vars[at] = j })
		}
	}
}

// A jointText is a text in which a compound index is looked up. It is put back after the query like any other
// condition, because what it was joined with is.
type jointText struct{ clause.Expr }

// NegationBuild is never called: what is joined stands in no NOT.
func (t jointText) NegationBuild(b clause.Builder) { clause.Not(t.Expr).Build(b) }

// originalText returns a text as it was before operands became joints.
func originalText(x clause.Expr) (clause.Expr, bool) {
	joined := false
	vars := slices.Clone(x.Vars)
	for i, v := range vars {
		if j, ok := v.(*joint); ok {
			vars[i], joined = j.value, true
		}
	}
	x.Vars = vars
	return x, joined
}

// planJoint looks values up in a compound index. f is the field whose condition asks.
func (s *scope) planJoint(f *sealedField, j *joint) (lookup, error) {
	x, region := j.index, s.v.cfg.Region
	combined := [][]string{nil}
	var own []string
	var norm normaliser
	for i, p := range x.parts {
		if err := p.of.takes(j.cells[i]); err != nil {
			return lookup{}, err
		}
		value, err := j.cells[i].open()
		if err != nil {
			return lookup{}, err
		}
		forms := p.norm.candidates(string(value), region)
		var next [][]string
		for _, c := range combined {
			for _, form := range forms {
				next = append(next, append(slices.Clone(c), form))
			}
		}
		combined = next
		if p.of == f {
			own, norm = forms, p.norm
		}
	}
	l := lookup{index: x}
	if err := s.tenant.load(); err != nil {
		return l, err
	}
	if s.tenant.keys == nil {
		var err error
		l.cells, err = s.tenant.none()
		return l, err
	}
	for _, forms := range combined {
		all, err := s.tenant.keys.blindPartsAll(s.tenant.tenant, x, forms)
		if err != nil {
			return l, err
		}
		for _, idx := range all {
			l.cells = append(l.cells, idx)
		}
	}
	if x.bits != 0 {
		// Each condition looks at its own field, and all of them must hold.
		l.keep = func(v string) bool { return slices.Contains(own, norm.apply(v, region)) }
	}
	return l, nil
}

// alone is the error for a condition on a field that only a compound index could answer.
func (f *sealedField) alone() error {
	for _, x := range f.model.compounds {
		for _, p := range x.parts {
			if p.of == f {
				return refuse(f.logical, "is indexed together with other fields only, so it cannot be searched alone",
					fmt.Sprintf("compare %s for equality, joined by AND alone, or declare its own index: %s", x.names(), indexTag(f, p.norm.base(), "")))
			}
		}
	}
	return refuse(f.logical, "has no blind index, so it cannot be searched", "declare one beside it: "+indexTag(f, "exact", ""))
}
