package attach

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// A Reader reads a sealed file. ReadAt may be called concurrently; Read and Seek share a position. It keeps the
// segment it opened last, and its context is the one of Open.
type Reader struct {
	ctx   context.Context
	store Store
	held  held
	shape shape
	aead  tink.AEAD

	mu     sync.Mutex
	closed bool
	pos    int64
	at     int64 // number of the segment in plain, -1: none
	plain  []byte
}

// Open opens a file. It fetches the header and the last segment, so that an object that is missing, another's or
// of the wrong length is found at once.
func (f *Files) Open(ctx context.Context, ref Ref) (*Reader, error) {
	if ref.IsZero() {
		return nil, fmt.Errorf("%w: it refers to no file; get it from Reveal of the row's value", ErrRef)
	}
	h := ref.held()
	a, err := h.aead()
	if err != nil {
		return nil, err
	}
	r := &Reader{ctx: ctx, store: f.cfg.Store, held: h, shape: h.shape(), aead: a, at: -1}
	head, err := r.get(0, headerSize)
	if err != nil {
		return nil, err
	}
	if err := r.shape.checkHeader(head); err != nil {
		return nil, r.unreadable(err)
	}
	if _, err := r.segment(r.shape.segments(h.Size) - 1); err != nil {
		return nil, err
	}
	return r, nil
}

// Size is the length of the file in bytes.
func (r *Reader) Size() int64 { return r.held.Size }

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.readAt(p, off)
}

func (r *Reader) readAt(p []byte, off int64) (n int, err error) {
	if r.closed {
		return 0, fmt.Errorf("attach: read: %w", fs.ErrClosed)
	}
	if off < 0 {
		return 0, errors.New("attach: read: negative offset")
	}
	for n < len(p) {
		if off >= r.held.Size {
			return n, io.EOF
		}
		plain, err := r.segment(off / r.shape.segment)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], plain[off%r.shape.segment:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

// Read implements io.Reader. It returns at most the rest of one segment.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rest := r.shape.segment - r.pos%r.shape.segment; int64(len(p)) > rest {
		p = p[:rest]
	}
	n, err := r.readAt(p, r.pos)
	r.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.held.Size
	default:
		return 0, errors.New("attach: seek: unknown whence")
	}
	if r.closed {
		return 0, fmt.Errorf("attach: seek: %w", fs.ErrClosed)
	}
	if offset < 0 {
		return 0, errors.New("attach: seek: negative position")
	}
	r.pos = offset
	return offset, nil
}

// Close forgets what was opened. Reads after it fail with fs.ErrClosed.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	clear(r.plain)
	r.plain, r.at = nil, -1
	return nil
}

// Verify reads the whole file and compares its hash with the reference's.
func (r *Reader) Verify() error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(r, 0, r.held.Size)); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), r.held.SHA256) {
		return r.unreadable(errors.New("its hash is not the reference's"))
	}
	return nil
}

// segment returns segment n, opened. It stays valid until the next call.
func (r *Reader) segment(n int64) ([]byte, error) {
	if r.at == n {
		return r.plain, nil
	}
	offset, length := r.shape.place(n, r.held.Size)
	size, want := int64(-1), length
	if n == r.shape.segments(r.held.Size)-1 {
		size, want = r.held.Size, length+1 // one byte more finds what was appended
	}
	box, err := r.get(offset, want)
	if err != nil {
		return nil, err
	}
	switch {
	case int64(len(box)) < length:
		return nil, r.unreadable(fmt.Errorf("segment %d is cut short", n))
	case int64(len(box)) > length:
		return nil, r.unreadable(errors.New("there are bytes behind its end"))
	}
	plain, err := r.aead.Decrypt(box, r.shape.aad(n, size))
	if err != nil {
		return nil, r.unreadable(fmt.Errorf("segment %d was changed, moved, or sealed under another key", n))
	}
	clear(r.plain)
	r.plain, r.at = plain, n
	return plain, nil
}

func (r *Reader) get(offset, length int64) ([]byte, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, fmt.Errorf("attach: read %s: %w", r.held.ID, err)
	}
	b, err := r.store.Get(r.ctx, r.held.ID, offset, length)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s; restore it from a backup of the store", ErrMissing, r.held.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("attach: read %s: %w", r.held.ID, err)
	}
	return b, nil
}

func (r *Reader) unreadable(why error) error {
	return fmt.Errorf("%w: object %s: %w; restore it from a backup of the store", ErrUnreadable, r.held.ID, why)
}
