// Package who carries through a context who is at work, from where, and on whose
// behalf. It is set once, at the edge: by the page server from the session, by
// the command line from the verb. The packages of Confide ask for it through
// functions given to them in wire.go.
package who

import (
	"context"
	"time"
)

// Who is at work.
type Who struct {
	ID        string // of the user; "operator" on the command line
	Tenant    string
	Reports   []string // the user and everybody below in the manager tree
	Email     string   // of the user, for rules about people who are customers too
	IP        string
	RequestID string
	Channel   string // "web", "cli" or "schedule"

	SignedIn  time.Time // when the user last proved who they are
	Assurance int64     // how: 1 by a password
}

type key struct{}

// With returns a context in which w is at work.
func With(ctx context.Context, w Who) context.Context { return context.WithValue(ctx, key{}, w) }

// From returns who is at work, the zero Who if nobody is.
func From(ctx context.Context) Who {
	w, _ := ctx.Value(key{}).(Who)
	return w
}
