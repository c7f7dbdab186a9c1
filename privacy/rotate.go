package privacy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// A KeyKind names one of the kinds of keys that can be rotated.
type KeyKind string

const (
	// KEKKeys: every tenant's data keyset is wrapped with Config.KEK, until none needs Config.OtherKEKs.
	KEKKeys KeyKind = "kek"
	// DataKey: the tenant gets a new key that wraps all persons' keys.
	DataKey KeyKind = "data"
	// IndexKey: the tenant gets a new key for blind indexes, and every row a new index.
	IndexKey KeyKind = "index"
	// SubjectKeys: every person of the tenant gets a new key, and every sealed cell is sealed with it.
	SubjectKeys KeyKind = "subject"
)

// RotateOptions say how a rotation works. The zero value is fine.
type RotateOptions struct {
	// DryRun counts what is left to do and changes nothing.
	DryRun bool
	// Batch is the number of rows or keys that are read at a time. Zero means 200.
	Batch int
	// Pause is how long the job rests after each batch.
	Pause time.Duration
	// Progress is called after each batch, with the report so far.
	Progress func(Rotation)
}

// A Phase is how far a rotation is.
type Phase string

const (
	// Announced: the new key is stored and nobody may use it yet. Call Rotate again at NotBefore.
	Announced Phase = "announced"
	// Promoted: the new key is in use, and what is under the former one is being changed over.
	Promoted Phase = "promoted"
	// Done: nothing needs the former key that this run could see. Retire looks again and removes it.
	Done Phase = "done"
	// Retired: there is no former key.
	Retired Phase = "retired"
)

// A Rotation reports what Rotate, Retire or Rebind did.
type Rotation struct {
	Kind      KeyKind
	Phase     Phase
	NotBefore time.Time // when it may go on, if it has to wait until every process knows the new key
	Checked   int64     // keys or cells looked at
	Changed   int64     // re-wrapped, re-indexed or re-sealed
	Left      int64     // that still need the former key: on a dry run all, else those that somebody changed meanwhile
	Failed    []Finding // cells that could not be changed; a key they need cannot be retired
}

// Rotate brings the rotation of one kind of keys forward as far as it goes now, for the tenant in ctx (a KEK:
// for all tenants), and may be called again at any time, by any process, after any crash: it finds out
// from what is stored where it was. It covers every model that was given to Migrate or Register, passes
// hooks and updated_at by, and changes a value only where it is still the one that was read. Without a
// rotation under way it begins one.
//
// A data or index key goes two steps: it is announced, and promoted when every process has read it, which
// takes twice KeyTTL and KeyGrace. Between the calls the report says NotBefore. db must not be inside a
// transaction.
func (v *Vault) Rotate(ctx context.Context, db *gorm.DB, kind KeyKind, opt RotateOptions) (Rotation, error) {
	r, err := v.rotator(ctx, db, kind, opt)
	if err != nil {
		return Rotation{Kind: kind}, err
	}
	switch kind {
	case KEKKeys:
		err = r.rewrapTenants(ctx)
	case DataKey:
		err = r.rotateTenant(ctx, r.rewrapPersons)
	case IndexKey:
		err = r.rotateTenant(ctx, r.reindex)
	case SubjectKeys:
		err = r.rotatePersons(ctx)
	}
	if err != nil {
		err = fmt.Errorf("privacy: rotate %s: %w", kind, err)
	}
	return r.report, err
}

// Retire removes the former keys of a kind after it has looked, at every key, row and index, that nothing
// needs them any more, and is an error that wraps ErrRefused if something does. For a KEK it removes
// nothing but says whether Config.OtherKEKs may be left out. It is final: a backup of rows or keys from
// before the rotation can be read only together with the tenant's keys of the same backup.
func (v *Vault) Retire(ctx context.Context, db *gorm.DB, kind KeyKind, opt RotateOptions) (Rotation, error) {
	r, err := v.rotator(ctx, db, kind, opt)
	if err != nil {
		return Rotation{Kind: kind}, err
	}
	switch kind {
	case KEKKeys:
		r.opt.DryRun = true
		if err = r.rewrapTenants(ctx); err == nil && r.report.Left > 0 {
			err = r.needed("call Rotate first")
		}
	case DataKey:
		err = r.retireTenant(ctx, r.rewrapPersons)
	case IndexKey:
		err = r.retireTenant(ctx, r.reindex)
	case SubjectKeys:
		err = r.retirePersons(ctx)
	}
	if err != nil {
		return r.report, fmt.Errorf("privacy: retire %s: %w", kind, err)
	}
	if !opt.DryRun {
		r.report.Phase = Retired
	}
	return r.report, nil
}

// A rotator is one call of Rotate or Retire.
type rotator struct {
	v      *Vault
	db     *gorm.DB
	tenant string
	kind   KeyKind
	opt    RotateOptions
	store  KeyRotator
	report Rotation
}

func (v *Vault) rotator(ctx context.Context, db *gorm.DB, kind KeyKind, opt RotateOptions) (*rotator, error) {
	store, ok := v.cfg.Keys.(KeyRotator)
	r := &rotator{v: v, db: session(ctx, db), kind: kind, opt: opt, store: store, report: Rotation{Kind: kind}}
	if !ok {
		return nil, refuse("Config.Keys", "this key store cannot replace keys", "implement privacy.KeyRotator")
	}
	if (conn{r.db}).inTransaction() {
		return nil, refuse("keys", "a rotation works in many small transactions of its own", "call it outside of one")
	}
	if kind != KEKKeys && kind != DataKey && kind != IndexKey && kind != SubjectKeys {
		return nil, refuse("keys", fmt.Sprintf("%q is no kind of keys", string(kind)), "use kek, data, index or subject")
	}
	if r.opt.Batch <= 0 {
		r.opt.Batch = 200
	}
	var err error
	if kind != KEKKeys {
		r.tenant, err = v.tenant(ctx)
	}
	return r, err
}

// needed is why a key cannot be retired.
func (r *rotator) needed(remedy string) error {
	return refuse(string(r.kind)+" key", fmt.Sprintf("%d of %d places still need the former key, %d of them cannot be changed",
		r.report.Left+int64(len(r.report.Failed)), r.report.Checked, len(r.report.Failed)), remedy)
}

// rest ends a batch.
func (r *rotator) rest(ctx context.Context) error {
	if r.opt.Progress != nil {
		r.opt.Progress(r.report)
	}
	if r.opt.Pause <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(r.opt.Pause)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rewrapTenants wraps all tenants' data keysets, and last the key check value, with the KEK alone.
func (r *rotator) rewrapTenants(ctx context.Context) error {
	r.report.Phase = Promoted
	for after := ""; ; {
		names, err := r.store.Tenants(ctx, r.db, after, r.opt.Batch)
		if err != nil {
			return fmt.Errorf("list the tenants: %w", err)
		}
		for _, t := range names {
			if err := r.rewrapWithKEK(ctx, KeyName{Tenant: t, Purpose: purposeData}); err != nil {
				return err
			}
			after = t
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
		if len(names) < r.opt.Batch {
			break
		}
	}
	// Last: a process without the other KEKs starts only when it finds this under its own.
	if err := r.rewrapWithKEK(ctx, KeyName{Purpose: purposeCheck}); err != nil {
		return err
	}
	if r.report.Left == 0 {
		r.report.Phase = Done
	}
	return nil
}

func (r *rotator) rewrapWithKEK(ctx context.Context, name KeyName) error {
	for range casAttempts {
		stored, err := r.store.Load(ctx, r.db, []KeyName{name}, false)
		if err != nil || len(stored) == 0 {
			return err
		}
		k, aad := stored[0], keyAAD(name, stored[0].Version)
		r.report.Checked++
		if _, err := r.v.cfg.KEK.DecryptWithContext(ctx, kekBox(k), aad); err == nil {
			return nil
		}
		plain, err := r.v.ring.kek.DecryptWithContext(ctx, kekBox(k), aad)
		if err != nil {
			return fmt.Errorf("%w: neither Config.KEK nor one of OtherKEKs opens key %q of tenant %q: %w", ErrKey, name.Purpose, name.Tenant, err)
		}
		if r.opt.DryRun {
			clear(plain)
			r.report.Left++
			return nil
		}
		box, err := r.v.cfg.KEK.EncryptWithContext(ctx, plain, aad)
		clear(plain)
		if err != nil {
			return fmt.Errorf("%w: the KEK does not encrypt: %w", ErrKey, err)
		}
		ok, err := r.replace(ctx, k, kekWrapped(k, box))
		if err != nil {
			return err
		}
		if ok {
			r.report.Changed++
			return nil
		}
	}
	r.report.Left++
	return nil
}

// casAttempts is how often a job tries again when somebody else was first.
const casAttempts = 5

// replace is Replace with another try where the database chose this transaction to break a dead-lock.
func (r *rotator) replace(ctx context.Context, old StoredKey, wrapped []byte) (ok bool, err error) {
	err = retrying(ctx, func() error {
		ok, err = r.store.Replace(ctx, r.db, old, wrapped)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("replace key %q of tenant %q: %w", old.Purpose, old.Tenant, err)
	}
	return ok, nil
}

// errStop ends a walk early.
var errStop = errors.New("stop")
