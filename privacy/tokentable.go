package privacy

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// A tokenRow is one token of one value, beside the row that it finds. The names of row and person are there so
// that an update, a deletion and an erasure find all of them.
type tokenRow struct {
	Tenant  keyText   `gorm:"primaryKey;index:idx_confide_tokens_row,priority:1;index:idx_confide_tokens_subject,priority:1"`
	Field   keyText   `gorm:"primaryKey;index:idx_confide_tokens_row,priority:2"`
	Token   tokenCell `gorm:"primaryKey"`
	RowID   keyText   `gorm:"primaryKey;index:idx_confide_tokens_row,priority:3"`
	Subject keyText   `gorm:"not null;index:idx_confide_tokens_subject,priority:2"`
}

func (tokenRow) TableName() string { return "confide_tokens" }

type tokenCell []byte

func (tokenCell) GormDataType() string { return string(schema.Bytes) }

func (tokenCell) GormDBDataType(db *gorm.DB, f *schema.Field) string {
	return Index(nil).GormDBDataType(db, f)
}

// A tokenJob says which tokens the row of a write gets once it is written.
type tokenJob struct {
	at     place
	box    []byte // nil: NULL
	tokens []Index
}

// A tokenWork is what a write leaves to do in the token table.
type tokenWork struct {
	m     *model
	table string
	jobs  []tokenJob
	// check: only rows that hold what was sealed for them; an upsert may have left the row alone.
	check bool
	// gone: rows that a deletion may have taken.
	gone []rowKey
}

// A rowKey is a row's primary key as the database driver takes it, and as text.
type rowKey struct {
	values []any
	id     string
}

const ownTokens = "confide:privacy:tokens"

// keepTokens remembers the tokens of what is sealed until the statement has run.
func (s *sealing) keepTokens(db *gorm.DB, m *model, check bool) {
	w := &tokenWork{m: m, table: db.Statement.Table, check: check}
	for _, j := range s.jobs {
		if j.field.search && j.out != nil {
			w.jobs = append(w.jobs, tokenJob{at: j.at, box: j.out.box, tokens: j.tokens})
		}
	}
	if len(w.jobs) > 0 {
		db.InstanceSet(ownTokens, w)
	}
}

// writeTokens runs behind the statement, in its transaction.
func (v *Vault) writeTokens(db *gorm.DB) error {
	work, ok := db.InstanceGet(ownTokens)
	if !ok || work == nil {
		return nil
	}
	db.InstanceSet(ownTokens, nil)
	w := work.(*tokenWork)
	if db.Error != nil || db.DryRun || db.RowsAffected == 0 && !w.check {
		return nil
	}
	ctx := db.Statement.Context
	c := conn{session(ctx, db)}
	if w.gone != nil {
		return w.forgetGone(ctx, c, v)
	}
	jobs := w.jobs
	if w.check {
		var err error
		if jobs, err = w.current(ctx, c); err != nil {
			return fmt.Errorf("privacy: search tokens of %s: %w", w.m.table, err)
		}
	}
	return replaceTokens(ctx, c, jobs)
}

// replaceTokens puts the jobs' tokens in the place of those that their rows have.
func replaceTokens(ctx context.Context, c conn, jobs []tokenJob) error {
	rows := map[*sealedField][]string{}
	for _, j := range jobs {
		rows[j.at.field] = append(rows[j.at.field], j.at.field.model.tokenRow(j.at.row))
	}
	for f, ids := range rows {
		for len(ids) > 0 {
			n := min(len(ids), 1000)
			if _, err := c.exec(ctx, "DELETE FROM confide_tokens WHERE tenant = ? AND field = ? AND row_id IN ?", jobs[0].at.tenant, f.logical, ids[:n]); err != nil {
				return fmt.Errorf("privacy: search tokens of %s (was Migrate called?): %w", f.logical, err)
			}
			ids = ids[n:]
		}
	}
	return addTokens(ctx, c, jobs)
}

func addTokens(ctx context.Context, c conn, jobs []tokenJob) error {
	var rows []any
	for _, j := range jobs {
		for _, t := range j.tokens {
			rows = append(rows, []any{j.at.tenant, j.at.field.logical, t, j.at.field.model.tokenRow(j.at.row), j.at.subject})
		}
	}
	for len(rows) > 0 {
		n := min(len(rows), 1000)
		values := clause.CommaExpression{}
		for _, row := range rows[:n] {
			values.Exprs = append(values.Exprs, clause.Expr{SQL: "?", Vars: []any{row}})
		}
		if _, err := c.exec(ctx, "INSERT INTO confide_tokens (tenant, field, token, row_id, subject) VALUES ?", values); err != nil {
			return fmt.Errorf("privacy: write search tokens: %w", err)
		}
		rows = rows[n:]
	}
	return nil
}

// current returns the jobs whose row holds the ciphertext that was sealed for it.
func (w *tokenWork) current(ctx context.Context, c conn) ([]tokenJob, error) {
	byField := map[*sealedField][]tokenJob{}
	for _, j := range w.jobs {
		byField[j.at.field] = append(byField[j.at.field], j)
	}
	var out []tokenJob
	for f, jobs := range byField {
		for len(jobs) > 0 {
			n := min(len(jobs), 1000)
			stored, err := w.boxes(ctx, c, f, jobs[:n])
			if err != nil {
				return nil, err
			}
			for _, j := range jobs[:n] {
				if box, ok := stored[j.at.row]; ok && string(box) == string(j.box) && (box == nil) == (j.box == nil) {
					out = append(out, j)
					delete(stored, j.at.row)
				}
			}
			jobs = jobs[n:]
		}
	}
	return out, nil
}

// boxes reads what the rows of the jobs hold.
func (w *tokenWork) boxes(ctx context.Context, c conn, f *sealedField, jobs []tokenJob) (map[string][]byte, error) {
	var keys []rowKey
	for _, j := range jobs {
		if key, ok := w.m.keyOf(ctx, j.at.row); ok {
			keys = append(keys, key)
		}
	}
	out := map[string][]byte{}
	err := c.query(ctx, func(r *sql.Rows) error {
		read, dest := w.m.newKey()
		var box []byte
		if err := r.Scan(append(dest, &box)...); err != nil {
			return err
		}
		out[read(dest).id] = box
		return nil
	}, "SELECT ? FROM "+c.quote(w.table)+" WHERE ?", columnList(append(w.m.pkColumns(), f.column)), w.m.where(keys, ""))
	return out, err
}

// forgetGone removes the tokens of rows that are not there any more. A row that was only marked as deleted is.
func (w *tokenWork) forgetGone(ctx context.Context, c conn, v *Vault) error {
	tenant, err := v.tenant(ctx)
	if err != nil {
		return err
	}
	for keys := w.gone; len(keys) > 0; {
		n := min(len(keys), 1000)
		there, err := w.m.keysWhere(ctx, c, w.table, w.m.where(keys[:n], ""))
		if err != nil {
			return fmt.Errorf("privacy: look for the deleted rows of %s: %w", w.m.table, err)
		}
		left := map[string]bool{}
		for _, k := range there {
			left[k.id] = true
		}
		var gone []string
		for _, k := range keys[:n] {
			if !left[k.id] {
				gone = append(gone, w.m.tokenRow(k.id))
			}
		}
		if err := forgetTokens(ctx, c, w.m, tenant, gone); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func forgetTokens(ctx context.Context, c conn, m *model, tenant string, rows []string) error {
	if len(rows) == 0 {
		return nil
	}
	for _, f := range m.sealed {
		if !f.search {
			continue
		}
		if _, err := c.exec(ctx, "DELETE FROM confide_tokens WHERE tenant = ? AND field = ? AND row_id IN ?", tenant, f.logical, rows); err != nil {
			return fmt.Errorf("privacy: remove the search tokens of %s: %w", f.logical, err)
		}
	}
	return nil
}

// eraseTokens removes every token of a person.
func (v *Vault) eraseTokens(ctx context.Context, db *gorm.DB, tenant, subject string) (int64, error) {
	if !v.searched() {
		return 0, nil
	}
	n, err := conn{db}.exec(ctx, "DELETE FROM confide_tokens WHERE tenant = ? AND subject = ?", tenant, subject)
	if err != nil {
		return 0, fmt.Errorf("privacy: remove the search tokens of %s: %w", subject, err)
	}
	return n, nil
}

// searched reports whether any model has tokens.
func (v *Vault) searched() bool {
	return slices.ContainsFunc(v.reg.Load().all, (*model).searched)
}

// searched reports whether a field of the model has tokens.
func (m *model) searched() bool {
	for _, f := range m.sealed {
		if f.search {
			return true
		}
	}
	return false
}

// tokenRow is a row id as the token table holds it. Several key columns are in hexadecimal: their encoding is
// no text.
func (m *model) tokenRow(id string) string {
	if len(m.pk) == 1 {
		return id
	}
	return hex.EncodeToString([]byte(id))
}

// tokenKey is the inverse of tokenRow.
func (m *model) tokenKey(ctx context.Context, row string) (rowKey, bool) {
	if len(m.pk) > 1 {
		id, err := hex.DecodeString(row)
		if err != nil {
			return rowKey{}, false
		}
		row = string(id)
	}
	return m.keyOf(ctx, row)
}

// keyOf reads a row id back into values of the key columns' types.
func (m *model) keyOf(ctx context.Context, id string) (rowKey, bool) {
	texts := []string{id}
	if len(m.pk) > 1 {
		if texts = decode([]byte(id)); len(texts) != len(m.pk) {
			return rowKey{}, false
		}
	}
	rv := reflect.New(m.typ).Elem()
	key := rowKey{id: id}
	for i, f := range m.pk {
		if f.Set(ctx, rv, texts[i]) != nil {
			return rowKey{}, false
		}
		value, _ := f.ValueOf(ctx, rv)
		key.values = append(key.values, value)
	}
	return key, true
}

// where is the condition that a row is one of these.
func (m *model) where(keys []rowKey, qualifier string) clause.Expression {
	if len(keys) == 0 {
		return clause.Expr{SQL: "1 = 0"}
	}
	if len(m.pk) == 1 {
		in := clause.IN{Column: clause.Column{Table: qualifier, Name: m.pk[0].DBName}}
		for _, k := range keys {
			in.Values = append(in.Values, k.values[0])
		}
		return in
	}
	var or []clause.Expression
	for _, k := range keys {
		var and []clause.Expression
		for i, f := range m.pk {
			and = append(and, clause.Eq{Column: clause.Column{Table: qualifier, Name: f.DBName}, Value: k.values[i]})
		}
		or = append(or, clause.Or(clause.And(and...)))
	}
	return clause.And(clause.Or(or...))
}

// keysWhere reads the keys of the rows that a condition names.
func (m *model) keysWhere(ctx context.Context, c conn, table string, where clause.Expression) ([]rowKey, error) {
	var out []rowKey
	err := c.query(ctx, func(r *sql.Rows) error {
		read, dest := m.newKey()
		if err := r.Scan(dest...); err != nil {
			return err
		}
		out = append(out, read(dest))
		return nil
	}, "SELECT ? FROM "+c.quote(table)+" WHERE ?", columnList(m.pkColumns()), where)
	return out, err
}

func (m *model) pkColumns() []string {
	var out []string
	for _, f := range m.pk {
		out = append(out, f.DBName)
	}
	return out
}

func columnList(names []string) clause.Expression {
	var list clause.CommaExpression
	for _, name := range names {
		list.Exprs = append(list.Exprs, clause.Expr{SQL: "?", Vars: []any{clause.Column{Name: name}}})
	}
	return list
}

// newKey returns what to scan the key columns into, and how to read it then.
func (m *model) newKey() (read func([]any) rowKey, dest []any) {
	for _, f := range m.pk {
		dest = append(dest, reflect.New(f.FieldType).Interface())
	}
	return func(dest []any) rowKey {
		var key rowKey
		ids := make([]string, len(m.pk))
		for i := range m.pk {
			v := reflect.ValueOf(dest[i]).Elem().Interface()
			key.values = append(key.values, v)
			ids[i] = idText(v)
		}
		key.id = joinRowID(ids)
		return key
	}, dest
}

// rememberGone looks up, before a deletion, the rows that it may take.
func (v *Vault) rememberGone(db *gorm.DB, m *model) error {
	stmt := db.Statement
	var and []clause.Expression
	if where, ok := stmt.Clauses["WHERE"].Expression.(clause.Where); ok && len(where.Exprs) > 0 {
		and = append(and, clause.AndConditions(where))
	}
	for _, rv := range []reflect.Value{stmt.ReflectValue, reflect.Indirect(reflect.ValueOf(stmt.Model))} {
		if !rv.IsValid() || rv.Kind() != reflect.Struct && rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
			continue
		}
		_, values := schema.GetIdentityFieldValuesMap(stmt.Context, rv, stmt.Schema.PrimaryFields)
		column, in := schema.ToQueryValues(stmt.Table, stmt.Schema.PrimaryFieldDBNames, values)
		if len(in) > 0 {
			and = append(and, clause.IN{Column: column, Values: in})
		}
	}
	if len(and) == 0 {
		if !db.AllowGlobalUpdate {
			return nil // GORM refuses it
		}
		and = append(and, clause.Expr{SQL: "1 = 1"})
	}
	ctx := stmt.Context
	tmp := conn{session(ctx, db)}
	tmp.db.Statement.Table, tmp.db.Statement.Schema = stmt.Table, stmt.Schema
	keys, err := m.keysWhere(ctx, tmp, stmt.Table, clause.And(and...))
	if err != nil {
		return fmt.Errorf("privacy: look for the rows to delete in %s: %w", m.table, err)
	}
	if len(keys) > 0 {
		db.InstanceSet(ownTokens, &tokenWork{m: m, table: stmt.Table, gone: keys})
	}
	return nil
}
