package attach_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/privacy/attach/attachtest"
)

// Sizes around the ends of segments.
func sizes() []int {
	return []int{0, 1, 511, 512, smallest - 1, smallest, smallest + 1, 2*smallest - 1, 2 * smallest, 2*smallest + 1, 5*smallest + 77}
}

func TestFilesComeBack(t *testing.T) {
	files, store := newFiles(t)
	for _, n := range sizes() {
		data := random(t, n)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r }, "half": iotest.HalfReader, "with EOF": iotest.DataErrReader, "one byte": iotest.OneByteReader,
		} {
			ref, err := files.Seal(t.Context(), "x", wrap(bytes.NewReader(data)))
			require.NoError(t, err)
			require.EqualValues(t, n, ref.Size())
			segments := max(1, (n+smallest-1)/smallest)
			require.Equal(t, attach.HeaderSize+n+segments*attach.Overhead, len(store.Bytes(ref.ID())), "%d bytes, %s", n, name)
			got, err := readAll(files, ref)
			require.NoError(t, err, "%d bytes, %s", n, name)
			require.True(t, bytes.Equal(data, got), "%d bytes, %s", n, name)
			require.NoError(t, open(t, files, ref).Verify())
		}
	}
}

func TestStoredBytesHoldNoPlaintext(t *testing.T) {
	files, store := newFiles(t)
	canary := strings.Repeat("王小明 13800138000 ", 1000)
	ref, err := files.Seal(t.Context(), "王小明.pdf", strings.NewReader(canary))
	require.NoError(t, err)
	require.NotContains(t, string(store.Bytes(ref.ID())), "13800138000")
	require.NotContains(t, string(store.Bytes(ref.ID())), "王小明")
	same, err := files.Seal(t.Context(), "王小明.pdf", strings.NewReader(canary))
	require.NoError(t, err)
	require.NotEqual(t, ref.ID(), same.ID())
	require.NotEqual(t, store.Bytes(ref.ID())[attach.HeaderSize:], store.Bytes(same.ID())[attach.HeaderSize:])
}

// An upload whose client went away ends with io.ErrUnexpectedEOF, which io.ReadFull says for a short file too.
func TestUploadThatBreaksOffLeavesNothing(t *testing.T) {
	files, store := newFiles(t)
	for _, n := range sizes() {
		for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("connection reset"), io.ErrClosedPipe} {
			_, err := files.Seal(t.Context(), "x", io.MultiReader(bytes.NewReader(random(t, n)), iotest.ErrReader(cause)))
			require.ErrorIs(t, err, cause, "%d bytes", n)
		}
	}
	for o := range store.List(t.Context()) {
		t.Errorf("object %s was left", o.ID)
	}
}

func TestSourceWithoutProgressEnds(t *testing.T) {
	files, _ := newFiles(t)
	_, err := files.Seal(t.Context(), "x", readerFunc(func([]byte) (int, error) { return 0, nil }))
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestSealObeysItsContext(t *testing.T) {
	files, _ := newFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err := files.Seal(ctx, "x", readerFunc(func(p []byte) (int, error) {
		if n++; n == 5 {
			cancel()
		}
		return len(p), nil
	}))
	require.ErrorIs(t, err, context.Canceled)
}

func TestSizeLimit(t *testing.T) {
	store := attachtest.NewMemory(nil)
	files, err := attach.New(attach.Config{Store: store, Segment: smallest, MaxSize: 10_000})
	require.NoError(t, err)
	seal(t, files, random(t, 10_000))

	read := 0
	_, err = files.Seal(t.Context(), "x", readerFunc(func(p []byte) (int, error) { read += len(p); return len(p), nil }))
	require.ErrorIs(t, err, attach.ErrTooLarge)
	require.EqualError(t, err, "attach: seal: attach: file is too large: it has more than 10000 bytes; nothing was stored")
	require.LessOrEqual(t, read, 10_000+2*smallest, "an endless upload is read no further than the limit")
	_, err = files.Seal(t.Context(), "x", bytes.NewReader(random(t, 10_001)))
	require.ErrorIs(t, err, attach.ErrTooLarge)
	count := 0
	for range store.List(t.Context()) {
		count++
	}
	require.Equal(t, 1, count)
}

// What was read and not yet given to the store is what lies in memory.
func TestSealHoldsTwoSegments(t *testing.T) {
	const total = 4 << 20
	read, most := 0, 0
	source := readerFunc(func(p []byte) (int, error) {
		n := min(len(p), total-read, 1000)
		read += n
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	})
	store := putFunc(func(r io.Reader) error {
		p, taken := make([]byte, 700), 0
		for {
			n, err := r.Read(p)
			taken += n
			most = max(most, read-taken)
			if err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	ref, err := filesIn(t, store).Seal(t.Context(), "x", source)
	require.NoError(t, err)
	require.EqualValues(t, total, ref.Size())
	require.Positive(t, most)
	require.LessOrEqual(t, most, 2*smallest)
}

func TestStoreThatTakesAPartIsFound(t *testing.T) {
	store := putFunc(func(r io.Reader) error { _, err := r.Read(make([]byte, 100)); return err })
	_, err := filesIn(t, store).Seal(t.Context(), "x", bytes.NewReader(random(t, 50_000)))
	require.ErrorContains(t, err, "the store took 23 bytes and not all; test it with attachtest.TestStore")

	store = putFunc(func(io.Reader) error { return errors.New("disk full") })
	_, err = filesIn(t, store).Seal(t.Context(), "x", bytes.NewReader(random(t, 50_000)))
	require.EqualError(t, err, "attach: seal: store: disk full")
}

func TestConfigIsChecked(t *testing.T) {
	store := attachtest.NewMemory(nil)
	for want, cfg := range map[string]attach.Config{
		"attach: Config.Store is missing; use attach.OpenDir for a directory":                               {},
		"attach: Config.MaxSize: -1 is not between 1 and 1099511627776":                                     {Store: store, MaxSize: -1},
		"attach: Config.Segment: a segment of 4095 bytes is not between 4096 and 4194304":                   {Store: store, Segment: 4095},
		fmt.Sprintf("attach: Config.Segment: a segment of %d bytes is not between 4096 and 4194304", 5<<20): {Store: store, Segment: 5 << 20},
	} {
		_, err := attach.New(cfg)
		require.EqualError(t, err, want)
	}
}

func TestContentTypeIsWhatTheBytesLookLike(t *testing.T) {
	files, _ := newFiles(t)
	for content, want := range map[string]string{
		"%PDF-1.7\n": "application/pdf", "\x89PNG\r\n\x1a\n": "image/png", "\xff\xd8\xff\xe0": "image/jpeg", "PK\x03\x04": "application/zip",
		"<html><script>alert(1)</script>": "application/octet-stream", "<?xml version=\"1.0\"?><svg onload=alert(1)>": "application/octet-stream",
		"<svg xmlns='http://www.w3.org/2000/svg' onload=alert(1)>": "application/octet-stream", "plain text": "application/octet-stream", "": "application/octet-stream",
		"\xef\xbb\xbf<script>": "application/octet-stream", "MZ\x90": "application/octet-stream",
	} {
		require.Equal(t, want, seal(t, files, []byte(content)).ContentType(), "%q", content)
	}
}

func TestNamesAreCleaned(t *testing.T) {
	for in, want := range map[string]string{
		"合同 王小明.pdf": "合同 王小明.pdf", "../../etc/passwd": "passwd", `C:\Users\x\a.doc`: "a.doc", "a\r\nSet-Cookie: x": "aSet-Cookie_ x",
		"invoice\u202efdp.exe": "invoicefdp.exe", "": "file", "...": "file", ".htaccess": "htaccess", "a\x00b.pdf": "ab.pdf", "x/": "file",
		`a"b.pdf`: "a_b.pdf", "\xff\xfe.pdf": "pdf", "a. ": "a", strings.Repeat("王", 100) + ".pdf": strings.Repeat("王", 65) + ".pdf",
		strings.Repeat("a", 300): strings.Repeat("a", 200),
	} {
		require.Equal(t, want, attach.CleanName(in), "%q", in)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// putFunc is a store that can only put.
type putFunc func(io.Reader) error

func (f putFunc) Put(_ context.Context, _ string, r io.Reader) error { return f(r) }

func (putFunc) Get(context.Context, string, int64, int64) ([]byte, error) {
	return nil, errors.New("not asked for")
}

func (putFunc) Delete(context.Context, string) error { return nil }

func (putFunc) List(context.Context) iter.Seq2[attach.Object, error] { return nil }
