package limit_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/limit"
)

func TestALimitedStoreIsAStore(t *testing.T) {
	backuptest.RunStore(t, func(t *testing.T) backup.Store {
		return limit.New(backup.NewMemory(), limit.Config{Concurrent: 1, PerSecond: 1e9, UploadPerSecond: 1 << 50, DownloadPerSecond: 1 << 50, Timeout: time.Hour})
	})
}

// slow takes a while for everything, and counts.
type slow struct {
	*backup.Memory
	takes       time.Duration
	now, at     atomic.Int32
	operations  atomic.Int32
	interrupted atomic.Int32
}

func (s *slow) work(ctx context.Context) error {
	s.operations.Add(1)
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for {
		most := s.at.Load()
		if n <= most || s.at.CompareAndSwap(most, n) {
			break
		}
	}
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		s.interrupted.Add(1)
		return ctx.Err()
	}
}

func (s *slow) Put(ctx context.Context, key string, data []byte) error {
	if err := s.work(ctx); err != nil {
		return err
	}
	return s.Memory.Put(ctx, key, data)
}

func (s *slow) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if err := s.work(ctx); err != nil {
		return nil, err
	}
	return s.Memory.Get(ctx, key, offset, length)
}

func (s *slow) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		for o, err := range s.Memory.List(ctx, prefix, after) {
			if err == nil {
				err = s.work(ctx)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

func TestNoMoreThanSoManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := &slow{Memory: backup.NewMemory(), takes: time.Second}
		s := limit.New(below, limit.Config{Concurrent: 3})
		begin := time.Now()
		var group sync.WaitGroup
		for i := range 12 {
			group.Go(func() { require.NoError(t, s.Put(t.Context(), fmt.Sprint("k", i), nil)) })
		}
		group.Wait()
		require.EqualValues(t, 3, below.at.Load())
		require.Equal(t, 4*time.Second, time.Since(begin))
	})
}

func TestSoManyOperationsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limit.New(backup.NewMemory(), limit.Config{PerSecond: 2})
		begin := time.Now()
		for range 7 {
			require.NoError(t, s.Delete(t.Context(), "k"))
		}
		require.Equal(t, 3*time.Second, time.Since(begin))
		time.Sleep(time.Hour) // what was not used is not saved up
		begin = time.Now()
		for range 3 {
			_, err := s.Stat(t.Context(), "k")
			require.Error(t, err)
		}
		require.Equal(t, time.Second, time.Since(begin))
	})
}

func TestSoManyBytesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limit.New(backup.NewMemory(), limit.Config{UploadPerSecond: 1000, DownloadPerSecond: 500})
		begin := time.Now()
		for i := range 3 {
			require.NoError(t, s.Put(t.Context(), fmt.Sprint("k", i), make([]byte, 2000)))
		}
		require.Equal(t, 4*time.Second, time.Since(begin), "the third waits until the first two are paid for")
		begin = time.Now()
		for i := range 3 {
			_, err := s.Get(t.Context(), fmt.Sprint("k", i), 0, 1000)
			require.NoError(t, err)
		}
		require.Equal(t, 4*time.Second, time.Since(begin))
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := &slow{Memory: backup.NewMemory(), takes: time.Hour}
		for name, cfg := range map[string]limit.Config{"slots": {Concurrent: 1}, "operations": {PerSecond: 1e-6}, "bytes": {UploadPerSecond: 1}} {
			s := limit.New(below, cfg)
			first := make(chan error, 1)
			go func() { first <- s.Put(t.Context(), "first"+name, make([]byte, 1<<20)) }()
			synctest.Wait()
			before := below.operations.Load()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			begin := time.Now()
			err := s.Put(ctx, "k", []byte("x"))
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.EqualError(t, err, "limit: put k: context deadline exceeded")
			require.Equal(t, time.Minute, time.Since(begin))
			require.Equal(t, before, below.operations.Load(), "the store was asked though the turn never came")
			cancel()
			require.NoError(t, <-first)
		}
	})
}

func TestAnOperationThatTakesTooLongIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := &slow{Memory: backup.NewMemory(), takes: time.Hour}
		require.NoError(t, below.Memory.Put(t.Context(), "k", nil))
		s := limit.New(below, limit.Config{Timeout: time.Minute})
		begin := time.Now()
		_, err := s.Get(t.Context(), "k", 0, -1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "limit: the operation took longer than Config.Timeout of 1m0s: context deadline exceeded")
		for _, err := range s.List(t.Context(), "", "") {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.Equal(t, 2*time.Minute, time.Since(begin))
		require.EqualValues(t, 2, below.interrupted.Load())
	})
}

// What the caller does between two objects is not the store's time, nor holds it a place.
func TestAListDoesNotCountItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := &slow{Memory: backup.NewMemory(), takes: 40 * time.Second}
		for i := range 5 {
			require.NoError(t, below.Memory.Put(t.Context(), fmt.Sprint("k", i), nil))
		}
		s := limit.New(below, limit.Config{Timeout: time.Minute, Concurrent: 1})
		seen := 0
		for o, err := range s.List(t.Context(), "", "") {
			require.NoError(t, err)
			time.Sleep(time.Hour)
			require.NoError(t, s.Delete(t.Context(), o.Key))
			seen++
		}
		require.Equal(t, 5, seen)
		for range 3 { // each stop gives its place back
			for range s.List(t.Context(), "", "") {
				break
			}
		}
		require.NoError(t, s.Put(t.Context(), "last", nil))
	})
}

// patient is a Retainer that takes until its context ends, and counts who is in it.
type patient struct {
	backup.Store
	inside, most atomic.Int32
	release      chan struct{}
}

func (s *patient) enter(ctx context.Context) error {
	n := s.inside.Add(1)
	defer s.inside.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	select {
	case <-s.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *patient) Retain(ctx context.Context, _ string, _ time.Time) error { return s.enter(ctx) }

func (s *patient) RetainedUntil(ctx context.Context, _ string) (time.Time, error) {
	return time.Time{}, s.enter(ctx)
}

func TestRequestsForLocksAreLimitedToo(t *testing.T) {
	_, ok := backup.AsRetainer(limit.New(backup.NewMemory(), limit.Config{}))
	require.False(t, ok)

	below := &patient{Store: backup.NewMemory(), release: make(chan struct{})}
	r, ok := backup.AsRetainer(limit.New(below, limit.Config{Timeout: time.Millisecond}))
	require.True(t, ok)
	require.ErrorIs(t, r.Retain(t.Context(), "k", time.Time{}), context.DeadlineExceeded)
	_, err := r.RetainedUntil(t.Context(), "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	below.most.Store(0)
	r, _ = backup.AsRetainer(limit.New(below, limit.Config{Concurrent: 2}))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { assert.NoError(t, r.Retain(t.Context(), "k", time.Time{})) })
		group.Go(func() { _, err := r.RetainedUntil(t.Context(), "k"); assert.NoError(t, err) })
	}
	require.Eventually(t, func() bool { return below.inside.Load() == 2 }, time.Minute, time.Millisecond)
	close(below.release)
	group.Wait()
	require.Equal(t, int32(2), below.most.Load())
}
