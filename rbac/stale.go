package rbac

import (
	"context"
	"fmt"
	"time"
)

// Stale is the refusal to decide by a policy that may have changed. Every decision returns it when
// Config.MaxStale is over, and under Fresh when the store does not answer. Show "try again later".
type Stale struct {
	Version int64         // of the policy that may be outdated
	Age     time.Duration // since it was known to be current
	Cause   error         // why it could not be confirmed; nil if nobody tried
}

func (s *Stale) Error() string {
	if s.Cause != nil {
		return fmt.Sprintf("rbac: policy version %d could not be confirmed: %v", s.Version, s.Cause)
	}
	return fmt.Sprintf("rbac: policy version %d was last known to be current %v ago, which is more than Config.MaxStale: keep Authorizer.Watch running, or call Reload", s.Version, s.Age.Round(time.Millisecond))
}

// Unwrap returns the cause.
func (s *Stale) Unwrap() error { return s.Cause }

type freshKey struct{}

// Fresh returns a context whose decisions first ask the store for the policy's version: for exports,
// reveals and whatever else must not happen a moment after it was forbidden. It costs one query a
// decision; inside a transaction on a database with one connection pass WithTx as well.
func Fresh(ctx context.Context) context.Context { return context.WithValue(ctx, freshKey{}, true) }

// current returns the snapshot to decide by, unless it is too old to be trusted.
func (a *Authorizer) current(ctx context.Context) (*snapshot, error) {
	if ctx.Value(freshKey{}) != nil {
		s, err := a.fresh(ctx)
		if err != nil {
			return nil, &Stale{Version: a.Version(), Age: a.age(), Cause: err}
		}
		return s, nil
	}
	if a.cfg.MaxStale > 0 {
		if age := a.age(); age < 0 || age > a.cfg.MaxStale {
			return nil, &Stale{Version: a.Version(), Age: age}
		}
	}
	return a.snap.Load(), nil
}

// fresh confirms the policy. A policy that a transaction sees may be its own and yet roll back: it decides
// there, and for nobody else.
func (a *Authorizer) fresh(ctx context.Context) (*snapshot, error) {
	if Tx(ctx) == nil {
		err := a.Reload(ctx)
		return a.snap.Load(), err
	}
	s := a.snap.Load()
	v, err := a.cfg.Policies.Version(ctx)
	if err != nil || v == s.version {
		return s, err
	}
	p, err := a.cfg.Policies.Load(ctx)
	if err != nil {
		return nil, err
	}
	return newSnapshot(p, s, a.resources, a.langs)
}

// age is how long ago the policy was last known to be current. A clock that was set back makes it negative.
func (a *Authorizer) age() time.Duration {
	confirmed := *a.confirmed.Load() // before the clock is read, so that a confirmation between the two does no harm
	return a.cfg.now().Sub(confirmed)
}

// confirm notes that the policy was current when the store was asked, at a time.
func (a *Authorizer) confirm(at time.Time) {
	for {
		last := a.confirmed.Load()
		if last != nil && last.After(at) || a.confirmed.CompareAndSwap(last, &at) {
			return
		}
	}
}
