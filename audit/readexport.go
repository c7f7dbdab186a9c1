package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// VerifyExport verifies an export as Verify does a database, with nothing but
// the verifier key (and VerifyOptions.Keys). It reads the export once, from
// beginning to end, and holds no more of it than some pages.
func VerifyExport(ctx context.Context, r io.Reader, verifier note.Verifier, opts VerifyOptions) (Report, error) {
	if verifier == nil {
		return Report{}, fmt.Errorf("%w: VerifyExport got no verifier key", ErrInvalid)
	}
	v, err := newVerifier(KeysOf(verifier), opts)
	if err != nil {
		return Report{}, err
	}
	v.anchors(opts.Checkpoints)
	if err := v.file(ctx, r); err != nil {
		return Report{}, err
	}
	return v.finish(), nil
}

// file verifies an export.
func (v *verifier) file(ctx context.Context, r io.Reader) error {
	in, err := openExport(r, v.keys.name())
	if err != nil {
		return err
	}
	if err := v.export(ctx, in); err != nil {
		return err
	}
	v.holes()
	v.goneChanges(false)
	return nil
}

// export verifies the logs in the order of the file: the top log first, then the
// tenants' by name, and then those that should be there and are not.
func (v *verifier) export(ctx context.Context, in *exportReader) error {
	done := map[string]Head{}
	run := func(h Head, pages pages) error {
		w := v.walk(h, h.Log)
		if err := w.run(ctx, pages); err != nil {
			return err
		}
		if h.Log == topLog {
			v.top(w)
		} else {
			v.merge(w)
		}
		done[h.Log] = h
		return nil
	}
	none := func(func([]Stored, error) bool) {}
	head, err := in.next()
	if err == nil && (head == nil || head.Log != topLog) {
		err = run(Head{}, none)
	}
	last := ""
	for ; err == nil && head != nil; head, err = in.next() {
		if _, again := done[head.Log]; again && head.Log != topLog || head.Log < last {
			return fmt.Errorf("%w: frame %d of the export: its logs are not in order", ErrInvalid, in.frames)
		}
		last = head.Log
		if err = run(*head, in.pages(ctx, head.Log)); err != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	for _, name := range v.names(nil) {
		if _, ok := done[name]; !ok {
			if err := run(Head{Log: name}, none); err != nil {
				return err
			}
		}
	}
	return nil
}

// A frame is one part of an export.
type frame struct {
	kind byte
	key  string
	head Head
	seq  int64
	data []byte
	end  int64
}

// An exportReader reads frames, of either version.
type exportReader struct {
	read   func() (frame, error)
	frames int64
	ahead  *frame // read and not taken yet
	ended  bool
}

func openExport(r io.Reader, name string) (*exportReader, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	begin, _ := in.Peek(len(exportMagic))
	e := &exportReader{}
	switch {
	case string(begin) == exportMagic:
		_, _ = in.Discard(len(exportMagic)) // it is in the buffer
		f := &frameReader{in: in}
		e.read = f.read
	case bytes.HasPrefix(begin, []byte(`{"format":`)):
		e.read = readLines(in)
	default:
		return nil, fmt.Errorf("%w: the file is not an export of an audit log", ErrInvalid)
	}
	f, err := e.take()
	if err != nil {
		return nil, err
	}
	if f.kind != frameKey || f.key != name {
		return nil, fmt.Errorf("%w: the export was made with the key of another log than %s; give its verifier key", ErrInvalid, name)
	}
	return e, nil
}

// take returns the next frame; at the end io.EOF, and an error if the export
// was cut off.
func (e *exportReader) take() (frame, error) {
	if f := e.ahead; f != nil {
		e.ahead = nil
		return *f, nil
	}
	f, err := e.read()
	switch {
	case errors.Is(err, io.EOF) && e.ended:
		return f, io.EOF
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return f, fmt.Errorf("%w: the export ends after %d frames without its last one: it was cut off; export again", ErrInvalid, e.frames)
	case err != nil && !errors.Is(err, errMalformed):
		return f, fmt.Errorf("audit: read the export: %w", err)
	case err != nil, e.ended, f.kind == frameEnd && f.end != e.frames, (f.kind == frameKey) != (e.frames == 0):
		return f, fmt.Errorf("%w: frame %d of the export is not what an export has there", ErrInvalid, e.frames+1)
	}
	e.frames++
	if f.kind == frameEnd {
		e.ended = true
		return e.take()
	}
	return f, nil
}

// next returns the next head, or nil at the end.
func (e *exportReader) next() (*Head, error) {
	f, err := e.take()
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	case f.kind != frameHead:
		return nil, fmt.Errorf("%w: frame %d of the export is an entry without its head", ErrInvalid, e.frames)
	}
	return &f.head, nil
}

// pages reads the entries behind a head in a goroutine of its own, so that reading
// and verifying overlap.
func (e *exportReader) pages(ctx context.Context, log string) pages {
	type result struct {
		page []Stored
		err  error
	}
	return func(yield func([]Stored, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		ch := make(chan result, 4)
		go func() {
			defer close(ch)
			last := int64(math.MinInt64)
			for {
				page, err := e.page(log, &last)
				select {
				case ch <- result{page, err}:
				case <-ctx.Done():
					return
				}
				if err != nil || len(page) < verifyPage {
					return
				}
			}
		}()
		for r := range ch {
			if !yield(r.page, r.err) || r.err != nil {
				break
			}
		}
		cancel()
		for range ch { // until the reader has ended
		}
	}
}

func (e *exportReader) page(log string, last *int64) ([]Stored, error) {
	page := make([]Stored, 0, verifyPage)
	for len(page) < verifyPage {
		f, err := e.take()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if f.kind != frameEntry && f.kind != frameBlank {
			e.ahead = &f
			break
		}
		if f.seq < *last {
			return nil, fmt.Errorf("%w: frame %d of the export: the entries of log %q are not in order", ErrInvalid, e.frames, log)
		}
		*last = f.seq
		s := Stored{Log: log, Seq: f.seq, Data: f.data}
		if f.kind == frameBlank {
			s.Data, s.Hash = nil, f.data
		}
		page = append(page, s)
	}
	return page, nil
}

// mostFrame bounds what a forged length can make the reader allocate.
const mostFrame = 1 << 20

type frameReader struct {
	in   *bufio.Reader
	slab []byte
}

func (r *frameReader) read() (frame, error) {
	head, err := r.in.Peek(5)
	if err != nil {
		if len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	f := frame{kind: head[0]}
	size := int(binary.BigEndian.Uint32(head[1:]))
	if size > mostFrame {
		return f, errMalformed
	}
	_, _ = r.in.Discard(5) // it is in the buffer
	body := r.alloc(size)
	if _, err := io.ReadFull(r.in, body); err != nil {
		return f, io.ErrUnexpectedEOF
	}
	d := &decoder{b: body}
	switch f.kind {
	case frameKey:
		f.key = d.text()
	case frameHead:
		f.head = Head{Log: d.text(), Size: d.int64(), Tip: d.bytes(uint64(d.uint32())), Edge: d.bytes(uint64(d.uint32())), Note: d.bytes(uint64(d.uint32()))}
	case frameEntry, frameBlank:
		f.seq = d.int64()
		f.data, d.b = d.b, nil
		d.bad = d.bad || f.kind == frameBlank && len(f.data) != tlog.HashSize
	case frameEnd:
		f.end = d.int64()
	default:
		return f, errMalformed
	}
	if d.bad || len(d.b) > 0 {
		return f, errMalformed
	}
	return f, nil
}

// alloc takes memory from slabs: an allocation for each entry would cost as much as its hash.
func (r *frameReader) alloc(n int) []byte {
	if n > len(r.slab) {
		r.slab = make([]byte, max(n, 1<<18))
	}
	b := r.slab[:n:n]
	r.slab = r.slab[n:]
	return b
}

// line is one line of an export of version 1 or 2.
type line struct {
	Format string  `json:"format"`
	Key    string  `json:"key"`
	Log    *string `json:"log"`
	Size   int64   `json:"size"`
	Tip    []byte  `json:"tip"`
	Edge   []byte  `json:"edge"`
	Note   []byte  `json:"note"`
	Seq    int64   `json:"seq"`
	Data   []byte  `json:"data"`
	Hash   []byte  `json:"hash"` // version 2, in place of the data of a pruned entry
	End    int64   `json:"end"`
}

// readLines reads versions 1 and 2, JSON lines, which are no longer written.
func readLines(r io.Reader) func() (frame, error) {
	dec, version := json.NewDecoder(r), ""
	return func() (frame, error) {
		var l line
		if err := dec.Decode(&l); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				err = errMalformed
			}
			return frame{}, err
		}
		switch {
		case l.Format == "confide-audit-export/1" || l.Format == "confide-audit-export/2":
			version = l.Format
			return frame{kind: frameKey, key: l.Key}, nil
		case l.Log != nil && len(l.Hash) == tlog.HashSize && version == "confide-audit-export/2":
			return frame{kind: frameBlank, seq: l.Seq, data: l.Hash}, nil
		case l.Log != nil && l.Data != nil:
			return frame{kind: frameEntry, seq: l.Seq, data: l.Data}, nil
		case l.Log != nil:
			return frame{kind: frameHead, head: Head{Log: *l.Log, Size: l.Size, Tip: l.Tip, Edge: l.Edge, Note: l.Note}}, nil
		case l.End > 0:
			return frame{kind: frameEnd, end: l.End}, nil
		}
		return frame{}, errMalformed
	}
}
