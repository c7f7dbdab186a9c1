package rbac

import (
	"context"
	"fmt"
	"sync"
)

// A PolicyStore keeps one policy. NewMemory is one; package gormpolicy keeps it in the database.
// The suite in package rbactest says what a store must do.
type PolicyStore interface {
	// Load returns the whole policy with its version; version 0 is the empty policy of a new store.
	Load(ctx context.Context) (Policy, error)
	// Version returns the current version without loading the policy.
	Version(ctx context.Context) (int64, error)
	// Save replaces the policy of version p.Version and returns the new version. It joins the transaction
	// carried by ctx, if the store is a database. If the stored version is another one it changes nothing
	// and returns ErrConflict.
	Save(ctx context.Context, p Policy) (int64, error)
}

// Memory is a PolicyStore in memory, for tests and for policies that are part of the program.
type Memory struct {
	mu     sync.Mutex
	policy Policy
}

// NewMemory returns a store that holds a copy of p as its version 1.
func NewMemory(p Policy) *Memory {
	m := &Memory{policy: p.clone()}
	m.policy.Version = 1
	return m
}

// Load returns a copy of the policy.
func (m *Memory) Load(context.Context) (Policy, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy.clone(), nil
}

// Version returns the version that Load would return.
func (m *Memory) Version(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policy.Version, nil
}

// Save replaces the policy.
func (m *Memory) Save(_ context.Context, p Policy) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Version != m.policy.Version {
		return 0, fmt.Errorf("rbac: %w: version %d is no longer current", ErrConflict, p.Version)
	}
	m.policy = p.clone()
	m.policy.Version++
	return m.policy.Version, nil
}
