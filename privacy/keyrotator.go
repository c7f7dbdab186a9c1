package privacy

import (
	"context"
	"database/sql"

	"gorm.io/gorm"
)

// A KeyRotator is a KeyStore whose keys can be rotated. TableKeys returns one; the rules are those of
// privacytest.TestKeyRotator.
type KeyRotator interface {
	KeyStore
	// Replace stores wrapped in the place of old and reports whether it did: not if what is stored is
	// something else by now, and never in the place of a fence. It waits for transactions that hold the key.
	Replace(ctx context.Context, db *gorm.DB, old StoredKey, wrapped []byte) (bool, error)
	// Persons returns up to limit live keys of persons of after's tenant whose subject sorts behind after's.
	Persons(ctx context.Context, db *gorm.DB, after KeyName, limit int) ([]StoredKey, error)
	// Tenants returns up to limit names of tenants that have keys of their own and sort behind after.
	Tenants(ctx context.Context, db *gorm.DB, after string, limit int) ([]string, error)
}

func (t tableKeys) Replace(ctx context.Context, db *gorm.DB, old StoredKey, wrapped []byte) (bool, error) {
	c := conn{db}
	if c.dialect() == "sqlite" {
		// A key that was retired must not stay in the file's freed bytes.
		if _, err := c.exec(ctx, "PRAGMA secure_delete = ON"); err != nil {
			return false, err
		}
	}
	var n int64
	var err error
	if old.Subject == "" {
		n, err = c.exec(ctx, "UPDATE confide_tenant_keys SET wrapped = ? WHERE tenant = ? AND purpose = ? AND version = ? AND wrapped = ?",
			wrapped, old.Tenant, old.Purpose, old.Version, old.Wrapped)
	} else {
		n, err = c.exec(ctx, "UPDATE confide_subject_keys SET wrapped = ? WHERE tenant = ? AND subject = ? AND version = ? AND erased_at = 0 AND wrapped = ?",
			wrapped, old.Tenant, old.Subject, old.Version, old.Wrapped)
	}
	return n == 1, err
}

func (t tableKeys) Persons(ctx context.Context, db *gorm.DB, after KeyName, limit int) ([]StoredKey, error) {
	var out []StoredKey
	err := conn{db}.query(ctx, func(r *sql.Rows) error {
		k := StoredKey{KeyName: KeyName{Tenant: after.Tenant, Purpose: purposeData}}
		if err := r.Scan(&k.Subject, &k.Version, &k.Wrapped); err != nil {
			return err
		}
		out = append(out, k)
		return nil
	}, `SELECT subject, version, wrapped FROM confide_subject_keys
		WHERE tenant = ? AND subject > ? AND erased_at = 0 ORDER BY subject LIMIT ?`, after.Tenant, after.Subject, limit)
	return out, err
}

func (t tableKeys) Tenants(ctx context.Context, db *gorm.DB, after string, limit int) ([]string, error) {
	var out []string
	err := conn{db}.query(ctx, func(r *sql.Rows) error {
		var name string
		if err := r.Scan(&name); err != nil {
			return err
		}
		out = append(out, name)
		return nil
	}, "SELECT tenant FROM confide_tenant_keys WHERE purpose = ? AND tenant > ? ORDER BY tenant LIMIT ?", purposeData, after, limit)
	return out, err
}
