package rbac

import "strings"

// level is one pair of parentheses, or what stands outside all of them.
type level struct {
	open   int       // the token that opens it, -1 outside
	part   queryPart // of a query, as far as it was read
	query  bool      // it is a query of its own
	sorted bool      // SELECT DISTINCT
}

type queryPart uint8

const (
	noPart queryPart = iota
	listPart
	assignPart
	condPart
	orderPart
	groupPart
	havingPart
)

// step reads token i: it opens or closes parentheses, or begins a part of a query.
func (v *inspection) step(i int) {
	t := v.tokens[i]
	for len(v.around) > t.depth+1 {
		v.around = v.around[:len(v.around)-1]
	}
	for len(v.around) < t.depth+1 {
		v.around = append(v.around, level{open: i - 1}) // the token before is the parenthesis
	}
	if t.quote != 0 {
		return
	}
	at := &v.around[len(v.around)-1]
	first := i == at.open+1
	if first && (at.open < 0 || v.is(i, "SELECT", "WITH", "VALUES")) {
		at.query = true
	}
	switch {
	case v.is(i, "BY") && v.is(i-1, "ORDER"):
		at.part = orderPart
	case v.is(i, "BY") && v.is(i-1, "GROUP", "PARTITION"):
		at.part = groupPart
	case !at.query && !first: // FROM in substring(a FROM 1) is no part of a query
	case v.is(i, "SELECT", "RETURNING"):
		at.part, at.sorted = listPart, v.is(i+1, "DISTINCT")
	case v.is(i, "SET"), v.is(i, "UPDATE") && v.is(i-1, "KEY"):
		at.part = assignPart
	case v.is(i, "FROM", "WHERE", "ON") && !v.is(i-1, "DISTINCT"):
		at.part = condPart
	case v.is(i, "HAVING"):
		at.part = havingPart
	}
}

func (v *inspection) innermost() *level { return &v.around[len(v.around)-1] }

// ordering reports whether the outermost query is at its ORDER BY or GROUP BY.
func (v *inspection) ordering() bool {
	return v.around[0].part == orderPart || v.around[0].part == groupPart
}

// listing reports whether the innermost level is at its list of columns.
func (v *inspection) listing() bool { return v.innermost().part == listPart }

// form is how a column is used.
type form uint8

const (
	usedForm  form = iota // for what the rights say
	plainForm             // as a whole item of the list, which View renders
	wholeForm             // so that its value goes where View does not see what it is
)

// needs returns the rights that the use of a column at token i asks for. Each form that is not known for
// something less counts as Range in a condition, and in a list of results as handing on the value, whole.
func (v *inspection) needs(i int) (Right, form) {
	start := i
	for v.word(start-1) == "." {
		start -= 2
	}
	var part queryPart
	var needs Right
	depth := 0 // of the level that says of which part of which query the token is
	for n := len(v.around) - 1; n >= 0; n-- {
		at := &v.around[n]
		if part == noPart {
			part, depth = at.part, n
		}
		needs |= v.surrounding(at)
	}
	aggregated := v.aggregated(start, i)
	switch {
	case v.equated(start, i):
		return needs | Match, usedForm
	case aggregated && part != noPart:
		return needs | Aggregate, usedForm
	case depth == len(v.around)-1 && (part == orderPart || part == groupPart) && v.bare(start, i):
		return needs, usedForm
	case part == listPart && len(v.around) == 1 && v.plain(start, i):
		return needs, plainForm
	case part == listPart || part == assignPart || part == noPart:
		return needs, wholeForm
	}
	return needs | Range, usedForm
}

// surrounding returns the rights that anything inside a level needs.
func (v *inspection) surrounding(at *level) (needs Right) {
	switch at.part {
	case orderPart:
		needs = Sort
	case groupPart, havingPart:
		needs = Aggregate
	}
	switch {
	case at.sorted && at.part == listPart:
		needs |= Sort
	case at.open > 0 && v.is(at.open-1, "GROUP"): // WITHIN GROUP (ORDER BY ...) returns a value
		needs |= Aggregate
	case at.matching(v):
		needs |= Match
	}
	return needs
}

// equated reports whether the column from token start to i is one side of =, <> or IS, or before IN.
func (v *inspection) equated(start, i int) bool {
	if v.innermost().matching(v) {
		return true
	}
	after := equality(v.operatorAfter(i)) || v.tested(i+1)
	before := (equality(v.operatorBefore(start)) || v.is(start-1, "IS")) && !(v.innermost().part == assignPart && v.assigns(start-2))
	switch {
	case after:
		return v.begins(start)
	case before:
		return v.ends(i)
	}
	return false
}

// matching reports whether the level is the target of an upsert, or the columns that two tables share.
func (l *level) matching(v *inspection) bool {
	return l.open > 0 && (v.is(l.open-1, "CONFLICT") && v.is(l.open-2, "ON") || v.is(l.open-1, "USING"))
}

// tested reports whether IN, IS NULL, IS DISTINCT FROM or IS with a value stands at token i.
func (v *inspection) tested(i int) bool {
	next := i + 1
	switch {
	case v.is(i, "ISNULL", "NOTNULL", "IN"):
		return true
	case v.is(i, "NOT"):
		return v.is(next, "IN")
	case !v.is(i, "IS"):
		return false
	case v.is(next, "NOT"):
		next++
	}
	return v.is(next, "NULL", "DISTINCT", "TRUE", "FALSE", "UNKNOWN") || v.word(next) != "" && !letter(v.word(next)[0])
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func equality(op string) bool {
	if len(op) > 1 {
		op = strings.TrimRight(op, "+-") // the sign of what follows
	}
	return op == "=" || op == "==" || op == "<>" || op == "!=" || op == "<=>"
}

const operatorChars = "=<>!~+-*/%^&|@#:"

// operatorAfter returns the run of operator characters behind token i.
func (v *inspection) operatorAfter(i int) string {
	to := i + 1
	for to < len(v.tokens) && strings.Contains(operatorChars, v.word(to)) && (to == i+1 || v.tokens[to].from == v.tokens[to-1].to) {
		to++
	}
	if to == i+1 {
		return ""
	}
	return v.query[v.tokens[i+1].from:v.tokens[to-1].to]
}

// operatorBefore returns the run of operator characters before token i.
func (v *inspection) operatorBefore(i int) string {
	from := i
	for from > 0 && strings.Contains(operatorChars, v.word(from-1)) && (from == i || v.tokens[from-1].to == v.tokens[from].from) {
		from--
	}
	if from == i {
		return ""
	}
	return v.query[v.tokens[from].from:v.tokens[i-1].to]
}

// begins reports whether an operand of a comparison begins at token i: nothing binds it to what stands
// before it.
func (v *inspection) begins(i int) bool {
	if v.is(i-1, "AND") {
		return !v.between(i - 1)
	}
	return v.is(i-1, "(", ",", "WHERE", "OR", "XOR", "NOT", "ON", "HAVING", "WHEN", "THEN", "ELSE", "BY", "SELECT", "DISTINCT")
}

// ends reports whether an operand of a comparison ends at token i.
func (v *inspection) ends(i int) bool {
	return i+1 == len(v.tokens) || v.is(i+1, ")", ",", "AND", "OR", "XOR", "WHEN", "THEN", "ELSE", "END", "FROM", "AS", "WHERE", "GROUP", "HAVING",
		"ORDER", "LIMIT", "OFFSET", "ASC", "DESC", "FOR", "JOIN", "INNER", "LEFT", "RIGHT", "CROSS", "RETURNING")
}

// between reports whether the AND at token i belongs to a BETWEEN.
func (v *inspection) between(i int) bool {
	depth := v.tokens[i].depth
	for k := i - 1; k >= 0 && v.tokens[k].depth >= depth; k-- {
		if v.tokens[k].depth > depth {
			continue
		}
		switch {
		case v.is(k, "BETWEEN"):
			return true
		case v.word(k) == "(" && k == v.innermost().open, v.is(k, "AND", "OR", "WHERE", "ON", "HAVING", "WHEN", "THEN", "SELECT", ","):
			return false
		}
	}
	return false
}

// bare reports whether the column is a whole item of an ORDER BY, GROUP BY or PARTITION BY.
func (v *inspection) bare(start, i int) bool {
	return v.is(start-1, "BY", ",") && (i+1 == len(v.tokens) || v.is(i+1, ",", ")", "ASC", "DESC", "NULLS", "HAVING", "ORDER", "LIMIT", "OFFSET", "FOR",
		"WINDOW", "ROWS", "RANGE", "GROUPS"))
}

// plain reports whether the column is a whole item of the list, under its own name: View will render it.
func (v *inspection) plain(start, i int) bool {
	return v.is(start-1, "SELECT", "RETURNING", "DISTINCT", ",") && (i+1 == len(v.tokens) || v.is(i+1, ",", "FROM") || v.is(i+1, "AS") && strings.EqualFold(v.word(i+2), v.word(i)))
}

// aggregated reports whether the column is the whole argument of COUNT, MIN, MAX, SUM or AVG.
func (v *inspection) aggregated(start, i int) bool {
	if !v.is(i+1, ")") {
		return false
	}
	open := start - 1
	for v.is(open, "DISTINCT", "ALL") || v.is(open, "(") && v.is(open-1, "DISTINCT") {
		open--
	}
	return v.is(open, "(") && v.is(open-1, "COUNT", "MIN", "MAX", "SUM", "AVG")
}
