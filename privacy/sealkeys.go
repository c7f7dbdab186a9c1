package privacy

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// A keyCreator is a key store that can hold persons' keys in the statement that adds them. TableKeys is one.
type keyCreator interface {
	// create adds the keys of persons whose names are new, holds all of them, and returns what was stored for
	// those that were not new. It may return new ones as well.
	create(ctx context.Context, db *gorm.DB, keys []StoredKey) ([]StoredKey, error)
}

// sealingKeys returns a key for each of these persons, creating those that are missing, and holds them
// against erasure until the transaction ends. It fails with ErrErased if one of them was erased. If the
// persons are probably new, it does not look first.
func (r *keyRing) sealingKeys(ctx context.Context, db *gorm.DB, tenant string, subjects []string, fresh bool) (*tenantKeys, map[string]*subjectKey, error) {
	keys, err := r.heldKeys(ctx, db, tenant)
	if err != nil {
		return nil, nil, err
	}
	// One order for everybody: two transactions that create the same persons must not wait for each other.
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	have, err := r.holdSubjects(ctx, db, tenant, keys, subjects, fresh)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range subjects {
		if have[s] == nil {
			return nil, nil, fmt.Errorf("%w: the key store lost the key of %s right after adding it", ErrKey, s)
		}
		if !have[s].stored.Erased.IsZero() {
			return nil, nil, fmt.Errorf("%w: %s on %s", ErrErased, s, have[s].stored.Erased.Format("2006-01-02"))
		}
	}
	return keys, have, nil
}

// holdSubjects loads, creates and holds keys.
func (r *keyRing) holdSubjects(ctx context.Context, db *gorm.DB, tenant string, keys *tenantKeys, subjects []string, fresh bool) (map[string]*subjectKey, error) {
	if !fresh {
		// Look before holding: MySQL would lock the gaps around keys that do not exist, and so dead-lock any two
		// transactions that create one.
		have, err := r.loadSubjects(ctx, db, tenant, keys, subjects, !locksGaps(db))
		if err != nil {
			return nil, err
		}
		if len(have) == len(subjects) && !locksGaps(db) {
			return have, nil
		}
		if len(have) == len(subjects) {
			return r.loadSubjects(ctx, db, tenant, keys, subjects, true)
		}
	}
	return r.createSubjects(ctx, db, tenant, keys, subjects)
}

// locksGaps reports whether a locking read of rows that do not exist keeps others from inserting them.
func locksGaps(db *gorm.DB) bool { return db != nil && (conn{db}).dialect() == "mysql" }

// createSubjects adds a key for each of these persons, also for those that have one: the store leaves those
// alone, but it may lock them, and all locks must be taken in the one order. What is stored in the end
// counts, as another process may have been first.
func (r *keyRing) createSubjects(ctx context.Context, db *gorm.DB, tenant string, keys *tenantKeys, subjects []string) (map[string]*subjectKey, error) {
	rows := make([]StoredKey, len(subjects))
	made := make(map[string]*subjectKey, len(subjects))
	for i, s := range subjects {
		name := KeyName{tenant, s, purposeData}
		primitive, wrapped, err := makePersonKey(keys.data, keyAAD(name, keyVersion))
		if err != nil {
			return nil, fmt.Errorf("%w: create the key of %s: %w", ErrKey, s, err)
		}
		rows[i] = StoredKey{KeyName: name, Version: keyVersion, Wrapped: wrapped}
		made[s] = &subjectKey{stored: rows[i], tenant: keys, aead: primitive}
	}
	there, err := r.addSubjects(ctx, db, rows)
	if err != nil {
		return nil, fmt.Errorf("privacy: store the keys of %d persons (was Migrate called?): %w", len(rows), err)
	}
	for _, k := range there {
		if own := made[k.Subject]; own == nil || !k.Erased.IsZero() || !bytes.Equal(own.stored.Wrapped, k.Wrapped) {
			made[k.Subject] = &subjectKey{stored: k, tenant: keys}
		}
	}
	return made, nil
}

// addSubjects adds and holds keys, and returns at least those that were there before.
func (r *keyRing) addSubjects(ctx context.Context, db *gorm.DB, rows []StoredKey) ([]StoredKey, error) {
	if c, ok := r.store.(keyCreator); ok {
		return c.create(ctx, db, rows)
	}
	if err := r.store.Add(ctx, db, rows); err != nil {
		return nil, err
	}
	names := make([]KeyName, len(rows))
	for i, k := range rows {
		names[i] = k.KeyName
	}
	stored, err := r.store.Load(ctx, db, names, true)
	if err == nil && len(stored) < len(rows) {
		err = fmt.Errorf("%w: the key store lost keys right after adding them", ErrKey)
	}
	return stored, err
}
