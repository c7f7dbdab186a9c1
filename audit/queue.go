package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	queueLimit = 8192 // events that may wait for the database
	queueBatch = 512  // events of one commit
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second
)

// A queue commits events in groups on a connection of its own: while one group
// is being written the next one gathers. It has a goroutine only while it has events.
type queue struct {
	store  Store
	logger *slog.Logger

	mu      sync.Mutex
	waiting []*queued
	running bool
	closed  bool
	idle    chan struct{} // closed when the running goroutine ends
	lastErr error         // of the last group, nil if it was written
}

type queued struct {
	event Pending
	done  chan error // nil for events nobody waits for
}

func newQueue(store Store, logger *slog.Logger) *queue {
	return &queue{store: store, logger: logger}
}

func (q *queue) push(item *queued) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return fmt.Errorf("%w: the event was not recorded", ErrClosed)
	}
	if len(q.waiting) >= queueLimit {
		return fmt.Errorf("%w: %d events wait for the database", ErrFull, queueLimit)
	}
	q.waiting = append(q.waiting, item)
	if !q.running {
		q.running, q.idle = true, make(chan struct{})
		go q.run(q.idle)
	}
	return nil
}

func (q *queue) addApart(p Pending) error { return q.push(&queued{event: p}) }

// add returns when the event is committed. If ctx ends first, the event is
// withdrawn, or, when its group is already on the way, may be recorded nevertheless.
func (q *queue) add(ctx context.Context, p Pending) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: record: %w", err)
	}
	item := &queued{event: p, done: make(chan error, 1)}
	if err := q.push(item); err != nil {
		return err
	}
	select {
	case err := <-item.done:
		return err
	case <-ctx.Done():
		q.withdraw(item)
		return fmt.Errorf("audit: record: %w", ctx.Err())
	}
}

func (q *queue) withdraw(item *queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == item {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return
		}
	}
}

func (q *queue) run(idle chan struct{}) {
	defer close(idle)
	wait := retryFirst
	for {
		group := q.take()
		if group == nil {
			return
		}
		err := q.write(group)
		if err == nil {
			wait = retryFirst
			continue
		}
		q.logger.Error("audit: events are not written yet", "error", err)
		time.Sleep(wait) // the database is away; nobody waits for this goroutine
		wait = min(2*wait, retryMost)
	}
}

// take removes the next group, or ends the run when there is none.
func (q *queue) take() []*queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.running, q.waiting = false, nil
		return nil
	}
	n := min(len(q.waiting), queueBatch)
	group := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	return group
}

// write commits a group. When that fails, those who wait are told, and the
// events nobody waits for go back to the front of the queue.
func (q *queue) write(group []*queued) error {
	events := make([]Pending, len(group))
	for i, item := range group {
		events[i] = item.event
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := q.store.Enqueue(ctx, events)

	var apart []*queued
	for _, item := range group {
		switch {
		case item.done != nil && err != nil:
			item.done <- fmt.Errorf("audit: record: %w", err)
		case item.done != nil:
			item.done <- nil
		case err != nil:
			apart = append(apart, item)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lastErr = err
	q.waiting = append(apart, q.waiting...)
	return err
}

func (q *queue) flush(ctx context.Context) error {
	q.mu.Lock()
	running, idle := q.running, q.idle
	q.mu.Unlock()
	if !running {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		return errors.Join(fmt.Errorf("audit: %d events are not written: %w", len(q.waiting), ctx.Err()), q.lastErr)
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
