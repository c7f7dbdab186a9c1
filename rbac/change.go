package rbac

import (
	"context"
	"fmt"
)

// A Change says who changes the policy and why. Stores that keep a history keep it there.
type Change struct {
	Who    string // "" in Edit means the caller of Config.Caller
	Reason string
}

type changeKey struct{}

// WithChange makes Edit and PolicyStore.Save note who changed the policy and why.
func WithChange(ctx context.Context, c Change) context.Context {
	return context.WithValue(ctx, changeKey{}, c)
}

// ChangeOf returns what WithChange put into the context. It is for policy stores.
func ChangeOf(ctx context.Context) Change {
	c, _ := ctx.Value(changeKey{}).(Change)
	return c
}

// PolicyHistory is a PolicyStore that still has the versions it once held.
type PolicyHistory interface {
	// At returns the policy as it was at a version.
	At(ctx context.Context, version int64) (Policy, error)
}

// Rollback makes a new version that holds the policy of an old one. It is an Edit: the old policy is
// validated against today's models, saved in the transaction of WithTx or in its own, and refused with
// ErrConflict if somebody else was faster. Config.Policies must be a PolicyHistory.
func (a *Authorizer) Rollback(ctx context.Context, version int64, reason string) error {
	history, ok := a.cfg.Policies.(PolicyHistory)
	if !ok {
		return fmt.Errorf("rbac: rollback: %T keeps no history: use gormpolicy.Store", a.cfg.Policies)
	}
	c := ChangeOf(ctx)
	c.Reason = reason
	return a.Edit(WithChange(ctx, c), func(p *Policy) error {
		old, err := history.At(ctx, version)
		*p = old
		return err
	})
}

// signed names the caller as the author of a change that names nobody.
func (a *Authorizer) signed(ctx context.Context) context.Context {
	c := ChangeOf(ctx)
	if c.Who != "" {
		return ctx
	}
	if who, err := a.cfg.Caller(ctx); err == nil {
		c.Who = who.ID
	}
	return WithChange(ctx, c)
}
