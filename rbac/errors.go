package rbac

import (
	"errors"
	"fmt"
)

var (
	// ErrDenied is returned, wrapped in a *Denied, by Check and MayReveal and by guarded writes. Show
	// "not allowed", or "not found" where even the row's existence is none of the caller's business.
	ErrDenied = errors.New("denied")

	// ErrNoCaller is returned by everything that decides when Config.Caller found nobody in the context.
	// Pass db.WithContext(ctx) with a signed-in caller; work without one goes through System.
	ErrNoCaller = errors.New("no caller in the context")

	// ErrRefused is returned for a statement that cannot be held inside the caller's rows: raw SQL on a
	// guarded table, a hidden column in a condition, text that could escape its parentheses. The message
	// names the remedy.
	ErrRefused = errors.New("statement refused")

	// ErrPolicy is returned by Open, Reload, Validate and Edit for a policy that names something unknown
	// or holds a condition that Go and SQL could answer differently. Correct the policy.
	ErrPolicy = errors.New("policy refused")

	// ErrConflict is returned by Edit and PolicyStore.Save when somebody else changed the policy since it
	// was loaded. Load it again and repeat the change.
	ErrConflict = errors.New("policy changed meanwhile")
)

// Denied is the refusal of one action on one resource. It matches ErrDenied and holds no value of the row.
type Denied struct {
	Action   string
	Resource string
	Rule     string // the deny rule that decided; "" if no rule allowed it
	Version  int64  // of the policy that decided
	Detail   string // what exactly, if not simply the action
}

func (d *Denied) Error() string {
	why := "no rule allows it"
	if d.Rule != "" {
		why = fmt.Sprintf("rule %q forbids it", d.Rule)
	}
	if d.Detail != "" {
		why = d.Detail
	}
	return fmt.Sprintf("rbac: %s of %s denied: %s (policy version %d)", d.Action, d.Resource, why, d.Version)
}

// Is makes errors.Is(err, ErrDenied) true.
func (d *Denied) Is(target error) bool { return target == ErrDenied }

func refused(format string, args ...any) error {
	return fmt.Errorf("rbac: %w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

func badPolicy(format string, args ...any) error {
	return fmt.Errorf("rbac: %w: %s", ErrPolicy, fmt.Sprintf(format, args...))
}
