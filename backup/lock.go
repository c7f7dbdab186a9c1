package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// lockers is how many objects are retained at once: each is two or three small
// requests, and stores throttle.
const lockers = 16

// lock sees to it that objects are retained for Config.Retain from now.
type lock struct {
	store Retainer
	until time.Time
}

// newLock returns nil if nothing is to be retained. Its end is rounded up to a
// multiple of a step, so that of runs at short intervals not each extends it all.
func (r *Repository) newLock() *lock {
	store, _ := AsRetainer(r.cfg.Store)
	if r.cfg.Retain == 0 || store == nil {
		return nil
	}
	step := max(min(r.cfg.Retain/32, 24*time.Hour).Truncate(time.Second), time.Second)
	return &lock{store: store, until: r.cfg.Now().UTC().Add(r.cfg.Retain + step - 1).Truncate(step)}
}

// before retains what a snapshot consists of, whoever stored it, which must
// precede its manifest: what exists can be relied on. The manifest before is
// among it, as its own run may have been killed between putting and retaining it.
func (l *lock) before(ctx context.Context, m manifest, last *openedManifest) error {
	if l == nil {
		return nil
	}
	keys := []string{keysFirst, keysSecond}
	if last != nil {
		keys = append(keys, manifestKey(last.id))
	}
	for _, name := range m.DataKeys {
		keys = append(keys, name.key())
	}
	seen := map[string]bool{}
	for _, t := range m.Tables {
		for _, ref := range t.Chunks {
			if key := ref.key(); !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
	}
	return l.all(ctx, keys)
}

// after retains the manifest itself.
func (l *lock) after(ctx context.Context, id ID) error {
	if l == nil {
		return nil
	}
	if err := l.one(ctx, manifestKey(id)); err != nil {
		return fmt.Errorf("backup: snapshot %d exists, but its manifest is not retained until the next run has finished: %w", id, err)
	}
	return nil
}

func (l *lock) all(ctx context.Context, keys []string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan string)
	var wg sync.WaitGroup
	for range min(lockers, len(keys)) {
		wg.Go(func() {
			for key := range next {
				if err := l.one(ctx, key); err != nil {
					stop(err) // the first one counts
				}
			}
		})
	}
	for _, key := range keys {
		if ctx.Err() != nil {
			break
		}
		next <- key
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// one retains an object unless it is retained for so long already. What the store
// says afterwards counts: some acknowledge and do not retain, and an answer that
// got lost is no failure.
func (l *lock) one(ctx context.Context, key string) error {
	ends, err := l.store.RetainedUntil(ctx, key)
	if err != nil || !ends.Before(l.until) {
		return l.explain(key, err)
	}
	refused := l.store.Retain(ctx, key, l.until)
	ends, err = l.store.RetainedUntil(ctx, key)
	switch {
	case refused != nil && (err != nil || ends.Before(l.until)):
		return l.explain(key, refused)
	case err == nil && ends.Before(l.until):
		return fmt.Errorf("backup: retain %s: the store acknowledged and did not do it; run package probe, and see whether the bucket has object lock", key)
	}
	return l.explain(key, err)
}

func (l *lock) explain(key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s, which is to be retained, is missing", ErrDamaged, key)
	}
	return fmt.Errorf("backup: retain %s: %w", key, err)
}
