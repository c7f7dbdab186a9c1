package backuptest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
)

func list(t T, s backup.Store, prefix, after string) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(t.Context(), prefix, after) {
		require.NoError(t, err)
		keys = append(keys, o.Key)
	}
	return keys
}

func storeList(t T, s backup.Store) {
	ctx := t.Context()
	sorted := []string{"a-b", "a.c", "a/b", "a/c/d", "a0", "b/1", "b/10", "b/2"}
	for i := range sorted {
		key := sorted[(i*5)%len(sorted)]
		require.NoError(t, s.Put(ctx, key, []byte(key)))
		require.Contains(t, list(t, s, "", ""), key, "a list after a put contains it")
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", sorted},
		{"a", "", sorted[:5]},
		{"a/", "", []string{"a/b", "a/c/d"}},
		{"a/c", "", []string{"a/c/d"}},
		{"a/c/d", "", []string{"a/c/d"}},
		{"a/c/d/", "", nil},
		{"b/1", "", []string{"b/1", "b/10"}},
		{"b/", "b/1", []string{"b/10", "b/2"}},
		{"b/", "b/11", []string{"b/2"}},
		{"b/", "a", []string{"b/1", "b/10", "b/2"}},
		{"b/", "b", []string{"b/1", "b/10", "b/2"}},
		{"", "a/c", []string{"a/c/d", "a0", "b/1", "b/10", "b/2"}},
		{"", "b/2", nil},
		{"b/", "c", nil},
		{"none", "", nil},
	} {
		require.Equal(t, c.want, list(t, s, c.prefix, c.after), "prefix %q, after %q", c.prefix, c.after)
	}
	for o, err := range s.List(ctx, "", "") {
		require.NoError(t, err)
		require.Equal(t, int64(len(o.Key)), o.Size, "size of %s in a list", o.Key)
	}
}

// storeLongList needs two pages of every service: they have 1000 objects.
func storeLongList(t T, s backup.Store) {
	const objects, writers = 1100, 16
	key := func(i int) string { return fmt.Sprintf("long/%d/%04d", i/500, i) }
	want := make([]string, objects)
	errs := make([]error, writers)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := w; i < objects; i += writers {
				want[i] = key(i)
				errs[w] = errors.Join(errs[w], s.Put(t.Context(), key(i), nil))
			}
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	requireKeys(t, want, list(t, s, "", ""))
	requireKeys(t, want[500:1000], list(t, s, "long/1/", ""))
	for _, i := range []int{0, 499, 999, 1000, objects - 1} {
		requireKeys(t, want[i+1:], list(t, s, "long/", key(i)))
	}
	var seen []string
	for o, err := range s.List(t.Context(), "long/", "") {
		require.NoError(t, err)
		if seen = append(seen, o.Key); len(seen) == 1003 {
			break
		}
	}
	requireKeys(t, want[:1003], seen)
}

// requireKeys compares without printing thousands of keys.
func requireKeys(t T, want, got []string) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Errorf("a list has %q where %q belongs, at position %d of %d", got[i], want[i], i, len(want))
			t.FailNow()
		}
	}
	if len(want) != len(got) {
		t.Errorf("a list has %d objects instead of %d", len(got), len(want))
		t.FailNow()
	}
}

func storeListWhileDeleting(t T, s backup.Store) {
	ctx := t.Context()
	for i := range 50 {
		require.NoError(t, s.Put(ctx, fmt.Sprintf("x/%03d", i), []byte("x")))
	}
	seen := 0
	for o, err := range s.List(ctx, "x/", "") {
		require.NoError(t, err)
		require.NoError(t, s.Delete(ctx, o.Key))
		if seen++; seen == 20 {
			break
		}
	}
	require.Len(t, list(t, s, "x/", ""), 30)
}

func storeDelete(t T, s backup.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "d/one", []byte("1")))
	require.NoError(t, s.Put(ctx, "d/two", []byte("2")))
	require.NoError(t, s.Delete(ctx, "d/one"))
	_, err := s.Stat(ctx, "d/one")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = s.Get(ctx, "d/one", 0, -1)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, []string{"d/two"}, list(t, s, "", ""))
	require.NoError(t, s.Delete(ctx, "d/one"))
	require.NoError(t, s.Delete(ctx, "never/was"))
	require.NoError(t, s.Delete(ctx, "d"), "a part of a key is no object")
	require.NoError(t, s.Delete(ctx, "d/two/below"), "an object is no directory")
	require.Equal(t, []string{"d/two"}, list(t, s, "", ""))
}

func storePutAfterDelete(t T, s backup.Store) {
	ctx := t.Context()
	for round := range 3 {
		require.NoError(t, s.Put(ctx, "again", []byte{byte(round)}), "round %d", round)
		require.ErrorIs(t, s.Put(ctx, "again", []byte("other")), fs.ErrExist, "round %d", round)
		got, err := s.Get(ctx, "again", 0, -1)
		require.NoError(t, err)
		require.Equal(t, []byte{byte(round)}, got)
		require.NoError(t, s.Delete(ctx, "again"))
		_, err = s.Get(ctx, "again", 0, -1)
		require.ErrorIs(t, err, fs.ErrNotExist, "an older version must not come back")
	}
}

func storeRefusesDelete(t T, s backup.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "kept/object", []byte("kept")))
	require.ErrorIs(t, s.Delete(ctx, "kept/object"), fs.ErrPermission)
	got, err := s.Get(ctx, "kept/object", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "kept", string(got))
	require.Equal(t, []string{"kept/object"}, list(t, s, "", ""))
	require.ErrorIs(t, s.Put(ctx, "kept/object", []byte("other")), fs.ErrExist)
}

func storeCancelled(t T, s backup.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Put(ctx, "late", []byte("x")), context.Canceled)
	_, err := s.Get(ctx, "late", 0, -1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Stat(ctx, "late")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Delete(ctx, "late"), context.Canceled)
	require.Empty(t, list(t, s, "", ""))

	// And while it is at work: stored whole, or not at all.
	content := noise(3, 5<<20)
	for i := range 5 {
		key := fmt.Sprintf("meanwhile/%d", i)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Put(ctx, key, content) }()
		for range i * 200 { // a little later each time
			ctx.Err()
		}
		cancel()
		err := <-done
		got, readErr := s.Get(t.Context(), key, 0, -1)
		if errors.Is(readErr, fs.ErrNotExist) {
			require.Error(t, err, "a put that succeeded stored nothing")
			continue
		}
		require.NoError(t, readErr)
		requireBytes(t, content, got, "an object whose put was cancelled")
	}
}

func storeListCancelled(t T, s backup.Store) {
	for i := range 3 {
		require.NoError(t, s.Put(t.Context(), fmt.Sprintf("k/%d", i), []byte("x")))
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	var ended error
	for _, err := range s.List(ctx, "", "") {
		if err != nil {
			ended = errors.Join(ended, err)
			continue // a list that goes on after an error is shown by its next one
		}
		seen++
		cancel()
	}
	cancel()
	require.ErrorIs(t, ended, context.Canceled)
	require.Equal(t, 1, seen, "objects that a list yields after its context has ended")
	ended = nil
	for _, err := range s.List(ctx, "", "") {
		require.Error(t, err, "an object from a list that began after its context had ended")
		ended = errors.Join(ended, err)
	}
	require.ErrorIs(t, ended, context.Canceled)
}
