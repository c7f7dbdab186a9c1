package backup

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"
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
		if id <= h.prune.Through {
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

// complete reports whether no manifest is missing between the last prune and the
// newest one that is there or was there when the last prune was recorded.
func (h history) complete() error {
	want := h.prune.Through + 1
	for _, id := range h.ids {
		if id != want {
			return fmt.Errorf("%w: %s is missing", ErrDamaged, manifestKey(want))
		}
		want++
	}
	if want <= h.prune.Newest {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, manifestKey(want))
	}
	return nil
}

// A pruneRecord says that the snapshots up to one number were removed on purpose.
type pruneRecord struct {
	Through ID        `json:"through"`
	Hash    chunkID   `json:"hash"`   // of the manifest numbered Through
	Newest  ID        `json:"newest"` // the newest snapshot when this was written
	Time    time.Time `json:"time"`
}

const (
	pruneVersion = 1
	pruneLabel   = "confide/backup/prune-signature/v1"
	pruneFixed   = 1 + 16 + 8
)

func (k *keyring) signPrune(p pruneRecord) ([]byte, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("backup: encode prune record: %w", err)
	}
	object := append([]byte{pruneVersion}, k.repo...)
	object = append(object, number64(uint64(p.Through))...)
	object = append(object, number32(uint32(len(body)))...)
	return k.sign(pruneLabel, append(object, body...))
}

func (k *keyring) openPrune(object []byte) (pruneRecord, error) {
	signed, err := k.checkSigned(pruneLabel, pruneVersion, pruneFixed, object)
	if err != nil {
		return pruneRecord{}, err
	}
	var p pruneRecord
	body, _, _ := cutSized(signed[pruneFixed:])
	if err := json.Unmarshal(body, &p); err != nil {
		return pruneRecord{}, fmt.Errorf("is not understood: %w", err)
	}
	if p.Through != ID(binary.BigEndian.Uint64(signed[17:])) {
		return pruneRecord{}, errors.New("contradicts itself")
	}
	return p, nil
}

func (r *Repository) readPrune(ctx context.Context, ring *keyring, through ID) (pruneRecord, error) {
	key := pruneKey(through)
	object, err := r.cfg.Store.Get(ctx, key, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return pruneRecord{}, fmt.Errorf("%w: %s is missing", ErrDamaged, key)
	}
	if err != nil {
		return pruneRecord{}, fmt.Errorf("backup: read %s: %w", key, err)
	}
	p, err := ring.openPrune(object)
	if err == nil && p.Through != through {
		err = fmt.Errorf("is the record of a prune through %d", p.Through)
	}
	if err != nil {
		return pruneRecord{}, fmt.Errorf("%w: %s %w", ErrDamaged, key, err)
	}
	return p, nil
}
