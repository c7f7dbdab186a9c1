package backuptest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
)

// large is more than what clients of object stores send in one request: they
// turn to an upload in parts, and have dropped conditions there.
const large = 17 << 20

func storeRoundTrip(t T, s backup.Store) {
	ctx := t.Context()
	for i, content := range [][]byte{{}, {0}, []byte("text\r\n\x00\xff"), noise(1, 5<<20), noise(2, large)} {
		key := fmt.Sprintf("some-dir/sub_dir/object.%d", i)
		given := bytes.Clone(content)
		require.NoError(t, s.Put(ctx, key, given))
		for j := range given {
			given[j] ^= 0xff // a store does not keep what it was given
		}
		got, err := s.Get(ctx, key, 0, -1)
		require.NoError(t, err)
		requireBytes(t, content, got, "an object of %d bytes", len(content))
		for j := range got {
			got[j] ^= 0xff // nor does it hand out what it keeps
		}
		got, err = s.Get(ctx, key, 0, -1)
		require.NoError(t, err)
		requireBytes(t, content, got, "an object of %d bytes, read again", len(content))
		o, err := s.Stat(ctx, key)
		require.NoError(t, err)
		require.Equal(t, backup.Object{Key: key, Size: int64(len(content))}, o)
	}
}

// requireBytes compares without printing megabytes.
func requireBytes(t T, want, got []byte, format string, args ...any) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Errorf("%s came back different: %d bytes instead of %d, first difference at %d",
			fmt.Sprintf(format, args...), len(got), len(want), difference(want, got))
		t.FailNow()
	}
}

func difference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// noise is bytes that differ by seed, and from block to block.
func noise(seed uint64, size int) []byte {
	block := make([]byte, 4096)
	x := seed*0x9e3779b97f4a7c15 + 1
	for i := range block {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		block[i] = byte(x)
	}
	out := make([]byte, size)
	for at := 0; at < size; at += len(block) {
		binary.BigEndian.PutUint64(block, x+uint64(at))
		copy(out[at:], block)
	}
	return out
}

func storeKeys(t T, s backup.Store) {
	ctx := t.Context()
	keys := []string{
		"0", "-", "_", "a-", "--/__", "a..b", "a.b.c/d.e", "tmp", "x.tmp", "x.attrs", "index.html", "x/lock", "list-type",
		strings.Repeat("k", 200), strings.Repeat("d/", 99) + "e",
	}
	for _, key := range keys {
		require.NoError(t, backup.CheckKey(key), "%q", key)
		require.NoError(t, s.Put(ctx, key, []byte(key)), "%q", key)
	}
	require.ElementsMatch(t, keys, list(t, s, "", ""), "keys as listed")
	for _, key := range keys {
		got, err := s.Get(ctx, key, 0, -1)
		require.NoError(t, err, "%q", key)
		require.Equal(t, key, string(got), "%q", key)
	}
}

func storePutIfAbsent(t T, s backup.Store) {
	ctx := t.Context()
	for _, first := range []string{"first", ""} {
		key := "a/object" + first
		require.NoError(t, s.Put(ctx, key, []byte(first)))
		require.ErrorIs(t, s.Put(ctx, key, []byte("second")), fs.ErrExist)
		require.ErrorIs(t, s.Put(ctx, key, []byte(first)), fs.ErrExist, "also with equal content")
		require.ErrorIs(t, s.Put(ctx, key, nil), fs.ErrExist, "also without content")
		got, err := s.Get(ctx, key, 0, -1)
		require.NoError(t, err)
		require.Equal(t, first, string(got))
	}
}

func storePutLargeIfAbsent(t T, s backup.Store) {
	ctx := t.Context()
	first, second := noise(1, large), noise(2, large)
	require.NoError(t, s.Put(ctx, "large", first))
	require.ErrorIs(t, s.Put(ctx, "large", second), fs.ErrExist)
	got, err := s.Get(ctx, "large", 0, -1)
	require.NoError(t, err)
	requireBytes(t, first, got, "the first of two large objects")
}

func storeRace(t T, s backup.Store) {
	for round := range 8 {
		race(t, s, fmt.Sprintf("race/%d", round), 32, 10)
	}
	race(t, s, "race/large", 3, large)
}

func race(t T, s backup.Store, key string, writers, size int) {
	t.Helper()
	results := make([]error, writers)
	var start, done sync.WaitGroup
	start.Add(1)
	for w := range writers {
		content := noise(uint64(w), size+w)
		done.Go(func() {
			start.Wait()
			results[w] = s.Put(t.Context(), key, content)
		})
	}
	start.Done()
	done.Wait()
	var winners []int
	for w, err := range results {
		if err == nil {
			winners = append(winners, w)
		} else {
			require.ErrorIs(t, err, fs.ErrExist)
		}
	}
	require.Len(t, winners, 1, "of %d writers of one key, those that were told they succeeded", writers)
	got, err := s.Get(t.Context(), key, 0, -1)
	require.NoError(t, err)
	requireBytes(t, noise(uint64(winners[0]), size+winners[0]), got, "the object of the winner of a race")
}

// storeWhole reads what is being written.
func storeWhole(t T, s backup.Store) {
	const objects, size = 12, 1 << 20
	ctx := t.Context()
	key := func(i int) string { return fmt.Sprintf("whole/%02d", i) }
	var broken sync.Map
	var writers, readers sync.WaitGroup
	written := make(chan struct{})
	writers.Go(func() {
		for i := range objects {
			if err := s.Put(ctx, key(i), noise(uint64(i), size)); err != nil {
				broken.Store(key(i), err)
			}
		}
	})
	for r := range 3 {
		readers.Go(func() {
			for {
				select {
				case <-written:
					return
				default:
				}
				if bad := readWhole(t, s, r, objects, size, key); bad != nil {
					broken.Store(r, bad)
					return
				}
			}
		})
	}
	writers.Wait()
	close(written)
	readers.Wait()
	broken.Range(func(who, what any) bool {
		t.Errorf("%v: %v", who, what)
		return true
	})
}

func readWhole(t T, s backup.Store, reader, objects, size int, key func(int) string) error {
	for i := range objects {
		switch reader {
		case 0:
			got, err := s.Get(t.Context(), key(i), 0, -1)
			if err == nil && !bytes.Equal(got, noise(uint64(i), size)) {
				return fmt.Errorf("a get saw %s with %d of %d bytes", key(i), len(got), size)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		case 1:
			o, err := s.Stat(t.Context(), key(i))
			if err == nil && o.Size != int64(size) {
				return fmt.Errorf("a stat saw %s with %d of %d bytes", key(i), o.Size, size)
			}
		}
	}
	if reader == 2 {
		for o, err := range s.List(t.Context(), "whole/", "") {
			if err != nil {
				return err
			}
			if o.Size != int64(size) {
				return fmt.Errorf("a list saw %s with %d of %d bytes", o.Key, o.Size, size)
			}
			if _, err := s.Stat(t.Context(), o.Key); err != nil {
				return fmt.Errorf("a list has an object that a stat does not find: %w", err)
			}
		}
	}
	return nil
}

func storeRanges(t T, s backup.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "range", []byte("0123456789")))
	require.NoError(t, s.Put(ctx, "empty", nil))
	for _, c := range []struct {
		key            string
		offset, length int64
		want           string
	}{
		{"range", 0, -1, "0123456789"}, {"range", 0, 10, "0123456789"}, {"range", 0, 11, "0123456789"}, {"range", 0, 0, ""},
		{"range", 0, 1, "0"}, {"range", 3, 4, "3456"}, {"range", 9, 1, "9"}, {"range", 9, 5, "9"}, {"range", 4, -1, "456789"},
		{"range", 4, 0, ""}, {"range", 4, -7, "456789"}, {"range", 10, -1, ""}, {"range", 10, 0, ""}, {"range", 10, 1, ""},
		{"range", 99, -1, ""}, {"range", 99, 3, ""}, {"range", 1, 1<<63 - 1, "123456789"}, {"range", 1<<63 - 1, 1<<63 - 1, ""},
		{"empty", 0, -1, ""}, {"empty", 0, 1, ""}, {"empty", 1, 1, ""}, {"empty", 0, 0, ""},
	} {
		got, err := s.Get(ctx, c.key, c.offset, c.length)
		require.NoError(t, err, "%s, offset %d, length %d", c.key, c.offset, c.length)
		require.Equal(t, c.want, string(got), "%s, offset %d, length %d", c.key, c.offset, c.length)
	}
	_, err := s.Get(ctx, "range", -1, 1)
	require.ErrorIs(t, err, fs.ErrInvalid, "a negative offset")
}

func storeMissing(t T, s backup.Store) {
	ctx := t.Context()
	missing := func(key, why string) {
		t.Helper()
		for _, c := range [][2]int64{{0, -1}, {0, 0}, {0, 1}, {5, -1}} {
			_, err := s.Get(ctx, key, c[0], c[1])
			require.ErrorIs(t, err, fs.ErrNotExist, "get with offset %d, length %d: %s", c[0], c[1], why)
			require.ErrorContains(t, err, key, "an error names the object")
		}
		_, err := s.Stat(ctx, key)
		require.ErrorIs(t, err, fs.ErrNotExist, why)
		require.ErrorContains(t, err, key, "an error names the object")
	}
	missing("no/such", "nothing was put")
	require.Empty(t, list(t, s, "", ""))
	require.NoError(t, s.Put(ctx, "dir/object", nil))
	missing("dir", "a part of a key is no object")
	missing("dir/objec", "a part of a key is no object")
	missing("dir/object2", "it was not put")
	missing("dir/object/below", "an object is no directory")
}
