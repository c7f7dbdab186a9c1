package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
)

// An upload seals and stores the chunks of one run beside the reading of the
// next rows.
type upload struct {
	store      Store
	ring       *keyring
	generation ID

	jobs chan chunkJob
	free chan []byte // buffers to use again
	wg   sync.WaitGroup
	stop context.CancelCauseFunc
}

type chunkJob struct {
	content []byte
	tag     []byte
	ref     *chunkRef // to be filled
}

// startUpload returns an upload and the context under which to feed it, which
// ends with the first failure as its cause.
func startUpload(ctx context.Context, store Store, ring *keyring, generation ID) (*upload, context.Context, error) {
	workers := min(max(runtime.GOMAXPROCS(0), 2), 8)
	ctx, stop := context.WithCancelCause(ctx)
	u := &upload{store: store, ring: ring, generation: generation, stop: stop,
		jobs: make(chan chunkJob), free: make(chan []byte, workers+1)}
	for range workers {
		c, err := newCodec(ring)
		if err != nil {
			u.finish()
			return nil, nil, err
		}
		u.wg.Go(func() { u.work(ctx, c) })
	}
	return u, ctx, nil
}

// buffer returns memory for the next chunk.
func (u *upload) buffer() []byte {
	select {
	case b := <-u.free:
		return b
	default:
		return make([]byte, 0, softChunk)
	}
}

// add hands a chunk over; its content belongs to the upload from here on.
func (u *upload) add(ctx context.Context, job chunkJob) error {
	select {
	case u.jobs <- job:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish waits until all chunks are stored.
func (u *upload) finish() {
	close(u.jobs)
	u.wg.Wait()
}

func (u *upload) work(ctx context.Context, c *codec) {
	defer c.close()
	for job := range u.jobs {
		if ctx.Err() == nil {
			if err := u.put(ctx, c, job); err != nil {
				u.stop(err)
			}
		}
		if cap(job.content) <= 2*maxChunk { // let the buffer of one huge row go
			select {
			case u.free <- job.content:
			default:
			}
		}
	}
}

func (u *upload) put(ctx context.Context, c *codec, job chunkJob) error {
	id, err := c.id(job.content)
	if err != nil {
		return err
	}
	object, err := c.seal(job.tag, u.generation, id, job.content)
	if err != nil {
		return err
	}
	job.ref.ID, job.ref.Generation, job.ref.Stored = id, u.generation, int64(len(object))
	key := job.ref.key()
	err = u.store.Put(ctx, key, object)
	if errors.Is(err, fs.ErrExist) {
		return u.adopt(ctx, c, job.ref, key)
	}
	if err != nil {
		return fmt.Errorf("backup: write %s: %w", key, err)
	}
	return nil
}

// adopt uses a chunk that a killed or concurrent run stored, if it is good.
func (u *upload) adopt(ctx context.Context, c *codec, ref *chunkRef, key string) error {
	object, err := u.store.Get(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("backup: read %s: %w", key, err)
	}
	if _, err := c.unseal(ref.Generation, ref.ID, object); err != nil {
		return fmt.Errorf("%w: %s %w; remove it and run again", ErrDamaged, key, err)
	}
	ref.Stored = int64(len(object))
	return nil
}
