package backup

import (
	"context"
	"fmt"
)

// history is which snapshots a repository has, by the names of its objects.
// Only the prune record is read for it.
type history struct {
	ids    []ID        // manifests that count, ascending
	stale  []ID        // manifests that a prune has removed or still has to remove
	prune  pruneRecord // the newest; zero if nothing was ever pruned
	pruned []ID        // all prune records
}

func (h history) newest() ID {
	if len(h.ids) == 0 {
		return h.prune.Through
	}
	return h.ids[len(h.ids)-1]
}

// loadHistory lists manifests and prune records.
func (r *Repository) loadHistory(ctx context.Context, ring *keyring) (history, error) {
	var h history
	var err error
	if h.pruned, err = r.numbered(ctx, prunePrefix); err != nil {
		return history{}, err
	}
	if n := len(h.pruned); n > 0 {
		if h.prune, err = r.readPrune(ctx, ring, h.pruned[n-1]); err != nil {
			return history{}, err
		}
	}
	ids, err := r.numbered(ctx, manifestPrefix)
	if err != nil {
		return history{}, err
	}
	for _, id := range ids {
		if h.prune.removes(id) {
			h.stale = append(h.stale, id)
		} else {
			h.ids = append(h.ids, id)
		}
	}
	return h, nil
}

func (r *Repository) numbered(ctx context.Context, prefix string) ([]ID, error) {
	var ids []ID
	for o, err := range r.cfg.Store.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("backup: list %s: %w", prefix, err)
		}
		id, ok := parseNumbered(prefix, o.Key)
		if !ok {
			return nil, fmt.Errorf("%w: %s is not an object of a repository; remove it", ErrDamaged, o.Key)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// nextPrune is the number of the next prune record.
func (h history) nextPrune() ID {
	if n := len(h.pruned); n > 0 {
		return h.pruned[n-1] + 1
	}
	return 1
}

// complete reports whether no manifest is missing, but for those that were pruned,
// up to the newest one that is there or was there when the last prune was recorded.
func (h history) complete() error {
	last := max(h.newest(), h.prune.Newest)
	have := map[ID]bool{}
	for _, id := range h.ids {
		have[id] = true
	}
	for want := h.prune.Through + 1; want <= last; want++ {
		if !have[want] && !h.prune.removes(want) {
			return fmt.Errorf("%w: %s is missing", ErrDamaged, manifestKey(want))
		}
	}
	return nil
}
