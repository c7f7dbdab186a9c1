package rbac

import (
	"context"
	"fmt"
	"time"
)

// Caller is who asks. Everything in it comes from the server's own session, never from the request.
type Caller struct {
	ID     string
	Tenant string
	// Attrs are what conditions read as caller.<name>: string, int64, bool or []string, as declared in
	// Config.Attrs. An attribute that is missing is unknown, and unknown is denied.
	Attrs map[string]any
}

// asker is a caller with the roles one policy gives.
type asker struct {
	Caller
	roles  *roleSet
	now    int64          // whole seconds, UTC
	shares *shareLookup   // nil if no condition asks for shares
	index  *indexLookup   // nil if no condition compares a sealed column
	with   *circumstances // nil if the policy does not ask
}

func (a *Authorizer) asker(ctx context.Context, s *snapshot) (asker, error) {
	c, err := a.cfg.Caller(ctx)
	if err != nil {
		return asker{}, fmt.Errorf("rbac: %w: %w", ErrNoCaller, err)
	}
	if c.ID == "" {
		return asker{}, fmt.Errorf("rbac: %w: pass a context that carries a signed-in caller, or rbac.System", ErrNoCaller)
	}
	who := asker{Caller: c, roles: s.rolesOf(c.Tenant, c.ID), now: seconds(a.cfg.now())}
	if len(s.shared) > 0 {
		who.shares = &shareLookup{a: a, ctx: ctx}
	}
	if len(s.sealed) > 0 {
		who.index = &indexLookup{a: a, ctx: ctx}
	}
	if s.needy || s.asksEnv {
		return a.withCircumstances(ctx, s, who)
	}
	return who, nil
}

// RolesOf returns the names of the caller's roles in the caller's tenant, inherited ones included, in
// alphabetical order.
func (a *Authorizer) RolesOf(ctx context.Context) ([]string, error) {
	s, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	who, err := a.asker(ctx, s)
	if err != nil {
		return nil, err
	}
	return append([]string(nil), who.roles.names...), nil
}

// attr returns a caller's attribute. Whatever is not of the declared type is an error: a wrong type must
// neither match nor be taken for a missing value.
func (w *asker) attr(name string, want kind) (value, error) {
	v, ok := w.Attrs[name]
	if !ok || v == nil {
		return value{}, nil
	}
	got := value{kind: kindOf(v)}
	if got.kind != want {
		return value{}, fmt.Errorf("rbac: caller attribute %q is a %T but declared as %s in Config.Attrs", name, v, want)
	}
	switch v := v.(type) {
	case string:
		got.s = v
	case int64:
		got.i = v
	case bool:
		got.i = bit(v)
	case []string:
		got.list = v
	}
	return got, nil
}

func seconds(t time.Time) int64 { return t.Unix() }

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
