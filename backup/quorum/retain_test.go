package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/quorum"
	"github.com/confide-go/confide/backup/retry"
)

// A safe is a node with object lock.
type safe struct {
	*node
	until map[string]time.Time
	down  bool
}

func newSafe() *safe {
	return &safe{node: &node{Memory: backup.NewMemory()}, until: map[string]time.Time{}}
}

func (s *safe) Retain(ctx context.Context, key string, until time.Time) error {
	_, err := s.Memory.Stat(ctx, key)
	switch {
	case s.down:
		return errDown
	case err != nil:
		return err
	case until.Before(s.until[key]):
		return fmt.Errorf("safe: %w", fs.ErrPermission)
	}
	s.until[key] = until
	return nil
}

func (s *safe) RetainedUntil(ctx context.Context, key string) (time.Time, error) {
	_, err := s.Memory.Stat(ctx, key)
	if s.down {
		err = errDown
	}
	return s.until[key], err
}

func (s *safe) Delete(ctx context.Context, key string) error {
	if !s.until[key].IsZero() {
		return fmt.Errorf("safe: delete %s: %w", key, fs.ErrPermission)
	}
	return s.node.Delete(ctx, key)
}

func over(t *testing.T, stores ...backup.Store) *quorum.Store {
	t.Helper()
	s, err := quorum.New(quorum.Config{Stores: stores})
	require.NoError(t, err)
	return s
}

func TestAQuorumRetainsIfEnoughStoresCan(t *testing.T) {
	a, b, c := newSafe(), newSafe(), newSafe()
	for _, few := range []*quorum.Store{over(t, a, backup.NewMemory(), backup.NewMemory()), over(t, a, backup.NewMemory())} {
		_, ok := backup.AsRetainer(few)
		require.False(t, ok, "one is not enough")
	}
	plain := backup.NewMemory()
	for _, stores := range [][]backup.Store{{a, b, c}, {a, b, plain}, {plain, a, retry.New(b, retry.Config{})}, {a, b}} {
		_, ok := backup.AsRetainer(over(t, stores...))
		require.True(t, ok)
	}
}

func TestAnObjectIsRetainedAsLongAsEnoughStoresRetainIt(t *testing.T) {
	a, b, c := newSafe(), newSafe(), newSafe()
	s := over(t, a, b, c)
	r, _ := backup.AsRetainer(s)
	ctx, day := t.Context(), func(n int) time.Time { return time.Date(2030, 1, n, 0, 0, 0, 0, time.UTC) }
	_, err := r.RetainedUntil(ctx, "k")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, r.Retain(ctx, "k", day(1)), fs.ErrNotExist)
	require.NoError(t, s.Put(ctx, "k", []byte("x")))
	ends := func(want time.Time) {
		t.Helper()
		got, err := r.RetainedUntil(ctx, "k")
		require.NoError(t, err)
		require.True(t, want.Equal(got), "%v", got)
	}
	ends(time.Time{})
	require.NoError(t, r.Retain(ctx, "k", day(2)))
	ends(day(2))
	a.until["k"] = day(9)
	ends(day(2)) // one store alone is no promise
	b.until["k"] = day(5)
	ends(day(5))
	c.down = true
	ends(day(5))
	require.NoError(t, r.Retain(ctx, "k", day(9)))
	ends(day(9))
	require.ErrorIs(t, s.Delete(ctx, "k"), fs.ErrPermission)
	a.down = true
	require.ErrorIs(t, r.Retain(ctx, "k", day(10)), errDown)
	_, err = r.RetainedUntil(ctx, "k")
	require.ErrorIs(t, err, errDown)
	require.ErrorContains(t, err, "quorum: retention of k: fewer than 2 of 3 stores agree")

	// Missing in one, which does not answer for the others.
	a.down, c.down = false, false
	require.NoError(t, c.Memory.Delete(ctx, "k"))
	ends(day(9))
	require.NoError(t, r.Retain(ctx, "k", day(11)))
	a.down = true
	require.False(t, errors.Is(r.Retain(ctx, "k", day(12)), fs.ErrNotExist), "it may be in the one that is down")
}

// What is done to the stores that cannot retain does not reach the object.
func TestWhatEnoughStoresRetainIsReadWhateverTheOthersDo(t *testing.T) {
	a, b, plain := newSafe(), newSafe(), backup.NewMemory()
	s := over(t, plain, a, b)
	r, _ := backup.AsRetainer(s)
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "k", []byte("true")))
	require.NoError(t, r.Retain(ctx, "k", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
	require.ErrorIs(t, s.Delete(ctx, "k"), fs.ErrPermission) // and gone from the first
	got, err := s.Get(ctx, "k", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "true", string(got))
	require.NoError(t, plain.Delete(ctx, "k"))
	require.NoError(t, plain.Put(ctx, "k", []byte("false")))
	got, err = s.Get(ctx, "k", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "true", string(got))
}
