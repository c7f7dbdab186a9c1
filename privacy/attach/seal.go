package attach

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Config configures Files. Store is required.
type Config struct {
	Store Store
	// MaxSize is the largest file in bytes; 0 means 64 MiB.
	MaxSize int64
	// Segment is the number of bytes that are sealed together, 4 KiB to 4 MiB; 0 means 64 KiB. A read fetches
	// and opens whole segments. Files keep the size they were sealed with.
	Segment int
	// Now is the clock for Sweep; nil means time.Now.
	Now func() time.Time
}

// Files seals files into a store and opens them. It is safe for concurrent use.
type Files struct {
	cfg     Config
	segment int64
}

// New checks the configuration.
func New(cfg Config) (*Files, error) {
	if cfg.Store == nil {
		return nil, errors.New("attach: Config.Store is missing; use attach.OpenDir for a directory")
	}
	if cfg.MaxSize == 0 {
		cfg.MaxSize = defaultSize
	}
	if cfg.MaxSize < 0 || cfg.MaxSize > largest {
		return nil, fmt.Errorf("attach: Config.MaxSize: %d is not between 1 and %d", cfg.MaxSize, int64(largest))
	}
	if cfg.Segment == 0 {
		cfg.Segment = defaultSegment
	}
	if err := checkSegment(int64(cfg.Segment)); err != nil {
		return nil, fmt.Errorf("attach: Config.Segment: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Files{cfg: cfg, segment: int64(cfg.Segment)}, nil
}

// Seal reads r to its end, stores it sealed and returns the reference, which the caller must now save in a row
// with Ref.Sealed; until then the object is an orphan that Sweep removes. It holds two segments in memory,
// whatever the size. Only io.EOF ends a file: an upload that breaks off is an error and leaves nothing.
func (f *Files) Seal(ctx context.Context, name string, r io.Reader) (Ref, error) {
	raw := make([]byte, idSize)
	if _, err := rand.Read(raw); err != nil {
		return Ref{}, fmt.Errorf("attach: seal: random source: %w", err)
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return Ref{}, fmt.Errorf("attach: seal: make the file's key: %w", err)
	}
	return f.seal(ctx, name, r, hex.EncodeToString(raw), handle)
}

func (f *Files) seal(ctx context.Context, name string, r io.Reader, id string, handle *keyset.Handle) (Ref, error) {
	var key bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&key)); err != nil {
		return Ref{}, fmt.Errorf("attach: seal: write the file's key: %w", err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return Ref{}, fmt.Errorf("attach: seal: %w", err)
	}
	s := newSealer(ctx, r, a, shape{id: id, segment: f.segment}, f.cfg.MaxSize)
	err = f.cfg.Store.Put(ctx, id, s)
	switch {
	case s.err != nil && s.err != io.EOF:
		return Ref{}, fmt.Errorf("attach: seal: %w", s.err) // the store may have lost what kind of error it was
	case err != nil:
		return Ref{}, fmt.Errorf("attach: seal: store: %w", err)
	case s.err == nil:
		return Ref{}, errors.Join(
			fmt.Errorf("attach: seal: the store took %d bytes and not all; test it with attachtest.TestStore", s.given),
			f.cfg.Store.Delete(ctx, id))
	}
	return newRef(held{
		Format: refFormat, ID: id, Key: key.Bytes(), Size: s.size, Segment: f.segment,
		SHA256: s.sum.Sum(nil), Name: CleanName(name), Type: s.kind,
	}), nil
}

// A sealer is the object's bytes, made while the store reads them.
type sealer struct {
	ctx   context.Context
	src   io.Reader
	aead  tink.AEAD
	shape shape
	max   int64

	in    []byte // a segment and one byte more: only by that byte one knows that the segment is not the last
	have  int
	out   []byte // not yet given to the store
	n     int64
	size  int64
	given int64
	sum   hash.Hash
	kind  string
	ended bool // the source said io.EOF
	last  bool // the last segment was sealed
	err   error
}

func newSealer(ctx context.Context, src io.Reader, a tink.AEAD, s shape, limit int64) *sealer {
	return &sealer{
		ctx: ctx, src: src, aead: a, shape: s, max: limit,
		in: make([]byte, s.segment+1), out: s.header(), sum: sha256.New(),
	}
}

// Read implements io.Reader.
func (s *sealer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(s.out) == 0 {
		if s.err == nil {
			s.err = s.next()
		}
		if s.err != nil {
			return 0, s.err
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	s.given += int64(n)
	return n, nil
}

// next seals one more segment, or returns io.EOF behind the last.
func (s *sealer) next() error {
	if s.last {
		return io.EOF
	}
	if err := s.fill(); err != nil {
		return err
	}
	plain, total := s.in[:min(int64(s.have), s.shape.segment)], int64(-1)
	// The one byte more may have come together with io.EOF.
	s.last = s.ended && len(plain) == s.have
	s.size += int64(len(plain))
	if s.size > s.max {
		return fmt.Errorf("%w: it has more than %d bytes; nothing was stored", ErrTooLarge, s.max)
	}
	if s.n == 0 {
		s.kind = sniff(plain)
	}
	if s.last {
		total = s.size
	}
	s.sum.Write(plain)
	var err error
	if s.out, err = s.aead.Encrypt(plain, s.shape.aad(s.n, total)); err != nil {
		return fmt.Errorf("segment %d: %w", s.n, err)
	}
	s.n++
	s.have = copy(s.in, s.in[len(plain):s.have])
	return nil
}

// fill reads until the buffer is full or the file ends. It is not io.ReadFull, which says
// io.ErrUnexpectedEOF for a short file: that is what an HTTP body says when the client went away.
func (s *sealer) fill() error {
	for idle := 0; s.have < len(s.in) && !s.ended; {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n, err := s.src.Read(s.in[s.have:])
		s.have += n
		if err == io.EOF {
			s.ended = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the file: %w", err)
		}
		if idle++; n > 0 {
			idle = 0
		}
		if idle == 100 {
			return fmt.Errorf("read the file: %w", io.ErrNoProgress)
		}
	}
	return nil
}

// sniff returns a content type that a browser does not run: what could hold a script is a stream of bytes.
func sniff(head []byte) string {
	kind := http.DetectContentType(head)
	switch kind {
	case "application/pdf", "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "application/zip":
		return kind
	}
	return "application/octet-stream"
}
