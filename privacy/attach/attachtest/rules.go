package attachtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy/attach"
)

const (
	one = "00000000000000000000000000000001"
	two = "fedcba98765432100123456789abcdef"
)

// TestStore checks the rules for a store. open returns an empty one.
func TestStore(t *testing.T, open func(t *testing.T) attach.Store) {
	t.Run("what was put is got, whole and in part", func(t *testing.T) { got(t, open(t)) })
	t.Run("an object is never replaced", func(t *testing.T) { once(t, open(t)) })
	t.Run("of several puts one wins", func(t *testing.T) { oneWinner(t, open(t)) })
	t.Run("a reader that fails leaves no object", func(t *testing.T) { failing(t, open(t)) })
	t.Run("what is not there", func(t *testing.T) { missing(t, open(t)) })
	t.Run("list and delete", func(t *testing.T) { listed(t, open(t)) })
	t.Run("a cancelled context ends calls", func(t *testing.T) { cancelled(t, open(t)) })
	t.Run("ids that are none are refused", func(t *testing.T) { names(t, open(t)) })
}

func put(t *testing.T, s attach.Store, id string, data []byte) {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), id, bytes.NewReader(data)), "rule: Put stores a new object")
}

func list(t *testing.T, s attach.Store) map[string]attach.Object {
	t.Helper()
	all := map[string]attach.Object{}
	for o, err := range s.List(t.Context()) {
		require.NoError(t, err, "rule: List works")
		require.NotContains(t, all, o.ID, "rule: List yields an object once")
		all[o.ID] = o
	}
	return all
}

func got(t *testing.T, s attach.Store) {
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	require.NoError(t, s.Put(t.Context(), one, iotest.HalfReader(bytes.NewReader(data))), "rule: Put reads to the end, however the bytes come")
	put(t, s, two, nil)
	for _, r := range [][2]int64{{0, int64(len(data))}, {0, 0}, {0, 1}, {199_999, 1}, {199_999, 2}, {200_000, 1}, {300_000, 5}, {1, 1 << 40}, {65_536, 65_536}} {
		b, err := s.Get(t.Context(), one, r[0], r[1])
		require.NoError(t, err, "rule: Get behind the end is no error (offset %d, length %d)", r[0], r[1])
		from := min(r[0], int64(len(data)))
		want := data[from : from+min(r[1], int64(len(data))-from)]
		require.True(t, bytes.Equal(want, b), "rule: Get returns the bytes asked for, fewer at the end (offset %d, length %d)", r[0], r[1])
	}
	b, err := s.Get(t.Context(), two, 0, 10)
	require.NoError(t, err, "rule: an empty object exists")
	require.Empty(t, b)
	_, err = s.Get(t.Context(), one, -1, 1)
	require.Error(t, err, "rule: a negative offset is an error")
}

func once(t *testing.T, s attach.Store) {
	put(t, s, one, []byte("first"))
	err := s.Put(t.Context(), one, strings.NewReader("second"))
	require.ErrorIs(t, err, fs.ErrExist, "rule: Put of an id that exists wraps fs.ErrExist")
	b, err := s.Get(t.Context(), one, 0, 100)
	require.NoError(t, err)
	require.Equal(t, "first", string(b), "rule: Put of an id that exists changes nothing")
}

func oneWinner(t *testing.T, s attach.Store) {
	var wins atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			switch err := s.Put(t.Context(), one, bytes.NewReader(bytes.Repeat([]byte{byte('a' + i)}, 10_000))); {
			case err == nil:
				wins.Add(1)
			default:
				assert.ErrorIs(t, err, fs.ErrExist, "rule: who loses is told so")
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, wins.Load(), "rule: of several Puts of one id one succeeds")
	b, err := s.Get(t.Context(), one, 0, 20_000)
	require.NoError(t, err)
	require.Len(t, b, 10_000)
	require.Equal(t, bytes.Repeat(b[:1], 10_000), b, "rule: an object is the work of one Put")
}

func failing(t *testing.T, s attach.Store) {
	for _, cause := range []error{errors.New("broken pipe"), io.ErrUnexpectedEOF} {
		err := s.Put(t.Context(), one, io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), iotest.ErrReader(cause)))
		require.Error(t, err, "rule: Put fails when its reader does (%v)", cause)
		_, err = s.Get(t.Context(), one, 0, 1)
		require.ErrorIs(t, err, fs.ErrNotExist, "rule: a reader that fails leaves no object")
		for _, o := range list(t, s) {
			require.True(t, o.Partial, "rule: what an unfinished Put left is not listed as an object")
		}
	}
	put(t, s, one, []byte("now"))
}

func missing(t *testing.T, s attach.Store) {
	require.Empty(t, list(t, s), "rule: a new store is empty")
	_, err := s.Get(t.Context(), one, 0, 1)
	require.ErrorIs(t, err, fs.ErrNotExist, "rule: Get of what is not there wraps fs.ErrNotExist")
	require.NoError(t, s.Delete(t.Context(), one), "rule: Delete of what is not there is no error")
}

func listed(t *testing.T, s attach.Store) {
	want := map[string]int64{}
	for i := range 30 {
		id := fmt.Sprintf("%032x", i)
		put(t, s, id, bytes.Repeat([]byte("x"), i))
		want[id] = int64(i)
	}
	have := map[string]int64{}
	for id, o := range list(t, s) {
		have[id] = o.Size
		require.False(t, o.Modified.IsZero(), "rule: List says when an object was written")
		require.False(t, o.Partial, "rule: a whole object is not partial")
	}
	require.Equal(t, want, have, "rule: List yields all objects with their sizes")
	for range s.List(t.Context()) {
		break // rule: one may stop
	}
	gone := fmt.Sprintf("%032x", 7)
	require.NoError(t, s.Delete(t.Context(), gone))
	require.NotContains(t, list(t, s), gone, "rule: what was deleted is not listed")
	_, err := s.Get(t.Context(), gone, 0, 1)
	require.ErrorIs(t, err, fs.ErrNotExist, "rule: what was deleted is gone")
	require.Len(t, list(t, s), 29, "rule: Delete removes nothing else")
}

func cancelled(t *testing.T, s attach.Store) {
	put(t, s, two, []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Put(ctx, one, strings.NewReader("x")), context.Canceled, "rule: Put obeys its context")
	_, err := s.Get(ctx, two, 0, 1)
	require.ErrorIs(t, err, context.Canceled, "rule: Get obeys its context")
	require.ErrorIs(t, s.Delete(ctx, two), context.Canceled, "rule: Delete obeys its context")
	for _, err := range s.List(ctx) {
		require.ErrorIs(t, err, context.Canceled, "rule: List obeys its context")
	}
	require.Contains(t, list(t, s), two)
	require.NotContains(t, list(t, s), one)
}

func names(t *testing.T, s attach.Store) {
	for _, id := range []string{"", ".", "..", "../" + one, "/etc/passwd", one + "/x", strings.ToUpper(two), one[:31], one + "0", `..\` + one, one[:31] + "\x00"} {
		require.Error(t, s.Put(t.Context(), id, strings.NewReader("x")), "rule: Put refuses what is no id: %q", id)
		_, err := s.Get(t.Context(), id, 0, 1)
		require.Error(t, err, "rule: Get refuses what is no id: %q", id)
	}
	require.Empty(t, list(t, s))
}
