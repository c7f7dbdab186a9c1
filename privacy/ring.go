package privacy

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"
)

const (
	purposeData  = "data"
	purposeIndex = "index"
	purposeCheck = "check"

	keyVersion = 1
)

// tenantKeys are a tenant's unwrapped keysets: one wraps the persons' keys, the other makes blind indexes.
type tenantKeys struct {
	data   tink.AEAD
	index  *prf.Set
	id     [32]byte // of the wrapped bytes they came from
	wraps  []uint32 // ids of the keys in data
	opened time.Time
	uses   atomic.Int64
	dead   atomic.Bool // wiped by Forget
}

// A keyRing unwraps and creates keys. It keeps tenants' keys for KeyTTL and persons' keys for no longer than
// the values that were read with them.
//
// A tenant's keyset that was created in a transaction is gone when that rolls back, so it must not be
// remembered for the tenant before another transaction has seen it: everything sealed with it would be
// lost. Unwrapped keysets are therefore kept by the wrapped bytes, and a tenant points to one of them only
// once it is known to be committed.
type keyRing struct {
	kek    tink.AEADWithContext
	store  KeyStore
	limits cacheLimits

	mu        sync.Mutex
	closed    bool
	committed map[string]*tenantKeys
	pending   map[string]any // tenant: the transaction that created its keys
	unwrapped map[[32]byte]*flight
	sealed    map[usageKey]*atomic.Uint64
}

// loadTenant returns the tenant's two stored keys, data first, or nil.
func (r *keyRing) loadTenant(ctx context.Context, db *gorm.DB, tenant string, hold bool) ([]StoredKey, error) {
	names := []KeyName{{tenant, "", purposeData}, {tenant, "", purposeIndex}}
	stored, err := r.store.Load(ctx, db, names, hold)
	if err != nil {
		return nil, fmt.Errorf("privacy: load the keys of tenant %q (was Migrate called?): %w", tenant, err)
	}
	slices.SortFunc(stored, func(a, b StoredKey) int { return bytes.Compare([]byte(a.Purpose), []byte(b.Purpose)) })
	switch len(stored) {
	case 0:
		return nil, nil
	case 2:
		return stored, nil
	}
	return nil, fmt.Errorf("%w: tenant %q has a part of its keys only; restore table confide_tenant_keys from a backup", ErrKey, tenant)
}

func (r *keyRing) createTenant(ctx context.Context, db *gorm.DB, tenant string) ([]StoredKey, error) {
	data := StoredKey{KeyName: KeyName{tenant, "", purposeData}, Version: keyVersion}
	index := StoredKey{KeyName: KeyName{tenant, "", purposeIndex}, Version: keyVersion}
	dataKeys, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("%w: create the keyset of tenant %q: %w", ErrKey, tenant, err)
	}
	indexKeys, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("%w: create the index keyset of tenant %q: %w", ErrKey, tenant, err)
	}
	var buf bytes.Buffer
	if err := dataKeys.WriteWithContext(ctx, keyset.NewBinaryWriter(&buf), r.kek, keyAAD(data.KeyName, data.Version)); err != nil {
		return nil, fmt.Errorf("%w: wrap the keyset of tenant %q: %w", ErrKey, tenant, err)
	}
	data.Wrapped = bytes.Clone(buf.Bytes())
	primitive, err := aead.New(dataKeys)
	if err != nil {
		return nil, fmt.Errorf("%w: tenant %q: %w", ErrKey, tenant, err)
	}
	if index.Wrapped, err = wrapKeyset(indexKeys, primitive, keyAAD(index.KeyName, index.Version)); err != nil {
		return nil, fmt.Errorf("%w: wrap the index keyset of tenant %q: %w", ErrKey, tenant, err)
	}
	if err := r.store.Add(ctx, db, []StoredKey{data, index}); err != nil {
		return nil, fmt.Errorf("privacy: store the keys of tenant %q: %w", tenant, err)
	}
	// Another process may have been first: what is stored counts, and only a locking read shows it inside a
	// transaction of MySQL.
	stored, err := r.loadTenant(ctx, db, tenant, true)
	if err == nil && stored == nil {
		err = fmt.Errorf("%w: the key store lost the keys of tenant %q right after adding them", ErrKey, tenant)
	}
	return stored, err
}

func wrapKeyset(h *keyset.Handle, with tink.AEAD, aad []byte) ([]byte, error) {
	var buf bytes.Buffer
	if err := h.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), with, aad); err != nil {
		return nil, err
	}
	return bytes.Clone(buf.Bytes()), nil
}

func (r *keyRing) unwrapNow(ctx context.Context, tenant string, stored []StoredKey) (*tenantKeys, error) {
	data, index := stored[0], stored[1]
	asked := r.limits.clock()
	h, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(data.Wrapped)), r.kek, keyAAD(data.KeyName, data.Version))
	if err != nil {
		return nil, fmt.Errorf("%w: the KEK does not open the keys of tenant %q; is it the one this database was made with? %w", ErrKey, tenant, err)
	}
	k := &tenantKeys{id: wrappedID(stored), opened: asked}
	plain, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("%w: tenant %q: %w", ErrKey, tenant, err)
	}
	k.wraps = keyIDs(h)
	k.data = &countedAEAD{plain, k, tenant, r.counter(tenant, primaryID(h))}
	h, err = keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(index.Wrapped)), k.data, keyAAD(index.KeyName, index.Version))
	if err != nil {
		return nil, fmt.Errorf("%w: the index keyset of tenant %q does not open; restore table confide_tenant_keys from a backup: %w", ErrKey, tenant, err)
	}
	if k.index, err = prf.NewPRFSet(h); err != nil {
		return nil, fmt.Errorf("%w: tenant %q: %w", ErrKey, tenant, err)
	}
	return k, nil
}

// blind returns the index of a value under the newest index key.
func (k *tenantKeys) blind(tenant string, x *indexField, region string, value []byte) (Index, error) {
	return k.newest(x, x.input(tenant, x.form(string(value), region)))
}

// newest applies the newest index key.
func (k *tenantKeys) newest(x *indexField, input []byte) (Index, error) {
	if k.dead.Load() {
		return nil, errForgotten
	}
	sum, err := k.index.ComputePrimaryPRF(input, indexSize-1)
	if err != nil {
		return nil, fmt.Errorf("privacy: index of %s: %w", x.of.logical, err)
	}
	return x.cell(sum), nil
}

// blindAll returns the indexes that rows with one of these normal forms may have under any index key, so
// that rows indexed before a rotation are still found.
func (k *tenantKeys) blindAll(tenant string, x *indexField, forms []string) ([]Index, error) {
	var out []Index
	for _, form := range forms {
		some, err := k.any(x, x.input(tenant, form))
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// any applies all index keys.
func (k *tenantKeys) any(x *indexField, input []byte) ([]Index, error) {
	if k.dead.Load() {
		return nil, errForgotten
	}
	var out []Index
	for _, p := range k.index.PRFs {
		sum, err := p.ComputePRF(input, indexSize-1)
		if err != nil {
			return nil, fmt.Errorf("privacy: index of %s: %w", x.of.logical, err)
		}
		out = append(out, x.cell(sum))
	}
	return out, nil
}

func indexInput(tenant string, x *indexField, form string) []byte {
	return encode("confide.index", tenant, x.of.logical, x.norm.name, form)
}
