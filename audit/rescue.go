package audit

import (
	"fmt"

	"github.com/confide-go/confide/audit/internal/spill"
)

// rescue decides what becomes of the events of a group that the database did
// not take, or of which it is not known whether it did.
func (q *queue) rescue(group []*queued, cause error) {
	var wet, dry []*queued // on their way to the local disk; staying in memory
	for _, item := range group {
		item.again = true
		switch {
		case item.disk != nil:
			q.spill.Strand(item.disk, 1)
		case item.class == Must && item.done != nil:
			item.done <- fmt.Errorf("audit: record: %w", cause)
		case item.class != BestEffort && q.spill != nil:
			wet = append(wet, item)
		case item.done != nil: // Should, and no local disk
			q.lose(item.tenant, item.class, lostUnwritten, 1)
			item.done <- fmt.Errorf("audit: record: %w", cause)
		default:
			dry = append(dry, item)
		}
	}
	dry = append(dry, q.spillAll(wet)...)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(dry, q.waiting...)
}

// spillAll puts events on the local disk and returns those it did not take and
// that may wait in memory.
func (q *queue) spillAll(items []*queued) (left []*queued) {
	if len(items) == 0 {
		return nil
	}
	records := make([][]byte, len(items))
	for i, item := range items {
		records[i] = item.event.Data
	}
	disk, err := q.spill.Append(records...)
	if err == nil {
		q.spill.Strand(disk, len(items))
	} else {
		q.logger.Error("audit: the spill directory does not take events", "error", err)
	}
	for _, item := range items {
		switch {
		case item.done != nil && err == nil:
			item.done <- nil
		case item.done != nil:
			q.lose(item.tenant, item.class, lostUnwritten, 1)
			item.done <- fmt.Errorf("audit: record: %w", err)
		case err != nil:
			left = append(left, item)
		}
	}
	return left
}

// catchUp brings what was spilled, and what was lost, into the database.
func (q *queue) catchUp() error {
	if q.spill != nil {
		if n, _ := q.spill.Stranded(); n > 0 {
			err := q.spill.Replay(q.restore, func(f spill.Fault) error { return q.unreadable(q.spill.ID(), f) })
			if err != nil {
				return err
			}
		}
	}
	return q.tell()
}

// restore writes what was read back from the local disk.
func (q *queue) restore(records [][]byte) error {
	events := make([]Pending, len(records))
	for i, data := range records {
		var err error
		if events[i], err = q.pending(data); err != nil {
			return err
		}
	}
	if err := q.enqueue(events, true); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.written += int64(len(events))
	return nil
}

// tell records a gap event for every loss.
func (q *queue) tell() error {
	list := q.lost.tell()
	if len(list) == 0 {
		return nil
	}
	if err := q.tellOf(list); err != nil {
		return err
	}
	return q.lost.told(list)
}

func (q *queue) tellOf(list []*loss) error {
	events := make([]Pending, len(list))
	for i, x := range list {
		var err error
		if events[i], err = q.gap(x); err != nil {
			return err
		}
	}
	return q.enqueue(events, true)
}

func (q *queue) unreadable(session string, f spill.Fault) error {
	q.logger.Error("audit: a part of a spill file is not readable", "file", f.File, "records", f.Records, "why", f.Why)
	return q.tellOf([]*loss{derivedLoss(session+"\n"+f.File, lostUnreadable, int64(f.Records))})
}

// adopt takes over what dead processes left in the spill directory.
func (q *queue) adopt() error {
	if q.spill == nil {
		return nil
	}
	return q.spill.Adopt(spill.Legacy{
		Store:  func(_ string, records [][]byte) error { return q.restore(records) },
		Report: q.unreadable,
		Ledger: func(session string, ledger []byte) error {
			list, open, err := decodeLedger(ledger)
			if err != nil {
				return err
			}
			if open {
				list = append(list, derivedLoss(session, lostKilled, 0))
			}
			if len(list) == 0 {
				return nil
			}
			return q.tellOf(list)
		},
	})
}

// abandon is the end of a log whose database does not come back in time: what
// is in memory goes to the local disk or is counted as lost.
func (q *queue) abandon() {
	q.mu.Lock()
	items := append(q.flight, q.waiting...)
	q.waiting, q.flight = nil, nil
	q.mu.Unlock()
	for _, item := range items {
		switch {
		case item.disk != nil, item.done != nil: // safe, or somebody is told
		case item.class == Should && q.spill != nil:
			if err := q.spillOr(item, lostClosed, nil); err != nil {
				q.logger.Error("audit: close: an event was lost", "error", err)
			}
		default:
			q.lose(item.tenant, item.class, lostClosed, 1)
		}
	}
}

// end closes the local disk. Losses that no event tells of stay in the ledger
// for the next process.
func (q *queue) end() error {
	q.mu.Lock()
	again := q.ended
	if !again {
		q.ended = true
		close(q.stop)
	}
	q.mu.Unlock()
	if again {
		return nil
	}
	n, any := q.lost.waiting()
	if any && q.spill == nil {
		q.logger.Error("audit: close: events are lost and no gap event tells of them; set Config.Spill", "lost", n)
	}
	if q.spill == nil {
		return nil
	}
	q.lost.mu.Lock()
	err := q.lost.save(false)
	q.lost.mu.Unlock()
	if cerr := q.spill.Close(any); err == nil {
		err = cerr
	}
	return err
}
