package privacy

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// The order of a tenant's keyset says how far its rotation is: keys before the primary one are former ones,
// which only open; a key behind it is announced.

// A tenantSet is one of a tenant's two keysets in the hands of a rotation.
type tenantSet struct {
	stored  StoredKey
	handle  *keyset.Handle
	wrap    func(*keyset.Handle) ([]byte, error)
	ids     []uint32
	primary int // position in ids
}

func (s *tenantSet) former() []uint32    { return s.ids[:s.primary] }
func (s *tenantSet) announced() []uint32 { return s.ids[s.primary+1:] }

// openSet opens the tenant's data or index keyset as it is stored now, or returns nil if there is none.
func (r *rotator) openSet(ctx context.Context) (*tenantSet, error) {
	ring := &r.v.ring
	stored, err := ring.loadTenant(ctx, r.db, r.tenant, false)
	if err != nil || stored == nil {
		return nil, err
	}
	data, index := stored[0], stored[1]
	set := &tenantSet{stored: data}
	set.handle, err = keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(data.Wrapped)), ring.kek, keyAAD(data.KeyName, data.Version))
	if err != nil {
		return nil, fmt.Errorf("%w: the KEK does not open the keys of tenant %q: %w", ErrKey, r.tenant, err)
	}
	set.wrap = func(h *keyset.Handle) ([]byte, error) {
		var buf bytes.Buffer
		err := h.WriteWithContext(ctx, keyset.NewBinaryWriter(&buf), ring.kek, keyAAD(data.KeyName, data.Version))
		return buf.Bytes(), err
	}
	if r.kind == IndexKey {
		if err := set.openIndex(index); err != nil {
			return nil, fmt.Errorf("%w: the index keyset of tenant %q does not open; restore table confide_tenant_keys from a backup: %w", ErrKey, r.tenant, err)
		}
	}
	set.ids = keyIDs(set.handle)
	set.primary = slices.Index(set.ids, primaryID(set.handle))
	return set, nil
}

// openIndex replaces the data keyset by the index keyset that it wraps.
func (s *tenantSet) openIndex(index StoredKey) error {
	with, err := aead.New(s.handle)
	if err != nil {
		return err
	}
	aad := keyAAD(index.KeyName, index.Version)
	s.stored = index
	s.wrap = func(h *keyset.Handle) ([]byte, error) { return wrapKeyset(h, with, aad) }
	s.handle, err = keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(index.Wrapped)), with, aad)
	return err
}

// change stores the keyset as edit leaves it, unless somebody else changed it meanwhile.
func (r *rotator) change(ctx context.Context, set *tenantSet, edit func(*keyset.Manager) error) (bool, error) {
	m := keyset.NewManagerFromHandle(set.handle)
	if err := edit(m); err != nil {
		return false, fmt.Errorf("%w: tenant %q: %w", ErrKey, r.tenant, err)
	}
	h, err := m.Handle()
	if err != nil {
		return false, fmt.Errorf("%w: tenant %q: %w", ErrKey, r.tenant, err)
	}
	wrapped, err := set.wrap(h)
	if err != nil {
		return false, fmt.Errorf("%w: wrap the keyset of tenant %q: %w", ErrKey, r.tenant, err)
	}
	return r.replace(ctx, set.stored, wrapped)
}

// rotateTenant announces a key, promotes it once every process knows it, and changes over what is under the
// former one.
func (r *rotator) rotateTenant(ctx context.Context, rework func(context.Context, *tenantSet) error) error {
	for range 4 * casAttempts {
		set, err := r.openSet(ctx)
		if err != nil || set == nil {
			r.report.Phase = Retired
			return err
		}
		switch {
		case r.opt.DryRun:
			r.report.Phase = Retired
			if len(set.announced()) > 0 {
				r.report.Phase = Announced
			} else if set.primary > 0 {
				r.report.Phase = Promoted
			}
			return rework(ctx, set)
		case len(set.announced()) > 0:
			promoted, err := r.promote(ctx, set)
			if err != nil || !promoted {
				return err
			}
		case set.primary > 0:
			return r.finish(ctx, set, rework)
		default:
			// Only one of several processes gets its key in; all go on with that one.
			if _, err := r.change(ctx, set, func(m *keyset.Manager) error {
				_, err := m.Add(r.template())
				return err
			}); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: the keys of tenant %q are being changed by somebody else all the time; try again", ErrKey, r.tenant)
}

func (r *rotator) template() *tinkpb.KeyTemplate {
	if r.kind == IndexKey {
		return prf.HMACSHA256PRFKeyTemplate()
	}
	return aead.AES256GCMKeyTemplate()
}

// promote makes the announced key the primary one if it was announced long enough ago. When that was is
// written down only after the announcement was committed, and counts only for that very key: after a crash
// in between it is announced from then on.
func (r *rotator) promote(ctx context.Context, set *tenantSet) (bool, error) {
	id := set.announced()[0]
	state, err := r.load(ctx)
	if err != nil {
		return false, err
	}
	if state.KeyID != int64(id) || state.AnnouncedAt == 0 {
		state = rotationRow{KeyID: int64(id), AnnouncedAt: r.now()}
		if err := r.save(ctx, state); err != nil {
			return false, err
		}
	}
	if wait := r.after(state.AnnouncedAt); !wait.IsZero() {
		r.report.Phase, r.report.NotBefore = Announced, wait
		return false, nil
	}
	ok, err := r.change(ctx, set, func(m *keyset.Manager) error { return m.SetPrimary(id) })
	if err != nil || !ok {
		return true, err
	}
	state.PromotedAt, state.Position = r.now(), nil
	return true, r.save(ctx, state)
}

// finish changes everything over, from where the last run stopped.
func (r *rotator) finish(ctx context.Context, set *tenantSet, rework func(context.Context, *tenantSet) error) error {
	r.report.Phase = Promoted
	state, err := r.load(ctx)
	if err != nil {
		return err
	}
	if id := int64(set.ids[set.primary]); state.KeyID != id || state.PromotedAt == 0 {
		state = rotationRow{KeyID: id, AnnouncedAt: r.now(), PromotedAt: r.now()}
		if err := r.save(ctx, state); err != nil {
			return err
		}
	}
	if err := rework(ctx, set); err != nil {
		return err
	}
	if r.report.Left == 0 && len(r.report.Failed) == 0 {
		r.report.Phase = Done
	}
	return r.savePosition(ctx, nil) // whoever calls again looks at everything again
}

// retireTenant removes the former keys when a look at everything shows that nothing needs them.
func (r *rotator) retireTenant(ctx context.Context, rework func(context.Context, *tenantSet) error) error {
	set, err := r.openSet(ctx)
	if err != nil || set == nil || set.primary == 0 && len(set.announced()) == 0 {
		r.report.Phase = Retired
		return err
	}
	if len(set.announced()) > 0 {
		return refuse(string(r.kind)+" key", "the new key is announced only", "call Rotate until it reports done")
	}
	state, err := r.load(ctx)
	if err != nil {
		return err
	}
	promoted := state.PromotedAt
	if state.KeyID != int64(set.ids[set.primary]) || promoted == 0 {
		return refuse(string(r.kind)+" key", "the rotation did not run to its end", "call Rotate until it reports done")
	}
	if wait := r.after(promoted); !wait.IsZero() {
		r.report.NotBefore = wait
		return refuse(string(r.kind)+" key", "some process may still use the former key", "call Retire again after "+wait.UTC().Format(timeText))
	}
	dry := r.opt.DryRun
	r.opt.DryRun = true // look only
	if err := rework(ctx, set); err != nil {
		return err
	}
	if r.report.Left > 0 || len(r.report.Failed) > 0 {
		return r.needed("call Rotate again, and see to the rows it cannot change")
	}
	if dry {
		return nil
	}
	ok, err := r.change(ctx, set, func(m *keyset.Manager) error {
		for _, id := range set.former() {
			if err := m.Delete(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && !ok {
		err = fmt.Errorf("%w: somebody else changed the keys of tenant %q meanwhile; try again", ErrKey, r.tenant)
	}
	if err != nil {
		return err
	}
	return r.drop(ctx)
}

const timeText = "2006-01-02 15:04:05 UTC"

// rewrapPersons wraps the index keyset and every person's keyset with the primary data key.
func (r *rotator) rewrapPersons(ctx context.Context, set *tenantSet) error {
	plain, err := aead.New(set.handle)
	if err != nil {
		return fmt.Errorf("%w: tenant %q: %w", ErrKey, r.tenant, err)
	}
	with := &countedAEAD{plain, &tenantKeys{}, r.tenant, r.v.ring.counter(r.tenant, primaryID(set.handle))}
	target := set.target()
	index, err := r.store.Load(ctx, r.db, []KeyName{{r.tenant, "", purposeIndex}}, false)
	if err != nil {
		return fmt.Errorf("load the index key: %w", err)
	}
	for _, k := range index {
		if err := r.rewrap(ctx, k, with, target); err != nil {
			return err
		}
	}
	for after := (KeyName{Tenant: r.tenant}); ; {
		page, err := r.store.Persons(ctx, r.db, after, r.opt.Batch)
		if err != nil {
			return fmt.Errorf("list the keys of persons: %w", err)
		}
		for _, k := range page {
			if err := r.rewrap(ctx, k, with, target); err != nil {
				return err
			}
			after = k.KeyName
		}
		if err := r.rest(ctx); err != nil || len(page) < r.opt.Batch {
			return err
		}
	}
}

// target is the key that everything should be under in the end, or 0 if that is yet to be made.
func (s *tenantSet) target() uint32 {
	if a := s.announced(); len(a) > 0 {
		return a[0]
	}
	if s.primary > 0 {
		return s.ids[s.primary]
	}
	return 0
}

// rewrap wraps one keyset anew, unless the key that wrapped it is the right one: that can be read off.
func (r *rotator) rewrap(ctx context.Context, k StoredKey, with tink.AEAD, target uint32) error {
	for range casAttempts {
		r.report.Checked++
		if id, ok := wrappingKey(k.Wrapped); ok && id == target {
			return nil
		}
		if r.opt.DryRun {
			r.report.Left++
			return nil
		}
		h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)), with, keyAAD(k.KeyName, k.Version))
		if err != nil {
			r.fail(Finding{Kind: findKey, Table: "confide_subject_keys", Column: "wrapped", Row: k.Subject, Detail: "the key does not open; restore it from a backup"})
			return nil
		}
		wrapped, err := wrapKeyset(h, with, keyAAD(k.KeyName, k.Version))
		if err != nil {
			return fmt.Errorf("%w: wrap the key of %s: %w", ErrKey, k.Subject, err)
		}
		ok, err := r.replace(ctx, k, wrapped)
		if err != nil {
			return err
		}
		if ok {
			r.report.Changed++
			return nil
		}
		// Somebody was first: an erasure, a rotation of the person's keys, this job in another process.
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

const findKey = "key"

// failedShown is how many failures a report lists; the rest are counted as left.
const failedShown = 1000

func (r *rotator) fail(f Finding) {
	if len(r.report.Failed) < failedShown {
		r.report.Failed = append(r.report.Failed, f)
	} else {
		r.report.Left++
	}
}
