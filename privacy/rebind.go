package privacy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
)

// A Rebinding says what the values of a model were bound to before a rename or a move.
type Rebinding struct {
	// Model is the registered model as it is declared now.
	Model any
	// Names gives, for logical field names of now, the names under which the values were sealed.
	Names map[string]string
	// Was returns the row id and the subject ("kind:id") that a row had before, by those it has now. Nil: the
	// same ones.
	Was func(row, subject string) (string, string)
}

// Rebind seals what was bound to another logical name, row or person for the place where it stands now, with
// its indexes and search tokens, in the tenant of ctx. A value that opens where it stands is left alone, so
// Rebind can be called again after a crash and beside writers. Values that open in neither place are reported
// as failed. Nothing is sealed for an erased person. db must not be inside a transaction.
func (v *Vault) Rebind(ctx context.Context, db *gorm.DB, b Rebinding, opt RotateOptions) (Rotation, error) {
	r, err := v.rotator(ctx, db, SubjectKeys, opt)
	if err != nil {
		return Rotation{}, err
	}
	m := v.reg.Load().byType[modelType(db, b.Model)]
	if m == nil {
		return Rotation{}, refuse(fmt.Sprintf("%T", b.Model), "the vault does not know this model", "pass it to vault.Migrate or vault.Register")
	}
	for now := range b.Names {
		if !strings.Contains(now, ".") || m.byLogical(now) == nil {
			return Rotation{}, refuse(now, "the model has no sealed field of this logical name", "map names of now to names of before")
		}
	}
	r.report.Kind, r.report.Phase = "", Promoted
	w := &tableWalk{c: conn{r.db}, m: m, tenant: r.tenant, batch: r.opt.Batch}
	for _, f := range m.sealed {
		w.columns = append(w.columns, w.c.quote(f.column))
	}
	err = r.eachPage(ctx, w, nil, false, func(w *tableWalk, rows []tableRow, persons map[string]*person) error {
		for _, row := range rows {
			for i, f := range m.sealed {
				if err := r.rebindCell(ctx, w, row, f, row.values[i], persons[row.subject], b); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return r.report, fmt.Errorf("privacy: rebind %s: %w", m.resource, err)
	}
	if r.report.Left == 0 && len(r.report.Failed) == 0 {
		r.report.Phase = Done
	}
	return r.report, nil
}

func (m *model) byLogical(name string) *sealedField {
	for _, f := range m.sealed {
		if f.logical == name {
			return f
		}
	}
	return nil
}

func (r *rotator) rebindCell(ctx context.Context, w *tableWalk, row tableRow, f *sealedField, box []byte, p *person, b Rebinding) error {
	if box == nil {
		return nil
	}
	r.report.Checked++
	at := r.place(f, row)
	if p != nil && !p.erased() {
		if value, err := p.key.open(box, at); err == nil {
			clear(value)
			return nil
		}
	}
	value, err := r.openBefore(ctx, at, box, b)
	if errors.Is(err, ErrErased) {
		return nil // unreadable for good, wherever it stands
	}
	if errors.Is(err, ErrUnreadable) {
		r.failRow(w.m, f, row, p, box, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer clear(value)
	if r.opt.DryRun {
		r.report.Left++
		return nil
	}
	done := false
	err = retrying(ctx, func() error {
		return session(ctx, r.db).Transaction(func(tx *gorm.DB) (err error) {
			done, err = r.sealHere(ctx, session(ctx, tx), w, row, at, box, value)
			return err
		})
	})
	switch {
	case errors.Is(err, ErrErased), errors.Is(err, ErrRefused):
		r.fail(Finding{findUnreadable, w.m.table, f.column, row.id(), err.Error()})
		return nil
	case err != nil && isDuplicate(r.db, err):
		r.fail(Finding{findIndex, w.m.table, f.column, row.id(), "another row has the same value, and the index is unique; change one of them"})
		return nil
	case err == nil && done:
		r.report.Changed++
	case err == nil:
		r.report.Left++
	}
	return err
}

// openBefore opens a value in the place that it had.
func (r *rotator) openBefore(ctx context.Context, at place, box []byte, b Rebinding) ([]byte, error) {
	before := *at.field
	if name, ok := b.Names[before.logical]; ok {
		before.logical = name
	}
	at.field = &before
	if b.Was != nil {
		at.row, at.subject = b.Was(at.row, at.subject)
	}
	keys, err := r.v.ring.subjectKeys(ctx, r.db, r.tenant, []string{at.subject}, false)
	if err != nil {
		return nil, err
	}
	k := keys[at.subject]
	switch {
	case k == nil:
		return nil, fmt.Errorf("%w: the key of %s is missing", ErrUnreadable, at.subject)
	case !k.stored.Erased.IsZero():
		return nil, ErrErased
	}
	return k.open(box, at)
}

// sealHere stores the value sealed for its place of now if the row still holds what was read.
func (r *rotator) sealHere(ctx context.Context, tx *gorm.DB, w *tableWalk, row tableRow, at place, box, value []byte) (bool, error) {
	keys, own, err := r.v.ring.sealingKeys(ctx, tx, r.tenant, []string{at.subject}, false)
	if err != nil {
		return false, err
	}
	sealed, err := own[at.subject].seal(value, at)
	if err != nil {
		return false, err
	}
	here := *w
	here.c = conn{tx}
	if ok, err := here.swap(ctx, swap{row: row, columns: []string{at.field.column}, was: [][]byte{box}, now: [][]byte{sealed}}); err != nil || !ok {
		return false, err
	}
	for _, x := range at.field.indexes {
		index, err := keys.blind(r.tenant, x, r.v.cfg.Region, value)
		if err != nil {
			return false, err
		}
		var where []string
		vars := []any{[]byte(index)}
		for i, k := range w.m.pk {
			where, vars = append(where, w.c.quote(k.DBName)+" = ?"), append(vars, row.keys[i])
		}
		text := "UPDATE " + w.c.quote(w.m.table) + " SET " + w.c.quote(x.column) + " = ? WHERE " + strings.Join(where, " AND ")
		if _, err := here.c.exec(ctx, text, vars...); err != nil {
			return false, err
		}
	}
	if at.field.joint {
		if err := r.compoundsHere(ctx, &here, row, keys, own[at.subject]); err != nil {
			return false, err
		}
	}
	if !at.field.search {
		return true, nil
	}
	tokens, err := keys.tokens(r.tenant, at.field, r.v.names, string(value))
	if err != nil {
		return false, err
	}
	return true, replaceTokens(ctx, here.c, []tokenJob{{at: at, box: sealed, tokens: tokens}})
}
