// Package retry repeats what a store failed to do for a passing reason.
//
// # What it does
//
// Every operation of backup.Store can be repeated without harm: reads and deletes
// by nature, a list from the last key it yielded, and a put because it never
// replaces. One thing needs care: a put that failed may have stored the object,
// and the next attempt then meets it. It is recognised by its content, and the
// put has succeeded. So if another writer stored the very same bytes meanwhile,
// both are told that they succeeded.
//
// # The call you need
//
//	store = retry.New(store, retry.Config{})
//
// Waits are random, up to a bound that doubles from attempt to attempt, so that
// many writers do not come back together. To repeat what takes too long as well,
// put a limit.Config.Timeout below: retry.New(limit.New(store, ...), ...).
//
// # How it fails
//
// With the last error, which says how many attempts were made. fs.ErrExist,
// fs.ErrNotExist, fs.ErrPermission, fs.ErrInvalid, errors.ErrUnsupported and the
// end of the caller's context are answers, and not repeated.
package retry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/confide-go/confide/backup"
)

// Config says how often and how soon; the zero value is useful.
type Config struct {
	Attempts int           // of one operation, the first included; 0: 8
	Base     time.Duration // bound of the first wait; 0: 200 ms
	Max      time.Duration // bound of every wait; 0: 30 s
	Report   func(error)   // told of each failure that is repeated, from any goroutine; may be nil
}

// New returns a store that repeats what another fails to do.
func New(below backup.Store, cfg Config) *Store {
	if cfg.Attempts <= 0 {
		cfg.Attempts = 8
	}
	if cfg.Base <= 0 {
		cfg.Base = 200 * time.Millisecond
	}
	if cfg.Max <= 0 {
		cfg.Max = 30 * time.Second
	}
	return &Store{below: below, cfg: cfg}
}

// Store is a backup.Store that repeats.
type Store struct {
	below backup.Store
	cfg   Config
}

var _ backup.Store = (*Store)(nil)

// Unwrap returns the store whose operations are repeated.
func (s *Store) Unwrap() backup.Store { return s.below }

// Put implements backup.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	failed := false
	return s.do(ctx, func() error {
		err := s.below.Put(ctx, key, data)
		if failed && errors.Is(err, fs.ErrExist) {
			return s.own(ctx, key, data, err)
		}
		failed = true
		return err
	})
}

// own decides whether an object that exists is what an earlier attempt stored.
func (s *Store) own(ctx context.Context, key string, data []byte, exists error) error {
	stored, err := s.below.Get(ctx, key, 0, int64(len(data))+1)
	switch {
	case err == nil && bytes.Equal(stored, data):
		return nil
	case err == nil:
		return exists
	case permanent(err): // whatever that is, the object is not known to be ours
		return errors.Join(exists, err)
	}
	return err
}

// Get implements backup.Store.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	err = s.do(ctx, func() (err error) {
		data, err = s.below.Get(ctx, key, offset, length)
		return err
	})
	return data, err
}

// Stat implements backup.Store.
func (s *Store) Stat(ctx context.Context, key string) (o backup.Object, err error) {
	err = s.do(ctx, func() (err error) {
		o, err = s.below.Stat(ctx, key)
		return err
	})
	return o, err
}

// Delete implements backup.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.do(ctx, func() error { return s.below.Delete(ctx, key) })
}

// List implements backup.Store.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		for {
			stopped, came := false, false
			err := s.do(ctx, func() (failed error) {
				for o, err := range s.below.List(ctx, prefix, after) {
					if err != nil {
						failed = err
						break
					}
					after, came = o.Key, true
					if !yield(o, nil) {
						stopped = true
						return nil
					}
				}
				if came && failed != nil && !permanent(failed) && ctx.Err() == nil {
					return nil // progress: attempts are counted anew
				}
				came = false
				return failed
			})
			switch {
			case stopped:
				return
			case err != nil:
				yield(backup.Object{}, err)
				return
			case !came:
				return
			}
		}
	}
}

// do repeats an operation until it succeeds, is answered, or has been tried
// often enough.
func (s *Store) do(ctx context.Context, operation func() error) error {
	for attempt := 1; ; attempt++ {
		err := operation()
		switch {
		case err == nil || permanent(err) || errors.Is(err, ctx.Err()):
			return err
		case ctx.Err() != nil:
			return ended(ctx, err)
		}
		if attempt == s.cfg.Attempts {
			return fmt.Errorf("retry: %d attempts: %w", attempt, err)
		}
		if s.cfg.Report != nil {
			s.cfg.Report(err)
		}
		select {
		case <-time.After(s.wait(attempt)):
		case <-ctx.Done():
			return ended(ctx, err)
		}
	}
}

func ended(ctx context.Context, last error) error {
	return fmt.Errorf("retry: %w after: %w", ctx.Err(), last)
}

func (s *Store) wait(attempt int) time.Duration {
	bound := s.cfg.Max
	if shift := attempt - 1; shift < 32 && s.cfg.Base<<shift > 0 {
		bound = min(bound, s.cfg.Base<<shift)
	}
	return rand.N(bound) + 1
}

// permanent reports whether an error is an answer. A deadline is not: only the
// caller's own context says that there is no time left.
func permanent(err error) bool {
	for _, answer := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, fs.ErrInvalid, errors.ErrUnsupported} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}
