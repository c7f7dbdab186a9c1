package privacy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// errForgotten comes from keys and values that Forget took away.
var errForgotten = fmt.Errorf("%w: the keys were wiped from memory; read the row again if the vault is still open", ErrKey)

// cacheLimits say how long a tenant's unwrapped keys are used.
type cacheLimits struct {
	ttl, grace time.Duration
	uses       int64
	now        func() time.Time
}

const (
	defaultKeyTTL   = 5 * time.Minute
	defaultKeyGrace = time.Minute
	defaultKeyUses  = 1_000_000
)

func limitsOf(cfg Config) cacheLimits {
	l := cacheLimits{ttl: cfg.KeyTTL, grace: cfg.KeyGrace, uses: cfg.KeyUses, now: cfg.Now}
	if l.ttl == 0 {
		l.ttl = defaultKeyTTL
	}
	if l.grace == 0 {
		l.grace = defaultKeyGrace
	}
	if l.uses == 0 {
		l.uses = defaultKeyUses
	}
	l.grace = max(0, l.grace)
	return l
}

func (l cacheLimits) clock() time.Time {
	if l.now == nil {
		return time.Now()
	}
	return l.now()
}

// spread is how long after a change of a tenant's keys some process may still use the former ones: what it
// had, for TTL and grace, and what a transaction with an old snapshot read again meanwhile.
func (l cacheLimits) spread() time.Duration { return 2*l.ttl + l.grace }

// fresh reports whether keys may be used without asking the KEK again.
func (l cacheLimits) fresh(k *tenantKeys) bool {
	if k == nil || k.dead.Load() {
		return false
	}
	age := l.clock().Sub(k.opened)
	return l.ttl == 0 || age >= 0 && age < l.ttl && k.uses.Load() < l.uses
}

// bearable reports whether keys may be used although the KEK does not answer.
func (l cacheLimits) bearable(k *tenantKeys) bool {
	if k == nil || k.dead.Load() {
		return false
	}
	age := l.clock().Sub(k.opened)
	return age >= 0 && age < l.ttl+l.grace
}

// A flight is one unwrapping, done or under way, however many ask for it.
type flight struct {
	done chan struct{}
	keys *tenantKeys
	err  error
}

// tenantKeys returns the keys of a tenant, or nil if there are none and create is false.
func (r *keyRing) tenantKeys(ctx context.Context, db *gorm.DB, tenant string, create bool) (*tenantKeys, error) {
	r.mu.Lock()
	known, closed := r.committed[tenant], r.closed
	r.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case r.limits.fresh(known):
		known.uses.Add(1)
		return known, nil
	}
	stored, err := r.loadTenant(ctx, db, tenant, false)
	if err != nil {
		return nil, err
	}
	created := false
	if stored == nil {
		if !create {
			return nil, nil
		}
		if stored, err = r.createTenant(ctx, db, tenant); err != nil {
			return nil, err
		}
		created = true
	}
	keys, err := r.renew(ctx, tenant, stored, known)
	if err != nil {
		return nil, err
	}
	r.remember(conn{db}, tenant, keys, created)
	return keys, nil
}

// renew unwraps what is stored. If the KEK fails, keys that have only just expired go on, as long as they
// are still the ones that are stored: a short failure of a key service is no reason to stand still, a
// longer one and a withdrawn permission are.
func (r *keyRing) renew(ctx context.Context, tenant string, stored []StoredKey, known *tenantKeys) (*tenantKeys, error) {
	keys, err := r.unwrap(ctx, tenant, stored)
	if err != nil && ctx.Err() == nil && known != nil && known.id == wrappedID(stored) && r.limits.bearable(known) {
		return known, nil
	}
	return keys, err
}

var errClosed = fmt.Errorf("%w: the vault is closed", ErrKey)

func (r *keyRing) remember(c conn, tenant string, keys *tenantKeys, created bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.inTransaction() && (created || r.pending[tenant] == c.connection()) {
		if r.pending == nil {
			r.pending = map[string]any{}
		}
		r.pending[tenant] = c.connection()
		return
	}
	if r.committed == nil {
		r.committed = map[string]*tenantKeys{}
	}
	if old := r.committed[tenant]; old != nil && old.opened.After(keys.opened) {
		return
	}
	r.committed[tenant] = keys
	delete(r.pending, tenant)
}

// heldKeys returns the keys that are stored now, creating them if need be, and holds them: until the
// transaction ends nobody can promote another key, so whoever retires a key afterwards finds everything
// that was sealed or indexed with it. The KEK is asked only if they are not the ones at hand.
func (r *keyRing) heldKeys(ctx context.Context, db *gorm.DB, tenant string) (*tenantKeys, error) {
	keys, err := r.tenantKeys(ctx, db, tenant, true)
	if err != nil {
		return nil, err
	}
	return r.current(ctx, db, tenant, keys, true)
}

// current compares keys with what is stored, and unwraps that if it is something else.
func (r *keyRing) current(ctx context.Context, db *gorm.DB, tenant string, keys *tenantKeys, hold bool) (*tenantKeys, error) {
	stored, err := r.loadTenant(ctx, db, tenant, hold)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, fmt.Errorf("%w: the key store lost the keys of tenant %q", ErrKey, tenant)
	}
	if wrappedID(stored) == keys.id {
		return keys, nil
	}
	if keys, err = r.unwrap(ctx, tenant, stored); err != nil {
		return nil, err
	}
	r.remember(conn{db}, tenant, keys, false)
	return keys, nil
}

// knowing returns keys that can unwrap all of these persons' keys: another process may have promoted a key
// that this one has not heard of.
func (r *keyRing) knowing(ctx context.Context, db *gorm.DB, tenant string, keys *tenantKeys, persons []StoredKey) (*tenantKeys, error) {
	if keys == nil {
		return nil, nil
	}
	for _, p := range persons {
		if id, ok := wrappingKey(p.Wrapped); ok && !keys.wrapsWith(id) {
			return r.current(ctx, db, tenant, keys, false)
		}
	}
	return keys, nil
}

func wrappedID(stored []StoredKey) [32]byte {
	h := sha256.New()
	for _, k := range stored {
		h.Write(encode(k.Tenant, k.Purpose, string(k.Wrapped)))
	}
	return [32]byte(h.Sum(nil))
}

// unwrap asks the KEK once for the same bytes, however many goroutines come at a time.
func (r *keyRing) unwrap(ctx context.Context, tenant string, stored []StoredKey) (*tenantKeys, error) {
	id := wrappedID(stored)
	for {
		r.mu.Lock()
		f, ok := r.unwrapped[id]
		if !ok || f.landed() && f.err == nil && !r.limits.fresh(f.keys) {
			if r.unwrapped == nil {
				r.unwrapped = map[[32]byte]*flight{}
			}
			r.sweep()
			f = &flight{done: make(chan struct{})}
			r.unwrapped[id] = f
			r.mu.Unlock()
			return r.fly(ctx, tenant, stored, id, f)
		}
		r.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// Whoever tried may have been cancelled; then it is our turn.
		if f.err == nil || !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return f.keys, f.err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// sweep lets go of keys that nobody may use any more.
func (r *keyRing) sweep() {
	for id, f := range r.unwrapped {
		if f.landed() && !r.limits.fresh(f.keys) {
			delete(r.unwrapped, id)
		}
	}
}

func (r *keyRing) fly(ctx context.Context, tenant string, stored []StoredKey, id [32]byte, f *flight) (*tenantKeys, error) {
	f.err = fmt.Errorf("%w: unwrapping the keys of tenant %q panicked", ErrKey, tenant)
	defer func() {
		r.mu.Lock()
		if f.err != nil && r.unwrapped[id] == f {
			delete(r.unwrapped, id)
		}
		if f.keys != nil && r.unwrapped[id] != f && f.err == nil {
			f.keys.dead.Store(true) // Forget came in between
		}
		r.mu.Unlock()
		close(f.done)
	}()
	f.keys, f.err = r.unwrapNow(ctx, tenant, stored)
	return f.keys, f.err
}

// forget wipes everything that was unwrapped.
func (r *keyRing) forget(closing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.closed || closing
	for _, k := range r.committed {
		k.dead.Store(true)
	}
	for _, f := range r.unwrapped {
		if f.landed() && f.keys != nil {
			f.keys.dead.Store(true)
		}
	}
	r.committed, r.pending, r.unwrapped = nil, nil, nil
}

// Forget wipes all unwrapped keys from the vault's memory: the next statement has to ask the KEK again, and
// values that were read before do not open any more. Together with a withdrawn permission on the KEK it is
// the kill switch of this process; Close is the one that nothing opens again.
//
// Go gives no way to overwrite the key schedules inside the standard library's ciphers: the memory is free
// for reuse once no value refers to it, and is not zeroed before that.
func (v *Vault) Forget() { v.ring.forget(false) }

// Close is Forget for good: every later use of keys fails with ErrKey.
func (v *Vault) Close() error {
	v.ring.forget(true)
	return nil
}
