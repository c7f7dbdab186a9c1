package privacy

import (
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
)

const ownSet = "confide:privacy:set"

// An update is one UPDATE of a model with sealed fields.
type update struct {
	m       *model
	stmt    *gorm.Statement
	scope   *scope
	sealing sealing
	set     clause.Set
	row     string           // the row that the model or the new values name, as they were given
	jobs    map[int]*sealJob // by position in set

	compounds map[*indexField]Index // those of which a part is assigned
}

// beforeUpdate seals what an UPDATE assigns. Struct, map, column and clause.Set all end as a list of
// assignments, so that there is one place to get right.
func (v *Vault) beforeUpdate(db *gorm.DB) error {
	stmt := db.Statement
	if stmt.SQL.Len() > 0 {
		return v.rawSQL(db)
	}
	s, err := v.readScope(db)
	if err != nil {
		return err
	}
	s.locks = true
	if err := s.conditions(); err != nil {
		return err
	}
	var m *model
	if stmt.Schema != nil {
		m = s.reg.byType[stmt.Schema.ModelType]
	}
	if m == nil {
		if s.main != nil {
			return v.refuseTable(stmt)
		}
		return nil
	}
	if db.DryRun {
		return refuse(m.resource, "a dry run would need keys that it may not create", "run the statement, in a transaction that you roll back")
	}
	u := &update{m: m, stmt: stmt, scope: s, jobs: map[int]*sealJob{}}
	u.sealing = sealing{v: v, ctx: stmt.Context}
	u.row = u.knownRow() // before GORM copies the new values into the model
	if err := u.collect(); err != nil {
		return err
	}
	return u.run(db)
}

// collect turns whatever was given into assignments.
func (u *update) collect() error {
	before := u.stmt.Clauses["SET"]
	if set, ok := before.Expression.(clause.Set); ok {
		u.set = append(clause.Set(nil), set...)
	} else {
		if err := u.checkDest(); err != nil {
			return err
		}
		u.set = callbacks.ConvertToAssignments(u.stmt)
	}
	if u.stmt.Error != nil {
		return u.stmt.Error
	}
	u.stmt.DB.InstanceSet(ownSet, before)
	return nil
}

// checkDest looks at sealed columns before GORM copies values into the model: a plain string would be taken
// for ciphertext there.
func (u *update) checkDest() error {
	rv := structOf(reflect.ValueOf(u.stmt.Dest))
	if !rv.IsValid() {
		return nil
	}
	if dest, ok := rv.Interface().(map[string]any); ok {
		for key, value := range dest {
			if f := u.stmt.Schema.LookUpField(key); f != nil {
				if s := u.m.cells[strings.ToLower(f.DBName)]; s != nil {
					if _, err := s.assigned(value); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	if rv.Kind() != reflect.Struct || rv.Type() == u.m.typ {
		return nil
	}
	tmp := &gorm.Statement{DB: u.stmt.DB}
	if tmp.Parse(u.stmt.Dest) != nil {
		return nil // GORM says so itself
	}
	for _, s := range u.m.sealed {
		if f := tmp.Schema.LookUpField(s.column); f != nil && !isSealed(f) {
			return refuse(s.logical, "a "+f.FieldType.String()+" would be stored as plaintext", "make the field a "+s.field.IndirectFieldType.String())
		}
	}
	return nil
}

func (u *update) run(db *gorm.DB) error {
	cells, subject, err := u.sort()
	if err != nil {
		return err
	}
	if len(cells) == 0 && subject == nil {
		u.store()
		return nil
	}
	if u.sealing.tenant, err = u.sealing.v.tenant(u.stmt.Context); err != nil {
		return err
	}
	if err := beginTransaction(db); err != nil {
		return err
	}
	row, person, found, err := u.target(db, subject, len(cells) == len(u.m.sealed))
	if err != nil {
		return err
	}
	if !found {
		// Nothing matches. The statement still runs, so that it reports no rows, but on no row.
		u.stmt.AddClause(clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 0"}}})
		for i := range cells {
			u.set[i].Value = nil
		}
		u.store()
		return nil
	}
	for i, c := range cells {
		if u.jobs[i], err = u.sealing.add(u.m.cells[strings.ToLower(u.set[i].Column.Name)], c, row, person); err != nil {
			return err
		}
	}
	if err := u.sealing.run(session(u.stmt.Context, db)); err != nil {
		return err
	}
	if err := u.makeCompounds(db, row, person); err != nil {
		return err
	}
	rememberTwins(db, u.sealing.jobs)
	u.sealing.keepTokens(db, u.m, false)
	u.store()
	return nil
}

// sort drops absent values and the index columns, which are ours, and returns the cells to seal by their
// position and the new subject if one is assigned.
func (u *update) sort() (cells map[int]*cell, subject any, err error) {
	kept := u.set[:0:0]
	cells = map[int]*cell{}
	for _, a := range u.set {
		name := strings.ToLower(a.Column.Name)
		if f := u.m.cells[name]; f != nil {
			c, err := f.assigned(a.Value)
			if err != nil {
				return nil, nil, err
			}
			if c == nil {
				continue
			}
			cells[len(kept)] = c
		} else if x := u.m.blind[name]; x != nil {
			if u.byHand(a) {
				return nil, nil, refuse(x.of.logical, "its index column is set by hand", "leave it to the plugin")
			}
			continue
		} else if err := u.checkKey(a); err != nil {
			return nil, nil, err
		} else if err := u.scope.operand(a.Value, u.m); err != nil {
			return nil, nil, err
		}
		if !u.m.subjectIsRow() && name == strings.ToLower(u.m.subject.DBName) {
			if idText(a.Value) == "" || isExpression(a.Value) {
				return nil, nil, refuse(u.m.resource+"."+u.m.subject.DBName, "says whose data the row holds", "assign an id")
			}
			subject = a.Value
		}
		kept = append(kept, a)
	}
	u.set = kept
	return cells, subject, nil
}

func isExpression(v any) bool {
	_, ok := v.(clause.Expression)
	return ok
}

// byHand tells an index that came along in a saved struct from one that somebody assigns.
func (u *update) byHand(a clause.Assignment) bool {
	rv := structOf(reflect.ValueOf(u.stmt.Dest))
	return !rv.IsValid() || rv.Kind() != reflect.Struct
}

// checkKey refuses a new primary key: the sealed fields of the row would not open any more.
func (u *update) checkKey(a clause.Assignment) error {
	for _, f := range u.m.pk {
		if !strings.EqualFold(f.DBName, a.Column.Name) || len(u.m.pk) == 1 && u.row != "" && idText(a.Value) == u.row {
			continue
		}
		return refuse(u.m.resource+"."+f.DBName, "the sealed fields of a row are bound to it, so it cannot change", "create a new row and delete the old one")
	}
	return nil
}

// target finds the one row that is updated, and whose data it holds. subject is what the statement assigns
// to the subject column, if it does.
func (u *update) target(db *gorm.DB, subject any, complete bool) (row, person string, found bool, err error) {
	row = u.row
	if row != "" && u.m.subjectIsRow() {
		return row, u.m.kind + ":" + row, true, nil
	}
	if row != "" && subject != nil && complete {
		return row, u.m.kind + ":" + idText(subject), true, nil
	}
	row, person, found, err = u.look(db, row)
	if err == nil && found && subject != nil && person != u.m.kind+":"+idText(subject) {
		err = refuse(u.m.resource+"."+u.m.subject.DBName, "says whose data the sealed fields are, so it cannot change alone",
			"write all sealed fields of the row anew in the same statement")
	}
	return row, person, found, err
}

// knownRow returns the id of the row if the model or the new values name it.
func (u *update) knownRow() string {
	if rv := u.stmt.ReflectValue; rv.Kind() == reflect.Struct && rv.Type() == u.m.typ {
		if id, ok := u.m.rowID(u.stmt.Context, rv); ok {
			return id
		}
	}
	if rv := structOf(reflect.ValueOf(u.stmt.Dest)); rv.IsValid() && rv.Kind() == reflect.Struct && rv.Type() == u.m.typ {
		if id, ok := u.m.rowID(u.stmt.Context, rv); ok {
			return id
		}
	}
	return ""
}

// look reads the key columns of the rows that the update would reach, as the caller may see them.
func (u *update) look(db *gorm.DB, known string) (row, person string, found bool, err error) {
	rows := reflect.New(reflect.SliceOf(u.m.typ))
	q := db.Session(&gorm.Session{NewDB: true, SkipHooks: true, Context: u.stmt.Context})
	q = q.Model(reflect.New(u.m.typ).Interface()).Table(u.stmt.Table)
	if u.stmt.Unscoped {
		q = q.Unscoped()
	}
	where, ok := u.stmt.Clauses["WHERE"].Expression.(clause.Where)
	if ok {
		q = q.Clauses(clause.Where{Exprs: append([]clause.Expression(nil), where.Exprs...)})
	}
	if rv := u.stmt.ReflectValue; rv.Kind() == reflect.Struct && rv.Type() == u.m.typ {
		for _, f := range u.m.pk {
			if v, zero := f.ValueOf(u.stmt.Context, rv); !zero {
				q = q.Where(clause.Eq{Column: clause.Column{Table: u.stmt.Table, Name: f.DBName}, Value: v})
			}
		}
	}
	if u.stmt.Dialector.Name() != "sqlite" {
		q = q.Clauses(clause.Locking{Strength: "UPDATE"})
	}
	columns := []string{u.m.subject.DBName}
	for _, f := range u.m.pk {
		if f != u.m.subject {
			columns = append(columns, f.DBName)
		}
	}
	if !ok && known == "" {
		return "", "", false, gorm.ErrMissingWhereClause
	}
	if err := q.Select(columns).Limit(2).Find(rows.Interface()).Error; err != nil {
		return "", "", false, fmt.Errorf("privacy: find the row to update: %w", err)
	}
	switch rows.Elem().Len() {
	case 0:
		return "", "", false, nil
	case 1:
		return u.narrow(rows.Elem().Index(0))
	}
	return "", "", false, refuse(u.m.resource, "the update reaches more than one row, and each row has ciphertexts of its own", "load the rows and save them one by one")
}

// narrow ties the update to the row that was found.
func (u *update) narrow(rv reflect.Value) (row, person string, found bool, err error) {
	ctx := u.stmt.Context
	row, ok := u.m.rowID(ctx, rv)
	if !ok {
		return "", "", false, u.m.missingID()
	}
	if person, ok = u.m.subjectID(ctx, rv); !ok {
		return "", "", false, u.m.missingSubject()
	}
	for _, f := range u.m.pk {
		v, _ := f.ValueOf(ctx, rv)
		u.stmt.AddClause(clause.Where{Exprs: []clause.Expression{clause.Eq{Column: clause.Column{Table: u.stmt.Table, Name: f.DBName}, Value: v}}})
	}
	return row, person, true, nil
}

// store makes the sealed assignments the statement's SET and puts the sealed values into the program's
// structs.
func (u *update) store() {
	extra := clause.Set{}
	for i, a := range u.set {
		f := u.m.cells[strings.ToLower(a.Column.Name)]
		if f == nil {
			continue
		}
		j := u.jobs[i]
		if j == nil { // matches no row
			for _, x := range f.indexes {
				extra = append(extra, clause.Assignment{Column: clause.Column{Name: x.column}})
			}
			continue
		}
		u.set[i].Value = f.wrap(j.out)
		u.remember(f, j)
		for n, x := range f.indexes {
			var value any
			if j.index[n] != nil {
				value = j.index[n]
			}
			extra = append(extra, clause.Assignment{Column: clause.Column{Name: x.column}, Value: value})
		}
	}
	for _, x := range u.m.compounds {
		if idx, ok := u.compounds[x]; ok {
			var value any
			if idx != nil {
				value = idx
			}
			extra = append(extra, clause.Assignment{Column: clause.Column{Name: x.column}, Value: value})
		}
	}
	// Where all values were absent the list is empty, and GORM assigns the key to itself. Without a SET it would
	// collect the values again, and store NULL.
	u.stmt.Clauses["SET"] = clause.Clause{Name: "SET", Expression: append(u.set, extra...)}
}

func (u *update) remember(f *sealedField, j *sealJob) {
	ctx := u.stmt.Context
	put := func(rv reflect.Value) {
		if !rv.IsValid() || rv.Kind() != reflect.Struct || rv.Type() != u.m.typ || !rv.CanAddr() {
			return
		}
		f.set(ctx, rv, j.out)
		for n, x := range f.indexes {
			_ = x.field.Set(ctx, rv, j.index[n])
		}
		for x, idx := range u.compounds {
			_ = x.field.Set(ctx, rv, idx)
		}
	}
	put(u.stmt.ReflectValue)
	put(structOf(reflect.ValueOf(u.stmt.Dest)))
}
