package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/limit"
	"github.com/confide-go/confide/backup/retry"
)

var errLine = errors.New("line is down")

// faulty fails as a fault says, before an operation or after it was done.
type faulty struct {
	backup.Store
	mu     sync.Mutex
	calls  map[string]int
	before func(op string, call int) error
	after  func(op string, call int) error
}

func (f *faulty) do(op string, operation func() error) error {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[op]++
	call := f.calls[op]
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(op, call); err != nil {
			return err
		}
	}
	err := operation()
	if err == nil && f.after != nil {
		err = f.after(op, call)
	}
	return err
}

func (f *faulty) Put(ctx context.Context, key string, data []byte) error {
	return f.do("put", func() error { return f.Store.Put(ctx, key, data) })
}

func (f *faulty) Get(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	err = f.do("get", func() (err error) { data, err = f.Store.Get(ctx, key, offset, length); return err })
	return data, err
}

func (f *faulty) Stat(ctx context.Context, key string) (o backup.Object, err error) {
	err = f.do("stat", func() (err error) { o, err = f.Store.Stat(ctx, key); return err })
	return o, err
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	return f.do("delete", func() error { return f.Store.Delete(ctx, key) })
}

func (f *faulty) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		for o, err := range f.Store.List(ctx, prefix, after) {
			if err == nil {
				err = f.do("list", func() error { return nil })
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

func quick(below backup.Store) backup.Store {
	return retry.New(below, retry.Config{Attempts: 60, Base: time.Nanosecond, Max: time.Microsecond})
}

// TestAStoreThatFailsNowAndThenIsAStore runs the whole suite over a store of
// which every third operation fails after it was done, reads and deletes also before, and
// lists in between.
func TestAStoreThatFailsNowAndThenIsAStore(t *testing.T) {
	backuptest.RunStore(t, func(t *testing.T) backup.Store {
		sometimes := func(op string, _ int) error {
			if op == "list" && rand.N(500) == 0 || op != "list" && rand.N(3) == 0 {
				return errLine
			}
			return nil
		}
		return quick(&faulty{Store: backup.NewMemory(), after: sometimes, before: func(op string, call int) error {
			if op == "put" {
				return nil
			}
			return sometimes(op, call)
		}})
	})
}

func TestAPutThatFailedButPersistedHasSucceeded(t *testing.T) {
	below := backup.NewMemory()
	f := &faulty{Store: below, after: func(op string, call int) error {
		if op == "put" {
			return errLine
		}
		return nil
	}}
	require.NoError(t, quick(f).Put(t.Context(), "k", []byte("mine")))
	require.Equal(t, 2, f.calls["put"])
	got, err := below.Get(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "mine", string(got))
}

func TestAPutThatFailedAndMeetsAnotherWritersObjectHasLost(t *testing.T) {
	for _, foreign := range []string{"", "m", "mine and more", "nine"} {
		below := backup.NewMemory()
		f := &faulty{Store: below, before: func(op string, call int) error {
			if op == "put" && call == 1 {
				require.NoError(t, below.Put(t.Context(), "k", []byte(foreign)))
				return errLine
			}
			return nil
		}}
		require.ErrorIs(t, quick(f).Put(t.Context(), "k", []byte("mine")), fs.ErrExist, "%q", foreign)
	}
}

// An object that was there before is never taken for one's own, even with equal
// content, unless an attempt of this very put had failed.
func TestAPutThatDidNotFailKnowsThatItLost(t *testing.T) {
	below := backup.NewMemory()
	require.NoError(t, below.Put(t.Context(), "k", []byte("mine")))
	f := &faulty{Store: below}
	require.ErrorIs(t, quick(f).Put(t.Context(), "k", []byte("mine")), fs.ErrExist)
	require.Zero(t, f.calls["get"])
}

// The look at what is there may fail as well: passing failures are repeated, and
// without an answer there is no success.
func TestAPutThatCannotLookDoesNotSucceed(t *testing.T) {
	for name, answer := range map[string]error{"passing": errLine, "denied": fs.ErrPermission, "gone": fs.ErrNotExist} {
		f := &faulty{Store: backup.NewMemory(),
			after:  func(op string, call int) error { return map[bool]error{true: errLine}[op == "put"] },
			before: func(op string, call int) error { return map[bool]error{true: answer}[op == "get"] }}
		err := quick(f).Put(t.Context(), "k", []byte("mine"))
		require.ErrorIs(t, err, answer, name)
	}
}

func TestAnswersAreNotRepeated(t *testing.T) {
	for _, answer := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, fs.ErrInvalid, errors.ErrUnsupported} {
		f := &faulty{Store: backup.NewMemory(), before: func(string, int) error { return fmt.Errorf("store: %w", answer) }}
		s := retry.New(f, retry.Config{Base: time.Hour})
		require.ErrorIs(t, s.Put(t.Context(), "k", nil), answer)
		_, err := s.Get(t.Context(), "k", 0, -1)
		require.ErrorIs(t, err, answer)
		_, err = s.Stat(t.Context(), "k")
		require.ErrorIs(t, err, answer)
		require.ErrorIs(t, s.Delete(t.Context(), "k"), answer)
		require.NoError(t, f.Store.Put(t.Context(), "k", nil))
		for _, err := range s.List(t.Context(), "", "") {
			require.ErrorIs(t, err, answer)
		}
		require.Equal(t, map[string]int{"put": 1, "get": 1, "stat": 1, "delete": 1, "list": 1}, f.calls)
	}
}

// TestAListGoesOnWhereItFailed fails a list at each position, as often as allowed.
func TestAListGoesOnWhereItFailed(t *testing.T) {
	below := backup.NewMemory()
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("k/%02d", i))
		require.NoError(t, below.Put(t.Context(), want[i], nil))
	}
	f := &faulty{Store: below, before: func(_ string, call int) error {
		if call%3 != 0 { // two failures before each object: more than Attempts in all
			return errLine
		}
		return nil
	}}
	var got []string
	for o, err := range retry.New(f, retry.Config{Attempts: 3, Base: 1, Max: 1}).List(t.Context(), "k/", "") {
		require.NoError(t, err)
		got = append(got, o.Key)
	}
	require.Equal(t, want, got)

	f = &faulty{Store: below, before: func(_ string, call int) error {
		if call > 5 {
			return errLine
		}
		return nil
	}}
	got = nil
	var failed error
	for o, err := range retry.New(f, retry.Config{Attempts: 3, Base: 1, Max: 1}).List(t.Context(), "k/", "") {
		if failed = err; err == nil {
			got = append(got, o.Key)
		}
	}
	require.Equal(t, want[:5], got)
	require.EqualError(t, failed, "retry: 3 attempts: line is down")
}

func TestWaitsAreRandomAndDoubleUpToTheirBound(t *testing.T) {
	longest := map[int]time.Duration{}
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var last time.Time
			f := &faulty{Store: backup.NewMemory(), before: func(_ string, call int) error {
				if call > 1 {
					longest[call] = max(longest[call], time.Since(last))
				}
				last = time.Now()
				return errLine
			}}
			reported := 0
			s := retry.New(f, retry.Config{Attempts: 6, Base: time.Second, Max: 5 * time.Second, Report: func(err error) {
				require.ErrorIs(t, err, errLine)
				reported++
			}})
			require.EqualError(t, s.Delete(t.Context(), "k"), "retry: 6 attempts: line is down")
			require.Equal(t, 6, f.calls["delete"])
			require.Equal(t, 5, reported)
		})
	}
	for call, bound := range map[int]time.Duration{2: 1, 3: 2, 4: 4, 5: 5, 6: 5} {
		require.LessOrEqual(t, longest[call], bound*time.Second+1, "wait before attempt %d", call)
		require.Greater(t, longest[call], bound*time.Second/2, "longest of 200 waits before attempt %d", call)
	}
}

func TestTheCallersContextEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f := &faulty{Store: backup.NewMemory(), before: func(string, int) error { return errLine }}
		begin := time.Now()
		err := retry.New(f, retry.Config{Attempts: 1 << 30, Base: time.Hour, Max: time.Hour}).Delete(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errLine)
		require.LessOrEqual(t, time.Since(begin), time.Second)
	})
}

// A deadline below is a failure like others, as long as the caller has time.
func TestADeadlineBelowIsRepeated(t *testing.T) {
	f := &faulty{Store: backup.NewMemory(), before: func(_ string, call int) error {
		if call == 1 {
			return context.DeadlineExceeded
		}
		return nil
	}}
	require.NoError(t, quick(f).Put(t.Context(), "k", nil))
}

func TestRetentionIsFoundBelowAndRepeated(t *testing.T) {
	_, ok := backup.AsRetainer(quick(backup.NewMemory()))
	require.False(t, ok)
	kept := &retainer{Store: backup.NewMemory(), failures: 2}
	r, ok := backup.AsRetainer(limit.New(quick(kept), limit.Config{}))
	require.True(t, ok)
	until := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, r.Retain(t.Context(), "k", until))
	kept.failures = 2
	got, err := r.RetainedUntil(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, until, got)
	require.Equal(t, 6, kept.calls)

	kept.refuse = fs.ErrPermission
	require.ErrorIs(t, r.Retain(t.Context(), "k", until), fs.ErrPermission)
	require.Equal(t, 7, kept.calls, "an answer is not asked for again")
}

// A retainer fails so many times, and then does it.
type retainer struct {
	backup.Store
	calls, failures int
	refuse          error
	until           time.Time
}

func (r *retainer) fail() error {
	r.calls++
	if r.failures--; r.failures >= 0 {
		return errors.New("connection reset")
	}
	return r.refuse
}

func (r *retainer) Retain(_ context.Context, _ string, until time.Time) error {
	err := r.fail()
	if err == nil {
		r.until = until
	}
	return err
}

func (r *retainer) RetainedUntil(context.Context, string) (time.Time, error) {
	return r.until, r.fail()
}
