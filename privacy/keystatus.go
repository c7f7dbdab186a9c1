package privacy

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// A KeyStatus is one key of a tenant, or of the KEK.
type KeyStatus struct {
	Kind  KeyKind
	KeyID uint32 // 0 for KEKs and for persons' keys, which are counted together
	State string // "primary", "former" or "announced"
	// Wraps counts the keys that stand under this one: of a KEK the tenants' keysets, of a data key the
	// persons' and the index keyset. Of persons' keys it counts the persons who have one in this state. It
	// is exact for what is stored and a lower bound for how often the key was used.
	Wraps int64
	// Used counts the encryptions of a data key by this process since it started. It is exact, and a lower
	// bound for all processes together.
	Used uint64
	// Worn says that the larger of both has reached half of the 2^32 encryptions for which AES-GCM with
	// random nonces is safe. Rotate the key then; at 2^32 it refuses.
	Worn bool
}

// KeyStatus lists the keys of the tenant in ctx, and how many of all tenants' keysets are under
// Config.KEK and under another KEK.
func (v *Vault) KeyStatus(ctx context.Context, db *gorm.DB) ([]KeyStatus, error) {
	list, err := v.keyStatus(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("privacy: key status: %w", err)
	}
	return list, nil
}

func (v *Vault) keyStatus(ctx context.Context, db *gorm.DB) ([]KeyStatus, error) {
	r, err := v.rotator(ctx, db, KEKKeys, RotateOptions{DryRun: true})
	if err != nil {
		return nil, err
	}
	if err := r.rewrapTenants(ctx); err != nil {
		return nil, err
	}
	out := []KeyStatus{{Kind: KEKKeys, State: "primary", Wraps: r.report.Checked - r.report.Left}}
	if r.report.Left > 0 {
		out = append(out, KeyStatus{Kind: KEKKeys, State: "former", Wraps: r.report.Left})
	}
	if r.tenant, err = v.tenant(ctx); err != nil {
		return nil, err
	}
	wraps, several, persons, err := r.countWraps(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range []KeyKind{DataKey, IndexKey} {
		r.kind = kind
		set, err := r.openSet(ctx)
		if err != nil || set == nil {
			return out, err
		}
		for i, id := range set.ids {
			s := KeyStatus{Kind: kind, KeyID: id, State: set.state(i)}
			if kind == DataKey {
				s.Wraps, s.Used = wraps[id], v.ring.counter(r.tenant, id).Load()
				s.Worn = max(uint64(s.Wraps), s.Used) >= usageWarn
			}
			out = append(out, s)
		}
	}
	out = append(out, KeyStatus{Kind: SubjectKeys, State: "primary", Wraps: persons})
	if several > 0 {
		out = append(out, KeyStatus{Kind: SubjectKeys, State: "former", Wraps: several})
	}
	return out, nil
}

func (s *tenantSet) state(i int) string {
	switch {
	case i < s.primary:
		return "former"
	case i > s.primary:
		return "announced"
	}
	return "primary"
}

// countWraps counts the keys under each data key, and the persons, and those of them who have former keys.
func (r *rotator) countWraps(ctx context.Context) (wraps map[uint32]int64, several, persons int64, err error) {
	wraps = map[uint32]int64{}
	keys, err := r.v.ring.tenantKeys(ctx, r.db, r.tenant, false)
	if err != nil || keys == nil {
		return wraps, 0, 0, err
	}
	index, err := r.store.Load(ctx, r.db, []KeyName{{r.tenant, "", purposeIndex}}, false)
	if err != nil {
		return nil, 0, 0, err
	}
	for _, k := range index {
		id, _ := wrappingKey(k.Wrapped)
		wraps[id]++
	}
	for after := (KeyName{Tenant: r.tenant}); ; {
		page, err := r.store.Persons(ctx, r.db, after, r.opt.Batch)
		if err != nil {
			return nil, 0, 0, fmt.Errorf("list the keys of persons: %w", err)
		}
		if keys, err = r.v.ring.knowing(ctx, r.db, r.tenant, keys, page); err != nil {
			return nil, 0, 0, err
		}
		for _, k := range page {
			id, _ := wrappingKey(k.Wrapped)
			wraps[id]++
			persons++
			if h, err := openPerson(k, keys); err == nil && h.Len() > 1 {
				several++
			}
			after = k.KeyName
		}
		if len(page) < r.opt.Batch {
			return wraps, several, persons, nil
		}
	}
}
