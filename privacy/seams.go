package privacy

import (
	"context"
	"log/slog"
)

// A Gate decides who may see values in full. *rbac.Authorizer is one.
type Gate interface {
	// MayReveal reports nil if the caller in ctx may see these fields of all these rows.
	MayReveal(ctx context.Context, resource string, rows, fields []string) error
}

// A Recorder writes down what was done with personal data. *audit.Log is one. The attributes are names
// and ids, never values.
type Recorder interface {
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
}

// AllowAll is the gate that lets everybody see everything. It is for programs with one user and for tests.
var AllowAll Gate = allowAll{}

// Discard is the recorder that writes nothing down.
var Discard Recorder = discard{}

type allowAll struct{}

func (allowAll) MayReveal(context.Context, string, []string, []string) error { return nil }

type discard struct{}

func (discard) Record(context.Context, string, ...slog.Attr) error { return nil }
