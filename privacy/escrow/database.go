package escrow

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
)

const (
	purposeData  = "data"
	purposeIndex = "index"
	purposeCheck = "check"

	batch = 500 // keys a query
)

// A Database is where the wrapped keys are. DB needs no vault: the vault may not start any more.
type Database struct {
	DB *gorm.DB
	// Keys is the store that the vault was given; it must be a privacy.KeyRotator. Nil: the vault's own tables
	// in DB.
	Keys privacy.KeyStore
	// Record writes down each sealing, drill and recovery; privacy.Discard is the named "nobody".
	Record privacy.Recorder
}

// A house is a Database that was checked.
type house struct {
	db     *gorm.DB
	store  privacy.KeyRotator
	record privacy.Recorder
}

func (d Database) open() (house, error) {
	if d.DB == nil {
		return house{}, errors.New("escrow: Database.DB is missing")
	}
	if d.Record == nil {
		return house{}, errors.New("escrow: Database.Record is missing; pass an audit.Log, or privacy.Discard to write nothing down")
	}
	keys := d.Keys
	if keys == nil {
		keys = privacy.TableKeys()
	}
	store, ok := keys.(privacy.KeyRotator)
	if !ok {
		return house{}, fmt.Errorf("escrow: the key store %T cannot list its tenants and replace keys; implement privacy.KeyRotator", keys)
	}
	return house{d.DB, store, d.Record}, nil
}

// load returns one key, or nil.
func (h house) load(ctx context.Context, name privacy.KeyName) (*privacy.StoredKey, error) {
	list, err := h.store.Load(ctx, h.db, []privacy.KeyName{name}, false)
	if err != nil {
		return nil, fmt.Errorf("escrow: load the %s key of tenant %q: %w", name.Purpose, name.Tenant, err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return &list[0], nil
}

// A tenantKeys is what a tenant has in the database.
type tenantKeys struct{ data, index privacy.StoredKey }

// tenants calls f for each tenant, in order.
func (h house) tenants(ctx context.Context, f func(name string, keys tenantKeys) error) error {
	for after := ""; ; {
		names, err := h.store.Tenants(ctx, h.db, after, batch)
		if err != nil {
			return fmt.Errorf("escrow: list the tenants (was Migrate called?): %w", err)
		}
		for _, name := range names {
			data, err := h.load(ctx, privacy.KeyName{Tenant: name, Purpose: purposeData})
			if err != nil {
				return err
			}
			index, err := h.load(ctx, privacy.KeyName{Tenant: name, Purpose: purposeIndex})
			if err != nil {
				return err
			}
			if data == nil || index == nil {
				return fmt.Errorf("escrow: tenant %q has a part of its keys only; restore table confide_tenant_keys from a backup", name)
			}
			if err := f(name, tenantKeys{*data, *index}); err != nil {
				return err
			}
			after = name
		}
		if len(names) < batch {
			return nil
		}
	}
}

// persons counts the tenant's persons whose keys open under the tenant's, and those whose do not.
func (h house) persons(ctx context.Context, tenant string, with tink.AEAD) (opened, closed int64, err error) {
	for after := (privacy.KeyName{Tenant: tenant}); ; {
		page, err := h.store.Persons(ctx, h.db, after, batch)
		if err != nil {
			return 0, 0, fmt.Errorf("escrow: list the persons of tenant %q: %w", tenant, err)
		}
		for _, k := range page {
			if opens(k, with) {
				opened++
			} else {
				closed++
			}
			after = k.KeyName
		}
		if len(page) < batch {
			return opened, closed, nil
		}
	}
}

func opens(k privacy.StoredKey, with tink.AEAD) bool {
	_, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)), with, k.AssociatedData())
	return err == nil
}

// unwrap opens a tenant's data keyset.
func unwrap(ctx context.Context, k privacy.StoredKey, with tink.AEADWithContext) (*keyset.Handle, tink.AEAD, error) {
	handle, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)), with, k.AssociatedData())
	if err != nil {
		return nil, nil, err
	}
	primitive, err := aead.New(handle)
	return handle, primitive, err
}

func wrap(ctx context.Context, k privacy.StoredKey, handle *keyset.Handle, with tink.AEADWithContext) ([]byte, error) {
	var b bytes.Buffer
	err := handle.WriteWithContext(ctx, keyset.NewBinaryWriter(&b), with, k.AssociatedData())
	return b.Bytes(), err
}
