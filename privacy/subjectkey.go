package privacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
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
	k.once.Do(func() {
		if k.aead != nil {
			return
		}
		name := k.stored.KeyName
		h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(k.stored.Wrapped)), k.tenant.data, keyAAD(name, k.stored.Version))
		if err == nil {
			k.aead, err = aead.New(h)
		}
		if err != nil {
			k.err = fmt.Errorf("%w: the key of %s does not open", ErrUnreadable, name.Subject)
		}
	})
	return k.aead, k.err
}

func (k *subjectKey) open(box []byte, at place) ([]byte, error) {
	b, err := k.decrypt(box, at.aad())
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
	body, err := primitive.Encrypt(value, at.aad())
	if err != nil {
		return nil, fmt.Errorf("privacy: seal %s: %w", at.field.logical, err)
	}
	return append([]byte{cellMagic0, cellMagic1, cellVersion}, body...), nil
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
	out := make(map[string]*subjectKey, len(stored))
	for _, s := range stored {
		if keys == nil && s.Erased.IsZero() {
			return nil, fmt.Errorf("%w: tenant %q has keys of persons but none of its own; restore table confide_tenant_keys from a backup", ErrKey, tenant)
		}
		out[s.Subject] = &subjectKey{stored: s, tenant: keys}
	}
	return out, nil
}

// sealingKeys returns a key for each of these persons, creating those that are missing, and holds them
// against erasure until the transaction ends. It fails with ErrErased if one of them was erased.
func (r *keyRing) sealingKeys(ctx context.Context, db *gorm.DB, tenant string, subjects []string) (*tenantKeys, map[string]*subjectKey, error) {
	keys, err := r.tenantKeys(ctx, db, tenant, true)
	if err != nil {
		return nil, nil, err
	}
	// One order for everybody: two transactions that create the same persons must not wait for each other.
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	have, err := r.loadSubjects(ctx, db, tenant, keys, subjects, false)
	if err != nil {
		return nil, nil, err
	}
	var made map[string]*subjectKey
	if len(have) < len(subjects) {
		// Add all, also those that exist: Add leaves them alone, but on MySQL it locks them, and all locks must
		// be taken in the one order.
		if made, err = r.createSubjects(ctx, db, tenant, keys, subjects); err != nil {
			return nil, nil, err
		}
	}
	// Only now hold them: MySQL would lock the gaps around keys that do not exist, and so dead-lock any two
	// transactions that create one. And what is stored counts: another process may have been first.
	if have, err = r.loadSubjects(ctx, db, tenant, keys, subjects, true); err != nil {
		return nil, nil, err
	}
	for _, s := range subjects {
		if have[s] == nil {
			return nil, nil, fmt.Errorf("%w: the key store lost the key of %s right after adding it", ErrKey, s)
		}
		if own := made[s]; own != nil && bytes.Equal(own.stored.Wrapped, have[s].stored.Wrapped) {
			have[s] = own
		}
	}
	for _, s := range subjects {
		if !have[s].stored.Erased.IsZero() {
			return nil, nil, fmt.Errorf("%w: %s on %s", ErrErased, s, have[s].stored.Erased.Format("2006-01-02"))
		}
	}
	return keys, have, nil
}

// createSubjects adds keys for these persons. Those that are stored in the end may be others.
func (r *keyRing) createSubjects(ctx context.Context, db *gorm.DB, tenant string, keys *tenantKeys, subjects []string) (map[string]*subjectKey, error) {
	rows := make([]StoredKey, len(subjects))
	made := make(map[string]*subjectKey, len(subjects))
	for i, s := range subjects {
		name := KeyName{tenant, s, purposeData}
		h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		if err != nil {
			return nil, fmt.Errorf("%w: create the key of %s: %w", ErrKey, s, err)
		}
		wrapped, err := wrapKeyset(h, keys.data, keyAAD(name, keyVersion))
		if err != nil {
			return nil, fmt.Errorf("%w: wrap the key of %s: %w", ErrKey, s, err)
		}
		primitive, err := aead.New(h)
		if err != nil {
			return nil, fmt.Errorf("%w: key of %s: %w", ErrKey, s, err)
		}
		rows[i] = StoredKey{KeyName: name, Version: keyVersion, Wrapped: wrapped}
		made[s] = &subjectKey{stored: rows[i], tenant: keys, aead: primitive}
	}
	if err := r.store.Add(ctx, db, rows); err != nil {
		return nil, fmt.Errorf("privacy: store the keys of %d persons: %w", len(rows), err)
	}
	return made, nil
}
