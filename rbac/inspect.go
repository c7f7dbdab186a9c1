package rbac

import "strings"

// inspect checks the finished text of a statement on a guarded table: that the predicate stands at its
// place, that nothing reaches over the parentheses behind it, that no other guarded table is named, and
// that no hidden column is used to learn what it holds.
func (g *guard) inspect(query string) error {
	tokens, err := tokenize(query, g.db.Dialector.Name())
	if err != nil {
		return err
	}
	v := inspection{guard: g, query: query, tokens: tokens, hidden: g.who.roles.hidden[g.res]}
	if g.res != nil && g.op != "create" {
		if err := v.predicate(); err != nil {
			return err
		}
	}
	if err := v.tables(); err != nil {
		return err
	}
	return v.columns()
}

type inspection struct {
	*guard
	query  string
	tokens []token
	hidden map[string]bool
}

func (v *inspection) word(i int) string {
	if i < 0 || i >= len(v.tokens) {
		return ""
	}
	return v.query[v.tokens[i].from:v.tokens[i].to]
}

// is compares a token with some words in capitals.
func (v *inspection) is(i int, words ...string) bool {
	got := v.word(i)
	for _, w := range words {
		if len(got) == len(w) && strings.EqualFold(got, w) {
			return true
		}
	}
	return false
}

// predicate checks the outermost level: one statement, one WHERE, and that is ours.
func (v *inspection) predicate() error {
	if v.at == 0 || v.tail > len(v.query) {
		return refused("the statement on %s lost its row scope; another plugin rewrote it", v.label())
	}
	seen := false
	for i, t := range v.tokens {
		if t.depth > 0 || t.quote != 0 {
			continue
		}
		switch {
		case v.is(i, "WHERE"):
			if seen || t.to+1 != v.at {
				return refused("a second WHERE in the text of a join or column list on %s", v.label())
			}
			seen = true
		case v.is(i, "UNION", "INTERSECT", "EXCEPT", "MINUS"):
			return refused("%s on %s: run the parts as statements of their own", v.word(i), v.label())
		case i > 0 && v.is(i, "SELECT", "INTO"):
			return refused("%s in the text of a statement on %s: run it as a statement of its own", v.word(i), v.label())
		}
	}
	if !seen {
		return refused("the statement on %s lost its row scope; another plugin rewrote it", v.label())
	}
	return v.parentheses()
}

// parentheses checks that the caller's conditions close no parenthesis they did not open.
func (v *inspection) parentheses() error {
	for _, t := range v.tokens {
		if t.from > v.end && t.from < v.tail-1 && t.depth < 1 && v.query[t.from] != '(' && !strings.EqualFold(v.query[t.from:t.to], "and") {
			return refused("a condition on %s closes a parenthesis that it did not open", v.label())
		}
	}
	return nil
}

// tables counts the guarded names: those that GORM prints for us, and not one more.
func (v *inspection) tables() error {
	allowed := map[string]int{}
	if v.res != nil {
		allowed[strings.ToLower(v.res.table)], allowed[strings.ToLower(v.table)] = 1, 1
	}
	for _, j := range v.joins { // printed as: table alias
		allowed[strings.ToLower(j.res.table)]++
		allowed[strings.ToLower(j.alias)]++
	}
	if v.asked > 0 && v.a.tables[v.a.shares.name()] != nil {
		allowed[v.a.shares.name()] += v.asked
	}
	for w := range words(v.query) {
		name := strings.ToLower(v.query[w.from:w.to])
		if dynamic(v.query, w) || name == "natural" {
			return refused("%s in the text of a statement on %s", name, v.label())
		}
		left, ours := allowed[name]
		if !ours && v.a.tables[name] == nil || qualifies(v.query, w.to) {
			continue
		}
		if allowed[name] = left - 1; left == 0 {
			return refused("the text of a statement on %s names %s: join it by its association, preload it, or load its ids first", v.label(), name)
		}
	}
	return nil
}

// columns refuses the use of hidden columns, as a condition, an order or an expression: each would tell
// what View keeps back.
func (v *inspection) columns() error {
	if v.hidden == nil && len(v.joins) == 0 {
		return nil
	}
	free := v.ownText()
	by := false
	for i, t := range v.tokens {
		word := v.word(i)
		if t.depth == 0 && t.quote == 0 {
			by = v.is(i, "BY") || by && !v.is(i, "LIMIT", "HAVING", "ORDER", "FOR")
		}
		if t.from < free || t.from >= v.at && t.from < v.end || v.op == "create" && v.assigns(i) {
			continue
		}
		if v.op == "update" && t.from < v.at && v.assigns(i) {
			continue
		}
		if word == "*" && v.word(i-1) == "." && (t.from > v.at || !v.wholeRow(i)) {
			return refused("%s.* inside an expression on %s: some of its columns are hidden", v.word(i-2), v.label())
		}
		if by && t.depth == 0 && word[0] >= '0' && word[0] <= '9' && v.is(i-1, "BY", ",") {
			return refused("a column number in ORDER BY or GROUP BY on %s: write the column's name", v.label())
		}
		if err := v.names(t); err != nil {
			return err
		}
	}
	return nil
}

// names checks each word of a token; a string may be a column's name on SQLite and MySQL.
func (v *inspection) names(t token) error {
	for w := range words(v.query[t.from:t.to]) {
		name := strings.ToLower(v.query[t.from+w.from : t.from+w.to])
		of := qualifier(v.query, t.from+w.from)
		if v.hidden[name] && (of == "" || strings.EqualFold(of, v.table)) {
			return refused("the column %s of %s is hidden from the caller, so no condition, order or expression may use it", name, v.res.name)
		}
		for _, j := range v.joins {
			if v.who.roles.hidden[j.res][name] && t.from > v.end && (of == "" || strings.EqualFold(of, j.alias)) {
				return refused("the column %s of %s is hidden from the caller, so no condition, order or expression may use it", name, j.res.name)
			}
		}
	}
	return nil
}

// ownText returns where the text begins that is not simply GORM's list of all columns.
func (v *inspection) ownText() int {
	stop := ""
	switch {
	case v.op == "create":
		stop = "ON"
	case !v.listed && (v.op == "query" || v.op == "row"):
		stop = "FROM"
	}
	if stop == "" {
		return 0
	}
	for i, t := range v.tokens {
		if t.depth == 0 && t.quote == 0 && v.is(i, stop) {
			return t.from
		}
	}
	return len(v.query)
}

// assigns reports whether token i is the column an UPDATE assigns to, or the new value of that column in an
// upsert.
func (v *inspection) assigns(i int) bool {
	if v.is(i-2, "VALUES") && v.is(i+1, ")") {
		return true
	}
	return v.tokens[i].depth == 0 && v.is(i+1, "=") && v.is(i-1, ",", "SET")
}

// wholeRow reports whether token i is the * of a plain "table.*" in the SELECT list.
func (v *inspection) wholeRow(i int) bool {
	return v.tokens[i].depth == 0 && v.is(i-3, "SELECT", ",") && v.is(i+1, ",", "FROM")
}
