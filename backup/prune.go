package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
)

// PruneOptions says what to keep.
type PruneOptions struct {
	Keep int // the newest so many snapshots; at least 1
}

// Pruned is what Prune removed.
type Pruned struct {
	Snapshots []ID
	Objects   int // manifests, chunks and superseded records
}

// Prune removes all but the newest snapshots and every chunk that only those
// removed, or unfinished runs before the newest snapshot, had used. It removes
// nothing unless what it keeps is all there, and it never removes everything. A
// prune that is killed leaves a repository that verifies; the next one finishes
// its work. It does not disturb a run under way.
func (r *Repository) Prune(ctx context.Context, opts PruneOptions) (Pruned, error) {
	if opts.Keep < 1 {
		return Pruned{}, errors.New("backup: PruneOptions.Keep must be at least 1; Prune never removes everything")
	}
	ring, err := r.ring(ctx)
	if err != nil || ring == nil {
		return Pruned{}, err
	}
	h, err := r.loadHistory(ctx, ring)
	if err != nil {
		return Pruned{}, err
	}
	if err := h.complete(); err != nil {
		return Pruned{}, err
	}
	if len(h.ids) == 0 {
		return Pruned{}, nil
	}
	keep := h.ids[max(0, len(h.ids)-opts.Keep):]
	plan, err := r.planPrune(ctx, ring, keep)
	if err != nil {
		return Pruned{}, err
	}
	removed := h.ids[:len(h.ids)-len(keep)]
	if len(removed) > 0 {
		if err := r.recordPrune(ctx, ring, plan); err != nil {
			return Pruned{}, err
		}
	}
	pruned := Pruned{Snapshots: removed}
	for _, id := range append(h.stale, removed...) {
		plan.manifests = append(plan.manifests, manifestKey(id))
	}
	for _, through := range h.pruned {
		if through < plan.record.Through {
			plan.keys = append(plan.keys, pruneKey(through))
		}
	}
	// Manifests first, so that nobody begins to restore what is about to go.
	for _, key := range append(plan.manifests, plan.keys...) {
		if err := r.cfg.Store.Delete(ctx, key); err != nil {
			return pruned, fmt.Errorf("backup: delete %s: %w; prune again to finish", key, err)
		}
		pruned.Objects++
	}
	return pruned, nil
}

// A prunePlan is what a prune records and removes.
type prunePlan struct {
	record    pruneRecord
	manifests []string
	keys      []string
}

// planPrune checks that the snapshots to keep are complete and lists the chunks
// that none of them uses.
func (r *Repository) planPrune(ctx context.Context, ring *keyring, keep []ID) (prunePlan, error) {
	c, err := newCodec(ring)
	if err != nil {
		return prunePlan{}, err
	}
	defer c.close()
	plan := prunePlan{record: pruneRecord{Through: keep[0] - 1, Newest: keep[len(keep)-1], Time: r.cfg.Now().UTC().Round(0)}}
	need := map[string]int64{}
	for i, id := range keep {
		m, err := c.readManifest(ctx, r.cfg.Store, id)
		if err != nil {
			return prunePlan{}, fmt.Errorf("backup: nothing pruned: snapshot %d, to be kept, is not whole: %w", id, err)
		}
		if i == 0 {
			plan.record.Hash = m.prev
		}
		for _, t := range m.Tables {
			for _, ref := range t.Chunks {
				need[ref.key()] = ref.Stored
			}
		}
		for _, name := range m.DataKeys {
			need[name.key()] = anySize
		}
	}
	for _, prefix := range []string{chunkPrefix, dataKeyPrefix} {
		if err := r.unneeded(ctx, prefix, need, &plan); err != nil {
			return prunePlan{}, err
		}
	}
	for key := range need {
		return prunePlan{}, fmt.Errorf("%w: nothing pruned: %s, of a snapshot to be kept, is missing or has another size", ErrDamaged, key)
	}
	return plan, nil
}

// anySize stands for the size of an object that no manifest states.
const anySize = -1

// unneeded adds the objects to the plan that no kept snapshot needs, and strikes
// the others off need.
func (r *Repository) unneeded(ctx context.Context, prefix string, need map[string]int64, plan *prunePlan) error {
	for o, err := range r.cfg.Store.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("backup: list %s: %w", prefix, err)
		}
		if size, ok := need[o.Key]; ok && (size == o.Size || size == anySize) {
			delete(need, o.Key)
			continue
		}
		// A later run may be under way.
		run, _, ok := parseChunkKey(o.Key)
		if name, named := parseDataKeyName(o.Key); named {
			run, ok = name.run, true
		}
		if ok && run <= plan.record.Newest {
			plan.keys = append(plan.keys, o.Key)
		}
	}
	return nil
}

// recordPrune makes the removal known before it happens.
func (r *Repository) recordPrune(ctx context.Context, ring *keyring, plan prunePlan) error {
	err := r.cfg.Record.Record(ctx, "backup.prune", slog.String("dataset", r.cfg.DataSet),
		slog.Uint64("through", uint64(plan.record.Through)), slog.Uint64("kept", uint64(plan.record.Newest-plan.record.Through)))
	if err != nil {
		return fmt.Errorf("backup: nothing pruned: record backup.prune: %w", err)
	}
	object, err := ring.signPrune(plan.record)
	if err != nil {
		return err
	}
	key := pruneKey(plan.record.Through)
	if err := r.cfg.Store.Put(ctx, key, object); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("backup: write %s: %w", key, err)
	}
	return nil
}
