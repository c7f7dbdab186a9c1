package limit

import (
	"context"
	"time"

	"github.com/confide-go/confide/backup"
)

// AsRetainer returns the Retainer below, if there is one, whose requests count as
// operations like all others.
func (s *Store) AsRetainer() (backup.Retainer, bool) {
	below, ok := backup.AsRetainer(s.below)
	if !ok {
		return nil, false
	}
	return retainer{s, below}, true
}

type retainer struct {
	store *Store
	below backup.Retainer
}

func (r retainer) Retain(ctx context.Context, key string, until time.Time) error {
	return r.store.do(ctx, "retain", key, func(ctx context.Context) error { return r.below.Retain(ctx, key, until) })
}

func (r retainer) RetainedUntil(ctx context.Context, key string) (until time.Time, err error) {
	err = r.store.do(ctx, "retention of", key, func(ctx context.Context) (err error) {
		until, err = r.below.RetainedUntil(ctx, key)
		return err
	})
	return until, err
}
