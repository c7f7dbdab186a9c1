package privacy

import (
	"database/sql"
	"reflect"
	"slices"
	"strings"
)

// text returns the SQL to run in place of a fragment with its parameters. It rewrites "phone = ?",
// "phone IN ?" and their negations where they stand as a condition of their own, leaves "phone IS NULL"
// alone, and refuses every other mention of a sealed column.
func (s *scope) text(text string, vars []any, current *model, mode textMode) (string, []any, error) {
	w := fragment{s: s, text: text, vars: vars, toks: tokenize(text), current: current, mode: mode}
	for i := 0; i < len(w.toks); {
		next, err := w.step(i)
		if err != nil {
			return "", nil, err
		}
		i = next
	}
	for i, v := range vars {
		if r, ok := v.(*rowsIn); ok { // the statement runs again
			fresh, err := s.again(r)
			if err != nil {
				return "", nil, err
			}
			vars = slices.Clone(vars)
			vars[i] = fresh
			continue
		}
		if err := s.operands(v, current, w.taken); err != nil {
			return "", nil, err
		}
	}
	if !w.changed {
		return text, vars, nil
	}
	w.out.WriteString(text[w.copied:])
	// GORM counts every question mark; those that we copied took their parameters along.
	w.newVars = append(w.newVars, vars[w.seen:]...)
	return w.out.String(), w.newVars, nil
}

// A textMode says what a fragment is.
type textMode uint8

const (
	checkOnly     textMode = iota // nothing can be put in its place
	mayRewrite                    // a condition
	joinCondition                 // "JOIN customers AS c ON …"
)

// operands checks one parameter, unless a rewritten condition took it.
func (s *scope) operands(v any, current *model, taken map[any]bool) error {
	if named, ok := v.(sql.NamedArg); ok {
		v = named.Value
	}
	if c, ok := cellOf(v); ok && c != nil && taken[c] {
		return nil
	}
	if list, ok := listOf(v); ok {
		for _, one := range list {
			if err := s.operands(one, current, taken); err != nil {
				return err
			}
		}
		return nil
	}
	return s.operand(v, current)
}

// A fragment is being rewritten.
type fragment struct {
	s       *scope
	text    string
	toks    []token
	vars    []any
	current *model
	mode    textMode

	changed bool
	out     strings.Builder
	copied  int // text up to here is in out
	newVars []any
	seen    int          // parameters up to here are in newVars
	taken   map[any]bool // cells that became index lookups
}

// step handles the token at i and returns the next one to look at.
func (w *fragment) step(i int) (int, error) {
	if w.toks[i].kind != tokenName {
		return i + 1, nil
	}
	n := readName(w.toks, i)
	if err := w.table(i, n); err != nil {
		return 0, err
	}
	if n.call {
		return n.end, nil
	}
	hit, ok := w.s.resolve(n.qualifier, n.name, w.current)
	if !ok || nullTest(w.toks, n.end) && !hit.loose {
		return n.end, nil
	}
	return w.condition(n, hit)
}

// table refuses a sealed table that is read inside the fragment.
func (w *fragment) table(i int, n sqlName) error {
	m := w.s.reg.byTable[strings.ToLower(n.name)]
	if m == nil || i == 0 || !w.toks[i-1].is("FROM", "JOIN", "INTO", "UPDATE", "TABLE") {
		return nil
	}
	if w.mode == joinCondition && w.toks[i-1].is("JOIN") && !slices.ContainsFunc(w.toks, func(t token) bool { return t.is("SELECT") }) {
		return nil
	}
	return refuse(m.resource, "raw SQL reads or writes its table past the vault", "use the model, a *gorm.DB as subquery, or Joins")
}

// nullTest reports whether IS [NOT] NULL stands at token i.
func nullTest(toks []token, i int) bool {
	if i+1 >= len(toks) || !toks[i].is("IS") {
		return false
	}
	if toks[i+1].is("NOT") {
		i++
	}
	return i+1 < len(toks) && toks[i+1].is("NULL")
}

func (w *fragment) condition(n sqlName, hit column) (int, error) {
	if err := hit.usable(); err != nil {
		return 0, err
	}
	list, negate, end, ok := w.operatorAt(n)
	if !ok {
		return 0, refuse(hit.logical(), "this SQL cannot be answered on sealed values",
			"write the condition as column = ?, column IN ? or column IS NULL, joined by AND, OR and NOT, or use Where(&Model{…})")
	}
	if hit.index != nil {
		for _, v := range list {
			if err := hit.indexOperand(v); err != nil {
				return 0, err
			}
		}
		return end, nil
	}
	if w.mode != mayRewrite || murky(w.text) {
		return 0, refuse(hit.logical(), "conditions with names, comments or backslashes cannot be rewritten", "use a plain condition with ? parameters")
	}
	var values []any
	for _, v := range list {
		if many, isList := listOf(v); isList {
			values = append(values, many...)
		} else {
			values = append(values, v)
		}
	}
	if w.toks[n.from].kind == tokenName && w.negative() {
		defer w.s.inNot()()
	}
	a, err := w.s.answer(hit.cell, n.qualifier, values, negate)
	if err != nil {
		return 0, err
	}
	w.replace(n, end, a, negate, values)
	return end, nil
}

// operatorAt reads "= ?", "<> ?", "IN ?", "NOT IN (?, ?)" behind a name, if the whole is a condition.
func (w *fragment) operatorAt(n sqlName) (list []any, negate bool, end int, ok bool) {
	t, i := w.toks, n.end
	at := func(i int) token {
		if i < len(t) {
			return t[i]
		}
		return token{}
	}
	switch {
	case at(i).is("=") && at(i+1).kind == tokenParam:
		end = i + 2
	case at(i).is("<>", "!=") && at(i+1).kind == tokenParam:
		negate, end = true, i+2
	case at(i).is("IN"):
		end = w.listEnd(i + 1)
	case at(i).is("NOT") && at(i+1).is("IN"):
		negate, end = true, w.listEnd(i+2)
	}
	if end == 0 || !w.bounded(n.from, end) {
		return nil, false, 0, false
	}
	first := w.paramsBefore(t[i].start)
	last := w.paramsBefore(t[end-1].end)
	if first >= last || last > len(w.vars) {
		return nil, false, 0, false
	}
	return w.vars[first:last], negate, end, true
}

// listEnd reads "?" or "(?, ?)" and returns the token behind, or 0.
func (w *fragment) listEnd(i int) int {
	t := w.toks
	if i < len(t) && t[i].kind == tokenParam {
		return i + 1
	}
	if i >= len(t) || !t[i].is("(") {
		return 0
	}
	for i++; i+1 < len(t) && t[i].kind == tokenParam; i += 2 {
		if t[i+1].is(")") {
			return i + 2
		}
		if !t[i+1].is(",") {
			return 0
		}
	}
	return 0
}

// bounded reports whether the tokens from up to end stand between words that cannot change their meaning.
func (w *fragment) bounded(from, end int) bool {
	before := from == 0 || w.toks[from-1].is("(", "AND", "OR", "NOT", "WHERE", "ON")
	if from > 1 && w.toks[from-1].is("(") && w.toks[from-2].kind == tokenName && !w.toks[from-2].is("AND", "OR", "NOT", "WHERE", "ON") {
		before = false // a function's argument
	}
	return before && (end == len(w.toks) || w.toks[end].is(")", "AND", "OR"))
}

// paramsBefore counts question marks the way GORM does, also those inside strings.
func (w *fragment) paramsBefore(pos int) int { return strings.Count(w.text[:pos], "?") }

// negative reports whether the fragment holds a NOT that may stand around a condition.
func (w *fragment) negative() bool {
	for i, t := range w.toks {
		if t.is("NOT") && (i+1 == len(w.toks) || !w.toks[i+1].is("IN", "NULL")) {
			return true
		}
	}
	return false
}

func (w *fragment) replace(n sqlName, end int, a answer, negate bool, values []any) {
	nameAt := w.toks[n.end-1].start
	var put any = a.cells
	if a.rows != nil {
		nameAt, put = w.toks[n.from].start, a.rows
	}
	w.out.WriteString(w.text[w.copied:nameAt])
	switch {
	case a.rows != nil:
		w.out.WriteString(" ?")
	case negate:
		w.out.WriteString(w.s.stmt.Quote(a.index.column) + " NOT IN ?")
	default:
		w.out.WriteString(w.s.stmt.Quote(a.index.column) + " IN ?")
	}
	w.copied = w.toks[end-1].end
	w.newVars = append(append(w.newVars, w.vars[w.seen:w.paramsBefore(nameAt)]...), put)
	w.seen = w.paramsBefore(w.copied)
	if w.taken == nil {
		w.taken = map[any]bool{}
	}
	for _, v := range values {
		if c, ok := cellOf(v); ok {
			w.taken[c] = true
		}
	}
	w.changed = true
}

// structOf follows pointers and interfaces down to a struct, slice or map.
func structOf(rv reflect.Value) reflect.Value {
	for rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface {
		if rv.IsNil() {
			return reflect.Value{}
		}
		rv = rv.Elem()
	}
	return rv
}
