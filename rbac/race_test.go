package rbac_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

// TestRevokeHappensBeforeDeny: while many goroutines decide, list and reload, nobody who asks after a
// revocation returned still gets an answer from before it, and no decision mixes two policies.
func TestRevokeHappensBeforeDeny(t *testing.T) {
	testdb.Each(t, revokeHappensBeforeDeny)
}

func revokeHappensBeforeDeny(t *testing.T, db testdb.DB) {
	a, _, _ := openCRM(t, db)
	ann := rbac.Assignment{Tenant: "t1", User: "ann", Role: "sales"}
	row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	loop := func(f func()) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	for range 2 {
		loop(func() {
			if err := a.Check(as("ann"), "read", &row); err != nil && !errors.Is(err, rbac.ErrDenied) {
				t.Errorf("Check: %v", err)
			}
			if err := a.Check(as("mia"), "read", &row); err != nil {
				t.Errorf("mia lost her right while ann's changed: %v", err)
			}
		})
		loop(func() {
			var rows []Customer
			if err := db.WithContext(as("ann")).Find(&rows).Error; err != nil || len(rows) != 0 && len(rows) != 2 {
				t.Errorf("half a policy: %d rows, %v", len(rows), err)
			}
			if _, err := a.View(as("ann"), rows); err != nil {
				t.Errorf("View: %v", err)
			}
		})
		loop(func() {
			if err := a.Reload(t.Context()); err != nil {
				t.Errorf("Reload: %v", err)
			}
		})
	}
	for range 50 {
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
			p.Assignments = slices.DeleteFunc(p.Assignments, func(x rbac.Assignment) bool { return x == ann })
			return nil
		}))
		require.ErrorIs(t, a.Check(as("ann"), "read", &row), rbac.ErrDenied)
		var n int64
		require.NoError(t, db.WithContext(as("ann")).Model(&Customer{}).Count(&n).Error)
		require.Zero(t, n)
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error { p.Assignments = append(p.Assignments, ann); return nil }))
		require.NoError(t, a.Check(as("ann"), "read", &row))
	}
	close(stop)
	wg.Wait()
}

// slowStore hands out the policy it read only when it is told to.
type slowStore struct {
	*rbac.Memory
	loaded, release chan struct{} // nil: at once
}

func (s *slowStore) Load(ctx context.Context) (rbac.Policy, error) {
	p, err := s.Memory.Load(ctx)
	if loaded, release := s.loaded, s.release; release != nil {
		s.loaded, s.release = nil, nil
		close(loaded)
		<-release
	}
	return p, err
}

// A reload that read its policy before a revocation, and comes to its end after it, does not bring it back.
func TestSlowReloadDoesNotUndoARevocation(t *testing.T) {
	store := &slowStore{Memory: rbac.NewMemory(crmPolicy())}
	cfg := crmConfig(&journal{})
	cfg.Policies = store
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
	p, err := store.Memory.Load(t.Context())
	require.NoError(t, err)
	_, err = store.Save(t.Context(), p) // version 2, which ann may still use
	require.NoError(t, err)
	loaded, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	store.loaded, store.release = loaded, release
	go func() { done <- a.Reload(context.Background()) }()
	<-loaded
	require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error { p.Assignments = nil; return nil }))
	require.ErrorIs(t, a.Check(as("ann"), "read", &row), rbac.ErrDenied)
	close(release)
	require.NoError(t, <-done)
	require.EqualValues(t, 3, a.Version())
	require.ErrorIs(t, a.Check(as("ann"), "read", &row), rbac.ErrDenied)
}
