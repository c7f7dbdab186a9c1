package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
)

// A fetched is the content of one chunk, or why it could not be had. Damage is
// set when the object is to blame and not the way to it; sealed when nothing is
// to blame, but the key is not at hand.
type fetched struct {
	ref     *chunkRef
	content []byte
	err     error
	damage  string // "missing" or "damaged"
	sealed  bool
}

// fetch reads and opens chunks, some ahead of the consumer, and yields them in
// order.
func fetch(ctx context.Context, store Store, ring *keyring, refs []*chunkRef) iter.Seq[fetched] {
	return func(yield func(fetched) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ahead := min(max(runtime.GOMAXPROCS(0), 2), 8)
		codecs := make(chan *codec, ahead)
		for range ahead {
			c, err := newCodec(ring)
			if err != nil {
				yield(fetched{err: err})
				return
			}
			codecs <- c
		}
		defer func() {
			for range ahead { // waits for the goroutines still at work
				(<-codecs).close()
			}
		}()
		var pending []chan fetched
		for len(refs) > 0 || len(pending) > 0 {
			for len(refs) > 0 && len(pending) < ahead {
				ref, result := refs[0], make(chan fetched, 1)
				refs, pending = refs[1:], append(pending, result)
				go func() {
					c := <-codecs
					result <- c.fetch(ctx, store, ref)
					codecs <- c
				}()
			}
			f := <-pending[0]
			pending = pending[1:]
			if !yield(f) {
				cancel()
				return
			}
		}
	}
}

func (c *codec) fetch(ctx context.Context, store Store, ref *chunkRef) fetched {
	key := ref.key()
	object, err := store.Get(ctx, key, 0, ref.Stored+1) // one more, to see that it ends
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fetched{ref: ref, damage: "missing", err: fmt.Errorf("%w: %s is missing", ErrDamaged, key)}
	case err != nil:
		return fetched{ref: ref, err: fmt.Errorf("backup: read %s: %w", key, err)}
	}
	content, err := c.unseal(ctx, ref.Run, ref.ID, object)
	blameless := errors.As(err, new(keyTrouble))
	if (err == nil || blameless) && int64(len(object)) != ref.Stored {
		err, blameless = fmt.Errorf("has %d bytes instead of %d", len(object), ref.Stored), false
	}
	switch {
	case blameless: // a data key that is sealed, or damaged and named by the error
		return fetched{ref: ref, err: err, sealed: errors.Is(err, errSealed) || errors.Is(err, ErrDamaged)}
	case err != nil:
		return fetched{ref: ref, damage: "damaged", err: fmt.Errorf("%w: %s %w", ErrDamaged, key, err)}
	}
	return fetched{ref: ref, content: content}
}

// required reads an object that must be there.
func required(ctx context.Context, store Store, key string) ([]byte, error) {
	object, err := store.Get(ctx, key, 0, -1)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, key)
	case err != nil:
		return nil, fmt.Errorf("backup: read %s: %w", key, err)
	}
	return object, nil
}
