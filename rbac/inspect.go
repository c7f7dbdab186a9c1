package rbac

import "strings"

// inspect checks the finished text of a statement on a guarded table: that the predicate stands at its
// place, that nothing reaches over the parentheses behind it, that no other guarded table is named, and
// that no column is used to learn what the caller may not know of it.
func (g *guard) inspect(query string) error {
	tokens, err := tokenize(query, g.db.Dialector.Name())
	if err != nil {
		return err
	}
	v := inspection{guard: g, query: query, tokens: tokens}
	if g.res != nil && g.op != "create" {
		if err := v.predicate(); err != nil {
			return err
		}
	}
	if err := v.findMoved(); err != nil {
		return err
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
	around []level // the parentheses around the token that is looked at
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

// tables counts the guarded names outside the scopes we printed: those that GORM prints for us, and not one
// more.
func (v *inspection) tables() error {
	allowed := map[string]int{}
	if v.res != nil {
		allowed[strings.ToLower(v.res.table)], allowed[strings.ToLower(v.table)] = 1, 1
	}
	for _, j := range v.joins { // printed as: table alias
		allowed[strings.ToLower(j.res.table)]++
		allowed[strings.ToLower(j.alias)]++
	}
	for w := range words(v.query) {
		if v.printed(w) {
			continue
		}
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
	return v.tokens[i].depth == 0 && v.is(i+1, "=") && v.is(i-1, ",", "SET", "UPDATE")
}
