package privacy

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// An answer is what takes the place of a condition on a sealed field: a lookup in one index column, or the
// rows themselves.
type answer struct {
	index *indexField
	cells []any
	rows  *rowsIn
}

// answer finds what a field is compared with. Where an index answers in part only, it opens the candidates
// here and now, and the statement gets the primary keys of those that match: so paging, counts, updates and
// subqueries are right by themselves.
func (s *scope) answer(f *sealedField, qualifier string, values []any, negate bool) (answer, error) {
	var plans []lookup
	plain := true
	for _, v := range values {
		l, err := s.plan(f, v)
		if err != nil {
			return answer{}, err
		}
		plain = plain && l.keep == nil && l.index != nil && (len(plans) == 0 || plans[0].index == l.index)
		plans = append(plans, l)
	}
	if len(values) == 0 {
		// An empty list: still only a field that could be searched.
		x, err := s.emptyList(f)
		return answer{index: x, cells: []any{}}, err
	}
	if plain {
		a := answer{index: plans[0].index, cells: []any{}}
		for _, l := range plans {
			a.cells = append(a.cells, l.cells...)
		}
		return a, nil
	}
	r := &rowsIn{field: f, qualifier: qualifier, values: values, negate: negate, strict: s.negated}
	return answer{rows: r}, s.collect(r, plans)
}

func (s *scope) emptyList(f *sealedField) (*indexField, error) {
	if len(f.indexes) == 0 {
		_, err := s.planWhole(f, plainCell(nil, formText))
		return nil, err
	}
	return f.indexes[0], nil
}

// A rowsIn is the condition that a row is one of those whose opened value matches.
type rowsIn struct {
	field     *sealedField
	qualifier string
	values    []any // as they were asked for, to look again when the statement runs again
	negate    bool
	// strict: the condition stands inside a NOT, where NULL and false are not the same.
	strict bool
	keys   []rowKey
}

func (r *rowsIn) Build(b clause.Builder)         { r.build(b, r.negate) }
func (r *rowsIn) NegationBuild(b clause.Builder) { r.build(b, !r.negate) }

func (r *rowsIn) build(b clause.Builder, negate bool) {
	m := r.field.model
	sealed := clause.Column{Table: r.qualifier, Name: r.field.column}
	in := m.where(r.keys, r.qualifier)
	switch {
	case negate && r.strict:
		in = clause.Expr{SQL: "(CASE WHEN ? IS NULL THEN NULL ELSE NOT (?) END)", Vars: []any{sealed, in}}
	case negate:
		in = clause.Expr{SQL: "(? IS NOT NULL AND NOT (?))", Vars: []any{sealed, in}}
	case r.strict:
		in = clause.Expr{SQL: "(CASE WHEN ? IS NULL THEN NULL ELSE ? END)", Vars: []any{sealed, in}}
	}
	in.Build(b)
}

// again finds the rows anew: the statement runs for a second time.
func (s *scope) again(r *rowsIn) (*rowsIn, error) {
	a, err := s.answer(r.field, r.qualifier, r.values, r.negate)
	if err != nil {
		return nil, err
	}
	a.rows.strict = r.strict
	return a.rows, nil
}

// collect opens the candidates. It asks no gate and records nothing: nobody sees what does not match, and of
// what does no more than that it was found.
func (s *scope) collect(r *rowsIn, plans []lookup) error {
	if err := s.tenant.load(); err != nil {
		return err
	}
	if s.tenant.keys == nil {
		return nil // the tenant has no keys, hence no rows
	}
	if err := s.beginRead(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, l := range plans {
		keys, err := s.find(r.field, l)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if !seen[k.id] {
				seen[k.id] = true
				r.keys = append(r.keys, k)
			}
		}
	}
	if len(r.keys) > s.v.cfg.Candidates {
		return s.tooMany(r.field)
	}
	return nil
}

func (s *scope) tooMany(f *sealedField) error {
	return refuse(f.logical, fmt.Sprintf("more than %d rows come into question", s.v.cfg.Candidates),
		"search for more of the value, add conditions on other columns, or raise Config.Candidates")
}

// beginRead makes the search and the statement see the same data, where the caller has no transaction.
func (s *scope) beginRead() error {
	db := s.stmt.DB
	if s.streamed || db.DryRun || (conn{db}).inTransaction() {
		return nil
	}
	if s.locks {
		return beginTransaction(db)
	}
	return beginSnapshot(db)
}

// pool is the connection to search on. A subquery is searched where the statement around it runs.
func (s *scope) pool() *gorm.DB {
	if outer, ok := s.stmt.Settings.Load(withinKey); ok {
		return session(s.stmt.Context, outer.(*gorm.DB))
	}
	return session(s.stmt.Context, s.stmt.DB)
}

const withinKey = "confide:privacy:within"

// find returns the rows that one lookup names.
func (s *scope) find(f *sealedField, l lookup) ([]rowKey, error) {
	ctx, c := s.stmt.Context, conn{s.pool()}
	if l.index == nil {
		rows, err := s.tokenRows(ctx, c, f, l.tokens)
		if err != nil || l.keep == nil {
			return rows, err
		}
		var out []rowKey
		for len(rows) > 0 {
			n := min(len(rows), keyChunk)
			some, err := s.open(ctx, c, f, f.model.where(rows[:n], ""), l.keep)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
			rows = rows[n:]
		}
		return out, nil
	}
	return s.open(ctx, c, f, clause.IN{Column: clause.Column{Name: l.index.column}, Values: l.cells}, l.keep)
}

// tokenRows returns the rows that have all tokens.
func (s *scope) tokenRows(ctx context.Context, c conn, f *sealedField, tokens [][]any) ([]rowKey, error) {
	text := "SELECT DISTINCT t0.row_id FROM confide_tokens t0"
	var vars []any
	for i := 1; i < len(tokens); i++ {
		text += fmt.Sprintf(" JOIN confide_tokens t%[1]d ON t%[1]d.tenant = t0.tenant AND t%[1]d.field = t0.field AND t%[1]d.row_id = t0.row_id AND t%[1]d.token IN ?", i)
		vars = append(vars, tokens[i])
	}
	text += fmt.Sprintf(" WHERE t0.tenant = ? AND t0.field = ? AND t0.token IN ? LIMIT %d", s.v.cfg.Candidates+1)
	var out []rowKey
	err := c.query(ctx, func(r *sql.Rows) error {
		var id string
		if err := r.Scan(&id); err != nil {
			return err
		}
		key, ok := f.model.tokenKey(ctx, id)
		if ok {
			out = append(out, key)
		}
		return nil
	}, text, append(vars, s.tenant.tenant, f.logical, tokens[0])...)
	if err != nil {
		return nil, fmt.Errorf("privacy: search the tokens of %s (was Migrate called?): %w", f.logical, err)
	}
	if len(out) > s.v.cfg.Candidates {
		return nil, s.tooMany(f)
	}
	return out, nil
}

// A candidate is a row that may match.
type candidate struct {
	key     rowKey
	subject string
	box     []byte
}

// open reads the rows of a condition and keeps those whose value matches. A value that does not open, and
// that of an erased person, matches nothing.
func (s *scope) open(ctx context.Context, c conn, f *sealedField, where clause.Expression, keep func(string) bool) ([]rowKey, error) {
	list, err := s.candidates(ctx, c, f, where)
	if err != nil {
		return nil, err
	}
	var out []rowKey
	if keep == nil {
		for _, one := range list {
			out = append(out, one.key)
		}
		return out, nil
	}
	var subjects []string
	for _, one := range list {
		subjects = append(subjects, one.subject)
	}
	slices.Sort(subjects)
	keys, err := s.v.ring.subjectKeys(ctx, c.db, s.tenant.tenant, slices.Compact(subjects), false)
	if err != nil {
		return nil, err
	}
	for _, one := range list {
		key := keys[one.subject]
		if key == nil || !key.stored.Erased.IsZero() {
			continue
		}
		value, err := key.open(one.box, place{vault: s.v, field: f, tenant: s.tenant.tenant, row: one.key.id, subject: one.subject})
		if err == nil && keep(string(value)) {
			out = append(out, one.key)
		}
	}
	return out, nil
}

func (s *scope) candidates(ctx context.Context, c conn, f *sealedField, where clause.Expression) ([]candidate, error) {
	m := f.model
	table := m.table
	and := []clause.Expression{where, clause.Expr{SQL: "? IS NOT NULL", Vars: []any{clause.Column{Name: f.column}}}}
	if m.tenant != nil {
		and = append(and, clause.Eq{Column: clause.Column{Name: m.tenant.DBName}, Value: s.tenant.tenant})
	}
	if m == s.main && s.stmt.TableExpr == nil {
		table = s.stmt.Table
		and = append(and, s.pushed...)
	}
	c.db.Statement.Table, c.db.Statement.Schema = table, m.schema
	tail := fmt.Sprintf(" LIMIT %d", s.v.cfg.Candidates+1)
	if s.locks && c.dialect() != "sqlite" {
		tail += " FOR UPDATE"
	}
	var out []candidate
	err := c.query(ctx, func(r *sql.Rows) error {
		read, dest := m.newKey()
		var subject sql.NullString
		var one candidate
		if err := r.Scan(append(dest, &subject, &one.box)...); err != nil {
			return err
		}
		one.key, one.subject = read(dest), m.kind+":"+subject.String
		out = append(out, one)
		return nil
	}, "SELECT ? FROM "+c.quote(table)+" WHERE ?"+tail, columnList(append(m.pkColumns(), m.subject.DBName, f.column)), clause.AndConditions{Exprs: and})
	if err != nil {
		return nil, fmt.Errorf("privacy: search %s: %w", f.logical, err)
	}
	if len(out) > s.v.cfg.Candidates {
		return nil, s.tooMany(f)
	}
	return out, nil
}

// push collects the statement's other conditions, so that fewer rows come into question. Only plain ones
// that all must hold are taken; leaving one out costs time and changes nothing.
func (s *scope) push(where clause.Expression) {
	w, ok := where.(clause.Where)
	if !ok || s.main == nil || len(s.stmt.Joins) > 0 || s.mixed {
		return
	}
	if from, ok := s.stmt.Clauses["FROM"].Expression.(clause.From); ok && len(from.Joins) > 0 {
		return
	}
	for _, e := range w.Exprs {
		if _, or := e.(clause.OrConditions); or {
			s.pushed = nil
			return
		}
		if s.isPlain(e) {
			s.pushed = append(s.pushed, e)
		}
	}
}

// isPlain reports whether a condition compares columns that are not sealed with values.
func (s *scope) isPlain(e clause.Expression) bool {
	value := func(col, v any) bool {
		hit, sealed, err := s.columnOf(col, s.main)
		_, expr := v.(clause.Expression)
		_, sub := v.(*gorm.DB)
		return err == nil && !sealed && hit == column{} && !expr && !sub
	}
	switch x := e.(type) {
	case clause.Eq:
		return value(x.Column, x.Value)
	case clause.Neq:
		return value(x.Column, x.Value)
	case clause.Gt:
		return value(x.Column, x.Value)
	case clause.Gte:
		return value(x.Column, x.Value)
	case clause.Lt:
		return value(x.Column, x.Value)
	case clause.Lte:
		return value(x.Column, x.Value)
	case clause.IN:
		return value(x.Column, nil)
	case clause.AndConditions:
		return !slices.ContainsFunc(x.Exprs, func(e clause.Expression) bool { _, or := e.(clause.OrConditions); return or || !s.isPlain(e) })
	case clause.Expr:
		return s.isPlainText(x)
	}
	return false
}

func (s *scope) isPlainText(x clause.Expr) bool {
	if murky(x.SQL) {
		return false
	}
	toks := tokenize(x.SQL)
	for i := 0; i < len(toks); i++ {
		if toks[i].is("SELECT", "EXISTS", "OR") {
			return false
		}
		if toks[i].kind == tokenName {
			n := readName(toks, i)
			if _, sealed := s.resolveName(n); sealed {
				return false
			}
			i = n.end - 1
		}
	}
	for _, v := range x.Vars {
		switch v.(type) {
		case clause.Expression, *gorm.DB, sql.NamedArg, map[string]any:
			return false
		}
		if _, isCell := cellOf(v); isCell {
			return false
		}
	}
	return true
}

func (s *scope) resolveName(n sqlName) (column, bool) {
	if strings.EqualFold(n.name, "NOT") {
		return column{}, false
	}
	return s.resolve(n.qualifier, n.name, s.main)
}
