package rbac

import (
	"context"
	"sync"

	"gorm.io/gorm"
)

type systemKey struct{}

type txKey struct{}

// system is one grant of System. It remembers what it was used for, so that a loop over ten thousand rows
// is one record and not ten thousand.
type system struct {
	reason string
	mu     sync.Mutex
	used   map[string]bool
}

// System returns a context whose statements see and change all rows of all tables: for migrations, imports
// and jobs. It is the one way around the guard. Its use is recorded with the reason, once for each
// operation on each resource; if it cannot be recorded it is refused. Never derive it from a request.
func System(ctx context.Context, reason string) context.Context {
	return context.WithValue(ctx, systemKey{}, &system{reason: reason, used: map[string]bool{}})
}

func systemOf(ctx context.Context) *system {
	s, _ := ctx.Value(systemKey{}).(*system)
	return s
}

// WithTx makes MayReveal and policy stores work inside tx, on its connection: rows that tx has written
// count, and a database with one writer does not wait for itself.
func WithTx(ctx context.Context, tx *gorm.DB) context.Context {
	return context.WithValue(ctx, txKey{}, tx)
}

// Tx returns the transaction of WithTx, or nil. It is for policy stores.
func Tx(ctx context.Context) *gorm.DB {
	tx, _ := ctx.Value(txKey{}).(*gorm.DB)
	return tx
}
