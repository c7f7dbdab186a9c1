package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Forgotten returns when the last backup will have forgotten what was deleted
// from the source at some moment: the latest destruction of a key epoch under
// which a run is sealed that may still have seen it. That holds for every copy of
// the store, also write-once ones; the zero time means that it holds already. It is an
// error if a run has no epoch, as then only its deletion everywhere forgets, and if
// a key should have been destroyed and was not.
//
// It relies on the clock that made the snapshots, and on every run of this
// repository having had Config.Epochs.
func (r *Repository) Forgotten(ctx context.Context, deleted time.Time) (time.Time, error) {
	var latest time.Time
	keys, err := r.epochsOf(ctx, deleted)
	if err != nil {
		return time.Time{}, err
	}
	for name, key := range keys {
		if key.Epoch == "" {
			return time.Time{}, fmt.Errorf("backup: %s is sealed under no key epoch: what was deleted stays in it until it is pruned and the store has dropped it", name.key())
		}
		if r.cfg.Epochs == nil {
			return time.Time{}, errors.New("backup: Config.Epochs is nil; set it to learn which epochs are destroyed")
		}
		_, err := r.cfg.Epochs.Open(ctx, key.Epoch)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return time.Time{}, fmt.Errorf("backup: open key epoch %s: %w", key.Epoch, err)
		case !r.cfg.Now().Before(key.Expires):
			return time.Time{}, fmt.Errorf("backup: the key of epoch %s was to be destroyed by %s and is not; call DestroyExpired", key.Epoch, key.Expires.Format(time.RFC3339))
		case key.Expires.After(latest):
			latest = key.Expires
		}
	}
	return latest, nil
}

// epochsOf reads the data keys of all runs that may have seen what was in the
// source at a moment.
func (r *Repository) epochsOf(ctx context.Context, at time.Time) (map[dataKeyName]dataKeyBody, error) {
	ring, err := r.ring(ctx)
	if err != nil || ring == nil {
		return nil, err
	}
	list, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	later := map[ID]bool{} // snapshots begun after that moment
	for _, s := range list {
		later[s.ID] = s.Time.After(at)
	}
	out := map[dataKeyName]dataKeyBody{}
	for o, err := range r.cfg.Store.List(ctx, dataKeyPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("backup: list %s: %w", dataKeyPrefix, err)
		}
		name, ok := parseDataKeyName(o.Key)
		if !ok {
			return nil, fmt.Errorf("%w: %s is not an object of a repository; remove it", ErrDamaged, o.Key)
		}
		// A killed run came after the snapshot of the number before. Of a run's own
		// number nothing follows: a killed one may have preceded it by days.
		if later[name.run-1] {
			continue
		}
		if out[name], err = readDataKey(ctx, r.cfg.Store, ring, name); err != nil {
			return nil, err
		}
	}
	return out, r.exceptOwn(ctx, ring, list, at, out)
}

// exceptOwn takes out the data keys that a later snapshot itself made. Those that
// it adopted from a killed run stay: their chunks may be older than it.
func (r *Repository) exceptOwn(ctx context.Context, ring *keyring, list []Snapshot, at time.Time, keys map[dataKeyName]dataKeyBody) error {
	c, err := newCodec(ring)
	if err != nil {
		return err
	}
	defer c.close()
	for _, s := range list {
		if !s.Time.After(at) {
			continue
		}
		m, err := c.readManifest(ctx, r.cfg.Store, s.ID)
		if err != nil {
			return err
		}
		delete(keys, m.Own)
	}
	return nil
}

// DestroyExpired destroys the key epochs whose time has come, and with them all
// snapshots sealed under them, and returns their names. It destroys none that
// the newest snapshot needs: then make a snapshot first, and see why there was none.
// Epochs under which only pruned snapshots were sealed are among them if
// Config.Epochs is an Expirer; it must then serve this repository alone.
func (r *Repository) DestroyExpired(ctx context.Context) ([]string, error) {
	if r.cfg.Epochs == nil {
		return nil, errors.New("backup: Config.Epochs is nil; there are no key epochs")
	}
	ring, err := r.ring(ctx)
	if err != nil || ring == nil {
		return nil, err
	}
	c, err := newCodec(ring)
	if err != nil {
		return nil, err
	}
	defer c.close()
	_, last, err := r.nextHead(ctx, c)
	if err != nil {
		return nil, err
	}
	keys, err := r.epochsOf(ctx, r.cfg.Now().AddDate(1000, 0, 0))
	if err != nil {
		return nil, err
	}
	var expired []string
	for _, key := range keys {
		if key.Epoch != "" && !r.cfg.Now().Before(key.Expires) && !slices.Contains(expired, key.Epoch) {
			expired = append(expired, key.Epoch)
		}
	}
	if e, ok := r.cfg.Epochs.(Expirer); ok {
		pruned, err := e.Expired(ctx, r.cfg.Now())
		if err != nil {
			return nil, fmt.Errorf("backup: ask which key epochs are over: %w", err)
		}
		expired = append(expired, pruned...)
	}
	slices.Sort(expired)
	expired = slices.Compact(expired)
	if last != nil {
		for _, name := range last.DataKeys {
			if epoch := keys[name].Epoch; slices.Contains(expired, epoch) {
				return nil, fmt.Errorf("backup: the key of epoch %s is due to be destroyed and the newest snapshot, %d, needs it; run again first", epoch, last.id)
			}
		}
	}
	for i, epoch := range expired {
		if err := r.cfg.Epochs.Destroy(ctx, epoch); err != nil {
			return expired[:i], fmt.Errorf("backup: destroy key epoch %s: %w", epoch, err)
		}
	}
	r.data.forget()
	return expired, nil
}

// forget drops the data keys that were opened.
func (d *dataKeys) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.open)
}
