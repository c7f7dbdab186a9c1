package quorum

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/confide-go/confide/backup"
)

// AsRetainer returns a Retainer if at least Write of the stores can retain: what
// so many keep exists, whatever is done to the others. An object is retained as
// long as Write stores retain it.
func (s *Store) AsRetainer() (backup.Retainer, bool) {
	r := retainer{store: s, members: make([]backup.Retainer, len(s.stores))}
	for i, store := range s.stores {
		if member, ok := backup.AsRetainer(store); ok {
			r.members[i] = member
			r.able = append(r.able, i)
		}
	}
	return r, len(r.able) >= s.write
}

type retainer struct {
	store   *Store
	members []backup.Retainer // by store; nil: cannot
	able    []int
}

func (r retainer) Retain(ctx context.Context, key string, until time.Time) error {
	errs := r.store.each(r.able, func(i int) error { return r.members[i].Retain(ctx, key, until) })
	return r.enough(ctx, "retain", key, errs)
}

func (r retainer) RetainedUntil(ctx context.Context, key string) (time.Time, error) {
	ends := make([]time.Time, len(r.members))
	errs := r.store.each(r.able, func(i int) (err error) {
		ends[i], err = r.members[i].RetainedUntil(ctx, key)
		return err
	})
	if err := r.enough(ctx, "retention of", key, errs); err != nil {
		return time.Time{}, err
	}
	var known []time.Time
	for _, i := range r.able {
		if errs[i] == nil {
			known = append(known, ends[i])
		}
	}
	slices.SortFunc(known, func(a, b time.Time) int { return b.Compare(a) })
	return known[r.store.write-1], nil
}

// enough returns nil if so many stores have done it that an object which is safe
// in them is safe; fs.ErrNotExist if it is missing in so many that it is nowhere.
func (r retainer) enough(ctx context.Context, op, key string, errs []error) error {
	done, absent := 0, 0
	for _, i := range r.able {
		switch {
		case errs[i] == nil:
			done++
		case errors.Is(errs[i], fs.ErrNotExist):
			absent++
		}
	}
	switch {
	case done >= r.store.write:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("quorum: %s %s: %w", op, key, ctx.Err())
	case done == 0 && absent > len(r.store.stores)-r.store.write:
		return fmt.Errorf("quorum: %s %s: %w", op, key, fs.ErrNotExist)
	}
	return r.store.failed(op, key, errs)
}
