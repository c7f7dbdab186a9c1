package privacy

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// Reindex gives every row of the tenant in ctx the index cells and search tokens that its values should have
// by the tags of today: call it after an index or search=name was added to a model that has rows, until Left
// is 0. It may be called at any time, by any process and after any crash, and leaves alone what is right. It
// changes a row only where the value is still the one that was read, and passes hooks and updated_at by.
// Tokens of rows that are gone are removed. It opens every indexed value and shows none, so it asks no gate.
// db must not be inside a transaction.
func (v *Vault) Reindex(ctx context.Context, db *gorm.DB, opt RotateOptions) (Rotation, error) {
	r := &rotator{v: v, db: session(ctx, db), kind: IndexKey, opt: opt, report: Rotation{Kind: IndexKey, Phase: Done}}
	if (conn{r.db}).inTransaction() {
		return r.report, refuse("indexes", "Reindex works in many small transactions of its own", "call it outside of one")
	}
	if r.opt.Batch <= 0 {
		r.opt.Batch = 200
	}
	var err error
	if r.tenant, err = v.tenant(ctx); err != nil {
		return r.report, err
	}
	keys, err := v.ring.tenantKeys(ctx, r.db, r.tenant, false)
	if err != nil || keys == nil {
		return r.report, err
	}
	err = r.eachRow(ctx, nil, indexColumns, func(w *tableWalk, rows []tableRow, persons map[string]*person) error {
		for _, row := range rows {
			if err := r.reindexRow(ctx, w, row, persons[row.subject], keys, false); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = r.removeStray(ctx)
	}
	if err != nil {
		return r.report, fmt.Errorf("privacy: reindex: %w", err)
	}
	return r.report, nil
}

// indexColumns lists the columns that reindexRow reads: each indexed or searched field, and its
// indexes, and at the end the compound indexes.
func indexColumns(m *model) []string {
	var out []string
	for _, f := range m.sealed {
		if len(f.indexes) == 0 && !f.search && !f.joint {
			continue
		}
		out = append(out, f.column)
		for _, x := range f.indexes {
			out = append(out, x.column)
		}
	}
	for _, x := range m.compounds {
		out = append(out, x.column)
	}
	return out
}

// reindexTokens gives a value the tokens of the primary index key. box nil: there is no value that could be
// searched.
func (r *rotator) reindexTokens(ctx context.Context, w *tableWalk, f *sealedField, row tableRow, p *person, keys *tenantKeys, box []byte, all bool) error {
	var want []Index
	if box != nil {
		if p == nil {
			return nil // newIndexes or Doctor says so
		}
		value, err := p.key.open(box, r.place(f, row))
		if err != nil {
			r.failRow(w.m, f, row, p, box, err)
			return nil
		}
		if want, err = keys.tokens(r.tenant, f, r.v.names, string(value)); err != nil {
			r.fail(Finding{findIndex, w.m.table, f.column, row.id(), err.Error()})
			return nil
		}
	}
	r.report.Checked++
	same, err := r.sameTokens(ctx, f, row, want)
	if err != nil || same && !all {
		return err
	}
	if r.opt.DryRun {
		r.report.Left++
		return nil
	}
	changed := false
	err = retrying(ctx, func() error {
		return session(ctx, r.db).Transaction(func(tx *gorm.DB) (err error) {
			changed, err = r.swapTokens(ctx, conn{session(ctx, tx)}, w, f, row, box, want)
			return err
		})
	})
	if changed {
		r.report.Changed++
	} else if err == nil {
		r.report.Left++
	}
	return err
}

func (r *rotator) sameTokens(ctx context.Context, f *sealedField, row tableRow, want []Index) (bool, error) {
	var have []string
	err := conn{r.db}.query(ctx, func(rows *sql.Rows) error {
		var token []byte
		err := rows.Scan(&token)
		have = append(have, string(token))
		return err
	}, "SELECT token FROM confide_tokens WHERE tenant = ? AND field = ? AND row_id = ? AND subject = ?", r.tenant, f.logical, f.model.tokenRow(row.id()), row.subject)
	if err != nil {
		return false, fmt.Errorf("read search tokens (was Migrate called?): %w", err)
	}
	var texts []string
	for _, t := range want {
		texts = append(texts, string(t))
	}
	slices.Sort(have)
	slices.Sort(texts)
	return slices.Equal(have, texts), nil
}

// swapTokens replaces the tokens if the row still holds the value they are of.
func (r *rotator) swapTokens(ctx context.Context, c conn, w *tableWalk, f *sealedField, row tableRow, box []byte, want []Index) (bool, error) {
	key, ok := w.m.keyOf(ctx, row.id())
	if !ok {
		return false, nil
	}
	if box != nil {
		// An erasure removes the tokens and leaves the value, so the person's key is held like for any write.
		held, err := r.v.cfg.Keys.Load(ctx, c.db, []KeyName{{r.tenant, row.subject, purposeData}}, true)
		if err != nil || len(held) == 0 || !held[0].Erased.IsZero() {
			return false, err
		}
	}
	lock := ""
	if c.dialect() != "sqlite" {
		lock = " FOR UPDATE"
	} else if _, err := c.exec(ctx, "DELETE FROM confide_tokens WHERE 1 = 0"); err != nil { // takes the writer's lock
		return false, err
	}
	found := false
	var now []byte
	err := c.query(ctx, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(&now)
	}, "SELECT "+c.quote(f.column)+" FROM "+c.quote(w.m.table)+" WHERE ?"+lock, w.m.where([]rowKey{key}, ""))
	if err != nil || !found || box != nil && string(now) != string(box) {
		return false, err
	}
	return true, replaceTokens(ctx, c, []tokenJob{{at: r.place(f, row), box: box, tokens: want}})
}

// removeStray removes the tokens of rows that are not there.
func (r *rotator) removeStray(ctx context.Context) error {
	for _, m := range r.v.reg.Load().all {
		d := &examination{v: r.v, m: m, c: conn{r.db}, tenant: r.tenant}
		if err := d.strayTokens(ctx); err != nil {
			return err
		}
		for _, f := range d.out {
			if r.opt.DryRun {
				r.report.Left++
				continue
			}
			if err := forgetTokens(ctx, d.c, m, r.tenant, []string{f.Row}); err != nil {
				return err
			}
			r.report.Changed++
		}
	}
	return nil
}
