package attach_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/privacy/attach"
)

// mustNotLie reads the whole file from a changed object: it fails with ErrUnreadable, and every byte it gave
// before is right.
func mustNotLie(t require.TestingT, files *attach.Files, ref attach.Ref, data []byte, what string, args ...any) {
	got, err := readAll(files, ref)
	require.ErrorIs(t, err, attach.ErrUnreadable, append([]any{what}, args...)...)
	require.True(t, bytes.HasPrefix(data, got), append([]any{what}, args...)...)
	require.NotContains(t, err.Error(), "contract", "an error holds the name")
}

func TestNoChangedByteOpens(t *testing.T) {
	files, store := newFiles(t)
	data := random(t, smallest+40)
	ref := seal(t, files, data)
	box := store.Bytes(ref.ID())
	for i := range box {
		changed := bytes.Clone(box)
		changed[i] ^= 1 << (i % 8)
		store.Replace(ref.ID(), changed)
		mustNotLie(t, files, ref, data, "byte %d", i)
	}
	store.Replace(ref.ID(), box)
	got, err := readAll(files, ref)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

func TestNoCutAndNothingBehindTheEnd(t *testing.T) {
	files, store := newFiles(t)
	for _, n := range []int{0, 40, smallest, 2*smallest + 40} {
		data := random(t, n)
		ref := seal(t, files, data)
		box := store.Bytes(ref.ID())
		step := max(1, len(box)/300)
		for cut := 0; cut < len(box); cut += step {
			store.Replace(ref.ID(), box[:cut])
			_, err := files.Open(t.Context(), ref)
			require.ErrorIs(t, err, attach.ErrUnreadable, "a file of %d bytes, cut to %d, is found before it is served", n, cut)
		}
		for _, more := range [][]byte{{0}, box, box[attach.HeaderSize:], make([]byte, 70_000)} {
			store.Replace(ref.ID(), append(bytes.Clone(box), more...))
			_, err := files.Open(t.Context(), ref)
			require.ErrorIs(t, err, attach.ErrUnreadable)
			require.ErrorContains(t, err, "there are bytes behind its end")
		}
	}
}

// Segments of one file in another order, twice, left out, or another file's, are found.
func TestSegmentsCannotBeMoved(t *testing.T) {
	files, store := newFiles(t)
	const whole = smallest + attach.Overhead
	data := random(t, 6*smallest)
	ref, other := seal(t, files, data), seal(t, files, random(t, 6*smallest))
	box, foreign := store.Bytes(ref.ID()), store.Bytes(other.ID())
	segment := func(b []byte, i int) []byte {
		return b[attach.HeaderSize+i*whole : attach.HeaderSize+(i+1)*whole]
	}
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.SliceOfN(rapid.IntRange(0, 11), 0, 8).Draw(t, "order")
		changed := bytes.Clone(box[:attach.HeaderSize])
		for _, i := range order {
			if i < 6 {
				changed = append(changed, segment(box, i)...)
			} else {
				changed = append(changed, segment(foreign, i-6)...)
			}
		}
		if bytes.Equal(changed, box) {
			return
		}
		store.Replace(ref.ID(), changed)
		mustNotLie(t, files, ref, data, "order %v", order)
	})
}

// A whole object in the place of another is found, also an empty one, and also under the header of the other.
func TestObjectsCannotBeSwapped(t *testing.T) {
	files, store := newFiles(t)
	for _, n := range []int{0, 100, 2 * smallest} {
		a, b := seal(t, files, random(t, n)), seal(t, files, random(t, n))
		mine, yours := store.Bytes(a.ID()), store.Bytes(b.ID())
		store.Replace(a.ID(), yours)
		_, err := files.Open(t.Context(), a)
		require.ErrorIs(t, err, attach.ErrUnreadable)
		require.ErrorContains(t, err, "it is another file's object")
		store.Replace(a.ID(), append(bytes.Clone(mine[:attach.HeaderSize]), yours[attach.HeaderSize:]...))
		_, err = files.Open(t.Context(), a)
		require.ErrorIs(t, err, attach.ErrUnreadable)
		require.ErrorContains(t, err, "was changed, moved, or sealed under another key")
	}
}

// Damage in the middle of a file does not touch the rest of it.
func TestDamageStaysWhereItIs(t *testing.T) {
	files, store := newFiles(t)
	data := random(t, 4*smallest)
	ref := seal(t, files, data)
	box := store.Bytes(ref.ID())
	box[attach.HeaderSize+smallest+attach.Overhead+100] ^= 1
	store.Replace(ref.ID(), box)
	r := open(t, files, ref)

	p := make([]byte, 4*smallest)
	n, err := r.ReadAt(p, 0)
	require.ErrorIs(t, err, attach.ErrUnreadable)
	require.EqualError(t, err, "attach: file cannot be opened: object "+ref.ID()+": segment 1 was changed, moved, or sealed under another key; restore it from a backup of the store")
	require.Equal(t, smallest, n)
	require.True(t, bytes.Equal(data[:n], p[:n]))
	require.Equal(t, make([]byte, 3*smallest), p[n:], "bytes behind the damage were handed out")

	n, err = r.ReadAt(p[:2*smallest], 2*smallest)
	require.True(t, err == nil || err == io.EOF)
	require.True(t, bytes.Equal(data[2*smallest:], p[:n]))
	require.ErrorIs(t, r.Verify(), attach.ErrUnreadable)
}

func TestUnknownVersionSaysSo(t *testing.T) {
	files, store := newFiles(t)
	ref := seal(t, files, []byte("x"))
	box := store.Bytes(ref.ID())
	box[2] = 2
	store.Replace(ref.ID(), box)
	_, err := files.Open(t.Context(), ref)
	require.ErrorIs(t, err, attach.ErrUnreadable)
	require.ErrorContains(t, err, "format version 2 is none that this program knows")
}

func FuzzHeader(f *testing.F) {
	good, err := hex.DecodeString("c0df0100010000" + "00112233445566778899aabbccddeeff")
	require.NoError(f, err)
	for _, seed := range [][]byte{good, good[:22], append(good, 1), nil, {0xc0, 0xdf}, append([]byte{0xc0, 0xdf, 1, 0xff, 0xff, 0xff, 0xff}, good[7:]...)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same, err := attach.CheckHeader(b)
		require.True(t, err != nil || same, "a header that is read is not the one that is written")
	})
}

// Whatever lies in the store, what is read is right or an error.
func FuzzObject(f *testing.F) {
	files, store := newFiles(f)
	data := bytes.Repeat([]byte("0123456789"), 500)
	ref := seal(f, files, data)
	box := store.Bytes(ref.ID())
	f.Add(box, 0)
	f.Add(box[:attach.HeaderSize], 1)
	f.Add(box[attach.HeaderSize:], attach.HeaderSize)
	f.Add([]byte{}, 100)
	f.Fuzz(func(t *testing.T, patch []byte, at int) {
		if at < 0 || at > len(box) {
			return
		}
		changed := append(bytes.Clone(box[:at]), patch...)
		if len(changed) < len(box) {
			changed = append(changed, box[len(changed):]...)
		}
		files, store := newFiles(t)
		store.Replace(ref.ID(), changed)
		got, err := readAll(files, ref)
		require.True(t, bytes.HasPrefix(data, got))
		require.Equal(t, bytes.Equal(changed, box), err == nil)
	})
}
