package masking

import (
	"context"
	"io"
)

// NewWriterSize is NewWriter with another chunk, so that tests meet the seams between chunks everywhere.
func (p Policy) NewWriterSize(ctx context.Context, next io.Writer, size int) *Writer {
	w := p.NewWriter(ctx, next)
	w.chunk = size
	return w
}

// Buffered is how much the writer holds back.
func (w *Writer) Buffered() int { return len(w.buf) }
