package privacy

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"gorm.io/gorm"
)

// A person's new key needs no announcement: whoever seals holds the person's key row, so the new key is in
// place either before a write or after it, and whoever opens reads the keys after the rows. The former key
// goes later, in Retire, and for the same reason: a reader may have the row of before and ask for the key
// now.

func openPerson(k StoredKey, t *tenantKeys) (*keyset.Handle, error) {
	return keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)), t.data, keyAAD(k.KeyName, k.Version))
}

// rotatePersons gives every person a new key and seals every cell with it.
func (r *rotator) rotatePersons(ctx context.Context) error {
	r.report.Phase = Promoted
	keys, err := r.v.ring.tenantKeys(ctx, r.db, r.tenant, false)
	if err != nil || keys == nil {
		return err
	}
	state, err := r.load(ctx)
	if err != nil {
		return err
	}
	if state.AnnouncedAt == 0 {
		state.AnnouncedAt = r.now()
		if !r.opt.DryRun {
			if err := r.save(ctx, state); err != nil {
				return err
			}
		}
	}
	if r.opt.DryRun {
		return r.reseal(ctx, state.PromotedAt == 0)
	}
	if state.PromotedAt == 0 {
		if err := r.addKeys(ctx, state); err != nil {
			return err
		}
		state.PromotedAt, state.Position = r.now(), nil
		if err := r.save(ctx, state); err != nil {
			return err
		}
	}
	if err := r.reseal(ctx, false); err != nil {
		return err
	}
	if r.report.Left == 0 && len(r.report.Failed) == 0 {
		r.report.Phase = Done
	}
	return nil
}

// addKeys gives each person a second key, which seals from then on. Who has two got them in this rotation.
func (r *rotator) addKeys(ctx context.Context, state rotationRow) error {
	after := KeyName{Tenant: r.tenant}
	if at := decode(state.Position); len(at) == 1 {
		after.Subject = at[0]
	}
	for {
		page, err := r.store.Persons(ctx, r.db, after, r.opt.Batch)
		if err != nil {
			return fmt.Errorf("list the keys of persons: %w", err)
		}
		for _, k := range page {
			if err := r.addKey(ctx, k); err != nil {
				return err
			}
			after = k.KeyName
		}
		if len(page) > 0 {
			if err := r.savePosition(ctx, encode(after.Subject)); err != nil {
				return err
			}
		}
		if err := r.rest(ctx); err != nil || len(page) < r.opt.Batch {
			return err
		}
	}
}

func (r *rotator) addKey(ctx context.Context, k StoredKey) error {
	return r.editPerson(ctx, k, func(h *keyset.Handle, m *keyset.Manager) (bool, error) {
		if h.Len() > 1 {
			return false, nil
		}
		id, err := m.Add(aead.AES256GCMKeyTemplate())
		if err == nil {
			err = m.SetPrimary(id)
		}
		return true, err
	})
}

// editPerson changes a person's keyset by compare-and-swap. edit returns false where there is nothing to do.
func (r *rotator) editPerson(ctx context.Context, k StoredKey, edit func(*keyset.Handle, *keyset.Manager) (bool, error)) error {
	for range casAttempts {
		keys, err := r.v.ring.tenantKeys(ctx, r.db, r.tenant, false)
		if err == nil {
			keys, err = r.v.ring.current(ctx, r.db, r.tenant, keys, false)
		}
		if err != nil {
			return err
		}
		h, err := openPerson(k, keys)
		if err != nil {
			r.fail(Finding{Kind: findKey, Table: "confide_subject_keys", Column: "wrapped", Row: k.Subject, Detail: "the key does not open; restore it from a backup"})
			return nil
		}
		former := keyIDs(h)
		m := keyset.NewManagerFromHandle(h)
		changed, err := edit(h, m)
		if err != nil {
			return fmt.Errorf("%w: the keys of %s: %w", ErrKey, k.Subject, err)
		}
		if !changed {
			return nil
		}
		if h, err = m.Handle(); err != nil {
			return fmt.Errorf("%w: the keys of %s: %w", ErrKey, k.Subject, err)
		}
		wrapped, err := wrapKeyset(h, keys.data, keyAAD(k.KeyName, k.Version))
		if err != nil {
			return fmt.Errorf("%w: wrap the keys of %s: %w", ErrKey, k.Subject, err)
		}
		gone := slices.DeleteFunc(former, func(id uint32) bool { return slices.Contains(keyIDs(h), id) })
		ok, err := r.storePerson(ctx, k, wrapped, keys.id, gone)
		if err != nil || ok {
			return err
		}
		again, err := r.store.Load(ctx, r.db, []KeyName{k.KeyName}, false)
		if err != nil {
			return err
		}
		if len(again) == 0 || !again[0].Erased.IsZero() {
			return nil
		}
		k = again[0]
	}
	r.report.Left++
	return nil
}

// reseal seals every cell that is not under its person's primary key. With all it counts every cell.
func (r *rotator) reseal(ctx context.Context, all bool) error {
	columns := func(m *model) []string {
		var out []string
		for _, f := range m.sealed {
			out = append(out, f.column)
		}
		return out
	}
	return r.eachRow(ctx, nil, columns, func(w *tableWalk, rows []tableRow, persons map[string]*person) error {
		for _, row := range rows {
			for i, f := range w.m.sealed {
				if err := r.resealCell(ctx, w, row, f, row.values[i], persons[row.subject], all); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (r *rotator) resealCell(ctx context.Context, w *tableWalk, row tableRow, f *sealedField, box []byte, p *person, all bool) error {
	if box == nil || p != nil && p.erased() {
		return nil
	}
	r.report.Checked++
	id, ok := cellKey(box)
	switch {
	case p != nil && ok && id == p.primary && !all:
		return nil
	case p == nil:
		r.failRow(w.m, f, row, p, box, fmt.Errorf("%w: the key of %s is missing", ErrUnreadable, row.subject))
		return nil
	case all && ok && slices.Contains(p.ids, id):
		r.report.Left++
		return nil
	}
	at := r.place(f, row)
	value, err := p.key.open(box, at)
	if err != nil {
		r.failRow(w.m, f, row, p, box, err)
		return nil
	}
	if r.opt.DryRun {
		r.report.Left++
		return nil
	}
	sealed, err := p.key.seal(value, at)
	clear(value)
	if err != nil {
		return err
	}
	ok, err = w.swap(ctx, swap{row: row, columns: []string{f.column}, was: [][]byte{box}, now: [][]byte{sealed}})
	if err != nil {
		return err
	}
	if ok {
		r.report.Changed++
	} else {
		r.report.Left++
	}
	return nil
}

// retirePersons drops each person's former keys.
func (r *rotator) retirePersons(ctx context.Context) error {
	state, err := r.load(ctx)
	if err != nil || state.AnnouncedAt == 0 {
		return err
	}
	if state.PromotedAt == 0 {
		return refuse("subject key", "the rotation did not run to its end", "call Rotate until it reports done")
	}
	if wait := r.after(state.PromotedAt); !wait.IsZero() {
		r.report.NotBefore = wait
		return refuse("subject key", "somebody may still be reading with the former key", "call Retire again after "+wait.UTC().Format(timeText))
	}
	dry := r.opt.DryRun
	r.opt.DryRun = true
	if err := r.reseal(ctx, false); err != nil {
		return err
	}
	r.opt.DryRun = dry
	if r.report.Left > 0 || len(r.report.Failed) > 0 {
		return r.needed("call Rotate again, and see to the cells it cannot change")
	}
	if dry {
		return nil
	}
	for after := (KeyName{Tenant: r.tenant}); ; {
		page, err := r.store.Persons(ctx, r.db, after, r.opt.Batch)
		if err != nil {
			return fmt.Errorf("list the keys of persons: %w", err)
		}
		for _, k := range page {
			if err := r.dropKeys(ctx, k); err != nil {
				return err
			}
			after = k.KeyName
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
		if len(page) < r.opt.Batch {
			break
		}
	}
	if r.report.Left > 0 || len(r.report.Failed) > 0 {
		return r.needed("call Rotate again")
	}
	return r.drop(ctx)
}

// dropKeys removes a person's former keys and looks, while nobody can seal for the person, whether a cell is
// still under one of them: a program may have saved a row that it read before the rotation.
func (r *rotator) dropKeys(ctx context.Context, k StoredKey) error {
	return r.editPerson(ctx, k, func(h *keyset.Handle, m *keyset.Manager) (bool, error) {
		for _, id := range keyIDs(h) {
			if id == primaryID(h) {
				continue
			}
			if err := m.Delete(id); err != nil {
				return false, err
			}
		}
		return h.Len() > 1, nil
	})
}

// storePerson stores a person's keyset in one transaction that holds the tenant's keys that wrap it, so that
// they are not retired meanwhile, and looks that no cell needs the keys that are gone from it. It reports
// false if the person's or the tenant's keys are no longer those of before.
func (r *rotator) storePerson(ctx context.Context, k StoredKey, wrapped []byte, with [32]byte, gone []uint32) (ok bool, err error) {
	var options *sql.TxOptions
	if r.db.Dialector.Name() == "postgres" {
		// Each statement must see what was committed before it, above all before it got the lock.
		options = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	err = retrying(ctx, func() error {
		return session(ctx, r.db).Transaction(func(tx *gorm.DB) error {
			tx, ok = session(ctx, tx), false
			stored, err := r.v.ring.loadTenant(ctx, tx, r.tenant, true)
			if err != nil || stored == nil || wrappedID(stored) != with {
				return err
			}
			if ok, err = r.store.Replace(ctx, tx, k, wrapped); err != nil || !ok || len(gone) == 0 {
				return err
			}
			used, err := r.underKeys(ctx, conn{tx}, k.Subject, gone)
			if err == nil && used {
				err = errStop
			}
			return err
		}, options)
	})
	switch {
	case errors.Is(err, errStop):
		r.report.Left++
		return true, nil
	case err != nil:
		return false, fmt.Errorf("change the keys of %s: %w", k.Subject, err)
	case ok:
		r.report.Changed++
	}
	return ok, nil
}

// underKeys reports whether a cell of a person is under one of the keys, in any model.
func (r *rotator) underKeys(ctx context.Context, c conn, subject string, ids []uint32) (bool, error) {
	kind, id, _ := strings.Cut(subject, ":")
	found := false
	for _, m := range r.v.reg.Load().all {
		if m.kind != kind {
			continue
		}
		var heads []string
		for _, f := range m.sealed {
			heads = append(heads, fmt.Sprintf("substr(%s, 1, %d)", c.quote(f.column), cellHeader+5))
		}
		text := "SELECT " + strings.Join(heads, ", ") + " FROM " + c.quote(m.table) + " WHERE " + c.quote(m.subject.DBName) + " = ?"
		args := []any{id}
		if m.tenant != nil {
			text, args = text+" AND "+c.quote(m.tenant.DBName)+" = ?", append(args, r.tenant)
		}
		err := c.query(ctx, func(rows *sql.Rows) error {
			cells, dest := make([][]byte, len(heads)), make([]any, len(heads))
			for i := range cells {
				dest[i] = &cells[i]
			}
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			for _, head := range cells {
				if id, ok := cellKey(head); ok && slices.Contains(ids, id) {
					found = true
				}
			}
			return nil
		}, text, args...)
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}
