package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"reflect"
	"slices"
)

// A basis is the snapshot whose chunks a run may share.
type basis struct {
	kind   Kind
	from   *openedManifest // the newest snapshot; nil for a full run
	tables map[string]int  // position in from
	scrub  uint64          // one in so many unchanged chunks is read all the same
}

func newBasis(kind Kind, from *openedManifest, scrub int) *basis {
	b := &basis{kind: kind, scrub: uint64(scrub), tables: map[string]int{}}
	if kind == Full {
		return b
	}
	b.from = from
	for i, t := range from.Schema.Tables {
		b.tables[t.Name] = i
	}
	return b
}

// sharable reports whether the kind of run allows to share this chunk.
func (b *basis) sharable(ref *chunkRef) bool {
	return b.kind == Incremental || b.kind == Differential && ref.Run == b.from.Generation
}

// chunks are those of the basis, by content.
func (b *basis) chunks() map[chunkID]*chunkRef {
	out := map[chunkID]*chunkRef{}
	if b.from == nil {
		return out
	}
	for _, t := range b.from.Tables {
		for _, ref := range t.Chunks {
			if b.sharable(ref) {
				out[ref.ID] = ref
			}
		}
	}
	return out
}

// entry returns how the basis holds a table, if it held the same table.
func (b *basis) entry(t Table) (manifestTable, bool) {
	i, ok := b.tables[t.Name]
	if !ok || b.from == nil {
		return manifestTable{}, false
	}
	old := b.from.Schema.Tables[i]
	same := reflect.DeepEqual(old.Columns, t.Columns) && reflect.DeepEqual(old.Key, t.Key)
	return b.from.Tables[i], same
}

// A Missed is a change of a table that its tracking did not report and that
// was found nevertheless: by reading a share of the unchanged rows, or by their
// number. The snapshot that names it is right.
type Missed struct {
	Table  string `json:"table"`
	Detail string `json:"detail"`
}

func (m Missed) Error() string { return fmt.Sprintf("table %q: %s", m.Table, m.Detail) }

// A tableCopy reads one table of a run into chunks.
type tableCopy struct {
	up    *upload
	basis *basis
	view  View
	table Table
	meter *meter

	tag   []byte
	cut   *cutter
	entry manifestTable
	rows  int64 // in entry.Chunks, whose refs belong to the upload
}

func (w *tableCopy) run(ctx context.Context) (missed *Missed, err error) {
	w.meter.table(w.table.Name)
	w.cut.start(w.up.buffer())
	tracker, ok := w.view.(Tracker)
	if !ok {
		return nil, w.all(ctx)
	}
	now, next := tracker.Marks(w.table.Name)
	w.entry.Mark = next
	base, same := w.basis.entry(w.table)
	if !same || now == "" || now != base.Mark || !bounded(base) {
		return nil, w.all(ctx)
	}
	if err := w.changes(ctx, tracker, base); err != nil {
		return nil, err
	}
	count, err := tracker.Count(ctx, w.table.Name)
	if err != nil {
		return nil, err
	}
	if w.rows == count {
		return nil, nil
	}
	// Rows came or went unseen: a TRUNCATE without a trigger, a cascade, a trigger
	// that was switched off. The table is read whole, which needs no tracking.
	missed = &Missed{Table: w.table.Name, Detail: fmt.Sprintf("it has %d rows, and %d by the changes that were tracked; all of it was read", count, w.rows)}
	w.entry.Chunks, w.rows = nil, 0
	w.cut.start(w.cut.buf)
	return missed, w.all(ctx)
}

// bounded reports whether it is known where each chunk ends.
func bounded(t manifestTable) bool {
	return len(t.Chunks) > 0 && !slices.ContainsFunc(t.Chunks, func(ref *chunkRef) bool { return len(ref.Last) == 0 })
}

// all reads the whole table.
func (w *tableCopy) all(ctx context.Context) error {
	if err := w.read(ctx, w.view.Rows(ctx, w.table.Name)); err != nil {
		return err
	}
	return w.flush(ctx)
}

func (w *tableCopy) read(ctx context.Context, rows iter.Seq2[Row, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		full, err := w.cut.add(row)
		if err != nil {
			return err
		}
		if full {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush hands the rows collected so far over as one chunk.
func (w *tableCopy) flush(ctx context.Context) error {
	if w.cut.rows == 0 {
		return nil
	}
	ref := &chunkRef{Rows: w.cut.rows}
	if w.up.bounds {
		ref.Last = bytes.Clone(w.cut.lastKey())
	}
	w.entry.Chunks = append(w.entry.Chunks, ref)
	w.rows += ref.Rows
	w.meter.add(w.cut.rows, int64(len(w.cut.buf)))
	w.meter.read += w.cut.rows
	err := w.up.add(ctx, chunkJob{content: w.cut.buf, tag: w.tag, table: w.table, ref: ref})
	w.cut.start(w.up.buffer())
	return err
}

// changes reads the chunks that may have changed and shares the others. Where
// most have changed all is read: a table of which parts are read, each by its
// index, costs up to twice as much a row.
func (w *tableCopy) changes(ctx context.Context, tracker Tracker, base manifestTable) error {
	spans := spansOf(base)
	changed, err := w.changed(ctx, tracker, base, spans)
	if err != nil {
		return err
	}
	if w.mostly(base, changed) {
		return w.all(ctx)
	}
	for i := 0; i < len(spans); {
		ref := base.Chunks[i]
		crumb := w.cut.rows > 0 && len(w.cut.buf) < minChunk // rather than store which, the next one is read
		if changed[i] || crumb {
			span := spans[i]
			for i++; i < len(spans) && changed[i]; i++ {
				span.Through = spans[i].Through
			}
			if err := w.read(ctx, tracker.Range(ctx, w.table.Name, span)); err != nil {
				return err
			}
			continue
		}
		if err := w.flush(ctx); err != nil {
			return err
		}
		shared := *ref
		w.entry.Chunks = append(w.entry.Chunks, &shared)
		w.rows += ref.Rows
		w.up.reused.Add(1)
		w.meter.add(ref.Rows, ref.Bytes)
		i++
	}
	return w.flush(ctx)
}

// spansOf are where a table's chunks lie; the last one has whatever was added
// behind it.
func spansOf(t manifestTable) []Span {
	out := make([]Span, len(t.Chunks))
	for i, ref := range t.Chunks[:len(t.Chunks)-1] {
		out[i].Through, out[i+1].After = ref.Last, ref.Last
	}
	return out
}

// changed reports which chunks have to be read. Of the others it scrubs those
// whose turn it is.
func (w *tableCopy) changed(ctx context.Context, tracker Tracker, base manifestTable, spans []Span) ([]bool, error) {
	changed, err := tracker.Changed(ctx, w.table.Name, spans)
	if err != nil {
		return nil, err
	}
	if len(changed) != len(spans) {
		return nil, fmt.Errorf("backup: the source answered for %d of %d spans of table %q", len(changed), len(spans), w.table.Name)
	}
	for i, ref := range base.Chunks {
		changed[i] = changed[i] || !w.basis.sharable(ref)
		due := binary.BigEndian.Uint64(ref.ID[:])%w.basis.scrub == uint64(w.up.key.name.run)%w.basis.scrub
		if !changed[i] && due {
			if err := w.scrub(ctx, tracker, spans[i], ref); err != nil {
				return nil, err
			}
		}
	}
	return changed, nil
}

func (w *tableCopy) mostly(base manifestTable, changed []bool) bool {
	var rows, all int64
	for i, ref := range base.Chunks {
		all += ref.Rows
		if changed[i] {
			rows += ref.Rows
		}
	}
	return rows > all/2
}

// scrub reads a chunk that did not change according to the tracking. A
// difference is a *Missed: then nothing the tracking says can be believed.
func (w *tableCopy) scrub(ctx context.Context, tracker Tracker, span Span, ref *chunkRef) error {
	check := newCutter(nil, w.table)
	check.start(w.up.buffer())
	for row, err := range tracker.Range(ctx, w.table.Name, span) {
		if err != nil {
			return err
		}
		if err := check.append(row); err != nil {
			return err
		}
	}
	w.meter.read += check.rows
	id, err := w.up.codec.id(check.buf)
	if err != nil {
		return err
	}
	if id != ref.ID {
		return &Missed{Table: w.table.Name, Detail: fmt.Sprintf("rows that the tracking calls unchanged since snapshot %d differ from it; everything was read again", w.basis.from.id)}
	}
	w.up.recycle(check.buf)
	return nil
}
