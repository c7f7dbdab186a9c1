package audit

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The first word of an export, with its version. Version 1 knew no pruned entries.
const (
	exportFormat  = "confide-audit-export/2"
	exportFormat1 = "confide-audit-export/1"
)

// line is one line of an export. Exactly one of the groups is set.
type line struct {
	Format string `json:"format,omitempty"` // first line: the format and the key's name
	Key    string `json:"key,omitempty"`

	Log  *string `json:"log,omitempty"` // the log of a head or an entry
	Size int64   `json:"size,omitempty"`
	Tip  []byte  `json:"tip,omitempty"`
	Edge []byte  `json:"edge,omitempty"`
	Note []byte  `json:"note,omitempty"`

	Seq  int64  `json:"seq,omitempty"`
	Data []byte `json:"data,omitempty"`
	Hash []byte `json:"hash,omitempty"` // in place of the data of a pruned entry

	End int64 `json:"end,omitempty"` // last line: number of lines before it
}

// Export writes all sealed entries and their heads as JSON lines, enough for
// VerifyExport to check them without the database.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	e := exporter{json.NewEncoder(out), 0}
	if err := e.write(line{Format: exportFormat, Key: l.cfg.Verifier.Name()}); err != nil {
		return err
	}
	heads, err := l.cfg.Store.Heads(ctx)
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	for _, h := range heads {
		if err := e.write(line{Log: &h.Log, Size: h.Size, Tip: h.Tip, Edge: h.Edge, Note: h.Note}); err != nil {
			return err
		}
		if err := e.entries(ctx, l.cfg.Store, h); err != nil {
			return err
		}
	}
	if err := e.write(line{End: e.lines}); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	return nil
}

type exporter struct {
	enc   *json.Encoder
	lines int64
}

func (e *exporter) write(l line) error {
	e.lines++
	if err := e.enc.Encode(l); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	return nil
}

// entries writes what the head covers; what was sealed since belongs to the next export.
func (e *exporter) entries(ctx context.Context, store Store, h Head) error {
	sel := Selection{Log: h.Log, MinSeq: math.MinInt64, MaxSeq: h.Size - 1, Limit: verifyPage}
	if len(h.Note) == 0 {
		sel.MaxSeq = math.MaxInt64
	}
	for {
		page, err := store.Entries(ctx, sel)
		if err != nil {
			return fmt.Errorf("audit: export log %q: %w", h.Log, err)
		}
		for _, s := range page {
			l := line{Log: &s.Log, Seq: s.Seq, Data: s.Data}
			if len(s.Data) == 0 {
				l.Hash = s.Hash
			}
			if err := e.write(l); err != nil {
				return err
			}
		}
		if len(page) < verifyPage {
			return nil
		}
		sel.MinSeq = page[len(page)-1].Seq + 1
	}
}

// VerifyExport verifies an export as Verify does a database, with nothing but
// the verifier key. It holds the export in memory.
func VerifyExport(ctx context.Context, r io.Reader, verifier note.Verifier, opts VerifyOptions) (Report, error) {
	store, err := readExport(r, verifier)
	if err != nil {
		return Report{}, err
	}
	v := newVerifier(store, verifier)
	if err := v.logs(ctx, opts.Checkpoints); err != nil {
		return Report{}, err
	}
	v.revs.holes(&v.report)
	v.revs.goneChanges(&v.report, false)
	return v.report, nil
}

func readExport(r io.Reader, verifier note.Verifier) (*Memory, error) {
	dec := json.NewDecoder(bufio.NewReader(r))
	m := NewMemory()
	first, ended := "", false
	for n := int64(0); ; n++ {
		var l line
		err := dec.Decode(&l)
		switch {
		case errors.Is(err, io.EOF) && ended:
			for _, list := range m.entries {
				slices.SortStableFunc(list, func(a, b Stored) int { return cmp.Compare(a.Seq, b.Seq) })
			}
			return m, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: the export ends after %d lines without its last line: it was cut off; export again", ErrInvalid, n)
		case err != nil:
			return nil, fmt.Errorf("%w: line %d of the export is not JSON of this format", ErrInvalid, n+1)
		case n == 0 && l.Format != exportFormat && l.Format != exportFormat1:
			return nil, fmt.Errorf("%w: the file is not an export in the format %s", ErrInvalid, exportFormat)
		case n == 0 && l.Key != verifier.Name():
			return nil, fmt.Errorf("%w: the export was made with the key of another log than %s; give its verifier key", ErrInvalid, verifier.Name())
		case n == 0:
			first = l.Format
		case n > 0 && l.End == n:
			ended = true
		case n > 0 && (l.Log == nil || ended || len(l.Hash) > 0 && first == exportFormat1):
			return nil, fmt.Errorf("%w: line %d of the export is unknown", ErrInvalid, n+1)
		}
		if l.Log != nil {
			m.load(l)
		}
	}
}

// load puts a line into the store. The index is derived, for an export has none.
func (m *Memory) load(l line) {
	if l.Hash != nil {
		m.entries[*l.Log] = append(m.entries[*l.Log], Stored{Log: *l.Log, Seq: l.Seq, Hash: l.Hash})
		return
	}
	if l.Data == nil {
		m.heads[*l.Log] = Head{Log: *l.Log, Size: l.Size, Tip: l.Tip, Edge: l.Edge, Note: l.Note}
		return
	}
	leaf := tlog.RecordHash(l.Data)
	s := Stored{Log: *l.Log, Seq: l.Seq, Data: l.Data, Hash: leaf[:]}
	if *l.Log == topLog {
		s.Index = indexOfCheckpoint(l.Data, checkpointLog(l.Data))
	} else if _, ev, err := openEntry(l.Data); err == nil {
		s.Index = indexOf(&ev)
	}
	m.entries[*l.Log] = append(m.entries[*l.Log], s)
}
