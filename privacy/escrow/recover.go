package escrow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
)

// Recovery says how to go on.
type Recovery struct {
	// KEK is the new key-encryption key. Give it to privacy.Open afterwards.
	KEK tink.AEADWithContext
	// AcceptLoss recovers what can be, and gives up the rest: tenants and persons that the report lists as
	// gaps stay closed for ever, unless the old KEK comes back and a backup of the key tables with it.
	AcceptLoss bool
}

// Recover wraps the tenants' keys under a new KEK, all or nothing, in one transaction. Nothing may write to the
// database meanwhile. It writes only what it has proved to open the database. If the escrow does not cover
// everything, it writes nothing and the error wraps ErrNotCovered, unless the loss is accepted.
func Recover(ctx context.Context, d Database, e *Escrow, to Recovery, by ...*Identity) (Report, error) {
	h, err := d.open()
	if err != nil {
		return Report{}, err
	}
	if to.KEK == nil {
		return Report{}, errors.New("escrow: recover: Recovery.KEK is missing; make a new key first")
	}
	r, found, err := e.drill(ctx, h, by)
	if err != nil && !(errors.Is(err, ErrNotCovered) && (to.AcceptLoss || r.onlyGone())) {
		return r, err
	}
	if len(found) == 0 && len(e.tenants) > 0 {
		return r, r.err() // nothing here is this escrow's
	}
	changes, err := e.rewrap(ctx, h, found, to.KEK, by)
	if err != nil {
		return r, err
	}
	if err := h.record.Record(ctx, "escrow.recover", append(r.attrs(), slog.Bool("loss accepted", to.AcceptLoss))...); err != nil {
		return r, fmt.Errorf("escrow: recover: it could not be recorded, so nothing was changed: %w", err)
	}
	err = h.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, c := range changes {
			ok, err := h.store.Replace(ctx, tx, c.old, c.wrapped)
			if err == nil && !ok {
				err = errors.New("it was changed meanwhile; stop whatever writes to the database and try again")
			}
			if err != nil {
				return fmt.Errorf("escrow: recover: replace the %s key of tenant %q: %w", c.old.Purpose, c.old.Tenant, err)
			}
		}
		return nil
	})
	if err == nil {
		r.Changed = len(changes)
	}
	return r, err
}

// onlyGone reports whether the database merely lacks tenants, as one restored from an older backup does.
func (r Report) onlyGone() bool {
	for _, g := range r.Gaps {
		if g.Why != Gone {
			return false
		}
	}
	return true
}

// A change is one stored key and what takes its place.
type change struct {
	old     privacy.StoredKey
	wrapped []byte
}

// rewrap wraps the keys under the new KEK and reads them back, before anything is changed.
func (e *Escrow) rewrap(ctx context.Context, h house, found []recoverable, kek tink.AEADWithContext, by []*Identity) ([]change, error) {
	var out []change
	for _, f := range found {
		wrapped, err := wrap(ctx, f.stored, f.handle, kek)
		if err == nil {
			back := f.stored
			back.Wrapped = wrapped
			_, _, err = unwrap(ctx, back, kek)
		}
		if err != nil {
			return nil, fmt.Errorf("escrow: recover: %w: the new KEK does not wrap the keys of tenant %q: %w", privacy.ErrKey, f.stored.Tenant, err)
		}
		out = append(out, change{f.stored, wrapped})
	}
	check, err := h.load(ctx, privacy.KeyName{Purpose: purposeCheck})
	if err != nil {
		return nil, err
	}
	if check == nil {
		return out, nil // Migrate makes one under the new KEK
	}
	key, _, err := e.open(by)
	if err != nil {
		return nil, err
	}
	own := privacy.StoredKey{KeyName: check.KeyName, Version: e.check.version}
	text, err := key.Decrypt(e.check.wrapped, own.AssociatedData())
	if err != nil || check.Version != e.check.version {
		return nil, fmt.Errorf("%w: the key check value in the escrow does not open", ErrDamaged)
	}
	wrapped, err := kek.EncryptWithContext(ctx, text, check.AssociatedData())
	if err != nil {
		return nil, fmt.Errorf("escrow: recover: %w: the new KEK does not encrypt: %w", privacy.ErrKey, err)
	}
	back, err := kek.DecryptWithContext(ctx, wrapped, check.AssociatedData())
	if err != nil || !bytes.Equal(back, text) {
		return nil, fmt.Errorf("escrow: recover: %w: the new KEK does not decrypt what it encrypted: %w", privacy.ErrKey, errors.Join(err))
	}
	return append(out, change{*check, wrapped}), nil
}
