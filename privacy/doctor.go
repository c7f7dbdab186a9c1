package privacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
)

// A Finding is one thing that Doctor found wrong. It names places, never values.
type Finding struct {
	Kind   string // "check", "plaintext", "unreadable", "unpadded", "index" or "erased index"
	Table  string
	Column string
	Row    string // empty: the column as a whole
	Detail string
}

func (f Finding) String() string {
	place := f.Table + "." + f.Column
	if f.Row != "" {
		place += " of row " + f.Row
	}
	return f.Kind + ": " + place + ": " + f.Detail
}

const (
	findCheck      = "check"
	findPlaintext  = "plaintext"
	findUnreadable = "unreadable"
	findIndex      = "index"
	findErased     = "erased index"
	findUnpadded   = "unpadded"

	doctorPage = 500
)

// Doctor reads every sealed cell and index cell of every registered model of the tenant in ctx and returns
// what is wrong: a column without its CHECK constraint, plaintext, a value that does not open where it
// stands, an index that does not fit its value or that an erased person still has. It shows nothing to
// anybody and changes nothing, so it asks no gate.
func (v *Vault) Doctor(ctx context.Context, db *gorm.DB) ([]Finding, error) {
	tenant, err := v.tenant(ctx)
	if err != nil {
		return nil, err
	}
	ctx = withInternal(ctx)
	quiet := db.Session(&gorm.Session{NewDB: true, Context: ctx})
	var out []Finding
	for _, m := range v.reg.Load().all {
		for _, k := range m.checks(db) {
			if !quiet.Migrator().HasConstraint(reflect.New(m.typ).Interface(), k.name) {
				out = append(out, Finding{findCheck, m.table, k.column, "", "the CHECK constraint " + k.name + " is missing, so the database would store plaintext; call vault.Migrate"})
			}
		}
		d := &examination{v: v, m: m, c: conn{session(ctx, db)}, tenant: tenant}
		found, err := d.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("privacy: doctor: table %s: %w", m.table, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// An examination goes through one table in the order of its key.
type examination struct {
	v      *Vault
	m      *model
	c      conn
	tenant string
	out    []Finding
	names  []namedRow
}

// A rawRow is a row as it is stored.
type rawRow struct {
	keys    []string
	subject string
	cells   [][]byte
	indexes [][]byte
}

func (d *examination) run(ctx context.Context) ([]Finding, error) {
	var after []string
	for {
		rows, err := d.page(ctx, after)
		if err != nil {
			return nil, err
		}
		if err := d.examine(ctx, rows); err != nil {
			return nil, err
		}
		if len(rows) < doctorPage {
			err := d.strayTokens(ctx)
			return d.out, err
		}
		after = rows[len(rows)-1].keys
	}
}

func (d *examination) page(ctx context.Context, after []string) ([]rawRow, error) {
	var columns, keys []string
	for _, f := range d.m.pk {
		keys = append(keys, d.c.quote(f.DBName))
	}
	columns = append(append(columns, keys...), d.c.quote(d.m.subject.DBName))
	for _, f := range d.m.sealed {
		columns = append(columns, d.c.quote(f.column))
	}
	for _, x := range d.m.indexes {
		columns = append(columns, d.c.quote(x.column))
	}
	where, args := d.condition(keys, after)
	text := "SELECT " + strings.Join(columns, ", ") + " FROM " + d.c.quote(d.m.table) + where +
		" ORDER BY " + strings.Join(keys, ", ") + fmt.Sprintf(" LIMIT %d", doctorPage)
	var rows []rawRow
	err := d.c.query(ctx, func(r *sql.Rows) error {
		row := rawRow{keys: make([]string, len(keys)), cells: make([][]byte, len(d.m.sealed)), indexes: make([][]byte, len(d.m.indexes))}
		var dest []any
		for i := range row.keys {
			dest = append(dest, &row.keys[i])
		}
		var subject sql.NullString
		dest = append(dest, &subject)
		for i := range row.cells {
			dest = append(dest, &row.cells[i])
		}
		for i := range row.indexes {
			dest = append(dest, &row.indexes[i])
		}
		if err := r.Scan(dest...); err != nil {
			return err
		}
		row.subject = subject.String
		rows = append(rows, row)
		return nil
	}, text, args...)
	return rows, err
}

// condition continues behind a row, and keeps to the tenant where the model names it.
func (d *examination) condition(keys, after []string) (string, []any) {
	var parts []string
	var args []any
	if d.m.tenant != nil {
		parts = append(parts, d.c.quote(d.m.tenant.DBName)+" = ?")
		args = append(args, d.tenant)
	}
	if after != nil {
		var or []string
		for i := range keys {
			var and []string
			for j := range i {
				and = append(and, keys[j]+" = ?")
				args = append(args, after[j])
			}
			or = append(or, strings.Join(append(and, keys[i]+" > ?"), " AND "))
			args = append(args, after[i])
		}
		parts = append(parts, "(("+strings.Join(or, ") OR (")+"))")
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}

func (d *examination) examine(ctx context.Context, rows []rawRow) error {
	var subjects []string
	for _, r := range rows {
		subjects = append(subjects, d.m.kind+":"+r.subject)
	}
	if len(rows) == 0 {
		return nil
	}
	tenantKeys, err := d.v.ring.tenantKeys(ctx, d.c.db, d.tenant, false)
	if err != nil {
		return err
	}
	keys, err := d.v.ring.subjectKeys(ctx, d.c.db, d.tenant, subjects, false)
	if err != nil {
		return err
	}
	for _, r := range rows {
		key, values := keys[d.m.kind+":"+r.subject], map[*sealedField][]byte{}
		for i, f := range d.m.sealed {
			d.cell(r, f, r.cells[i], tenantKeys, key, values)
		}
		d.compounds(r, values, tenantKeys, key != nil && !key.stored.Erased.IsZero())
	}
	return d.checkTokens(ctx, tenantKeys)
}

func (d *examination) add(kind, column string, r rawRow, detail string) {
	d.out = append(d.out, Finding{kind, d.m.table, column, joinRowID(r.keys), detail})
}

func (d *examination) cell(r rawRow, f *sealedField, box []byte, tk *tenantKeys, key *subjectKey, values map[*sealedField][]byte) {
	at := place{vault: d.v, field: f, tenant: d.tenant, row: joinRowID(r.keys), subject: d.m.kind + ":" + r.subject}
	erased := key != nil && !key.stored.Erased.IsZero()
	var value []byte
	opened := false
	switch {
	case box == nil:
	case !looksSealed(box):
		d.add(findPlaintext, f.column, r, "the stored bytes are not a sealed value; remove or seal them")
	case erased:
	default:
		if err := d.open(box, at, key, &value); err != nil {
			d.add(findUnreadable, f.column, r, "it does not open where it stands: damaged, moved, or its key is gone; restore it from a backup")
		} else {
			opened = true
			values[f] = value
			d.value(r, f, box, value)
		}
	}
	if f.search {
		d.names = append(d.names, namedRow{row: r, field: f, value: value, opened: opened, empty: box == nil || erased, erased: erased})
	}
	for _, x := range f.indexes {
		d.index(r, x, opened, erased, value, tk)
	}
}

// value looks at what a cell holds.
func (d *examination) value(r rawRow, f *sealedField, box, value []byte) {
	if f.form.check(value) != nil {
		d.add(findUnreadable, f.column, r, "what is sealed is no "+f.form.typeName()+"; was the field's type changed?")
	}
	if f.pad > 0 && box[2] != cellPadded {
		d.add(findUnpadded, f.column, r, "the field is declared with pad=, but this value was sealed before; save the row again")
	}
}

func (d *examination) open(box []byte, at place, key *subjectKey, value *[]byte) (err error) {
	if key == nil {
		return errors.New("no key")
	}
	*value, err = key.open(box, at)
	return err
}

func (d *examination) index(r rawRow, x *indexField, opened, erased bool, value []byte, tk *tenantKeys) {
	var stored []byte
	for i, other := range d.m.indexes {
		if other == x {
			stored = r.indexes[i]
		}
	}
	switch {
	case erased && stored != nil:
		d.add(findErased, x.column, r, "the person was erased but can still be searched for; call vault.ReplayErasures")
	case erased:
	case opened:
		all, err := tk.blindAll(d.tenant, x, []string{x.form(string(value), d.v.cfg.Region)})
		for _, idx := range all {
			if string(idx) == string(stored) {
				return
			}
		}
		if err == nil {
			d.add(findIndex, x.column, r, "the index does not fit the value, so searches miss the row; save the row again")
		}
	case stored != nil && len(r.cells) > 0 && d.cellOf(r, x) == nil:
		d.add(findIndex, x.column, r, "there is an index but no value; save the row again")
	}
}

func (d *examination) cellOf(r rawRow, x *indexField) []byte {
	for i, f := range d.m.sealed {
		if f == x.of {
			return r.cells[i]
		}
	}
	return nil
}
