package retry

import (
	"context"
	"time"

	"github.com/confide-go/confide/backup"
)

// AsRetainer returns the Retainer below, if there is one, with its requests
// repeated: to retain until the same time again changes nothing.
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
	return r.store.do(ctx, func() error { return r.below.Retain(ctx, key, until) })
}

func (r retainer) RetainedUntil(ctx context.Context, key string) (until time.Time, err error) {
	err = r.store.do(ctx, func() (err error) {
		until, err = r.below.RetainedUntil(ctx, key)
		return err
	})
	return until, err
}
