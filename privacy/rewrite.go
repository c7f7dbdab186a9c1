package privacy

import (
	"context"
	"crypto/rand"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// tenantIndex computes the indexes of a statement's operands. The tenant's keys are loaded when the first
// operand needs them.
type tenantIndex struct {
	ctx    context.Context
	v      *Vault
	db     *gorm.DB
	tenant string
	keys   *tenantKeys
	loaded bool
}

func (t *tenantIndex) load() error {
	if t.loaded {
		return nil
	}
	var err error
	if t.tenant, err = t.v.tenant(t.ctx); err != nil {
		return err
	}
	t.keys, err = t.v.ring.tenantKeys(t.ctx, t.db, t.tenant, false)
	t.loaded = err == nil
	return err
}

// of returns the index cells that rows with this value may have.
func (t *tenantIndex) of(x *indexField, c *cell) ([]any, error) {
	if err := x.of.takes(c); err != nil {
		return nil, err
	}
	value, err := c.open()
	if err != nil {
		return nil, err
	}
	if err := t.load(); err != nil {
		return nil, err
	}
	if t.keys == nil {
		// The tenant has no keys, hence no rows: an index that nothing has.
		return t.none()
	}
	all, err := t.keys.blindAll(t.tenant, x, x.norm.candidates(string(value), t.v.cfg.Region))
	out := make([]any, len(all))
	for i, idx := range all {
		out[i] = idx
	}
	return out, err
}

// none returns an index that no row has.
func (t *tenantIndex) none() ([]any, error) {
	none := make(Index, indexSize)
	none[0] = indexVersion
	_, err := rand.Read(none[1:])
	return []any{none}, err
}

// A rewritten condition is built as the lookup and remembers the condition it stands for: FirstOrCreate
// reads its values after the query, and a statement may run again.
type rewritten struct {
	lookup interface {
		clause.Expression
		clause.NegationExpressionBuilder
	}
	original clause.Expression
}

func (r rewritten) Build(b clause.Builder)         { r.lookup.Build(b) }
func (r rewritten) NegationBuild(b clause.Builder) { r.lookup.NegationBuild(b) }

// expr returns the condition to run in place of e, or an error if e cannot be answered on sealed columns.
func (s *scope) expr(e clause.Expression, current *model) (clause.Expression, error) {
	switch x := e.(type) {
	case nil:
		return nil, nil
	case rewritten:
		return s.expr(x.original, current)
	case clause.Eq:
		return s.compare(e, x.Column, x.Value, false, current)
	case clause.Neq:
		return s.compare(e, x.Column, x.Value, true, current)
	case clause.IN:
		return s.in(x, current)
	case clause.AndConditions:
		exprs, err := s.exprs(x.Exprs, current)
		return clause.AndConditions{Exprs: exprs}, err
	case clause.OrConditions:
		exprs, err := s.exprs(x.Exprs, current)
		return clause.OrConditions{Exprs: exprs}, err
	case *rowsIn:
		return s.again(x)
	case clause.NotConditions:
		defer s.inNot()()
		exprs, err := s.exprs(x.Exprs, current)
		return clause.NotConditions{Exprs: exprs}, err
	case clause.Where:
		exprs, err := s.exprs(x.Exprs, current)
		return clause.Where{Exprs: exprs}, err
	case clause.Expr:
		text, vars, err := s.text(x.SQL, x.Vars, current, mayRewrite)
		out := clause.Expr{SQL: text, Vars: vars, WithoutParentheses: x.WithoutParentheses}
		if original, joined := originalText(x); joined {
			return rewritten{lookup: jointText{out}, original: original}, err
		}
		return out, err
	case clause.NamedExpr:
		_, _, err := s.text(x.SQL, x.Vars, current, checkOnly)
		return e, err
	case clause.Gt:
		return e, s.ordering(x.Column, x.Value, current)
	case clause.Gte:
		return e, s.ordering(x.Column, x.Value, current)
	case clause.Lt:
		return e, s.ordering(x.Column, x.Value, current)
	case clause.Lte:
		return e, s.ordering(x.Column, x.Value, current)
	case clause.Like:
		return e, s.ordering(x.Column, x.Value, current)
	}
	return e, s.opaque(e, current)
}

func (s *scope) exprs(in []clause.Expression, current *model) ([]clause.Expression, error) {
	out := make([]clause.Expression, len(in))
	for i, e := range in {
		var err error
		if out[i], err = s.expr(e, current); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// columnOf reads the column of a condition the ways GORM lets one write it.
func (s *scope) columnOf(col any, current *model) (column, bool, error) {
	switch c := col.(type) {
	case clause.Column:
		if c.Raw {
			_, _, err := s.text(c.Name, nil, current, checkOnly)
			return column{}, false, err
		}
		q, n, ok := simpleName(c.Name)
		if !ok {
			return column{}, false, nil // quoted as a whole, so it can be no column of ours
		}
		if c.Table != "" {
			q = c.Table
		}
		hit, ok := s.resolve(q, n, current)
		return hit, ok, nil
	case string:
		q, n, ok := simpleName(c)
		if !ok {
			_, _, err := s.text(c, nil, current, checkOnly)
			return column{}, false, err
		}
		hit, ok := s.resolve(q, n, current)
		return hit, ok, nil
	case []clause.Column:
		for _, one := range c {
			if hit, ok, err := s.columnOf(one, current); err != nil || ok {
				if err == nil {
					err = refuse(hit.logical(), "is one of several columns compared at once", "compare it on its own")
				}
				return column{}, false, err
			}
		}
		return column{}, false, nil
	case clause.Expr:
		_, _, err := s.text(c.SQL, c.Vars, current, checkOnly)
		return column{}, false, err
	}
	return column{}, false, nil
}

// rename puts the index column in the place of the sealed one.
func rename(col any, to string) any {
	switch c := col.(type) {
	case clause.Column:
		q, _, _ := simpleName(c.Name)
		if c.Table != "" {
			q = c.Table
		}
		return clause.Column{Table: q, Name: to}
	case string:
		q, _, _ := simpleName(c)
		return clause.Column{Table: q, Name: to}
	}
	return clause.Column{Name: to}
}

func (s *scope) compare(e clause.Expression, col, value any, negate bool, current *model) (clause.Expression, error) {
	hit, ok, err := s.columnOf(col, current)
	if err != nil {
		return nil, err
	}
	if !ok {
		return e, s.operand(value, current)
	}
	if j, ok := value.(*joint); ok {
		e = clause.Eq{Column: col, Value: j.value}
	}
	if err := hit.usable(); err != nil {
		return nil, err
	}
	if hit.index != nil {
		return e, hit.indexOperand(value)
	}
	if isNil(value) {
		return e, nil // IS NULL is answered by the sealed column itself
	}
	values, isList := listOf(value)
	if !isList {
		values = []any{value}
	}
	return s.lookup(e, col, hit.cell, values, negate)
}

func (s *scope) in(x clause.IN, current *model) (clause.Expression, error) {
	hit, ok, err := s.columnOf(x.Column, current)
	if err != nil {
		return nil, err
	}
	if !ok {
		for _, v := range x.Values {
			if err := s.operand(v, current); err != nil {
				return nil, err
			}
		}
		return x, nil
	}
	if err := hit.usable(); err != nil {
		return nil, err
	}
	if hit.index != nil {
		return x, hit.indexOperand(x.Values)
	}
	return s.lookup(x, x.Column, hit.cell, x.Values, false)
}

func (s *scope) lookup(e clause.Expression, col any, f *sealedField, values []any, negate bool) (clause.Expression, error) {
	a, err := s.answer(f, rename(col, "").(clause.Column).Table, values, negate)
	if err != nil {
		return nil, err
	}
	if a.rows != nil {
		return rewritten{lookup: a.rows, original: e}, nil
	}
	in := clause.IN{Column: rename(col, a.index.column), Values: a.cells}
	if negate {
		return rewritten{lookup: notIn{in}, original: e}, nil
	}
	return rewritten{lookup: in, original: e}, nil
}

// notIn builds a clause.IN the other way round.
type notIn struct{ in clause.IN }

func (n notIn) Build(b clause.Builder)         { n.in.NegationBuild(b) }
func (n notIn) NegationBuild(b clause.Builder) { n.in.Build(b) }

// usable refuses a sealed column whose table the plugin is not sure of.
func (c column) usable() error {
	if c.loose {
		return refuse(c.logical(), "its table is named in raw SQL or not at all here", "write the table or its alias before the column, and join with Joins")
	}
	return nil
}

// indexOperand accepts what the plugin itself puts beside an index column, when a statement runs twice.
func (c column) indexOperand(value any) error {
	values, isList := listOf(value)
	if !isList {
		values = []any{value}
	}
	for _, v := range values {
		if _, ok := v.(Index); !ok && !isNil(v) {
			return refuse(c.index.of.logical, "its index column is compared by hand", "compare the field itself: Where(&Model{"+c.index.of.field.Name+": privacy.New(…)})")
		}
	}
	return nil
}

func (s *scope) ordering(col, value any, current *model) error {
	hit, ok, err := s.columnOf(col, current)
	if err != nil {
		return err
	}
	if ok {
		return refuse(hit.logical(), "ranges and patterns cannot be answered on sealed values", "search for equality, or filter after Reveal")
	}
	return s.operand(value, current)
}

// operand checks what a condition on a plain column is compared with.
func (s *scope) operand(v any, current *model) error {
	switch x := v.(type) {
	case nil, string, []byte:
		return nil
	case Index:
		return nil
	case *gorm.DB:
		return s.subquery(x)
	case clause.Column:
		if hit, ok, err := s.columnOf(x, current); err != nil || ok {
			if err == nil {
				err = refuse(hit.logical(), "is compared with another column", "ciphertexts of equal values differ; compare values after Reveal")
			}
			return err
		}
		return nil
	case clause.Expression:
		_, err := s.expr(x, current)
		return err
	}
	if c, ok := cellOf(v); ok && c != nil && (c.state == statePlain || c.state == stateQuery) {
		return refuse(reflect.TypeOf(v).String(), "a sealed value is compared with a column that is not sealed", "compare it with the sealed field")
	}
	if values, ok := listOf(v); ok {
		for _, one := range values {
			if err := s.operand(one, current); err != nil {
				return err
			}
		}
	}
	return nil
}

// subquery runs a query that stands inside another one through the plugin without executing it: GORM drops
// the errors of subqueries when it builds them.
func (s *scope) subquery(sub *gorm.DB) error {
	m := s.sealedQuery(sub)
	if m == nil {
		return nil
	}
	sub.Statement.Settings.Store(withinKey, s.stmt.DB)
	dry := sub.Session(&gorm.Session{DryRun: true, Logger: logger.Discard, Context: s.stmt.Context})
	dest := reflect.New(reflect.SliceOf(m.typ)).Interface()
	dry = dry.Find(dest)
	if dry.Error != nil {
		return dry.Error
	}
	inner := &scope{v: s.v, reg: s.reg, stmt: dry.Statement, main: m, names: map[string]*model{strings.ToLower(m.table): m}, plain: s.plain}
	toks := tokenize(dry.Statement.SQL.String())
	for i := 0; i < len(toks); i++ {
		if toks[i].kind != tokenName {
			continue
		}
		n := readName(toks, i)
		hit, ok := inner.resolve(n.qualifier, n.name, m)
		if ok && hit.cell != nil && !nullTest(toks, n.end) {
			return refuse(hit.logical(), "a subquery hands out its ciphertext", "select the primary key in the subquery")
		}
		i = n.end - 1
	}
	return nil
}

// opaque looks at the SQL of a condition of a type we do not know.
func (s *scope) opaque(e clause.Expression, current *model) error {
	tmp := &gorm.Statement{DB: s.stmt.DB, Table: s.stmt.Table, Schema: s.stmt.Schema, Context: s.stmt.Context, Clauses: map[string]clause.Clause{}}
	e.Build(tmp)
	_, _, err := s.text(tmp.SQL.String(), nil, current, checkOnly)
	return err
}

func isNil(v any) bool {
	if v == nil {
		return true
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return true
	}
	c, ok := cellOf(v)
	return ok && c != nil && c.state == stateNull
}

// listOf returns the elements of a slice that stands for several operands.
func listOf(v any) ([]any, bool) {
	if list, ok := v.([]any); ok {
		return list, true
	}
	if _, ok := v.(Index); ok {
		return nil, false
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array || rv.Type().Elem().Kind() == reflect.Uint8 {
		return nil, false
	}
	out := make([]any, rv.Len())
	for i := range out {
		out[i] = rv.Index(i).Interface()
	}
	return out, true
}
