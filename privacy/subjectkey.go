package privacy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"
)

// A subjectKey is one person's key. It is random, not derived: only what exists nowhere else can be
// destroyed. It is unwrapped when first needed, so that a list that opens nothing pays nothing.
type subjectKey struct {
	stored StoredKey
	tenant *tenantKeys
	once   sync.Once
	aead   tink.AEAD
	err    error
}

func (k *subjectKey) unwrap() (tink.AEAD, error) {
	if k.tenant != nil && k.tenant.dead.Load() {
		return nil, errForgotten
	}
	k.once.Do(func() {
		if k.aead != nil {
			return
		}
		name := k.stored.KeyName
		var err error
		if k.aead, err = readPersonKey(k.stored.Wrapped, k.tenant.data, keyAAD(name, k.stored.Version)); err != nil {
			k.err = fmt.Errorf("%w: the key of %s does not open", ErrUnreadable, name.Subject)
		}
	})
	return k.aead, k.err
}

func (k *subjectKey) open(box []byte, at place) ([]byte, error) {
	b, err := k.decrypt(box, at.aad(versionOf(box)))
	switch {
	case errors.Is(err, errMoved):
		return nil, fmt.Errorf("%w: %s of row %s was damaged, or moved here from another row, field, person or tenant", ErrUnreadable, at.field.logical, at.row)
	case err != nil:
		return nil, fmt.Errorf("%w (%s of row %s)", err, at.field.logical, at.row)
	}
	return b, nil
}

// errMoved is what a ciphertext gives in the wrong place. A damaged one looks the same.
var errMoved = fmt.Errorf("%w: the ciphertext does not belong here", ErrUnreadable)

func (k *subjectKey) decrypt(box, aad []byte) ([]byte, error) {
	body, err := cellBody(box)
	if err != nil {
		return nil, err
	}
	primitive, err := k.unwrap()
	if err != nil {
		return nil, err
	}
	b, err := primitive.Decrypt(body, aad)
	if err == nil && box[2] == cellPadded {
		b, err = unpad(b)
	}
	if err != nil {
		return nil, errMoved
	}
	return b, nil
}

func (k *subjectKey) seal(value []byte, at place) ([]byte, error) {
	if looksSealed(value) {
		return nil, refuse(at.field.logical, "the value is already a sealed one", "assign the value that was read, or Reveal it first")
	}
	primitive, err := k.unwrap()
	if err != nil {
		return nil, err
	}
	version := at.field.cellVersion()
	if version == cellPadded {
		value = pad(value, at.field.pad)
	}
	body, err := primitive.Encrypt(value, at.aad(version))
	if err != nil {
		return nil, fmt.Errorf("privacy: seal %s: %w", at.field.logical, err)
	}
	return append([]byte{cellMagic0, cellMagic1, version}, body...), nil
}

// subjectKeys loads the keys of these persons with one query, fences included. Those never seen are
// missing from the result.
func (r *keyRing) subjectKeys(ctx context.Context, db *gorm.DB, tenant string, subjects []string, hold bool) (map[string]*subjectKey, error) {
	keys, err := r.tenantKeys(ctx, db, tenant, false)
	if err != nil {
		return nil, err
	}
	return r.loadSubjects(ctx, db, tenant, keys, subjects, hold)
}

func (r *keyRing) loadSubjects(ctx context.Context, db *gorm.DB, tenant string, keys *tenantKeys, subjects []string, hold bool) (map[string]*subjectKey, error) {
	names := make([]KeyName, len(subjects))
	for i, s := range subjects {
		names[i] = KeyName{tenant, s, purposeData}
	}
	stored, err := r.store.Load(ctx, db, names, hold)
	if err != nil {
		return nil, fmt.Errorf("privacy: load the keys of %d persons (was Migrate called?): %w", len(subjects), err)
	}
	if keys, err = r.knowing(ctx, db, tenant, keys, stored); err != nil {
		return nil, err
	}
	out := make(map[string]*subjectKey, len(stored))
	for _, s := range stored {
		if keys == nil && s.Erased.IsZero() {
			return nil, fmt.Errorf("%w: tenant %q has keys of persons but none of its own; restore table confide_tenant_keys from a backup", ErrKey, tenant)
		}
		out[s.Subject] = &subjectKey{stored: s, tenant: keys}
	}
	return out, nil
}
