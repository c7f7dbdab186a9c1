package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/confide-go/confide/audit/internal/spill"
)

const (
	queueLimit   = 8192 // events that may wait for the database
	queueBatch   = 512  // events of one commit
	retryFirst   = 50 * time.Millisecond
	retryMost    = 2 * time.Second
	writeTimeout = 30 * time.Second
)

// A queue commits events in groups on a connection of its own: while one group
// is being written the next one gathers. It has a goroutine only while it has
// something to do.
type queue struct {
	store    Store
	once     OnceEnqueuer // the store, if it can
	spill    *spill.Dir   // nil if there is none
	lost     losses
	logger   *slog.Logger
	onFull   OnFull
	blockFor time.Duration
	pending  func(data []byte) (Pending, error) // of what comes back from the disk
	gap      func(*loss) (Pending, error)

	mu       sync.Mutex
	waiting  []*queued
	flight   []*queued     // the group that is being written
	room     chan struct{} // closed when the queue is no longer full; nil if nobody waits
	running  bool
	closed   bool
	ended    bool          // nobody waits for the rest any more
	stop     chan struct{} // closed when ended
	down     bool          // the last attempt failed
	idle     chan struct{} // closed when the running goroutine ends
	written  int64
	lastErr  error // of the last attempt, nil if it succeeded
	failed   error // the last one there was
	failedAt time.Time
}

type queued struct {
	event  Pending
	tenant string
	class  Class
	done   chan error     // nil for events nobody waits for
	disk   *spill.Segment // where it stands on the local disk; nil if it does not
	again  bool           // it was tried before, and may be in the database
}

// push adds an item or returns ErrFull or ErrClosed. It may wait for room.
func (q *queue) push(ctx context.Context, item *queued) error {
	var timeout <-chan time.Time
	for {
		room, err := q.tryPush(item)
		if err == nil || room == nil {
			return err
		}
		if timeout == nil {
			t := time.NewTimer(q.blockFor)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-room:
		case <-timeout:
			return err
		case <-ctx.Done():
			return fmt.Errorf("audit: record: %w", ctx.Err())
		}
	}
}

// tryPush returns a channel besides ErrFull if waiting for room is wanted.
func (q *queue) tryPush(item *queued) (<-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, fmt.Errorf("%w: the event was not recorded", ErrClosed)
	}
	if len(q.waiting) < queueLimit {
		q.waiting = append(q.waiting, item)
		q.start()
		return nil, nil
	}
	err := fmt.Errorf("%w: %d events wait for the database", ErrFull, queueLimit)
	if q.onFull != Block || item.class == BestEffort {
		return nil, err
	}
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room, err
}

// start begins the goroutine unless it runs. It runs under mu.
func (q *queue) start() {
	if !q.running && !q.ended {
		q.running, q.idle = true, make(chan struct{})
		go q.run(q.idle)
	}
}

// kick lets the goroutine look after what is not in memory: spilled events and losses.
func (q *queue) kick() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.start()
}

func (q *queue) isDown() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.down
}

func (q *queue) run(idle chan struct{}) {
	defer close(idle)
	wait := retryFirst
	for last := 0; ; {
		q.gather(last)
		group := q.take()
		if group == nil && q.rest() {
			return
		}
		var err error
		if group != nil {
			last = len(group)
			err = q.write(group)
		} else {
			err = q.catchUp()
		}
		q.attempted(err)
		if err == nil {
			wait = retryFirst
			continue
		}
		q.logger.Error("audit: events are not written yet", "error", err)
		select { // the database is away; nobody waits for this goroutine
		case <-time.After(wait):
		case <-q.stop:
		}
		wait = min(2*wait, retryMost)
	}
}

// gather lets those whose events have just been committed come back with their
// next ones, so that they share one commit again instead of every other one.
func (q *queue) gather(last int) {
	for range 20 {
		q.mu.Lock()
		n := len(q.waiting)
		q.mu.Unlock()
		if n >= last || n == 0 {
			return
		}
		runtime.Gosched()
	}
}

// take removes the next group; nil if there is none.
func (q *queue) take() []*queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), queueBatch)
	if n == 0 {
		q.waiting = nil
		return nil
	}
	group := q.waiting[:n:n]
	q.waiting, q.flight = q.waiting[n:], group
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	return group
}

// rest ends the run if there is nothing to do.
func (q *queue) rest() bool {
	owes := q.owes()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 || owes && !q.ended {
		return false
	}
	q.running = false
	return true
}

// owes tells whether something outside the memory must still get into the database.
func (q *queue) owes() bool {
	if _, any := q.lost.waiting(); any {
		return true
	}
	if q.spill == nil {
		return false
	}
	n, _ := q.spill.Stranded()
	return n > 0
}

func (q *queue) attempted(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down, q.lastErr = err != nil, err
	if err != nil {
		q.failed, q.failedAt = err, q.lost.now()
	}
}

// write commits a group.
func (q *queue) write(group []*queued) error {
	events := make([]Pending, len(group))
	again := false
	for i, item := range group {
		events[i] = item.event
		again = again || item.again
	}
	err := q.enqueue(events, again)
	if err == nil {
		for _, item := range group {
			q.stored(item)
		}
	}
	q.mu.Lock()
	q.flight = nil
	if err == nil {
		q.written += int64(len(group))
	}
	q.mu.Unlock()
	if err != nil {
		q.rescue(group, err)
	}
	return err
}

// enqueue gives events to the store. If some of them may be there already, as
// after an attempt that failed, the store must look.
func (q *queue) enqueue(events []Pending, again bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if again && q.once != nil {
		return q.once.EnqueueOnce(ctx, events)
	}
	return q.store.Enqueue(ctx, events)
}

func (q *queue) stored(item *queued) {
	if item.disk != nil {
		q.spill.Done(item.disk, 1)
	}
	if item.done != nil {
		item.done <- nil
	}
}

// flush waits until nothing is left to be written.
func (q *queue) flush(ctx context.Context) error {
	for {
		q.mu.Lock()
		running, idle := q.running, q.idle
		q.mu.Unlock()
		if !running {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			q.mu.Lock()
			defer q.mu.Unlock()
			return errors.Join(fmt.Errorf("audit: %d events are not written: %w", len(q.waiting)+len(q.flight), ctx.Err()), q.lastErr)
		}
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) isEnded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
