package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"
)

// PruneOptions says what to keep. A snapshot that any rule keeps stays; at least
// one rule must be given.
type PruneOptions struct {
	Keep    int // the newest so many snapshots
	Daily   int // the newest of each of the last so many days that have one,
	Weekly  int // ISO weeks,
	Monthly int // months,
	Yearly  int // and years

	Location *time.Location // whose days they are; nil: UTC

	// Grace is how long the objects of removed snapshots stay in the store: within
	// it, a restore that has begun can finish. They count no more at once; a Prune
	// after the grace deletes them. Zero deletes at once, which disturbs no run.
	Grace time.Duration

	// Accept lifts a freeze: the changes up to this snapshot have been looked into.
	Accept ID
	// Limits are what changes freeze the retention; the zero value has good ones.
	Limits Limits
}

func (o PruneOptions) check() error {
	if min(o.Keep, o.Daily, o.Weekly, o.Monthly, o.Yearly) < 0 || o.Grace < 0 {
		return errors.New("backup: PruneOptions has a negative number; Keep must be at least 1; Prune never removes everything")
	}
	if o.Keep+o.Daily+o.Weekly+o.Monthly+o.Yearly == 0 {
		return errors.New("backup: PruneOptions.Keep must be at least 1; Prune never removes everything; or give another rule")
	}
	return nil
}

// Pruned is what Prune removed.
type Pruned struct {
	Snapshots []ID     // that count no more
	Pending   []ID     // of those and earlier ones: still in the store until their grace is over
	Objects   int      // deleted: manifests, chunks, data keys and superseded records
	Denied    []string // objects that the store does not allow to delete (yet)
}

// Prune removes the snapshots that no rule keeps, and every chunk that only those
// removed, or unfinished runs before the newest snapshot, had used. It removes
// nothing unless what it keeps is all there; it never removes the newest snapshot
// nor the newest one that a drill has proven; and it removes nothing at all while
// the data changes as under an attack (a FrozenError).
//
// A prune that is killed leaves a repository that verifies; the next one finishes
// its work. It does not disturb a run under way: a run shares with the newest
// snapshot only, and comes to nothing if another one became the newest meanwhile.
func (r *Repository) Prune(ctx context.Context, opts PruneOptions) (Pruned, error) {
	if err := opts.check(); err != nil {
		return Pruned{}, err
	}
	ring, err := r.ring(ctx)
	if err != nil || ring == nil {
		return Pruned{}, err
	}
	c, err := newCodec(ring)
	if err != nil {
		return Pruned{}, err
	}
	defer c.close()
	p := &pruning{repo: r, codec: c, opts: opts, now: r.cfg.Now().UTC().Round(0), need: map[string]int64{}}
	if p.history, err = r.loadHistory(ctx, ring); err != nil {
		return Pruned{}, err
	}
	if err := p.history.complete(); err != nil || len(p.history.ids) == 0 {
		return Pruned{}, err
	}
	if err := p.decide(ctx); err != nil {
		return Pruned{}, err
	}
	if err := p.mark(ctx); err != nil {
		return p.done, err
	}
	return p.done, p.sweep(ctx)
}

// A pruning is one run of Prune.
type pruning struct {
	repo    *Repository
	codec   *codec
	opts    PruneOptions
	now     time.Time
	history history

	record  pruneRecord // as it is to be
	removed []ID        // now
	need    map[string]int64
	done    Pruned
}

// decide chooses what to remove and checks that the rest is whole.
func (p *pruning) decide(ctx context.Context) error {
	var all []*openedManifest
	for _, id := range p.history.ids {
		m, err := p.codec.readManifest(ctx, p.repo.cfg.Store, id)
		if err != nil {
			return fmt.Errorf("backup: nothing pruned: snapshot %d is not whole: %w", id, err)
		}
		all = append(all, m)
	}
	drilled, err := p.repo.lastGoodDrill(ctx, p.codec.ring)
	if err != nil {
		return fmt.Errorf("backup: nothing pruned: %w", err)
	}
	kept := p.opts.keep(all, drilled)
	p.record = p.history.prune.next(p.now, all[len(all)-1].id)
	for _, m := range all {
		if kept[m.id] {
			p.needs(m)
			continue
		}
		p.removed = append(p.removed, m.id)
		p.record.Removed = append(p.record.Removed, removedSnapshot{ID: m.id, Hash: m.hash, Prev: m.prev, At: p.now, Grace: p.opts.Grace})
	}
	if len(p.removed) > 0 {
		if err := p.repo.frozen(ctx, p.codec.ring, all, p.history.prune.Checked, p.opts); err != nil {
			return err
		}
		p.record.Checked = p.record.Newest
	}
	slices.SortFunc(p.record.Removed, func(a, b removedSnapshot) int { return int(a.ID) - int(b.ID) })
	return p.whole(ctx)
}

// needs books the objects of a snapshot that stays.
func (p *pruning) needs(m *openedManifest) {
	for _, t := range m.Tables {
		for _, ref := range t.Chunks {
			p.need[ref.key()] = ref.Stored
		}
	}
	for _, name := range m.DataKeys {
		p.need[name.key()] = anySize
	}
}

// anySize stands for the size of an object that no manifest states.
const anySize = -1

// whole checks that everything that is needed is there.
func (p *pruning) whole(ctx context.Context) error {
	missing := map[string]bool{}
	for key := range p.need {
		missing[key] = true
	}
	err := p.each(ctx, func(o Object, _ ID) {
		if size, ok := p.need[o.Key]; ok && (size == o.Size || size == anySize) {
			delete(missing, o.Key)
		}
	})
	if err != nil {
		return err
	}
	for key := range missing {
		return fmt.Errorf("%w: nothing pruned: %s, of a snapshot to be kept, is missing or has another size", ErrDamaged, key)
	}
	return nil
}

// each lists chunks and data keys with the run that stored them.
func (p *pruning) each(ctx context.Context, f func(o Object, run ID)) error {
	for _, prefix := range []string{chunkPrefix, dataKeyPrefix} {
		for o, err := range p.repo.cfg.Store.List(ctx, prefix, "") {
			if err != nil {
				return fmt.Errorf("backup: list %s: %w", prefix, err)
			}
			if run, _, ok := parseChunkKey(o.Key); ok {
				f(o, run)
			} else if name, ok := parseDataKeyName(o.Key); ok {
				f(o, name.run)
			}
		}
	}
	return nil
}

// mark makes the removal known before it happens.
func (p *pruning) mark(ctx context.Context) error {
	p.record.settle(p.now)
	if len(p.removed) == 0 && p.record.same(p.history.prune) {
		p.record = p.history.prune
		return nil
	}
	if len(p.removed) > 0 {
		err := p.repo.cfg.Record.Record(ctx, "backup.prune", slog.String("dataset", p.repo.cfg.DataSet),
			slog.Uint64("through", uint64(p.record.Through)), slog.Int("removed", len(p.removed)), slog.Int("kept", len(p.history.ids)-len(p.removed)))
		if err != nil {
			return fmt.Errorf("backup: nothing pruned: record backup.prune: %w", err)
		}
	}
	p.record.Number = p.history.nextPrune()
	object, err := p.codec.ring.signPrune(p.record)
	if err != nil {
		return err
	}
	key := pruneKey(p.record.Number)
	if err := p.repo.cfg.Store.Put(ctx, key, object); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("backup: another prune was faster; prune again: %w", err)
		}
		return fmt.Errorf("backup: write %s: %w", key, err)
	}
	p.done.Snapshots = p.removed
	return nil
}

// sweep deletes what nothing needs and whose grace is over.
func (p *pruning) sweep(ctx context.Context) error {
	var keys []string
	for _, id := range append(slices.Clone(p.history.stale), p.removed...) {
		if due, pending := p.record.due(id, p.now); !due {
			if pending {
				p.done.Pending = append(p.done.Pending, id)
				if m, err := p.codec.readManifest(ctx, p.repo.cfg.Store, id); err == nil {
					p.needs(m)
				} else if !errors.Is(err, ErrDamaged) {
					return err
				}
			}
			continue
		}
		keys = append(keys, manifestKey(id)) // first, so that nobody begins to restore what is about to go
	}
	err := p.each(ctx, func(o Object, run ID) {
		if _, ok := p.need[o.Key]; !ok && run <= p.record.Newest { // a later run may be under way
			keys = append(keys, o.Key)
		}
	})
	if err != nil {
		return err
	}
	for _, number := range p.history.pruned {
		if number < p.record.Number {
			keys = append(keys, pruneKey(number))
		}
	}
	return p.delete(ctx, keys)
}

func (p *pruning) delete(ctx context.Context, keys []string) error {
	for _, key := range keys {
		err := p.repo.cfg.Store.Delete(ctx, key)
		switch {
		case errors.Is(err, fs.ErrPermission): // a write-once store, or an object under a lock
			p.done.Denied = append(p.done.Denied, key)
		case err != nil:
			return fmt.Errorf("backup: delete %s: %w; prune again to finish", key, err)
		default:
			p.done.Objects++
		}
	}
	return nil
}
