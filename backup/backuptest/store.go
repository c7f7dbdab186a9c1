// Package backuptest is the conformance suite of backup's interfaces: run it
// over your own Store, or Source and Target. A failure names the rule that broke.
package backuptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
)

// RunStore checks the contract of backup.Store. Each call of open returns a new
// store, empty.
func RunStore(t *testing.T, open func(t *testing.T) backup.Store) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, s backup.Store)
	}{
		{"an object is read back as it was put", storeRoundTrip},
		{"a second put of a key is fs.ErrExist and changes nothing", storePutIfAbsent},
		{"of many writers that race, exactly one succeeds", storeRace},
		{"a get returns the asked range and no more", storeRanges},
		{"what is missing is fs.ErrNotExist", storeMissing},
		{"a list is complete, ordered by bytes, and bounded by prefix and after", storeList},
		{"a list survives deletes meanwhile and stops when told", storeListWhileDeleting},
		{"a delete removes, and of a missing object it is no error", storeDelete},
		{"a put after the context has ended fails and leaves nothing", storeCancelled},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, open(t)) })
	}
}

func storeRoundTrip(t *testing.T, s backup.Store) {
	ctx := t.Context()
	for i, content := range [][]byte{{}, {0}, []byte("text\r\n\x00\xff"), bytes.Repeat([]byte("0123456789abcdef"), 5<<16)} {
		key := fmt.Sprintf("some-dir/sub_dir/object.%d", i)
		given := bytes.Clone(content)
		require.NoError(t, s.Put(ctx, key, given))
		for j := range given {
			given[j] ^= 0xff // a store does not keep what it was given
		}
		got, err := s.Get(ctx, key, 0, -1)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got), "an object of %d bytes came back different, with %d bytes", len(content), len(got))
		o, err := s.Stat(ctx, key)
		require.NoError(t, err)
		require.Equal(t, backup.Object{Key: key, Size: int64(len(content))}, o)
	}
}

func storePutIfAbsent(t *testing.T, s backup.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "a/object", []byte("first")))
	require.ErrorIs(t, s.Put(ctx, "a/object", []byte("second")), fs.ErrExist)
	require.ErrorIs(t, s.Put(ctx, "a/object", []byte("first")), fs.ErrExist, "also with equal content")
	got, err := s.Get(ctx, "a/object", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "first", string(got))
}

func storeRace(t *testing.T, s backup.Store) {
	const writers = 32
	for round := range 5 {
		key := fmt.Sprintf("race/%d", round)
		results := make([]error, writers)
		var start, done sync.WaitGroup
		start.Add(1)
		for w := range writers {
			done.Go(func() {
				start.Wait()
				results[w] = s.Put(t.Context(), key, fmt.Appendf(nil, "writer %d", w))
			})
		}
		start.Done()
		done.Wait()
		winners := []string{}
		for w, err := range results {
			if err == nil {
				winners = append(winners, fmt.Sprintf("writer %d", w))
				continue
			}
			require.ErrorIs(t, err, fs.ErrExist)
		}
		require.Len(t, winners, 1, "writers that were told they succeeded")
		got, err := s.Get(t.Context(), key, 0, -1)
		require.NoError(t, err)
		require.Equal(t, winners[0], string(got))
	}
}

func storeRanges(t *testing.T, s backup.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "range", []byte("0123456789")))
	for _, c := range []struct {
		offset, length int64
		want           string
	}{
		{0, -1, "0123456789"}, {0, 10, "0123456789"}, {0, 11, "0123456789"}, {0, 0, ""}, {0, 1, "0"},
		{3, 4, "3456"}, {9, 1, "9"}, {9, 5, "9"}, {4, -1, "456789"}, {10, -1, ""}, {10, 1, ""}, {99, -1, ""}, {99, 3, ""},
	} {
		got, err := s.Get(ctx, "range", c.offset, c.length)
		require.NoError(t, err, "offset %d, length %d", c.offset, c.length)
		require.Equal(t, c.want, string(got), "offset %d, length %d", c.offset, c.length)
	}
	_, err := s.Get(ctx, "range", -1, 1)
	require.Error(t, err, "a negative offset")
}

func storeMissing(t *testing.T, s backup.Store) {
	ctx := t.Context()
	_, err := s.Get(ctx, "no/such", 0, -1)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = s.Stat(ctx, "no/such")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, list(t, s, "", ""))
	require.NoError(t, s.Put(ctx, "dir/object", nil))
	_, err = s.Get(ctx, "dir", 0, -1)
	require.ErrorIs(t, err, fs.ErrNotExist, "a part of a key is no object")
	_, err = s.Stat(ctx, "dir")
	require.ErrorIs(t, err, fs.ErrNotExist, "a part of a key is no object")
}

func storeList(t *testing.T, s backup.Store) {
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
		{"b/1", "", []string{"b/1", "b/10"}},
		{"b/", "b/1", []string{"b/10", "b/2"}},
		{"", "a/c", []string{"a/c/d", "a0", "b/1", "b/10", "b/2"}},
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

func storeListWhileDeleting(t *testing.T, s backup.Store) {
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

func storeDelete(t *testing.T, s backup.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "d/one", []byte("1")))
	require.NoError(t, s.Put(ctx, "d/two", []byte("2")))
	require.NoError(t, s.Delete(ctx, "d/one"))
	_, err := s.Stat(ctx, "d/one")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, []string{"d/two"}, list(t, s, "", ""))
	require.NoError(t, s.Delete(ctx, "d/one"))
	require.NoError(t, s.Delete(ctx, "never/was"))
	require.NoError(t, s.Put(ctx, "d/one", []byte("again")))
}

func storeCancelled(t *testing.T, s backup.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Put(ctx, "late", []byte("x")), context.Canceled)
	_, err := s.Get(ctx, "late", 0, -1)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, list(t, s, "", ""))
	require.NoError(t, s.Put(t.Context(), "k", []byte("x")))
	var listed error
	for _, err := range s.List(ctx, "", "") {
		listed = errors.Join(listed, err)
	}
	require.ErrorIs(t, listed, context.Canceled)
}

func list(t *testing.T, s backup.Store, prefix, after string) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(t.Context(), prefix, after) {
		require.NoError(t, err)
		keys = append(keys, o.Key)
	}
	return keys
}
