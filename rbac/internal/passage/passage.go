// Package passage marks the context in which the guard hands a statement to the database, so that rbactest
// can tell which statements came through it.
package passage

import "context"

type key struct{}

// A Mark says how a statement passed.
type Mark struct {
	context.Context
	System string // the reason of rbac.System; "" if the statement was scoped
}

// Value finds the mark in its own context.
func (m *Mark) Value(k any) any {
	if k == (key{}) {
		return m
	}
	return m.Context.Value(k)
}

// With marks a context. system is the reason of rbac.System, or "".
func With(ctx context.Context, system string) context.Context { return &Mark{ctx, system} }

// Of returns the mark of a context, or nil.
func Of(ctx context.Context) *Mark {
	m, _ := ctx.Value(key{}).(*Mark)
	return m
}
