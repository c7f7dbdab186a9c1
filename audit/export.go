package audit

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/confide-go/confide/internal/durable"
)

// exportMagic begins an export, with its version. Behind it come frames.
const exportMagic = "confide-audit-export/3\n"

// The kinds of frames.
const (
	frameKey   = 'K' // first: the key's name
	frameHead  = 'H' // a head, followed by the entries of its log
	frameEntry = 'E'
	frameBlank = 'B' // the leaf hash of a pruned entry
	frameEnd   = 'Z' // last: the number of frames before it
)

// Export writes all sealed entries and their heads, enough for VerifyExport to
// check them without the database. FORMAT.md specifies the bytes.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	return l.ExportSince(ctx, w, Verified{})
}

// ExportSince writes what was sealed behind a verified state. To verify it, give
// VerifyExport the same state as VerifyOptions.Since.
func (l *Log) ExportSince(ctx context.Context, w io.Writer, since Verified) error {
	out := bufio.NewWriterSize(w, 1<<16)
	e := exporter{w: out}
	if _, err := out.WriteString(exportMagic); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	if err := e.frame(frameKey, appendText(nil, l.keys.name())); err != nil {
		return err
	}
	heads, err := l.cfg.Store.Heads(ctx)
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	from := map[string]int64{}
	for _, h := range since.Heads {
		from[h.Log] = h.Size
	}
	for _, h := range heads {
		if err := e.log(ctx, l.cfg.Store, h, from[h.Log]); err != nil {
			return err
		}
	}
	if err := e.frame(frameEnd, binary.BigEndian.AppendUint64(nil, uint64(e.frames))); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	return nil
}

// ExportFile makes a new file with an export. When it returns nil, the file is
// whole and on stable storage; otherwise there is none of that name.
func (l *Log) ExportFile(ctx context.Context, path string) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%w: the folder of the export does not exist", ErrInvalid)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(l.Export(ctx, w)) }()
	err := durable.CreateFrom(path, r, 0o600)
	r.CloseWithError(err) // ends the writer if the file could not take it all
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	return nil
}

type exporter struct {
	w      *bufio.Writer
	frames int64
	buf    []byte
}

func (e *exporter) frame(kind byte, parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	e.frames++
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(size))
	for _, p := range append([][]byte{head}, parts...) {
		if _, err := e.w.Write(p); err != nil {
			return fmt.Errorf("audit: export: %w", err)
		}
	}
	return nil
}

// log writes a head and what it covers; what was sealed since belongs to the next export.
func (e *exporter) log(ctx context.Context, store Store, h Head, from int64) error {
	b := binary.BigEndian.AppendUint64(appendText(nil, h.Log), uint64(h.Size))
	for _, p := range [][]byte{h.Tip, h.Edge, h.Note} {
		b = appendText(b, string(p))
	}
	if err := e.frame(frameHead, b); err != nil {
		return err
	}
	sel := everything(h.Log)
	if from > 0 {
		sel.MinSeq = from
	}
	if len(h.Note) > 0 {
		sel.MaxSeq = h.Size - 1
	}
	for {
		page, err := store.Entries(ctx, sel)
		if err != nil {
			return fmt.Errorf("audit: export log %q: %w", h.Log, err)
		}
		for _, s := range page {
			kind, body := byte(frameEntry), s.Data
			if len(body) == 0 {
				kind, body = frameBlank, s.Hash
			}
			if err := e.frame(kind, binary.BigEndian.AppendUint64(e.buf[:0], uint64(s.Seq)), body); err != nil {
				return err
			}
		}
		if len(page) < sel.Limit || !sel.continueAfter(page[len(page)-1].Seq) {
			return nil
		}
	}
}
