package privacy

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// A sealing is the work of one write: every value it stores, sealed with one look at the keys.
type sealing struct {
	v      *Vault
	ctx    context.Context
	tenant string
	jobs   []*sealJob
	fresh  bool                   // the persons are probably new
	keys   *tenantKeys            // once run
	own    map[string]*subjectKey // once run
}

type sealJob struct {
	field  *sealedField
	at     place
	in     *cell
	out    *cell
	value  []byte  // what out holds, if that is not NULL
	index  []Index // one per field.indexes
	tokens []Index // if field.search
	twins  []twin
}

// add asks for a value to be sealed for a row.
func (s *sealing) add(f *sealedField, c *cell, row, subject string) (*sealJob, error) {
	switch c.state {
	case stateQuery:
		return nil, refuse(f.logical, "a value that only searches cannot be stored", "assign privacy.New(…)")
	case stateErased:
		return nil, fmt.Errorf("%w: %s of row %s cannot be written; leave the field out", ErrErased, f.logical, row)
	case stateBroken:
		return nil, fmt.Errorf("%s of row %s cannot be written: %w", f.logical, row, c.why)
	}
	j := &sealJob{field: f, in: c, at: place{vault: s.v, field: f, tenant: s.tenant, row: row, subject: subject}}
	s.jobs = append(s.jobs, j)
	return j, nil
}

// run seals everything that was added. Keys that are missing are created on db's connection.
func (s *sealing) run(db *gorm.DB) error {
	var subjects []string
	for _, j := range s.jobs {
		if j.in.state == stateNull {
			j.out, j.index = nullCell(), make([]Index, len(j.field.indexes))
		} else {
			subjects = append(subjects, j.at.subject)
		}
	}
	if len(subjects) == 0 {
		return nil
	}
	keys, own, err := s.v.ring.sealingKeys(s.ctx, db, s.tenant, subjects, s.fresh)
	if err != nil {
		return err
	}
	s.keys, s.own = keys, own
	for _, j := range s.jobs {
		if j.in.state == stateNull {
			continue
		}
		if err := j.seal(keys, own[j.at.subject], s.v.cfg.Region); err != nil {
			return err
		}
	}
	return nil
}

func (j *sealJob) seal(keys *tenantKeys, key *subjectKey, region string) error {
	value, box, err := j.content(key)
	if err != nil {
		return err
	}
	if box == nil {
		if box, err = key.seal(value, j.at); err != nil {
			return err
		}
	}
	if j.field.joint {
		j.value = value
	}
	j.out = &cell{state: stateBound, box: box, at: j.at, key: key, plain: j.in.plain}
	for _, x := range j.field.indexes {
		idx, err := keys.blind(j.at.tenant, x, region, value)
		if err != nil {
			return err
		}
		j.index = append(j.index, idx)
		if err := j.addTwins(keys, x, region, value, idx); err != nil {
			return err
		}
	}
	if j.field.search {
		j.tokens, err = keys.tokens(j.at.tenant, j.field, j.at.vault.names, string(value))
	}
	return err
}

// content returns the value to store, and its ciphertext if it has one that is good where it goes: an
// unchanged value keeps its bytes, so that backups and change logs do not see a change.
func (j *sealJob) content(key *subjectKey) (value, box []byte, err error) {
	if j.in.box != nil {
		if value, err = key.open(j.in.box, j.at); err == nil {
			if j.in.box[2] != j.field.cellVersion() {
				return value, nil, nil // padding was declared or given up since
			}
			return value, j.in.box, nil
		}
	}
	if j.in.plain != nil {
		return j.in.plain(), nil, j.field.takes(j.in)
	}
	if j.in.key != nil && j.in.at.is(j.at) {
		// Read or sealed under a key that a transaction took away again when it rolled back.
		if value, err := j.in.key.open(j.in.box, j.at); err == nil {
			return value, nil, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: what is assigned to %s of row %s was read from another row, field or person, or is damaged; Reveal it and assign privacy.New(…)",
		ErrUnreadable, j.field.logical, j.at.row)
}

// beforeCreate seals the rows of an INSERT.
func (v *Vault) beforeCreate(db *gorm.DB) error {
	stmt := db.Statement
	if stmt.SQL.Len() > 0 {
		return v.rawSQL(db)
	}
	reg := v.reg.Load()
	if stmt.Schema == nil {
		return v.refuseTable(stmt)
	}
	m := reg.byType[stmt.Schema.ModelType]
	if m == nil {
		if hasSealed(stmt.Schema) {
			return unregistered(stmt.Schema)
		}
		return v.refuseTable(stmt)
	}
	if db.DryRun {
		return refuse(m.resource, "a dry run would need keys that it may not create", "run the statement, in a transaction that you roll back")
	}
	tenant, err := v.tenant(stmt.Context)
	if err != nil {
		return err
	}
	_, upsert := stmt.Clauses["ON CONFLICT"]
	c := &creation{m: m, stmt: stmt, sealing: sealing{v: v, ctx: stmt.Context, tenant: tenant, fresh: m.subjectIsRow() && !upsert}}
	if err := c.collect(); err != nil {
		return err
	}
	if err := c.omitAbsent(); err != nil {
		return err
	}
	if err := beginTransaction(db); err != nil {
		return err
	}
	if err := c.sealing.run(session(stmt.Context, db)); err != nil {
		return err
	}
	if err := c.compounds(); err != nil {
		return err
	}
	c.store()
	rememberTwins(db, c.sealing.jobs)
	c.sealing.keepTokens(db, m, upsert)
	return c.guardConflict()
}

// refuseTable refuses plain values for a table with sealed columns when GORM does not know its model.
func (v *Vault) refuseTable(stmt *gorm.Statement) error {
	s, err := v.scopeOf(stmt)
	if err != nil || s.main == nil {
		return err
	}
	return refuse(s.main.resource, "a write to its table without its model cannot be sealed", "use db.Model(&"+s.main.typ.Name()+"{})")
}

// A creation is one INSERT.
type creation struct {
	m       *model
	stmt    *gorm.Statement
	sealing sealing
	rows    []creationRow
	written map[string]bool // sealed columns that are written
	absent  map[string]int  // rows in which a written column is absent
}

type creationRow struct {
	rv    reflect.Value
	m     map[string]any // instead of rv
	names map[string]string
	jobs  []*sealJob

	compounds map[*indexField]Index // that are not NULL
}

func (c *creation) collect() error {
	columns, restricted := c.stmt.SelectAndOmitColumns(true, false)
	c.written, c.absent = map[string]bool{}, map[string]int{}
	for _, f := range c.m.sealed {
		picked, named := columns[f.column]
		c.written[f.column] = picked || !named && !restricted
	}
	switch dest := c.stmt.Dest.(type) {
	case map[string]any:
		return c.collectMaps([]map[string]any{dest}, false)
	case *map[string]any:
		return c.collectMaps([]map[string]any{*dest}, false)
	case []map[string]any:
		return c.collectMaps(dest, true)
	case *[]map[string]any:
		return c.collectMaps(*dest, true)
	}
	rv := c.stmt.ReflectValue
	if rv.Kind() == reflect.Struct && !rv.CanAddr() {
		p := reflect.New(rv.Type())
		p.Elem().Set(rv)
		c.stmt.Dest, c.stmt.ReflectValue = p.Interface(), p.Elem()
		rv = p.Elem()
	}
	if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
		return c.collectRow(rv)
	}
	for i := range rv.Len() {
		row := structOf(rv.Index(i))
		if !row.IsValid() {
			return refuse(c.m.resource, fmt.Sprintf("row %d of the batch is nil", i), "remove it")
		}
		if err := c.collectRow(row); err != nil {
			return err
		}
	}
	return nil
}

func (c *creation) collectRow(rv reflect.Value) error {
	if rv.Kind() != reflect.Struct || rv.Type() != c.m.typ {
		return refuse(c.m.resource, "cannot be created from a "+rv.Type().String(), "use the model")
	}
	row := creationRow{rv: rv}
	for _, f := range c.m.sealed {
		if !c.written[f.column] {
			continue
		}
		in := f.get(c.stmt.Context, rv)
		if in == nil {
			c.absent[f.column]++
			continue
		}
		id, ok := c.m.rowID(c.stmt.Context, rv)
		if !ok && !c.m.anyRow {
			return c.m.missingID()
		}
		subject, ok := c.m.subjectID(c.stmt.Context, rv)
		if !ok {
			return c.m.missingSubject()
		}
		if err := c.m.checkTenant(c.stmt.Context, rv, c.sealing.tenant); err != nil {
			return err
		}
		j, err := c.sealing.add(f, in, id, subject)
		if err != nil {
			return err
		}
		row.jobs = append(row.jobs, j)
	}
	c.rows = append(c.rows, row)
	return nil
}

func (m *model) missingID() error {
	return refuse(m.resource+"."+m.pk[0].DBName, "is empty, and sealed fields are bound to their row", "set it before the row is written")
}

func (m *model) missingSubject() error {
	return refuse(m.resource+"."+m.subject.DBName, "is empty, and it says whose data the row holds", "set it before the row is written")
}

func (m *model) checkTenant(ctx context.Context, rv reflect.Value, tenant string) error {
	if m.tenant == nil {
		return nil
	}
	v, _ := m.tenant.ValueOf(ctx, rv)
	if idText(v) != tenant {
		return refuse(m.resource+"."+m.tenant.DBName, "names another tenant than the context", "set it to the tenant of the context")
	}
	return nil
}

// collectMaps copies the caller's maps: what is stored is not what the program holds.
func (c *creation) collectMaps(in []map[string]any, slice bool) error {
	out := make([]map[string]any, len(in))
	for i, src := range in {
		row := creationRow{m: map[string]any{}, names: map[string]string{}}
		values := map[string]any{}
		for key, value := range src {
			row.m[key] = value
			column := key
			if f := c.stmt.Schema.LookUpField(key); f != nil {
				column = f.DBName
			}
			row.names[column] = key
			values[column] = value
		}
		if err := c.collectMap(&row, values); err != nil {
			return err
		}
		out[i] = row.m
		c.rows = append(c.rows, row)
	}
	if slice {
		c.stmt.Dest = out
	} else {
		c.stmt.Dest = out[0]
	}
	return nil
}

func (c *creation) collectMap(row *creationRow, values map[string]any) error {
	w := walker{s: &scope{main: c.m}}
	for _, x := range c.m.indexes {
		if _, ok := values[x.column]; ok {
			return refuse(x.of.logical, "its index column is set by hand", "leave it to the plugin")
		}
	}
	for _, f := range c.m.sealed {
		value, ok := values[f.column]
		if !ok || !c.written[f.column] {
			c.absent[f.column]++
			continue
		}
		in, err := f.assigned(value)
		if err != nil {
			return err
		}
		if in == nil {
			delete(row.m, row.names[f.column])
			c.absent[f.column]++
			continue
		}
		at, ok := w.placeOf(values)
		switch {
		case !ok && c.m.anyRow && at.subject == "":
			return c.m.missingSubject()
		case !ok && !c.m.anyRow:
			return c.m.missingID()
		}
		if c.m.tenant != nil && idText(values[c.m.tenant.DBName]) != c.sealing.tenant {
			return refuse(c.m.resource+"."+c.m.tenant.DBName, "names another tenant than the context", "set it to the tenant of the context")
		}
		j, err := c.sealing.add(f, in, at.row, at.subject)
		if err != nil {
			return err
		}
		row.jobs = append(row.jobs, j)
	}
	return nil
}

// assigned reads what a map or a SET assigns to a sealed column. Nil is NULL; a nil cell is absent.
func (f *sealedField) assigned(value any) (*cell, error) {
	if value == nil {
		return nullCell(), nil
	}
	c, ok := cellOf(value)
	if !ok {
		return nil, refuse(f.logical, fmt.Sprintf("a %T would be stored as plaintext", value), "assign privacy.New(…)")
	}
	return c, nil
}

// omitAbsent keeps an INSERT ... ON CONFLICT from overwriting stored values with the NULL of fields that
// were not set, and an index from being written without its value.
func (c *creation) omitAbsent() error {
	_, upsert := c.stmt.Clauses["ON CONFLICT"]
	omits := slices.Clone(c.stmt.Omits)
	selects := slices.Clone(c.stmt.Selects)
	for _, f := range c.m.sealed {
		n := c.absent[f.column]
		switch {
		case !c.written[f.column] || upsert && n == len(c.rows):
			omits = append(omits, f.column)
			for _, x := range f.indexes {
				omits = append(omits, x.column)
			}
		case upsert && n > 0:
			return refuse(f.logical, "is absent in some rows of the batch, and an upsert would store NULL for them", "set privacy.Null() where that is meant, or write the rows in two batches")
		case len(selects) > 0:
			for _, x := range f.indexes {
				selects = append(selects, x.column)
			}
		}
	}
	for _, x := range c.m.compounds {
		switch {
		case !c.writes(x):
			omits = append(omits, x.column)
		case len(selects) > 0:
			selects = append(selects, x.column)
		}
	}
	c.stmt.Omits, c.stmt.Selects = omits, selects
	return nil
}

// store puts the sealed values into the rows.
func (c *creation) store() {
	ctx := c.stmt.Context
	for _, row := range c.rows {
		if row.m == nil {
			for _, x := range c.m.indexes {
				// Whatever the program put there, an index is ours.
				if c.writes(x) && !isZeroIndex(ctx, x, row.rv) {
					_ = x.field.Set(ctx, row.rv, Index(nil))
				}
			}
		}
		for _, j := range row.jobs {
			if row.m != nil {
				row.m[row.names[j.field.column]] = j.field.wrap(j.out)
			} else {
				j.field.set(ctx, row.rv, j.out)
			}
			for i, x := range j.field.indexes {
				if row.m != nil {
					row.m[x.column] = j.index[i]
				} else {
					x.field.ReflectValueOf(ctx, row.rv).SetBytes(j.index[i])
				}
			}
		}
		for x, idx := range row.compounds {
			if row.m != nil {
				row.m[x.column] = idx
			} else {
				x.field.ReflectValueOf(ctx, row.rv).SetBytes(idx)
			}
		}
	}
}

func isZeroIndex(ctx context.Context, x *indexField, rv reflect.Value) bool {
	_, zero := x.field.ValueOf(ctx, rv)
	return zero
}

// afterCreate tells the values of rows that the database numbered which row they are in: the gate and the
// record of a reveal name it.
func (v *Vault) afterCreate(db *gorm.DB) {
	v.afterWrite(db)
	if db.Error != nil || db.DryRun || db.Statement.Schema == nil {
		return
	}
	m := v.reg.Load().byType[db.Statement.Schema.ModelType]
	if m == nil || !m.anyRow {
		return
	}
	rv := structOf(db.Statement.ReflectValue)
	if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
		m.nameRow(db.Statement.Context, rv)
		return
	}
	for i := range rv.Len() {
		m.nameRow(db.Statement.Context, structOf(rv.Index(i)))
	}
}

func (m *model) nameRow(ctx context.Context, rv reflect.Value) {
	if !rv.IsValid() || rv.Type() != m.typ {
		return
	}
	row, ok := m.rowID(ctx, rv)
	if !ok {
		return
	}
	for _, f := range m.sealed {
		if c := f.get(ctx, rv); c != nil && c.state == stateBound && c.at.row == "" {
			named := *c
			named.at.row = row
			f.set(ctx, rv, &named)
		}
	}
}

// afterWrite binds what RETURNING read back, and writes search tokens.
func (v *Vault) afterWrite(db *gorm.DB) {
	if err := v.writeTokens(db); err != nil {
		_ = db.AddError(err)
	}
	if c, ok := db.InstanceGet(ownSet); ok {
		if before := c.(clause.Clause); before.Expression != nil {
			db.Statement.Clauses["SET"] = before
		} else {
			delete(db.Statement.Clauses, "SET")
		}
	}
	if _, ok := db.Statement.Clauses["RETURNING"]; !ok || db.DryRun || db.Error != nil {
		return
	}
	if err := v.bindResult(db, false); err != nil {
		_ = db.AddError(err)
	}
}
