package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"
)

// RunOptions says how to run.
type RunOptions struct {
	// Kind is what the snapshot may share with older ones. A run is full all the
	// same if there is nothing to share with: no snapshot yet, one of an older
	// format, other recipients, or another key epoch. Snapshot.Kind says what it was.
	Kind Kind
	// Scrub is the number of runs within which every row is read again, also if
	// nothing reports a change of it; zero means 30. Only for kinds other than Full.
	Scrub    int
	Progress func(Progress) // called now and then from the goroutine of Run; may be nil
}

// defaultScrub is a month of daily runs.
const defaultScrub = 30

// Run stores a snapshot of the source and returns it. The manifest is
// written last: a run that is killed leaves a repository that verifies, and the
// next one uses the chunks it had stored. Of several runs at once, one wins and
// the others fail without harm. If only the recording failed, the source's
// change tracking could not be told, or the manifest could not be retained, both
// the snapshot and the error are returned.
func (r *Repository) Run(ctx context.Context, opts RunOptions) (Snapshot, error) {
	switch {
	case r.cfg.Source == nil:
		return Snapshot{}, errors.New("backup: Config.Source is nil; there is nothing to copy")
	case opts.Kind < Full || opts.Kind > Incremental:
		return Snapshot{}, fmt.Errorf("backup: RunOptions.Kind is %d; use Full, Differential or Incremental", int(opts.Kind))
	case opts.Scrub < 0:
		return Snapshot{}, errors.New("backup: RunOptions.Scrub is negative")
	case opts.Scrub == 0:
		opts.Scrub = defaultScrub
	}
	ring, err := r.ensureKeys(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	c, err := newCodec(ring)
	if err != nil {
		return Snapshot{}, err
	}
	defer c.close()
	head, last, err := r.nextHead(ctx, c)
	if err != nil {
		return Snapshot{}, err
	}
	// Before the view begins: nothing that was deleted by then is in it.
	w := &running{repo: r, ring: ring, opts: opts, began: r.cfg.Now().UTC().Round(0)}
	if w.key, err = r.newDataKey(ctx, ring, head.id); err != nil {
		return Snapshot{}, err
	}
	kind, err := w.kind(ctx, last)
	if err != nil {
		return Snapshot{}, err
	}
	view, err := r.cfg.Source.Snapshot(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	defer view.Close()
	m, err := w.copy(ctx, view, newBasis(kind, last, opts.Scrub))
	if missed := (*Missed)(nil); errors.As(err, &missed) {
		w.missed = append(w.missed, *missed)
		m, err = w.copy(ctx, view, newBasis(Full, nil, 0))
	}
	if err == nil {
		err = view.Close()
	}
	if err != nil {
		return Snapshot{}, err
	}
	lock := r.newLock()
	if err := lock.before(ctx, m, last); err != nil {
		return Snapshot{}, err
	}
	object, err := c.sealManifest(head, m)
	if err != nil {
		return Snapshot{}, err
	}
	if err := r.commit(ctx, ring, head.id, object); err != nil {
		return Snapshot{}, err
	}
	done := &openedManifest{manifestHead: head, manifest: m, hash: manifestHash(object)}
	s := done.snapshot()
	s.Work = w.work
	return s, errors.Join(lock.after(ctx, s.ID), w.afterwards(ctx, view, s))
}

// afterwards tells the source and the recorder.
func (w *running) afterwards(ctx context.Context, view View, s Snapshot) error {
	var failed error
	if tracker, ok := view.(Tracker); ok {
		if err := tracker.Settle(ctx); err != nil {
			failed = fmt.Errorf("backup: snapshot %d exists, but the source's change tracking was not told, so the next run reads everything: %w", s.ID, err)
		}
	}
	for _, m := range s.Missed {
		err := w.repo.cfg.Record.Record(ctx, "backup.missed", slog.String("dataset", s.DataSet),
			slog.Uint64("snapshot", uint64(s.ID)), slog.String("table", m.Table))
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("backup: record backup.missed of snapshot %d: %w", s.ID, err))
		}
	}
	return errors.Join(failed, w.repo.record(ctx, "backup.run", s))
}

func (r *Repository) record(ctx context.Context, action string, s Snapshot) error {
	err := r.cfg.Record.Record(ctx, action,
		slog.String("dataset", s.DataSet), slog.Uint64("snapshot", uint64(s.ID)),
		slog.String("hash", s.Hash), slog.Int64("count", s.Rows))
	if err != nil {
		return fmt.Errorf("backup: record %s of snapshot %d: %w", action, s.ID, err)
	}
	return nil
}

// nextHead finds the number and predecessor of the next manifest.
func (r *Repository) nextHead(ctx context.Context, c *codec) (manifestHead, *openedManifest, error) {
	h, err := r.loadHistory(ctx, c.ring)
	if err != nil {
		return manifestHead{}, nil, err
	}
	if err := h.complete(); err != nil {
		return manifestHead{}, nil, err
	}
	head := manifestHead{id: h.newest() + 1, prev: h.prune.Hash, epoch: c.ring.epoch}
	var last *openedManifest
	if len(h.ids) > 0 {
		if last, err = c.readManifest(ctx, r.cfg.Store, h.newest()); err != nil {
			return manifestHead{}, nil, err
		}
		head.prev = last.hash
	}
	// Chunks of a later run prove that manifests have been taken away.
	for o, err := range r.cfg.Store.List(ctx, chunkPrefix, afterRun(head.id)) {
		if err != nil {
			return manifestHead{}, nil, fmt.Errorf("backup: list chunks: %w", err)
		}
		return manifestHead{}, nil, fmt.Errorf("%w: %s is missing: there is %s, of a later run", ErrDamaged, manifestKey(head.id), o.Key)
	}
	return head, last, nil
}

// running is one run of Run.
type running struct {
	repo   *Repository
	ring   *keyring
	key    *dataKey
	opts   RunOptions
	began  time.Time
	missed []Missed
	work   Work
}

// kind is what the run can be, given what is there.
func (w *running) kind(ctx context.Context, last *openedManifest) (Kind, error) {
	if w.opts.Kind == Full || last == nil || last.version < 2 {
		return Full, nil
	}
	ours, err := w.ring.openDataKey(w.key.name, w.key.object)
	if err != nil {
		return Full, err
	}
	for _, name := range last.DataKeys {
		theirs, err := readDataKey(ctx, w.repo.cfg.Store, w.ring, name)
		if err != nil {
			return Full, err
		}
		if !ours.sameReaders(theirs) {
			return Full, nil
		}
	}
	return w.opts.Kind, nil
}

// copy stores the chunks of a run.
func (w *running) copy(ctx context.Context, view View, basis *basis) (manifest, error) {
	cfg := w.repo.cfg
	m := manifest{DataSet: cfg.DataSet, Time: w.began, Kind: basis.kind, Generation: w.key.name.run, Schema: view.Schema(), Own: w.key.name}
	if basis.from != nil {
		m.Generation = basis.from.Generation
	}
	if err := checkSchema(m.Schema); err != nil {
		return manifest{}, err
	}
	up, ctx, err := startUpload(ctx, cfg.Store, w.ring, w.key, basis.chunks())
	if err != nil {
		return manifest{}, err
	}
	defer up.stop(nil)
	up.bounds = cfg.Epochs == nil
	meter := newMeter(w.opts.Progress, "copy", estimate(m.Schema))
	meter.work = func() (stored, reused int64) { return up.stored.Load(), up.reused.Load() }
	for _, table := range m.Schema.Tables {
		var entry manifestTable
		if entry, err = w.table(ctx, up, basis, view, table, meter); err != nil {
			break
		}
		m.Tables = append(m.Tables, entry)
	}
	up.finish()
	w.work.Read += meter.read
	w.work.Stored += up.stored.Load()
	w.work.Chunks += up.chunks.Load()
	// A worker's failure ends the context and comes back from the source as a
	// mere cancellation: the cause is what happened.
	if cause := context.Cause(ctx); cause != nil {
		return manifest{}, cause
	}
	if err != nil {
		return manifest{}, err
	}
	w.work.Reused = up.reused.Load()
	m.Missed = w.missed
	m.total(w.ring)
	meter.flush()
	return m, nil
}

func (w *running) table(ctx context.Context, up *upload, basis *basis, view View, table Table, meter *meter) (manifestTable, error) {
	tag, err := up.ring.tag(table.Name)
	if err != nil {
		return manifestTable{}, err
	}
	t := &tableCopy{up: up, basis: basis, view: view, table: table, meter: meter, tag: tag, cut: newCutter(up.ring.boundary, table)}
	missed, err := t.run(ctx)
	if missed != nil {
		w.missed = append(w.missed, *missed)
	}
	return t.entry, err
}

// total adds up the chunks once they are all stored.
func (m *manifest) total(ring *keyring) {
	keys := map[dataKeyName]int{}
	for i := range m.Tables {
		t := &m.Tables[i]
		set := newRowSet(ring.rows, m.Schema.Tables[i].Name)
		for _, ref := range t.Chunks {
			set.merge(ref.Sum, ref.Rows, ref.Bytes)
			if _, ok := keys[ref.dataKey]; !ok {
				keys[ref.dataKey] = len(m.DataKeys)
				m.DataKeys = append(m.DataKeys, ref.dataKey)
			}
			ref.Key = keys[ref.dataKey]
		}
		t.Rows, t.Bytes, t.Sum = set.rows, set.bytes, set.value()
	}
}

func estimate(s Schema) (rows int64) {
	for _, t := range s.Tables {
		rows += t.Estimate
	}
	return rows
}

// commit stores the manifest, which makes the snapshot exist.
func (r *Repository) commit(ctx context.Context, ring *keyring, id ID, object []byte) error {
	key := manifestKey(id)
	if err := r.cfg.Store.Put(ctx, key, object); err != nil {
		// The store may have persisted what it reported as failed, and a retry in
		// between may have met it: what is there decides.
		stored, getErr := r.cfg.Store.Get(ctx, key, 0, -1)
		switch {
		case getErr == nil && bytes.Equal(stored, object):
		case errors.Is(err, fs.ErrExist):
			return fmt.Errorf("backup: another run finished snapshot %d first; run again: %w", id, err)
		default:
			return fmt.Errorf("backup: write %s: %w", key, err)
		}
	}
	// A prune that passed this number while the run was under way has removed the
	// manifest's predecessors, and counts it among them.
	h, err := r.loadHistory(ctx, ring)
	if err != nil {
		return err
	}
	if h.prune.removes(id) {
		return fmt.Errorf("backup: snapshot %d was overtaken by newer ones and pruned; run again", id)
	}
	return nil
}
