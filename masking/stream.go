package masking

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/detect"
)

// chunk is how much a stream takes in before it looks at it. The output does not depend on its size.
const chunk = 32 << 10

// Writer masks what is written to it and passes it on. The output is the same, byte for byte, as that of
// Policy.Text for the whole input, however the input is cut into writes.
type Writer struct {
	next  io.Writer
	p     Policy
	level Level
	chunk int

	buf  []byte
	out  int // buf[:out] has been passed on
	scan detect.Scanner
	made []byte
	err  error
}

// NewWriter returns a writer that masks free text for the caller in ctx. Close passes on the last bytes; it
// does not close next.
func (p Policy) NewWriter(ctx context.Context, next io.Writer) *Writer {
	return &Writer{next: next, p: p, level: p.level(ctx), chunk: chunk}
}

// Write takes b in. After an error of the next writer it returns that error and takes nothing.
func (w *Writer) Write(b []byte) (int, error) {
	taken := 0
	for len(b) > 0 {
		if w.err != nil {
			return taken, w.err
		}
		n := min(len(b), w.chunk)
		w.take(b[:n])
		b = b[n:]
		taken += n
	}
	return taken, w.err
}

func (w *Writer) take(b []byte) {
	w.buf = append(w.buf, b...)
	if len(w.buf) >= w.chunk+detect.Ahead+detect.Behind {
		w.advance(false)
	}
}

// Close looks at what is left and passes it on. Without it the end of the text is missing, not unmasked.
func (w *Writer) Close() error {
	if errors.Is(w.err, io.ErrClosedPipe) {
		return nil
	}
	if w.err == nil {
		w.advance(true)
	}
	if w.err != nil {
		return w.err
	}
	w.err = io.ErrClosedPipe
	return nil
}

// advance masks as far as nothing that comes later can change.
func (w *Writer) advance(last bool) {
	w.made = w.mask(w.made[:0], last)
	if len(w.made) > 0 {
		_, w.err = w.next.Write(w.made)
	}
}

func (w *Writer) mask(dst []byte, last bool) []byte {
	text := string(w.buf)
	safe := len(text)
	if w.level == Full {
		w.scan.Pos = len(text)
	} else {
		w.scan.Text = text
		limit := len(text)
		if !last {
			limit -= detect.Ahead
		}
		w.scan.Run(limit)
	}
	if !last {
		safe = max(0, w.scan.Pos-detect.Behind)
	}
	done := 0
	for _, span := range w.scan.Spans {
		if span.End > safe {
			safe = min(safe, span.Start)
			break
		}
		dst = appendValid(dst, text[w.out:span.Start])
		dst = w.p.appendSpan(dst, span.Kind, text[span.Start:span.End], w.level)
		w.out = span.End
		done++
	}
	w.scan.Settle(done)
	if !last {
		safe = runeStart(text, w.out, safe)
	}
	if safe > w.out {
		dst = appendValid(dst, text[w.out:safe])
		w.out = safe
	}
	drop := max(0, min(w.out, w.scan.Pos-detect.Behind))
	w.buf = append(w.buf[:0], w.buf[drop:]...)
	w.out -= drop
	w.scan.Shift(drop)
	return dst
}

// runeStart moves cut back where it would split a character.
func runeStart(s string, low, cut int) int {
	for k := 1; k < utf8.UTFMax && cut-k >= low; k++ {
		if utf8.RuneStart(s[cut-k]) {
			if _, w := utf8.DecodeRuneInString(s[cut-k:]); w > k {
				return cut - k
			}
			return cut
		}
	}
	return cut
}

// reader masks what it reads.
type reader struct {
	from  io.Reader
	w     *Writer
	ready []byte
	in    []byte
	err   error
}

// NewReader returns a reader of r's text, masked for the caller in ctx.
func (p Policy) NewReader(ctx context.Context, r io.Reader) io.Reader {
	rd := &reader{from: r}
	rd.w = p.NewWriter(ctx, (*readerSink)(rd))
	return rd
}

// readerSink collects what the writer passes on.
type readerSink reader

func (s *readerSink) Write(b []byte) (int, error) {
	s.ready = append(s.ready, b...)
	return len(b), nil
}

// Read returns masked text. An error of the source comes after everything read before it.
func (r *reader) Read(b []byte) (int, error) {
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if len(b) == 0 {
			return 0, nil
		}
		if r.in == nil {
			r.in = make([]byte, chunk)
		}
		r.ready = r.ready[:0]
		n, err := r.from.Read(r.in)
		if n > 0 {
			r.w.take(r.in[:n])
		}
		if err != nil {
			r.w.advance(true)
			r.err = err
		}
	}
	n := copy(b, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}
