package backup

import (
	"context"
	"fmt"
	"iter"
)

// RestoreOptions says how to restore.
type RestoreOptions struct {
	Progress func(Progress) // may be nil
}

// Restore puts one snapshot, or the Newest, into an empty target. Before it
// commits it reads every row back and compares their keyed hash with the
// signed manifest: a nil error means that the target holds exactly the rows that
// were backed up. On any error the target is left as it was.
//
// Newest is what the store shows as newest. To be sure that nothing is hidden,
// give the number that was recorded, or run Verify with Heads first.
func (r *Repository) Restore(ctx context.Context, id ID, target Target, opts RestoreOptions) (Report, error) {
	ring, err := r.ring(ctx)
	if err != nil {
		return Report{}, err
	}
	m, err := r.find(ctx, ring, id)
	if err != nil {
		return Report{}, err
	}
	w := &restoration{store: r.cfg.Store, ring: ring, from: m, progress: opts.Progress}
	loading, err := w.begin(ctx, target)
	if err != nil {
		return Report{}, err
	}
	defer loading.Close()
	if err := w.load(ctx); err != nil {
		return Report{}, fmt.Errorf("backup: restore snapshot %d: %w", m.id, err)
	}
	if err := w.prove(ctx); err != nil {
		return Report{}, fmt.Errorf("backup: restore snapshot %d: %w", m.id, err)
	}
	if err := r.record(ctx, "backup.restore", m.snapshot()); err != nil {
		return Report{}, err
	}
	if err := loading.Commit(ctx); err != nil {
		return Report{}, fmt.Errorf("backup: restore snapshot %d: %w", m.id, err)
	}
	w.report.OK, w.report.Snapshots = true, []ID{m.id}
	return w.report, nil
}

// find reads the manifest of a snapshot that counts.
func (r *Repository) find(ctx context.Context, ring *keyring, id ID) (*openedManifest, error) {
	if ring == nil {
		return nil, fmt.Errorf("%w: the repository is empty", ErrNoSnapshot)
	}
	h, err := r.loadHistory(ctx, ring)
	if err != nil {
		return nil, err
	}
	if id == Newest && len(h.ids) > 0 {
		id = h.newest()
	}
	found := false
	for _, have := range h.ids {
		found = found || have == id
	}
	if !found {
		return nil, fmt.Errorf("%w: %d; List says which there are", ErrNoSnapshot, id)
	}
	c, err := newCodec(ring)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.readManifest(ctx, r.cfg.Store, id)
}

// A restoration is one run of Restore.
type restoration struct {
	store    Store
	ring     *keyring
	from     *openedManifest
	to       Loading
	progress func(Progress)
	report   Report
}

// begin lets the target look at the rows, if it has to, and prepares it.
func (w *restoration) begin(ctx context.Context, target Target) (Loading, error) {
	if s, ok := target.(Surveyor); ok {
		surveyed, err := s.Survey(ctx, w.from.Schema, func(name string) iter.Seq2[Row, error] { return w.table(ctx, name) })
		if err != nil {
			return nil, fmt.Errorf("backup: restore snapshot %d: %w", w.from.id, err)
		}
		target, w.report = surveyed, Report{}
	}
	loading, err := target.Begin(ctx, w.from.Schema)
	if err != nil {
		return nil, err
	}
	w.to = loading
	if o, ok := loading.(interface{ Omitted() []Omission }); ok {
		w.report.Omitted = o.Omitted()
	}
	return loading, nil
}

// table yields the rows of one table by its name.
func (w *restoration) table(ctx context.Context, name string) iter.Seq2[Row, error] {
	for i, t := range w.from.Schema.Tables {
		if t.Name == name {
			return w.rows(ctx, t, w.from.Tables[i], newMeter(w.progress, "survey", w.from.Tables[i].Rows))
		}
	}
	return func(yield func(Row, error) bool) {
		yield(nil, fmt.Errorf("backup: there is no table %q in this snapshot", name))
	}
}

func (w *restoration) load(ctx context.Context) error {
	meter := newMeter(w.progress, "restore", w.from.snapshot().Rows)
	for i, table := range w.from.Schema.Tables {
		meter.table(table.Name)
		entry := w.from.Tables[i]
		var loaded int64
		var failed error
		rows := w.rows(ctx, table, entry, meter)
		err := w.to.Load(ctx, table.Name, func(yield func(Row, error) bool) {
			for row, err := range rows {
				failed = err
				loaded++
				if !yield(row, err) || err != nil {
					return
				}
			}
		})
		switch {
		case failed != nil: // whatever the target made of it
			return failed
		case err != nil:
			return fmt.Errorf("load table %q: %w", table.Name, err)
		case loaded != entry.Rows:
			return fmt.Errorf("load table %q: took %d of %d rows", table.Name, loaded, entry.Rows)
		}
	}
	meter.flush()
	return w.to.Finish(ctx)
}

// rows yields a table's rows out of the store.
func (w *restoration) rows(ctx context.Context, table Table, entry manifestTable, meter *meter) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for f := range fetch(ctx, w.store, w.ring, entry.Chunks) {
			if f.err != nil {
				yield(nil, f.err)
				return
			}
			w.report.Objects++
			w.report.Bytes += f.ref.Stored
			for row, err := range rowsOf(table, f.content) {
				if err != nil {
					yield(nil, fmt.Errorf("%w: %s %w", ErrDamaged, f.ref.key(), err))
					return
				}
				if !yield(row, nil) {
					return
				}
			}
			meter.add(f.ref.Rows, int64(len(f.content)))
		}
	}
}

// prove reads back what the target holds now.
func (w *restoration) prove(ctx context.Context) error {
	meter := newMeter(w.progress, "prove", w.from.snapshot().Rows)
	for i, table := range w.from.Schema.Tables {
		meter.table(table.Name)
		set := newRowSet(w.ring.rows, table.Name)
		for row, err := range w.to.Rows(ctx, table.Name) {
			if err != nil {
				return fmt.Errorf("read table %q back: %w", table.Name, err)
			}
			set.add(row)
			meter.add(1, int64(len(row)))
		}
		entry := w.from.Tables[i]
		if set.rows != entry.Rows || set.value() != entry.Sum {
			return fmt.Errorf("table %q holds other rows after the restore than were backed up (%d read back, %d backed up); the target was rolled back", table.Name, set.rows, entry.Rows)
		}
		w.report.Rows += set.rows
	}
	meter.flush()
	return nil
}
