package audit

import (
	"context"
	"errors"
	"fmt"
)

// take brings an event of Record to the database and returns when it is there,
// or, for lesser classes, when it is safe elsewhere. If ctx ends before that,
// the event is withdrawn, or, when its group is already on the way, may be
// recorded nevertheless.
func (q *queue) add(ctx context.Context, p Pending, tenant string, class Class) error {
	if class == BestEffort {
		return q.keep(ctx, &queued{event: p, tenant: tenant, class: class})
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: record: %w", err)
	}
	item := &queued{event: p, tenant: tenant, class: class, done: make(chan error, 1)}
	if class == Should && q.spill != nil && q.isDown() {
		return q.spillOr(item, lostUnwritten, nil) // nobody is made to wait for a database that is away
	}
	if err := q.push(ctx, item); err != nil {
		return q.refused(item, err)
	}
	select {
	case err := <-item.done:
		return err
	case <-ctx.Done():
		q.withdraw(item)
		err := fmt.Errorf("audit: record: %w", ctx.Err())
		if class == Should && q.spill != nil {
			return q.spillOr(item, lostUnwritten, err)
		}
		return err
	}
}

// addApart takes an event nobody waits for. It is on the local disk first, if
// there is one.
func (q *queue) addApart(ctx context.Context, p Pending, tenant string, class Class) error {
	item := &queued{event: p, tenant: tenant, class: class}
	if class == BestEffort || q.spill == nil {
		return q.keep(ctx, item)
	}
	if q.isClosed() {
		return fmt.Errorf("%w: the event was not recorded", ErrClosed)
	}
	disk, err := q.spill.Append(p.Data)
	if err != nil {
		q.logger.Error("audit: the spill directory does not take events", "error", err)
		if class == Must {
			return fmt.Errorf("audit: record: %w", err)
		}
		return q.keep(ctx, item) // the database may still take it
	}
	item.disk = disk
	if err := q.push(ctx, item); err != nil {
		q.spill.Strand(disk, 1) // it is safe, and will be read back
		q.kick()
	}
	return nil
}

// keep leaves an event in memory until the database takes it.
func (q *queue) keep(ctx context.Context, item *queued) error {
	err := q.push(ctx, item)
	if err == nil {
		return nil
	}
	return q.refused(item, err)
}

// refused decides what becomes of an event that found no room in memory.
func (q *queue) refused(item *queued, err error) error {
	switch {
	case errors.Is(err, ErrClosed), item.class == Must:
		return err
	case item.class == BestEffort:
		q.lose(item.tenant, item.class, lostFull, 1)
		return nil
	case q.spill != nil && q.onFull != Deny:
		return q.spillOr(item, lostFull, err)
	}
	q.lose(item.tenant, item.class, lostFull, 1)
	return err
}

// spillOr puts an event on the local disk. If that fails it is lost, and the
// error says so.
func (q *queue) spillOr(item *queued, reason string, because error) error {
	disk, err := q.spill.Append(item.event.Data)
	if err == nil {
		q.spill.Strand(disk, 1)
		q.kick()
		return nil
	}
	q.lose(item.tenant, item.class, reason, 1)
	return fmt.Errorf("audit: record: %w", errors.Join(because, err))
}

// lose counts lost events. A gap event will tell.
func (q *queue) lose(tenant string, class Class, reason string, n int64) {
	if err := q.lost.add(tenant, class, reason, n); err != nil {
		q.logger.Error("audit: lost events cannot be noted on the local disk", "error", err)
	}
	q.kick()
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
