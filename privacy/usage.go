package privacy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// AES-GCM with random nonces is safe for 2^32 encryptions with one key (NIST SP 800-38D, 8.3). What is
// counted here is what one process wrapped with a tenant's data key since it started, which is exact; the
// persons' keys that stand in the store under it are counted by KeyStatus, which is a lower bound, because
// a key that was wrapped and rolled back is not among them.
const (
	usageLimit = 1 << 32
	usageWarn  = 1 << 31
)

// A usageKey names one key of a tenant's data keyset.
type usageKey struct {
	tenant string
	id     uint32
}

// counter returns the process's count for a key. It outlives the cache.
func (r *keyRing) counter(tenant string, id uint32) *atomic.Uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sealed == nil {
		r.sealed = map[usageKey]*atomic.Uint64{}
	}
	k := usageKey{tenant, id}
	if r.sealed[k] == nil {
		r.sealed[k] = new(atomic.Uint64)
	}
	return r.sealed[k]
}

// countedAEAD is a tenant's data keyset. It refuses when it was wiped, and before its primary key has
// encrypted too often.
type countedAEAD struct {
	tink.AEAD
	keys   *tenantKeys
	tenant string
	n      *atomic.Uint64
}

func (a *countedAEAD) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	if a.keys.dead.Load() {
		return nil, errForgotten
	}
	if a.n.Add(1) > usageLimit {
		a.n.Store(usageLimit)
		return nil, fmt.Errorf("%w: the data key of tenant %q has encrypted 2^32 times and may not be used again; rotate it", ErrKey, a.tenant)
	}
	return a.AEAD.Encrypt(plaintext, associatedData)
}

func (a *countedAEAD) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if a.keys.dead.Load() {
		return nil, errForgotten
	}
	return a.AEAD.Decrypt(ciphertext, associatedData)
}

func (k *tenantKeys) wrapsWith(id uint32) bool { return slices.Contains(k.wraps, id) }

// wrappingKey reads off which key wrapped a keyset. A binary EncryptedKeyset begins with the field that
// holds the ciphertext, and that with Tink's prefix.
func wrappingKey(wrapped []byte) (uint32, bool) {
	if len(wrapped) < 2 || wrapped[0] != 0x12 {
		return 0, false
	}
	_, n := binary.Uvarint(wrapped[1:])
	if n <= 0 {
		return 0, false
	}
	return tinkKey(wrapped[1+n:])
}

// cellKey reads off which of the person's keys sealed a cell.
func cellKey(box []byte) (uint32, bool) {
	if len(box) < cellHeader || !looksSealed(box) || box[2] != cellVersion {
		return 0, false
	}
	return tinkKey(box[cellHeader:])
}

func tinkKey(b []byte) (uint32, bool) {
	if len(b) < 5 || b[0] != 0x01 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[1:5]), true
}

// keyIDs lists the keys of a keyset in their order.
func keyIDs(h *keyset.Handle) []uint32 {
	ids := make([]uint32, 0, h.Len())
	for i := range h.Len() {
		if e, err := h.Entry(i); err == nil {
			ids = append(ids, e.KeyID())
		}
	}
	return ids
}

func primaryID(h *keyset.Handle) uint32 {
	e, err := h.Primary()
	if err != nil {
		return 0
	}
	return e.KeyID()
}
