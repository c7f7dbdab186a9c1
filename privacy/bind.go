package privacy

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// A slot is a scanned cell and where its bound form goes.
type slot struct {
	at    place
	c     *cell
	field *sealedField
	row   reflect.Value  // a model or a struct with the same fields
	into  *schema.Field  // the field of row, if that is no model
	m     map[string]any // or a map
	key   string
}

func (s slot) set(ctx context.Context, c *cell) {
	switch {
	case s.m != nil:
		s.m[s.key] = s.field.wrap(c)
	case s.into != nil:
		tmp := sealedField{field: s.into}
		tmp.set(ctx, s.row, c)
	default:
		s.field.set(ctx, s.row, c)
	}
}

// afterQuery binds what the query read to its rows and keys, with one query for keys. It runs after the
// rows are closed, so that it also works with a single connection, and before hooks and preloads.
func (v *Vault) afterQuery(db *gorm.DB) {
	restoreForgotten(db)
	restoreWhere(db.Statement)
	if db.Error != nil || db.DryRun || db.RowsAffected == 0 {
		return
	}
	if err := v.bindResult(db, true); err != nil {
		_ = db.AddError(err)
	}
}

func restoreForgotten(db *gorm.DB) {
	old, ok := db.InstanceGet(forgotten)
	if !ok || db.RowsAffected > 0 {
		return
	}
	for f, c := range old.(map[*sealedField]*cell) {
		f.set(db.Statement.Context, db.Statement.ReflectValue, c)
	}
}

// restoreWhere puts the conditions back that the caller wrote: FirstOrCreate fills the new row from them.
func restoreWhere(stmt *gorm.Statement) {
	c, ok := stmt.Clauses["WHERE"]
	if !ok {
		return
	}
	if where, ok := c.Expression.(clause.Where); ok {
		c.Expression = clause.Where{Exprs: originals(where.Exprs)}
		stmt.Clauses["WHERE"] = c
	}
}

func originals(in []clause.Expression) []clause.Expression {
	out := make([]clause.Expression, len(in))
	for i, e := range in {
		switch x := e.(type) {
		case rewritten:
			out[i] = x.original
		case clause.AndConditions:
			out[i] = clause.AndConditions{Exprs: originals(x.Exprs)}
		case clause.OrConditions:
			out[i] = clause.OrConditions{Exprs: originals(x.Exprs)}
		case clause.NotConditions:
			out[i] = clause.NotConditions{Exprs: originals(x.Exprs)}
		default:
			out[i] = e
		}
	}
	return out
}

// bindResult binds the sealed values in Dest. After a query a field that was selected and is still absent
// was NULL.
func (v *Vault) bindResult(db *gorm.DB, query bool) error {
	s, err := v.scopeOf(db.Statement)
	if err != nil || !s.any() {
		return err
	}
	w := walker{s: s, ctx: db.Statement.Context, query: query}
	w.walk(structOf(db.Statement.ReflectValue))
	if len(w.slots) == 0 {
		return nil
	}
	tenant, err := v.tenant(w.ctx)
	if err != nil {
		return err
	}
	return v.bind(w.ctx, session(w.ctx, db), tenant, w.slots)
}

// bind fetches the keys of all slots at once and fills them.
func (v *Vault) bind(ctx context.Context, db *gorm.DB, tenant string, slots []slot) error {
	var subjects []string
	for i, s := range slots {
		if i == 0 || s.at.subject != slots[i-1].at.subject {
			subjects = append(subjects, s.at.subject)
		}
	}
	slices.Sort(subjects)
	keys, err := v.ring.subjectKeys(ctx, db, tenant, slices.Compact(subjects), false)
	if err != nil {
		return err
	}
	for len(slots) > 0 {
		// The cells of one row live and die together.
		n, at := 1, slots[0].at
		for n < len(slots) && slots[n].at == at {
			n++
		}
		at.vault, at.tenant = v, tenant
		cells, key := make([]cell, n), keys[at.subject]
		for i, s := range slots[:n] {
			at.field = s.field
			cells[i].bind(s.c.box, at, key)
			s.set(ctx, &cells[i])
		}
		slots = slots[n:]
	}
	return nil
}

// bind fills a new cell.
func (c *cell) bind(box []byte, at place, key *subjectKey) {
	c.state, c.box, c.at, c.key = stateBound, box, at, key
	switch {
	case key == nil:
		c.state = stateBroken
		c.why = fmt.Errorf("%w: the key of %s is missing; is the tenant in the context the one the row belongs to?", ErrUnreadable, at.subject)
	case !key.stored.Erased.IsZero():
		c.state = stateErased
	default:
		if _, err := cellBody(box); err != nil {
			c.state = stateBroken
			c.why = fmt.Errorf("%w (%s of row %s)", err, at.field.logical, at.row)
		}
	}
}

// A walker collects the cells of a result.
type walker struct {
	s     *scope
	ctx   context.Context
	query bool
	slots []slot
	// columns are the sealed columns of the main model that the statement asks for, once selected was asked.
	columns map[string]bool
}

func (w *walker) walk(rv reflect.Value) {
	switch rv.Kind() {
	case reflect.Slice, reflect.Array:
		if w.slots == nil && w.s.main != nil {
			w.slots = make([]slot, 0, rv.Len()*len(w.s.main.sealed))
		}
		for i := range rv.Len() {
			w.walk(structOf(rv.Index(i)))
		}
	case reflect.Map:
		if m, ok := rv.Interface().(map[string]any); ok {
			w.mapRow(m)
		}
	case reflect.Struct:
		if m := w.s.reg.byType[rv.Type()]; m != nil {
			w.modelRow(m, rv)
		} else if w.s.main != nil && len(w.s.stmt.Joins) == 0 && !w.s.mixed {
			w.otherRow(rv)
		}
		w.children(rv)
	}
}

func (w *walker) modelRow(m *model, rv reflect.Value) {
	if !rv.CanAddr() {
		return
	}
	row, ok := m.rowID(w.ctx, rv)
	var subject string
	var hasSubject bool
	if m.subjectIsRow() {
		subject, hasSubject = m.kind+":"+row, row != ""
	} else {
		subject, hasSubject = m.subjectID(w.ctx, rv)
	}
	selected := w.selected(m)
	for _, f := range m.sealed {
		c := f.get(w.ctx, rv)
		switch {
		case c == nil && w.query && (selected == nil || selected[f.column]):
			if f.field.FieldType.Kind() != reflect.Pointer && len(f.field.StructField.Index) == 1 {
				f.set(w.ctx, rv, nullCell())
			}
		case c != nil && c.state == stateSealed && ok && hasSubject:
			w.slots = append(w.slots, slot{at: place{row: row, subject: subject}, c: c, field: f, row: rv})
		}
	}
}

// selected returns the columns of the main model that were asked for, or nil for all. A joined model's
// columns come all or not at all.
func (w *walker) selected(m *model) map[string]bool {
	if m != w.s.main || len(w.s.stmt.Selects) == 0 && len(w.s.stmt.Omits) == 0 {
		return nil
	}
	if w.columns == nil {
		columns, restricted := w.s.stmt.SelectAndOmitColumns(false, false)
		w.columns = make(map[string]bool, len(m.sealed))
		for _, f := range m.sealed {
			picked, named := columns[f.column]
			w.columns[f.column] = picked || !named && !restricted
		}
	}
	return w.columns
}

// otherRow binds the fields of a struct that is no model but holds the key columns under their names.
func (w *walker) otherRow(rv reflect.Value) {
	tmp := &gorm.Statement{DB: w.s.stmt.DB}
	if !rv.CanAddr() || tmp.Parse(rv.Addr().Interface()) != nil {
		return
	}
	values := map[string]any{}
	for _, f := range tmp.Schema.Fields {
		if f.DBName != "" && f.Readable {
			values[f.DBName], _ = f.ValueOf(w.ctx, rv)
		}
	}
	at, ok := w.placeOf(values)
	if !ok {
		return
	}
	for _, f := range w.s.main.sealed {
		into := tmp.Schema.LookUpField(f.column)
		if into == nil || !isSealed(into) {
			continue
		}
		if c, _ := cellOf(values[into.DBName]); c != nil && c.state == stateSealed {
			w.slots = append(w.slots, slot{at: at, c: c, field: f, row: rv, into: into})
		}
	}
}

// mapRow turns the ciphertext in a map into sealed values, bound if the map holds the key columns.
func (w *walker) mapRow(m map[string]any) {
	var at place
	bindable := false
	if w.s.main != nil && len(w.s.stmt.Joins) == 0 && !w.s.mixed {
		at, bindable = w.placeOf(m)
	}
	for key, value := range m {
		hit, ok := w.s.resolve("", key, w.s.main)
		if !ok || hit.cell == nil {
			continue
		}
		if _, isCell := cellOf(value); isCell {
			continue
		}
		c, err := scannedCell(value)
		if err != nil {
			c = &cell{state: stateBroken, why: fmt.Errorf("%w: %s holds a %T", ErrUnreadable, hit.cell.logical, value)}
		}
		m[key] = hit.cell.wrap(c)
		if bindable && c.state == stateSealed && hit.cell.model == w.s.main {
			w.slots = append(w.slots, slot{at: at, c: c, field: hit.cell, m: m, key: key})
		}
	}
}

func (w *walker) placeOf(values map[string]any) (place, bool) {
	at := place{}
	if subject := idText(values[w.s.main.subject.DBName]); subject != "" {
		at.subject = w.s.main.kind + ":" + subject
	}
	ids := make([]string, len(w.s.main.pk))
	for i, f := range w.s.main.pk {
		if ids[i] = idText(values[f.DBName]); ids[i] == "" {
			return at, false
		}
	}
	at.row = joinRowID(ids)
	return at, at.subject != ""
}

// children binds what Joins loaded into the fields of a row.
func (w *walker) children(rv reflect.Value) {
	if w.s.stmt.Schema == nil || rv.Type() != w.s.stmt.Schema.ModelType {
		return
	}
	for _, j := range w.s.stmt.Joins {
		at := rv
		for _, rel := range w.s.relations(j.Name) {
			if v, zero := rel.Field.ValueOf(w.ctx, at); v == nil || zero {
				break
			}
			at = structOf(rel.Field.ReflectValueOf(w.ctx, at))
			if !at.IsValid() || at.Kind() != reflect.Struct {
				break
			}
			if m := w.s.reg.byType[at.Type()]; m != nil {
				w.modelRow(m, at)
			}
		}
	}
}
