package privacy

import (
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
	"gorm.io/gorm/utils"
)

// A scope says which tables with sealed columns one statement can see, under which names.
type scope struct {
	v      *Vault
	reg    *registry
	stmt   *gorm.Statement
	main   *model            // the statement's own table, if it has sealed columns
	names  map[string]*model // by lower-case alias
	plain  map[string]bool   // aliases of tables without sealed columns
	loose  []*model          // tables that stand in raw text under a name we could not read
	nested bool              // a sealed table stands in a subquery of FROM
	mixed  bool              // FROM is more than one table, so no row has one key
	tenant *tenantIndex

	streamed bool                // the result leaves as open rows
	locks    bool                // the statement writes
	negated  bool                // inside a NOT
	pushed   []clause.Expression // conditions that candidates of a search must also meet
}

// A column is what a name in a statement means, if it is sealed or an index.
type column struct {
	cell  *sealedField
	index *indexField
	loose bool
}

func (c column) logical() string {
	if c.cell != nil {
		return c.cell.logical
	}
	return c.index.of.logical
}

func (v *Vault) scopeOf(stmt *gorm.Statement) (*scope, error) {
	s := &scope{v: v, reg: v.reg.Load(), stmt: stmt, names: map[string]*model{}, plain: map[string]bool{}}
	if err := s.addMain(); err != nil {
		return nil, err
	}
	s.addTableExpr()
	if err := s.addJoins(); err != nil {
		return nil, err
	}
	return s, nil
}

// any reports whether a sealed table is in sight.
func (s *scope) any() bool { return s.main != nil || len(s.names) > 0 || len(s.loose) > 0 }

func (s *scope) addMain() error {
	table := strings.ToLower(s.stmt.Table)
	if s.stmt.Schema != nil {
		s.main = s.reg.byType[s.stmt.Schema.ModelType]
		if s.main == nil && hasSealed(s.stmt.Schema) && s.reg.byTable[table] == nil && s.stmt.TableExpr == nil {
			return unregistered(s.stmt.Schema)
		}
	}
	if s.main == nil {
		s.main = s.reg.byTable[table]
	}
	if s.main != nil {
		s.names[table] = s.main
	} else if table != "" {
		s.plain[table] = true
	}
	return nil
}

// inNot marks what is rewritten before the returned function is called as standing inside a NOT.
func (s *scope) inNot() func() {
	before := s.negated
	s.negated = true
	return func() { s.negated = before }
}

func hasSealed(sch *schema.Schema) bool {
	for _, f := range sch.Fields {
		if isSealed(f) {
			return true
		}
	}
	return false
}

func unregistered(sch *schema.Schema) error {
	return refuse("model "+sch.Name, "has sealed fields but the vault does not know it, so an erasure would forget it",
		"pass it to vault.Migrate or vault.Register at start-up")
}

// addTableExpr reads Table("customers AS c") and Table("(?) AS t", query).
func (s *scope) addTableExpr() {
	e := s.stmt.TableExpr
	if e == nil {
		return
	}
	toks := tokenize(e.SQL)
	if len(toks) > 0 {
		end := readName(toks, 0).end
		s.mixed = len(e.Vars) > 0 || len(toks) > end+2
	}
	for i, t := range toks {
		m := s.reg.byTable[strings.ToLower(t.text)]
		if t.kind != tokenName || m == nil || s.main == m {
			continue
		}
		if i == 0 && len(toks) <= 3 && s.main == nil {
			s.main = m
			s.names[strings.ToLower(s.stmt.Table)] = m
			delete(s.plain, strings.ToLower(s.stmt.Table))
			continue
		}
		s.loose = append(s.loose, m)
	}
	for _, v := range e.Vars {
		if sub, ok := v.(*gorm.DB); ok && s.sealedQuery(sub) != nil {
			s.nested = true
			s.loose = append(s.loose, s.sealedQuery(sub))
		}
	}
}

// sealedQuery returns the model of a subquery if it has sealed columns.
func (s *scope) sealedQuery(sub *gorm.DB) *model {
	st := sub.Statement
	if m := s.reg.byTable[strings.ToLower(st.Table)]; m != nil {
		return m
	}
	for _, value := range []any{st.Model, st.Dest} {
		if value == nil {
			continue
		}
		tmp := &gorm.Statement{DB: s.stmt.DB}
		if tmp.Parse(value) == nil && s.reg.byType[tmp.Schema.ModelType] != nil {
			return s.reg.byType[tmp.Schema.ModelType]
		}
	}
	return nil
}

func (s *scope) addJoins() error {
	for _, j := range s.stmt.Joins {
		rels := s.relations(j.Name)
		if rels == nil {
			s.addJoinText(j.Name)
			continue
		}
		parent := ""
		for i, rel := range rels {
			alias := rel.Name
			if parent != "" {
				alias = utils.NestedRelationName(parent, alias)
			}
			parent = alias
			if i == len(rels)-1 && j.Alias != "" {
				alias = j.Alias
			}
			if err := s.addAlias(alias, rel.FieldSchema); err != nil {
				return err
			}
		}
	}
	if from, ok := s.stmt.Clauses["FROM"].Expression.(clause.From); ok {
		for _, j := range from.Joins {
			s.addJoinClause(j)
		}
	}
	return nil
}

func (s *scope) addAlias(alias string, sch *schema.Schema) error {
	if m := s.reg.byType[sch.ModelType]; m != nil {
		s.names[strings.ToLower(alias)] = m
	} else if hasSealed(sch) {
		return unregistered(sch)
	} else {
		s.plain[strings.ToLower(alias)] = true
	}
	return nil
}

func (s *scope) addJoinClause(j clause.Join) {
	alias := j.Table.Alias
	if alias == "" {
		alias = j.Table.Name
	}
	if m := s.reg.byTable[strings.ToLower(j.Table.Name)]; m != nil {
		s.names[strings.ToLower(alias)] = m
	} else if alias != "" {
		s.plain[strings.ToLower(alias)] = true
	}
	switch e := j.Expression.(type) {
	case clause.Expr:
		s.addJoinText(e.SQL)
	case clause.NamedExpr:
		s.addJoinText(e.SQL)
	}
}

// relations resolves the name in Joins("Manager.Company") the way GORM does, or returns nil for raw text.
func (s *scope) relations(name string) []*schema.Relationship {
	if s.stmt.Schema == nil {
		return nil
	}
	var out []*schema.Relationship
	current := s.stmt.Schema.Relationships.Relations
	if rel, ok := current[name]; ok {
		return []*schema.Relationship{rel}
	}
	for part := range strings.SplitSeq(name, ".") {
		rel, ok := current[part]
		if !ok {
			return nil
		}
		out = append(out, rel)
		current = rel.FieldSchema.Relationships.Relations
	}
	return out
}

// addJoinText reads "JOIN customers AS c ON …". A sealed table anywhere else in the text is loose.
func (s *scope) addJoinText(text string) {
	toks := tokenize(text)
	for i, t := range toks {
		if t.kind != tokenName {
			continue
		}
		m := s.reg.byTable[strings.ToLower(t.text)]
		if m == nil {
			continue
		}
		if i+1 < len(toks) && toks[i+1].is(".") {
			continue // a qualifier
		}
		if i == 0 || !toks[i-1].is("JOIN") {
			s.loose = append(s.loose, m)
			continue
		}
		s.names[joinAlias(toks, i)] = m
	}
}

func joinAlias(toks []token, i int) string {
	next := i + 1
	if next < len(toks) && toks[next].is("AS") {
		next++
	}
	if next < len(toks) && toks[next].kind == tokenName && !toks[next].is("ON", "USING", "WHERE") {
		return strings.ToLower(toks[next].text)
	}
	return strings.ToLower(toks[i].text)
}

// resolve says what a name means. current is the model that clause.CurrentTable stands for.
func (s *scope) resolve(qualifier, name string, current *model) (column, bool) {
	q, n := strings.ToLower(qualifier), strings.ToLower(name)
	if q == strings.ToLower(clause.CurrentTable) {
		return of(current, n, false)
	}
	if q != "" {
		if m, ok := s.names[q]; ok {
			return of(m, n, false)
		}
		if s.plain[q] {
			return column{}, false
		}
		if m := s.reg.byTable[q]; m != nil {
			return of(m, n, true)
		}
		return s.among(n)
	}
	if c, ok := of(current, n, false); ok {
		return c, true
	}
	if s.stmt.Schema != nil && s.stmt.Schema.FieldsByDBName[name] != nil && current == s.main {
		return column{}, false // a plain column of the statement's own table
	}
	for _, m := range s.names {
		if c, ok := of(m, n, m != current); ok {
			return c, true
		}
	}
	return s.among(n)
}

func (s *scope) among(name string) (column, bool) {
	for _, m := range s.loose {
		if c, ok := of(m, name, true); ok {
			return c, true
		}
	}
	return column{}, false
}

func of(m *model, name string, loose bool) (column, bool) {
	if m == nil {
		return column{}, false
	}
	if f, ok := m.cells[name]; ok {
		return column{cell: f, loose: loose}, true
	}
	if x, ok := m.blind[name]; ok {
		return column{index: x, loose: loose}, true
	}
	return column{}, false
}
