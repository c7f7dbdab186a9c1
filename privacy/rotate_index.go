package privacy

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/prf"
)

// reindex gives every row the indexes of the primary index key. An index does not tell which key made it,
// so every indexed value is opened.
func (r *rotator) reindex(ctx context.Context, set *tenantSet) error {
	keys := &tenantKeys{}
	var err error
	if keys.index, err = prf.NewPRFSet(set.handle); err != nil {
		return fmt.Errorf("%w: tenant %q: %w", ErrKey, r.tenant, err)
	}
	all := r.opt.DryRun && set.target() != set.ids[set.primary] // the right key is not in use yet
	var position []byte
	if !r.opt.DryRun {
		state, err := r.load(ctx)
		if err != nil {
			return err
		}
		if position = state.Position; position == nil {
			position = []byte{}
		}
	}
	return r.eachRow(ctx, position, indexColumns, func(w *tableWalk, rows []tableRow, persons map[string]*person) error {
		for _, row := range rows {
			if err := r.reindexRow(ctx, w, row, persons[row.subject], keys, all); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *rotator) reindexRow(ctx context.Context, w *tableWalk, row tableRow, p *person, keys *tenantKeys, all bool) error {
	values, boxes := row.values, map[*sealedField][]byte{}
	for _, f := range w.m.sealed {
		n := len(f.indexes)
		if n == 0 && !f.search && !f.joint {
			continue
		}
		box, stored := values[0], values[1:1+n]
		values = values[1+n:]
		boxes[f] = box
		if f.search {
			searched := box
			if p != nil && p.erased() {
				searched = nil
			}
			if err := r.reindexTokens(ctx, w, f, row, p, keys, searched, all); err != nil {
				return err
			}
		}
		if n == 0 {
			continue
		}
		if box == nil || p != nil && p.erased() {
			continue
		}
		r.report.Checked += int64(n)
		s, err := r.newIndexes(f, row, p, keys, box, stored, all)
		if err != nil || s == nil {
			r.failRow(w.m, f, row, p, box, err)
			continue
		}
		if len(s.columns) == 0 {
			continue
		}
		if r.opt.DryRun {
			r.report.Left += int64(len(s.columns))
			continue
		}
		ok, err := w.swap(ctx, *s)
		switch {
		case err != nil && isDuplicate(r.db, err):
			r.fail(Finding{findIndex, w.m.table, s.columns[0], row.id(), "another row has the same value, and the index is unique; change one of them"})
		case err != nil:
			return err
		case ok:
			r.report.Changed += int64(len(s.columns))
		default:
			r.report.Left++
		}
	}
	return r.reindexCompounds(ctx, w, row, p, keys, boxes, values, all)
}

// newIndexes returns what has to change for a value's indexes to be those of the primary key.
func (r *rotator) newIndexes(f *sealedField, row tableRow, p *person, keys *tenantKeys, box []byte, stored [][]byte, all bool) (*swap, error) {
	if p == nil {
		return nil, fmt.Errorf("%w: the key of %s is missing", ErrUnreadable, row.subject)
	}
	value, err := p.key.open(box, r.place(f, row))
	if err != nil {
		return nil, err
	}
	s := &swap{row: row, same: []string{f.column}, sameAs: [][]byte{box}}
	for i, x := range f.indexes {
		want, err := keys.blind(r.tenant, x, r.v.cfg.Region, value)
		if err != nil {
			return nil, err
		}
		if all || !bytes.Equal(stored[i], want) {
			s.columns, s.was, s.now = append(s.columns, x.column), append(s.was, stored[i]), append(s.now, want)
		}
	}
	return s, nil
}

// failRow notes a cell that does not open, unless it is another tenant's.
func (r *rotator) failRow(m *model, f *sealedField, row tableRow, p *person, box []byte, err error) {
	if r.ours(m, p, box) {
		r.fail(Finding{findUnreadable, m.table, f.column, row.id(), err.Error()})
	}
}
