// Package privacytest holds what an author of a KEK provider or a key store needs: the rules as tests, and a
// key store in memory that follows them.
package privacytest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
)

// Memory is a privacy.KeyStore in memory. It knows nothing of transactions: a key stays when the row it was
// made for is rolled back, which is harmless.
type Memory struct {
	mu    sync.Mutex
	keys  map[privacy.KeyName]privacy.StoredKey
	loads int
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{keys: map[privacy.KeyName]privacy.StoredKey{}} }

// Loads returns how often Load was called.
func (m *Memory) Loads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loads
}

// Load implements privacy.KeyStore.
func (m *Memory) Load(_ context.Context, _ *gorm.DB, names []privacy.KeyName, _ bool) ([]privacy.StoredKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	var out []privacy.StoredKey
	for _, n := range names {
		if k, ok := m.keys[n]; ok {
			k.Wrapped = bytes.Clone(k.Wrapped)
			out = append(out, k)
		}
	}
	return out, nil
}

// Add implements privacy.KeyStore.
func (m *Memory) Add(_ context.Context, _ *gorm.DB, keys []privacy.StoredKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		if _, ok := m.keys[k.KeyName]; !ok {
			k.Wrapped = bytes.Clone(k.Wrapped)
			m.keys[k.KeyName] = k
		}
	}
	return nil
}

// Erase implements privacy.KeyStore.
func (m *Memory) Erase(_ context.Context, _ *gorm.DB, name privacy.KeyName, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[name]
	if !ok {
		k = privacy.StoredKey{KeyName: name, Version: 1}
	}
	clear(k.Wrapped)
	k.Wrapped = nil
	if k.Erased.IsZero() {
		k.Erased = at
	}
	m.keys[name] = k
	return nil
}

// Erased implements privacy.KeyStore.
func (m *Memory) Erased(_ context.Context, _ *gorm.DB, after privacy.KeyName, limit int) ([]privacy.StoredKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	order := func(a, b privacy.KeyName) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Subject, b.Subject))
	}
	var out []privacy.StoredKey
	for _, k := range m.keys {
		if !k.Erased.IsZero() && order(k.KeyName, after) > 0 {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b privacy.StoredKey) int { return order(a.KeyName, b.KeyName) })
	return out[:min(limit, len(out))], nil
}

// Replace implements privacy.KeyRotator.
func (m *Memory) Replace(_ context.Context, _ *gorm.DB, old privacy.StoredKey, wrapped []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[old.KeyName]
	if !ok || !k.Erased.IsZero() || k.Version != old.Version || !bytes.Equal(k.Wrapped, old.Wrapped) {
		return false, nil
	}
	k.Wrapped = bytes.Clone(wrapped)
	m.keys[old.KeyName] = k
	return true, nil
}

// Persons implements privacy.KeyRotator.
func (m *Memory) Persons(_ context.Context, _ *gorm.DB, after privacy.KeyName, limit int) ([]privacy.StoredKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []privacy.StoredKey
	for _, k := range m.keys {
		if k.Tenant == after.Tenant && k.Subject > after.Subject && k.Erased.IsZero() {
			k.Wrapped = bytes.Clone(k.Wrapped)
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b privacy.StoredKey) int { return cmp.Compare(a.Subject, b.Subject) })
	return out[:min(limit, len(out))], nil
}

// Tenants implements privacy.KeyRotator.
func (m *Memory) Tenants(_ context.Context, _ *gorm.DB, after string, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for n := range m.keys {
		if n.Subject == "" && n.Purpose == "data" && n.Tenant > after {
			out = append(out, n.Tenant)
		}
	}
	slices.Sort(out)
	return out[:min(limit, len(out))], nil
}
