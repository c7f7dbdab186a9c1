package privacy

import (
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// selected returns the sealed columns that the statement's result will hold, and refuses expressions over
// them. It also adds the key columns without which a selected value could not be opened.
func (s *scope) selected() ([]*sealedField, error) {
	if c, ok := s.stmt.Clauses["SELECT"]; ok && c.Expression != nil {
		if sel, ok := c.Expression.(clause.Select); ok {
			return s.selectClause(sel)
		}
		return nil, s.opaque(c.Expression, s.main)
	}
	if len(s.stmt.Selects) > 0 {
		return s.selectList()
	}
	return s.byDefault(), nil
}

func (s *scope) selectClause(sel clause.Select) ([]*sealedField, error) {
	switch e := sel.Expression.(type) {
	case nil:
	case clause.Expr:
		_, _, err := s.text(e.SQL, e.Vars, s.main, checkOnly)
		return s.stars(e.SQL), err
	case clause.NamedExpr:
		_, _, err := s.text(e.SQL, e.Vars, s.main, checkOnly)
		return s.stars(e.SQL), err
	default:
		return nil, s.opaque(sel.Expression, s.main)
	}
	var picked []*sealedField
	for _, col := range sel.Columns {
		name := col.Name
		if col.Table != "" && !col.Raw {
			name = col.Table + "." + name
		}
		f, err := s.pick(name, sel.Distinct)
		if err != nil {
			return nil, err
		}
		picked = append(picked, f...)
	}
	return picked, nil
}

func (s *scope) selectList() ([]*sealedField, error) {
	var picked []*sealedField
	simple := true
	for _, name := range s.stmt.Selects {
		if s.stmt.Schema != nil {
			if f := s.stmt.Schema.LookUpField(name); f != nil {
				name = f.DBName
			} else {
				simple = false
			}
		}
		f, err := s.pick(name, s.stmt.Distinct)
		if err != nil {
			return nil, err
		}
		picked = append(picked, f...)
	}
	if simple && len(picked) > 0 && s.main != nil && !s.stmt.Distinct && s.destType() == s.main.typ {
		s.selectKeys()
	}
	return picked, nil
}

// selectKeys adds the columns that a value is bound to.
func (s *scope) selectKeys() {
	selects := append([]string(nil), s.stmt.Selects...)
	have := map[string]bool{}
	for _, name := range selects {
		if f := s.stmt.Schema.LookUpField(name); f != nil {
			have[f.DBName] = true
		}
	}
	for _, f := range append(append([]*schema.Field(nil), s.main.pk...), s.main.subject) {
		if !have[f.DBName] {
			have[f.DBName] = true
			selects = append(selects, f.DBName)
		}
	}
	s.stmt.Selects = selects
}

// pick reads one entry of a select list: a column, several with commas, or stars.
func (s *scope) pick(text string, distinct bool) ([]*sealedField, error) {
	toks := tokenize(text)
	var picked []*sealedField
	plain := !murky(text)
	for _, t := range toks {
		plain = plain && (t.kind == tokenName || t.is(".", ",", "*"))
	}
	for i := 0; i < len(toks); i++ {
		if toks[i].is("*") {
			picked = append(picked, s.everything()...)
			continue
		}
		if toks[i].kind != tokenName {
			continue
		}
		n := readName(toks, i)
		alone := (n.from == 0 || toks[n.from-1].is(",")) && (n.end == len(toks) || toks[n.end].is(","))
		i = n.end - 1
		if n.name == "*" {
			picked = append(picked, s.starOf(n.qualifier)...)
			continue
		}
		hit, ok := s.resolve(n.qualifier, n.name, s.main)
		if !ok || hit.cell == nil {
			continue
		}
		if distinct {
			return nil, refuse(hit.logical(), "ciphertexts of equal values differ, so DISTINCT would keep them all", "select distinct values of another column")
		}
		if !plain || !alone {
			return nil, refuse(hit.logical(), "an expression or alias over sealed values cannot be opened", "select the column itself, into a field of the same name")
		}
		picked = append(picked, hit.cell)
	}
	return picked, nil
}

// byDefault returns the sealed columns of a query that selects nothing in particular. GORM then names the
// columns of the model, or writes a star if it has none.
func (s *scope) byDefault() []*sealedField {
	if s.main != nil && !s.mixed {
		return s.main.sealed
	}
	if s.stmt.Schema == nil || s.mixed {
		return s.everything()
	}
	return nil
}

// everything returns the sealed columns behind SELECT *.
func (s *scope) everything() []*sealedField {
	var out []*sealedField
	if s.main != nil {
		out = append(out, s.main.sealed...)
	}
	for _, m := range s.names {
		if m != s.main {
			out = append(out, m.sealed...)
		}
	}
	for _, m := range s.loose {
		out = append(out, m.sealed...)
	}
	return out
}

// stars returns the sealed columns behind the stars of an expression, those of count(*) aside.
func (s *scope) stars(text string) []*sealedField {
	var out []*sealedField
	toks := tokenize(text)
	for i, t := range toks {
		switch {
		case !t.is("*"):
		case i == 0 || toks[i-1].is(",", "DISTINCT"):
			out = append(out, s.everything()...)
		case i > 1 && toks[i-1].is("."):
			out = append(out, s.starOf(toks[i-2].text)...)
		}
	}
	return out
}

func (s *scope) starOf(qualifier string) []*sealedField {
	if m := s.names[strings.ToLower(qualifier)]; m != nil {
		return m.sealed
	}
	if m := s.reg.byTable[strings.ToLower(qualifier)]; m != nil {
		return m.sealed
	}
	if s.plain[strings.ToLower(qualifier)] {
		return nil
	}
	return s.everything()
}

// destType returns the element type of what the result is scanned into.
func (s *scope) destType() reflect.Type {
	if s.stmt.Dest == nil {
		return nil
	}
	t := reflect.TypeOf(s.stmt.Dest)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		if reflect.PointerTo(t).Implements(holderType) || t == indexType {
			return t
		}
		t = t.Elem()
	}
	return t
}

// destination refuses results that would put ciphertext where a program expects a value.
func (s *scope) destination(picked []*sealedField) error {
	t := s.destType()
	if t == nil || len(picked) == 0 {
		return nil
	}
	if s.nested {
		return refuse(picked[0].logical, "it comes out of a subquery in FROM, where its row is not known", "query the model itself")
	}
	if reflect.PointerTo(t).Implements(holderType) || s.main != nil && t == s.main.typ || t.Kind() == reflect.Map {
		return nil
	}
	if t.Kind() != reflect.Struct {
		return s.notSealed(picked[0], t)
	}
	tmp := &gorm.Statement{DB: s.stmt.DB}
	if err := tmp.Parse(reflect.New(t).Interface()); err != nil {
		return s.notSealed(picked[0], t)
	}
	for _, f := range picked {
		if into := tmp.Schema.LookUpField(f.column); into != nil && into.Readable && !isSealed(into) {
			return s.notSealed(f, into.FieldType)
		}
	}
	return nil
}

func (s *scope) notSealed(f *sealedField, t reflect.Type) error {
	return refuse(f.logical, "it would be read into a "+t.String()+" as ciphertext", "read it into a "+f.field.IndirectFieldType.String())
}

const forgotten = "confide:privacy:forgotten"

// forget clears the sealed fields that a query into a used struct is about to read. database/sql leaves a
// field alone when the column is NULL, so the person of the last query would stay in it.
func (s *scope) forget(picked []*sealedField) {
	rv := s.stmt.ReflectValue
	if s.main == nil || rv.Kind() != reflect.Struct || rv.Type() != s.main.typ || !rv.CanAddr() {
		return
	}
	old := map[*sealedField]*cell{}
	for _, f := range picked {
		if f.model != s.main {
			continue
		}
		if c := f.get(s.stmt.Context, rv); c != nil {
			old[f] = c
			f.set(s.stmt.Context, rv, nil)
		}
	}
	s.stmt.DB.InstanceSet(forgotten, old)
}
