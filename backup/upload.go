package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// An upload seals and stores the chunks of one run beside the reading of the
// next rows.
type upload struct {
	store Store
	ring  *keyring
	key   *dataKey
	share map[chunkID]*chunkRef // chunks of earlier snapshots that may be used again
	codec *codec                // for the goroutine that reads

	// bounds is set if manifests may hold primary keys, for incremental runs. They
	// outlive a key epoch, so where there are epochs they may not.
	bounds bool

	jobs chan chunkJob
	free chan []byte // buffers to use again
	wg   sync.WaitGroup
	stop context.CancelCauseFunc

	putKey                 func() error // stores the data key, once
	stored, chunks, reused atomic.Int64
}

type chunkJob struct {
	content []byte
	tag     []byte
	table   Table
	ref     *chunkRef // to be filled
}

// startUpload returns an upload and the context under which to feed it, which
// ends with the first failure as its cause.
func startUpload(ctx context.Context, store Store, ring *keyring, key *dataKey, share map[chunkID]*chunkRef) (*upload, context.Context, error) {
	workers := min(max(runtime.GOMAXPROCS(0), 2), 8)
	ctx, stop := context.WithCancelCause(ctx)
	u := &upload{store: store, ring: ring, key: key, share: share, stop: stop,
		jobs: make(chan chunkJob), free: make(chan []byte, workers+1)}
	u.putKey = sync.OnceValue(func() error {
		// Its name is new, so whatever is there was put by this call.
		if err := store.Put(ctx, key.name.key(), key.object); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("backup: write %s: %w", key.name.key(), err)
		}
		return nil
	})
	var err error
	if u.codec, err = newCodec(ring); err != nil {
		return nil, nil, err
	}
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

// recycle takes memory back, but not that of one huge row.
func (u *upload) recycle(buf []byte) {
	if cap(buf) > 2*maxChunk {
		return
	}
	select {
	case u.free <- buf:
	default:
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
	u.codec.close()
}

func (u *upload) work(ctx context.Context, c *codec) {
	defer c.close()
	for job := range u.jobs {
		if ctx.Err() == nil {
			if err := u.put(ctx, c, job); err != nil {
				u.stop(err)
			}
		}
		u.recycle(job.content)
	}
}

func (u *upload) put(ctx context.Context, c *codec, job chunkJob) error {
	if err := u.sum(job); err != nil {
		return err
	}
	id, err := c.id(job.content)
	if err != nil {
		return err
	}
	if old, ok := u.share[id]; ok {
		rows, last := job.ref.Rows, job.ref.Last
		*job.ref = *old
		job.ref.Rows, job.ref.Last = rows, last
		u.reused.Add(1)
		return nil
	}
	object, err := c.seal(u.key, job.tag, id, job.content)
	if err != nil {
		return err
	}
	if err := u.putKey(); err != nil {
		return err
	}
	job.ref.ID, job.ref.Run, job.ref.Stored, job.ref.dataKey = id, u.key.name.run, int64(len(object)), u.key.name
	for ; ; job.ref.Try++ {
		key := job.ref.key()
		err = u.store.Put(ctx, key, object)
		if errors.Is(err, fs.ErrExist) {
			adopted, err := u.adopt(ctx, c, job.ref, key)
			if err != nil || adopted {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("backup: write %s: %w", key, err)
		}
		u.stored.Add(int64(len(object)))
		u.chunks.Add(1)
		return nil
	}
}

// sum hashes a chunk's rows, here and not where they are read, as there are
// several of these goroutines.
func (u *upload) sum(job chunkJob) error {
	set := newRowSet(u.ring.rows, job.table.Name)
	for row, err := range rowsOf(job.table, job.content) {
		if err != nil {
			return fmt.Errorf("backup: chunk of table %q %w", job.table.Name, err)
		}
		set.add(row)
	}
	job.ref.Sum, job.ref.Bytes = set.value(), set.bytes
	return nil
}

// adopt uses a chunk that a killed or concurrent run stored, if it is good and
// sealed to those who are to read this run.
func (u *upload) adopt(ctx context.Context, c *codec, ref *chunkRef, key string) (bool, error) {
	object, err := u.store.Get(ctx, key, 0, -1)
	if err != nil {
		return false, fmt.Errorf("backup: read %s: %w", key, err)
	}
	name, err := c.check(ref.Run, ref.ID, object)
	if err != nil {
		return false, fmt.Errorf("%w: %s %w; remove it and run again", ErrDamaged, key, err)
	}
	if name == (dataKeyName{}) {
		return false, nil // of version 1, which did not have these keys
	}
	if name != u.key.name {
		theirs, err := readDataKey(ctx, u.store, u.ring, name)
		if err != nil {
			return false, err
		}
		ours, err := u.ring.openDataKey(u.key.name, u.key.object)
		if err != nil || !ours.sameReaders(theirs) {
			return false, err
		}
	}
	ref.Stored, ref.dataKey = int64(len(object)), name
	u.reused.Add(1)
	return true, nil
}

// sameReaders reports whether the same people can open both keys, as long.
func (b dataKeyBody) sameReaders(other dataKeyBody) bool {
	return b.Epoch == other.Epoch && slices.EqualFunc(b.Sealed, other.Sealed, func(x, y sealedKey) bool { return x.To == y.To })
}
