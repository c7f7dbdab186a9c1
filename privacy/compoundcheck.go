package privacy

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strings"

	"gorm.io/gorm/clause"
)

// reindexCompounds gives a row the compound indexes of the primary index key. boxes holds the stored cells of
// the parts, stored those of the indexes.
func (r *rotator) reindexCompounds(ctx context.Context, w *tableWalk, row tableRow, p *person, keys *tenantKeys, boxes map[*sealedField][]byte, stored [][]byte, all bool) error {
	if p != nil && p.erased() {
		return nil
	}
	for i, x := range w.m.compounds {
		r.report.Checked++
		want, err := r.compoundOf(x, row, p, keys, boxes)
		if err != nil {
			r.failCompound(x, row, p, boxes, err)
			continue
		}
		// In a dry run for a key to come every index is left to do.
		if bytes.Equal(stored[i], want) && !(all && want != nil) {
			continue
		}
		if r.opt.DryRun {
			r.report.Left++
			continue
		}
		s := swap{row: row, columns: []string{x.column}, was: [][]byte{stored[i]}, now: [][]byte{want}}
		for _, p := range x.parts {
			s.same, s.sameAs = append(s.same, p.of.column), append(s.sameAs, boxes[p.of])
		}
		ok, err := w.swap(ctx, s)
		switch {
		case err != nil && isDuplicate(r.db, err):
			r.fail(Finding{findIndex, w.m.table, x.column, row.id(), "another row has the same values, and the index is unique; change one of them"})
		case err != nil:
			return err
		case ok:
			r.report.Changed++
		default:
			r.report.Left++
		}
	}
	return nil
}

// compoundOf returns the index that a row should have, nil if a part is NULL.
func (r *rotator) compoundOf(x *indexField, row tableRow, p *person, keys *tenantKeys, boxes map[*sealedField][]byte) ([]byte, error) {
	for _, part := range x.parts {
		if boxes[part.of] == nil {
			return nil, nil
		}
	}
	if p == nil {
		return nil, fmt.Errorf("%w: the key of %s is missing", ErrUnreadable, row.subject)
	}
	var broken error
	values, ok := x.partValues(func(f *sealedField) ([]byte, bool) {
		value, err := p.key.open(boxes[f], r.place(f, row))
		if err != nil {
			broken = err
		}
		return value, err == nil
	})
	if !ok {
		return nil, broken
	}
	return keys.blindParts(r.tenant, x, r.v.cfg.Region, values)
}

// failCompound notes an index that could not be made, unless the row is another tenant's.
func (r *rotator) failCompound(x *indexField, row tableRow, p *person, boxes map[*sealedField][]byte, err error) {
	for _, part := range x.parts {
		if box := boxes[part.of]; box != nil && !r.ours(x.of.model, p, box) {
			return
		}
	}
	r.fail(Finding{findUnreadable, x.of.model.table, x.column, row.id(), err.Error()})
}

// compounds looks at the compound indexes of a row. values holds those of its cells that opened.
func (d *examination) compounds(r rawRow, values map[*sealedField][]byte, tk *tenantKeys, erased bool) {
	for i, x := range d.m.indexes {
		if x.parts == nil {
			continue
		}
		stored, null := r.indexes[i], false
		for n, f := range d.m.sealed {
			for _, p := range x.parts {
				null = null || p.of == f && r.cells[n] == nil
			}
		}
		got, opened := x.partValues(func(f *sealedField) ([]byte, bool) { v, ok := values[f]; return v, ok })
		switch {
		case erased && stored != nil:
			d.add(findErased, x.column, r, "the person was erased but can still be searched for; call vault.ReplayErasures")
		case erased:
		case null && stored != nil:
			d.add(findIndex, x.column, r, "there is an index but not all of its values; call vault.Reindex")
		case opened && !d.fits(x, got, stored, tk):
			d.add(findIndex, x.column, r, "the index does not fit the values, so searches miss the row; call vault.Reindex")
		}
	}
}

func (d *examination) fits(x *indexField, values [][]byte, stored []byte, tk *tenantKeys) bool {
	all, err := tk.blindPartsAll(d.tenant, x, x.forms(d.v.cfg.Region, values))
	for _, idx := range all {
		if bytes.Equal(idx, stored) {
			return true
		}
	}
	return err != nil
}

// compoundsHere makes the compound indexes of a row anew, in the transaction that sealed one of its parts where
// it stands now. A part that is not yet sealed there comes later, and with it the index.
func (r *rotator) compoundsHere(ctx context.Context, w *tableWalk, row tableRow, keys *tenantKeys, key *subjectKey) error {
	for _, x := range w.m.compounds {
		boxes, err := w.partsOf(ctx, x, row)
		if err != nil {
			return err
		}
		idx, err := r.compoundOf(x, row, &person{key: key}, keys, boxes)
		if err != nil {
			continue
		}
		var where []string
		vars := []any{idx}
		for i, k := range w.m.pk {
			where, vars = append(where, w.c.quote(k.DBName)+" = ?"), append(vars, row.keys[i])
		}
		text := "UPDATE " + w.c.quote(w.m.table) + " SET " + w.c.quote(x.column) + " = ? WHERE " + strings.Join(where, " AND ")
		if _, err := w.c.exec(ctx, text, vars...); err != nil {
			return err
		}
	}
	return nil
}

// partsOf reads the stored parts of a compound index.
func (w *tableWalk) partsOf(ctx context.Context, x *indexField, row tableRow) (map[*sealedField][]byte, error) {
	var columns, where []string
	var vars []any
	for _, p := range x.parts {
		columns = append(columns, p.of.column)
	}
	for i, k := range w.m.pk {
		where, vars = append(where, w.c.quote(k.DBName)+" = ?"), append(vars, row.keys[i])
	}
	boxes := map[*sealedField][]byte{}
	err := w.c.query(ctx, func(r *sql.Rows) error {
		cells, dest := make([][]byte, len(columns)), make([]any, len(columns))
		for i := range cells {
			dest[i] = &cells[i]
		}
		err := r.Scan(dest...)
		for i, p := range x.parts {
			boxes[p.of] = cells[i]
		}
		return err
	}, "SELECT ? FROM "+w.c.quote(w.m.table)+" WHERE "+strings.Join(where, " AND "), append([]any{clause.Expression(columnList(columns))}, vars...)...)
	return boxes, err
}
