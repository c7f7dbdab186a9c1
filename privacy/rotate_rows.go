package privacy

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// A tableWalk reads a table in the order of its key, a batch at a time, past every callback.
type tableWalk struct {
	c       conn
	m       *model
	tenant  string
	columns []string // quoted
	batch   int
}

// A tableRow is a row of a walk.
type tableRow struct {
	keys    []string
	subject string // with its kind
	values  [][]byte
}

func (w tableRow) id() string { return joinRowID(w.keys) }

func (w *tableWalk) page(ctx context.Context, after []string) ([]tableRow, error) {
	var keys []string
	for _, f := range w.m.pk {
		keys = append(keys, w.c.quote(f.DBName))
	}
	columns := append(append(slices.Clone(keys), w.c.quote(w.m.subject.DBName)), w.columns...)
	where, args := w.behind(keys, after)
	text := "SELECT " + strings.Join(columns, ", ") + " FROM " + w.c.quote(w.m.table) + where + " ORDER BY " + strings.Join(keys, ", ") + fmt.Sprintf(" LIMIT %d", w.batch)
	var rows []tableRow
	err := w.c.query(ctx, func(r *sql.Rows) error {
		row := tableRow{keys: make([]string, len(keys)), values: make([][]byte, len(w.columns))}
		var subject sql.NullString
		var dest []any
		for i := range row.keys {
			dest = append(dest, &row.keys[i])
		}
		dest = append(dest, &subject)
		for i := range row.values {
			dest = append(dest, &row.values[i])
		}
		if err := r.Scan(dest...); err != nil {
			return err
		}
		row.subject = w.m.kind + ":" + subject.String
		rows = append(rows, row)
		return nil
	}, text, args...)
	return rows, err
}

// behind is the condition for the rows behind a key, of the tenant where the table names it.
func (w *tableWalk) behind(keys, after []string) (string, []any) {
	var parts []string
	var args []any
	if w.m.tenant != nil {
		parts, args = append(parts, w.c.quote(w.m.tenant.DBName)+" = ?"), append(args, w.tenant)
	}
	if len(after) == len(keys) {
		var or []string
		for i := range keys {
			var and []string
			for j := range i {
				and, args = append(and, keys[j]+" = ?"), append(args, after[j])
			}
			or, args = append(or, strings.Join(append(and, keys[i]+" > ?"), " AND ")), append(args, after[i])
		}
		parts = append(parts, "(("+strings.Join(or, ") OR (")+"))")
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}

// A swap stores new values in a row where the old ones still stand.
type swap struct {
	row      tableRow
	columns  []string // that change
	was, now [][]byte
	same     []string // columns that have to be what they were, too
	sameAs   [][]byte
}

func (w *tableWalk) swap(ctx context.Context, s swap) (bool, error) {
	var set, where []string
	var vars, conds []any
	must := func(column string, value []byte) {
		if value == nil {
			where = append(where, w.c.quote(column)+" IS NULL")
			return
		}
		where, conds = append(where, w.c.quote(column)+" = ?"), append(conds, value)
	}
	for i, f := range w.m.pk {
		where, conds = append(where, w.c.quote(f.DBName)+" = ?"), append(conds, s.row.keys[i])
	}
	for i, column := range s.columns {
		set, vars = append(set, w.c.quote(column)+" = ?"), append(vars, s.now[i])
		must(column, s.was[i])
	}
	for i, column := range s.same {
		must(column, s.sameAs[i])
	}
	text := "UPDATE " + w.c.quote(w.m.table) + " SET " + strings.Join(set, ", ") + " WHERE " + strings.Join(where, " AND ")
	var n int64
	err := retrying(ctx, func() (err error) {
		n, err = w.c.exec(ctx, text, append(vars, conds...)...)
		return err
	})
	return n == 1, err
}

// eachRow walks through all models, each table once for each, and gives f a batch at a time with its
// persons' keys. From where it stands it goes on after a crash.
func (r *rotator) eachRow(ctx context.Context, position []byte, columns func(*model) []string, f func(*tableWalk, []tableRow, map[string]*person) error) error {
	models := slices.SortedFunc(slices.Values(r.v.reg.Load().all), func(a, b *model) int { return cmp.Compare(a.walkName(), b.walkName()) })
	at := decode(position)
	for _, m := range models {
		w := &tableWalk{c: conn{r.db}, m: m, tenant: r.tenant, batch: r.opt.Batch}
		for _, column := range columns(m) {
			w.columns = append(w.columns, w.c.quote(column))
		}
		if len(w.columns) == 0 || len(at) > 1 && m.walkName() < at[0] {
			continue
		}
		var after []string
		if len(at) > 1 && m.walkName() == at[0] {
			after = at[1:]
		}
		if err := r.eachPage(ctx, w, after, position != nil, f); err != nil {
			return fmt.Errorf("table %s: %w", m.table, err)
		}
	}
	return nil
}

func (r *rotator) eachPage(ctx context.Context, w *tableWalk, after []string, remember bool, f func(*tableWalk, []tableRow, map[string]*person) error) error {
	last, err := w.last(ctx)
	if err != nil {
		return err
	}
	for {
		rows, err := w.page(ctx, after)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			persons, err := r.persons(ctx, rows)
			if err == nil {
				err = f(w, rows, persons)
			}
			if err != nil {
				return err
			}
			after = rows[len(rows)-1].keys
			if remember {
				if err := r.savePosition(ctx, encode(append([]string{w.m.walkName()}, after...)...)); err != nil {
					return err
				}
			}
		}
		if err := r.rest(ctx); err != nil || len(rows) < w.batch || slices.ContainsFunc(rows, func(row tableRow) bool { return slices.Equal(row.keys, last) }) {
			return err
		}
	}
}

// last returns the last key of the table. What is written behind it from now on has the new key already, and
// the walk need not run after it for ever.
func (w *tableWalk) last(ctx context.Context) ([]string, error) {
	var keys, order []string
	for _, f := range w.m.pk {
		keys = append(keys, w.c.quote(f.DBName))
		order = append(order, w.c.quote(f.DBName)+" DESC")
	}
	var last []string
	err := w.c.query(ctx, func(r *sql.Rows) error {
		last = make([]string, len(keys))
		dest := make([]any, len(keys))
		for i := range last {
			dest[i] = &last[i]
		}
		return r.Scan(dest...)
	}, "SELECT "+strings.Join(keys, ", ")+" FROM "+w.c.quote(w.m.table)+" ORDER BY "+strings.Join(order, ", ")+" LIMIT 1")
	return last, err
}

// walkName orders the models of all processes in the same way.
func (m *model) walkName() string { return m.table + "\x00" + m.typ.String() }

// decode is the reverse of encode; what is no encoding is nothing.
func decode(b []byte) []string {
	if len(b) == 0 || b[0] != encode()[0] {
		return nil
	}
	var out []string
	for b = b[1:]; len(b) > 0; {
		if len(b) < 4 {
			return nil
		}
		n := int(binary.BigEndian.Uint32(b))
		if b = b[4:]; n > len(b) {
			return nil
		}
		out, b = append(out, string(b[:n])), b[n:]
	}
	return out
}

// A person is somebody's keyset in the hands of a rotation.
type person struct {
	key     *subjectKey
	ids     []uint32
	primary uint32
}

func (p *person) erased() bool { return !p.key.stored.Erased.IsZero() }

// persons loads the keys of the persons whose data these rows hold.
func (r *rotator) persons(ctx context.Context, rows []tableRow) (map[string]*person, error) {
	var subjects []string
	for _, row := range rows {
		subjects = append(subjects, row.subject)
	}
	slices.Sort(subjects)
	keys, err := r.v.ring.subjectKeys(ctx, r.db, r.tenant, slices.Compact(subjects), false)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*person, len(keys))
	for name, k := range keys {
		p := &person{key: k}
		out[name] = p
		if p.erased() {
			continue
		}
		if h, err := openPerson(k.stored, k.tenant); err == nil {
			p.ids, p.primary = keyIDs(h), primaryID(h)
		}
	}
	return out, nil
}

// ours reports whether a cell that does not open must be taken for the tenant's. A table without a tenant
// column may hold rows of other tenants.
func (r *rotator) ours(m *model, p *person, box []byte) bool {
	if m.tenant != nil || r.v.oneTenant {
		return true
	}
	id, ok := cellKey(box)
	return p != nil && (!ok || slices.Contains(p.ids, id))
}

func (r *rotator) place(f *sealedField, row tableRow) place {
	return place{vault: r.v, field: f, tenant: r.tenant, row: row.id(), subject: row.subject}
}

// isDuplicate reports whether the database refused a value because another row has it.
func isDuplicate(db *gorm.DB, err error) bool {
	if t, ok := db.Dialector.(gorm.ErrorTranslator); ok {
		return errors.Is(t.Translate(err), gorm.ErrDuplicatedKey)
	}
	return false
}
