package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
)

// RunOptions says how to run.
type RunOptions struct {
	Progress func(Progress) // called now and then from the goroutine of Run; may be nil
}

// Run stores a full snapshot of the source and returns it. The manifest is
// written last: a run that is killed leaves a repository that verifies, and the
// next one uses the chunks it had stored. Of several runs at once, one wins and
// the others fail without harm. If only the recording failed, both the snapshot
// and the error are returned.
func (r *Repository) Run(ctx context.Context, opts RunOptions) (Snapshot, error) {
	if r.cfg.Source == nil {
		return Snapshot{}, errors.New("backup: Config.Source is nil; there is nothing to copy")
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
	head, err := r.nextHead(ctx, c)
	if err != nil {
		return Snapshot{}, err
	}
	m, err := r.copy(ctx, ring, head.id, opts)
	if err != nil {
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
	return s, r.record(ctx, "backup.run", s)
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
func (r *Repository) nextHead(ctx context.Context, c *codec) (manifestHead, error) {
	h, err := r.loadHistory(ctx, c.ring)
	if err != nil {
		return manifestHead{}, err
	}
	if err := h.complete(); err != nil {
		return manifestHead{}, err
	}
	head := manifestHead{id: h.newest() + 1, prev: h.prune.Hash, epoch: c.ring.epoch}
	if len(h.ids) > 0 {
		last, err := c.readManifest(ctx, r.cfg.Store, h.newest())
		if err != nil {
			return manifestHead{}, err
		}
		head.prev = last.hash
	}
	// Chunks of a later generation prove that manifests have been taken away.
	for o, err := range r.cfg.Store.List(ctx, chunkPrefix, afterGeneration(head.id)) {
		if err != nil {
			return manifestHead{}, fmt.Errorf("backup: list chunks: %w", err)
		}
		return manifestHead{}, fmt.Errorf("%w: %s is missing: there is %s, of a later run", ErrDamaged, manifestKey(head.id), o.Key)
	}
	return head, nil
}

// copy stores the chunks of a new generation.
func (r *Repository) copy(ctx context.Context, ring *keyring, generation ID, opts RunOptions) (manifest, error) {
	view, err := r.cfg.Source.Snapshot(ctx)
	if err != nil {
		return manifest{}, err
	}
	defer view.Close()
	m := manifest{DataSet: r.cfg.DataSet, Time: r.cfg.Now().UTC().Round(0), Generation: generation, Schema: view.Schema()}
	if err := checkSchema(m.Schema); err != nil {
		return manifest{}, err
	}
	up, ctx, err := startUpload(ctx, r.cfg.Store, ring, generation)
	if err != nil {
		return manifest{}, err
	}
	defer up.stop(nil)
	meter := newMeter(opts.Progress, "copy", estimate(m.Schema))
	for _, table := range m.Schema.Tables {
		var entry manifestTable
		if entry, err = copyTable(ctx, up, view, table, meter); err != nil {
			break
		}
		m.Tables = append(m.Tables, entry)
	}
	up.finish()
	// A worker's failure ends the context and comes back from the source as a
	// mere cancellation: the cause is what happened.
	if cause := context.Cause(ctx); cause != nil {
		return manifest{}, cause
	}
	if err != nil {
		return manifest{}, err
	}
	meter.flush()
	return m, view.Close()
}

func estimate(s Schema) (rows int64) {
	for _, t := range s.Tables {
		rows += t.Estimate
	}
	return rows
}

func copyTable(ctx context.Context, up *upload, view View, table Table, meter *meter) (manifestTable, error) {
	tag, err := up.ring.tag(table.Name)
	if err != nil {
		return manifestTable{}, err
	}
	meter.table(table.Name)
	var entry manifestTable
	set, cut := newRowSet(up.ring.rows, table.Name), newCutter(up.ring.boundary, table)
	flush := func() error {
		ref := &chunkRef{Rows: cut.rows}
		entry.Chunks = append(entry.Chunks, ref)
		meter.add(cut.rows, int64(len(cut.buf)))
		err := up.add(ctx, chunkJob{content: cut.buf, tag: tag, ref: ref})
		cut.start(up.buffer())
		return err
	}
	cut.start(up.buffer())
	for row, err := range view.Rows(ctx, table.Name) {
		if err != nil {
			return manifestTable{}, err
		}
		full, err := cut.add(row)
		if err != nil {
			return manifestTable{}, err
		}
		set.add(row)
		if full {
			if err := flush(); err != nil {
				return manifestTable{}, err
			}
		}
	}
	if cut.rows > 0 {
		if err := flush(); err != nil {
			return manifestTable{}, err
		}
	}
	entry.Rows, entry.Bytes, entry.Sum = set.rows, set.bytes, set.value()
	return entry, nil
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
	if id <= h.prune.Through {
		return fmt.Errorf("backup: snapshot %d was overtaken by newer ones and pruned; run again", id)
	}
	return nil
}
