package attach_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/privacy/attach"
)

// A Reader does what bytes.Reader does, whatever one asks.
func TestReaderIsAsBytesReader(t *testing.T) {
	files, _ := newFiles(t)
	data := random(t, 5*smallest+77)
	refs := map[int]attach.Ref{}
	for _, n := range sizes() {
		refs[n] = seal(t, files, data[:n])
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom(sizes()).Draw(t, "size")
		got, err := files.Open(context.Background(), refs[n])
		require.NoError(t, err)
		defer got.Close()
		want := bytes.NewReader(data[:n])
		offset := rapid.Int64Range(-3, int64(n)+3)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "at") {
				p, q := make([]byte, rapid.IntRange(0, n+10).Draw(t, "length")), []byte(nil)
				q = append(q, p...)
				off := offset.Draw(t, "offset")
				a, errA := got.ReadAt(p, off)
				b, errB := want.ReadAt(q, off)
				require.Equal(t, b, a)
				require.True(t, bytes.Equal(q, p))
				// bytes.Reader says io.EOF for nothing at the end, which io.ReaderAt leaves open.
				require.True(t, errB == nil == (errA == nil) || len(p) == 0, "%v, %v", errA, errB)
				continue
			}
			whence := rapid.IntRange(0, 3).Draw(t, "whence")
			off := offset.Draw(t, "to")
			a, errA := got.Seek(off, whence)
			b, errB := want.Seek(off, whence)
			require.Equal(t, b, a)
			require.Equal(t, errB == nil, errA == nil)
			p := make([]byte, rapid.IntRange(0, n+10).Draw(t, "read"))
			m, errA := io.ReadFull(got, p)
			q := make([]byte, len(p))
			k, errB := io.ReadFull(want, q)
			require.Equal(t, k, m)
			require.Equal(t, errB, errA)
			require.True(t, bytes.Equal(q, p))
		}
	})
}

func TestReaderPassesTheStandardTest(t *testing.T) {
	files, _ := newFiles(t)
	for _, n := range sizes() {
		data := random(t, n)
		require.NoError(t, iotest.TestReader(open(t, files, seal(t, files, data)), data))
	}
}

func TestReadAtIsConcurrent(t *testing.T) {
	files, _ := newFiles(t)
	data := random(t, 20*smallest)
	r := open(t, files, seal(t, files, data))
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for j := range 50 {
				p, off := make([]byte, 3000), int64(i*5000+j*37)%int64(len(data)-3000)
				_, err := r.ReadAt(p, off)
				assert.NoError(t, err)
				assert.True(t, bytes.Equal(data[off:off+3000], p))
			}
		})
	}
	group.Wait()
}

// A part costs the segments it lies in, and no more.
func TestReadsTouchWhatTheyNeed(t *testing.T) {
	files, store := newFiles(t)
	r := open(t, files, seal(t, files, random(t, 100*smallest)))
	require.Equal(t, 2, store.Gets(), "Open asks for header and last segment")
	_, err := r.ReadAt(make([]byte, 10), 50*smallest)
	require.NoError(t, err)
	_, err = r.ReadAt(make([]byte, 10), 50*smallest+100)
	require.NoError(t, err)
	require.Equal(t, 3, store.Gets(), "the same segment is opened once")
	_, err = r.ReadAt(make([]byte, 2), 52*smallest-1)
	require.NoError(t, err)
	require.Equal(t, 5, store.Gets())
}

func TestReaderObeysContextAndClose(t *testing.T) {
	files, _ := newFiles(t)
	ref := seal(t, files, random(t, 3*smallest))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := files.Open(ctx, ref)
	require.NoError(t, err)
	cancel()
	_, err = r.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, context.Canceled)

	r = open(t, files, ref)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = r.Seek(0, io.SeekStart)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, r.Verify(), fs.ErrClosed)
}

func TestOpenOfNothing(t *testing.T) {
	files, store := newFiles(t)
	_, err := files.Open(t.Context(), attach.Ref{})
	require.ErrorIs(t, err, attach.ErrRef)
	require.EqualError(t, err, "attach: reference: it refers to no file; get it from Reveal of the row's value")

	ref := seal(t, files, []byte("x"))
	require.NoError(t, store.Delete(t.Context(), ref.ID()))
	_, err = files.Open(t.Context(), ref)
	require.ErrorIs(t, err, attach.ErrMissing)
	require.EqualError(t, err, "attach: object is missing: "+ref.ID()+"; restore it from a backup of the store")
}
