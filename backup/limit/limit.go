// Package limit keeps a backup from taking more of a store, or of the line to it,
// than it may.
//
// # What it does
//
// It bounds how many operations run at once, how many begin in a second, how many
// bytes go up and down in a second, and how long one operation may take. The
// bounds hold for one Store value: share it between repositories that shall share
// them. Waiting for its turn does not count as time of an operation, nor does
// what a caller does between two objects of a list.
//
// # The call you need
//
//	store = limit.New(store, limit.Config{Concurrent: 4, UploadPerSecond: 2 << 20, Timeout: time.Minute})
//
// # How it fails
//
// An operation that takes too long ends with an error that wraps
// context.DeadlineExceeded, though the caller's context has not ended; what it
// did is unknown, as after any failure. Package retry repeats it.
package limit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/confide-go/confide/backup"
)

// Config is the limits; zero means none.
type Config struct {
	Concurrent        int           // operations at once
	PerSecond         float64       // operations that begin in a second; a list counts as one
	UploadPerSecond   int64         // bytes
	DownloadPerSecond int64         // bytes
	Timeout           time.Duration // of one operation; in a list, from one object to the next
}

// New returns a store that uses another within limits.
func New(below backup.Store, cfg Config) *Store {
	s := &Store{below: below, timeout: cfg.Timeout}
	if cfg.Concurrent > 0 {
		s.slots = make(chan struct{}, cfg.Concurrent)
	}
	s.operations.rate = cfg.PerSecond
	s.up.rate = float64(cfg.UploadPerSecond)
	s.down.rate = float64(cfg.DownloadPerSecond)
	return s
}

// Store is a backup.Store within limits.
type Store struct {
	below                backup.Store
	slots                chan struct{}
	operations, up, down pace
	timeout              time.Duration
}

var _ backup.Store = (*Store)(nil)

// Unwrap returns the store whose use is limited.
func (s *Store) Unwrap() backup.Store { return s.below }

// Put implements backup.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	if err := s.up.wait(ctx, len(data)); err != nil {
		return fmt.Errorf("limit: put %s: %w", key, err)
	}
	return s.do(ctx, "put", key, func(ctx context.Context) error { return s.below.Put(ctx, key, data) })
}

// Get implements backup.Store.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	err = s.do(ctx, "get", key, func(ctx context.Context) (err error) {
		data, err = s.below.Get(ctx, key, offset, length)
		return err
	})
	if err != nil {
		return nil, err
	}
	// How much it is, is known only now: the next one waits for it.
	if err := s.down.wait(ctx, len(data)); err != nil {
		return nil, fmt.Errorf("limit: get %s: %w", key, err)
	}
	return data, nil
}

// Stat implements backup.Store.
func (s *Store) Stat(ctx context.Context, key string) (o backup.Object, err error) {
	err = s.do(ctx, "stat", key, func(ctx context.Context) (err error) {
		o, err = s.below.Stat(ctx, key)
		return err
	})
	return o, err
}

// Delete implements backup.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.do(ctx, "delete", key, func(ctx context.Context) error { return s.below.Delete(ctx, key) })
}

func (s *Store) do(ctx context.Context, name, key string, operation func(context.Context) error) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("limit: %s %s: %w", name, key, err)
	}
	defer s.leave()
	limited, done := s.clock(ctx)
	defer done()
	return s.explain(ctx, limited, operation(limited))
}

// List implements backup.Store. Its place among the concurrent ones is free
// while the caller looks at an object, who may want to delete it.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(backup.Object{}, fmt.Errorf("limit: list: %w", err))
			return
		}
		inside := true
		defer func() {
			if inside {
				s.leave()
			}
		}()
		limited, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		w := s.watch(cancel)
		defer w.stop()
		for o, err := range s.below.List(limited, prefix, after) {
			w.stop()
			s.leave()
			inside = false
			if !yield(o, s.explain(ctx, limited, err)) || err != nil {
				return
			}
			if err := s.slot(ctx); err != nil {
				yield(backup.Object{}, fmt.Errorf("limit: list: %w", err))
				return
			}
			inside = true
			w = s.watch(cancel)
		}
	}
}

// enter waits for the operation's turn.
func (s *Store) enter(ctx context.Context) error {
	if err := s.operations.wait(ctx, 1); err != nil {
		return err
	}
	return s.slot(ctx)
}

func (s *Store) slot(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.slots == nil {
		return nil
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() {
	if s.slots != nil {
		<-s.slots
	}
}

var errTooLong = errors.New("limit: the operation took longer than Config.Timeout")

func (s *Store) clock(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, s.timeout, errTooLong)
}

// A watch cancels a list that takes too long to come to its next object.
type watch struct{ timer *time.Timer }

func (s *Store) watch(cancel context.CancelCauseFunc) watch {
	if s.timeout <= 0 {
		return watch{}
	}
	return watch{time.AfterFunc(s.timeout, func() { cancel(errTooLong) })}
}

func (w watch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// explain tells a timeout of ours from the end of the caller's context.
func (s *Store) explain(ctx, limited context.Context, err error) error {
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(limited), errTooLong) {
		return fmt.Errorf("%w of %s: %w", errTooLong, s.timeout, context.DeadlineExceeded)
	}
	return err
}

// A pace lets so many units pass in a second, in any sizes: each is let go when
// those before it are paid for.
type pace struct {
	rate float64 // 0: any

	mu   sync.Mutex
	paid time.Time // when all that was let go is paid for
}

func (p *pace) wait(ctx context.Context, units int) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	p.mu.Lock()
	now := time.Now()
	if p.paid.Before(now) {
		p.paid = now
	}
	wait := p.paid.Sub(now)
	p.paid = p.paid.Add(time.Duration(float64(units) / p.rate * float64(time.Second)))
	p.mu.Unlock()
	select {
	case <-time.After(wait):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
