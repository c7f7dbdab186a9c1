package audit

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/confide-go/confide/audit/internal/spill"
)

// Stats says how the writing of events goes, for metrics and health checks.
type Stats struct {
	Queued     int   // events that wait in memory for the database
	QueueLimit int   // how many may
	Spilled    int   // events of this process that wait on the local disk
	SpillBytes int64 // what this process has on the local disk
	Recorded   int64 // events this process brought into the database through its queue

	LostShould, LostBestEffort int64 // events this process lost
	Untold                     int64 // lost events of which no gap event tells yet

	LastError   string // of the last failure to write; "" if there was none
	LastErrorAt time.Time
	Failing     bool // the last attempt failed
}

// Stats returns how things are now. It asks nobody and never waits for a database.
func (l *Log) Stats() Stats {
	q := l.queue
	s := Stats{QueueLimit: queueLimit}
	if q.spill != nil {
		s.Spilled, s.SpillBytes = q.spill.Stranded()
	}
	s.Untold, _ = q.lost.waiting()
	q.lost.mu.Lock()
	s.LostShould, s.LostBestEffort = q.lost.total[Should]+q.lost.total[Must], q.lost.total[BestEffort]
	q.lost.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Queued, s.Recorded, s.Failing = len(q.waiting)+len(q.flight), q.written, q.down
	if q.failed != nil {
		s.LastError, s.LastErrorAt = q.failed.Error(), q.failedAt
	}
	return s
}

// openQueue opens the spill directory, takes over what dead processes left in
// it, and makes the queue.
func (l *Log) openQueue() (*queue, error) {
	once, _ := l.cfg.Store.(OnceEnqueuer)
	q := &queue{store: l.cfg.Store, once: once, logger: l.cfg.Logger, onFull: l.cfg.OnFull, blockFor: l.cfg.BlockFor, stop: make(chan struct{}),
		pending: l.pendingOf, gap: l.gap}
	q.lost.now = l.cfg.Now
	if l.cfg.Spill == "" {
		return q, nil
	}
	if once == nil {
		return nil, fmt.Errorf("%w: Config.Spill needs a Store that has EnqueueOnce, as gormstore has; without, events would be written twice", ErrInvalid)
	}
	var keys [][]byte
	for _, mac := range append([][]byte{l.macKey}, l.oldMAC...) {
		key, err := hkdf.Expand(sha256.New, mac, "confide audit spill key v1", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("audit: spill key: %w", err)
		}
		keys = append(keys, key)
	}
	var err error
	if q.spill, err = spill.Open(l.cfg.Spill, keys, l.cfg.SpillLimit); err != nil {
		return nil, fmt.Errorf("audit: open the spill directory: %w", err)
	}
	q.lost.dir = q.spill
	if err := q.lost.save(true); err != nil {
		return nil, fmt.Errorf("audit: open the spill directory: %w", err)
	}
	l.adopt(q)
	return q, nil
}

// adopt takes over what dead processes left. That it fails keeps nobody from
// working: it is tried again, and until then everything stays where it is.
func (l *Log) adopt(q *queue) {
	if err := q.adopt(); err != nil {
		l.cfg.Logger.Error("audit: what an earlier process left in the spill directory is not recorded yet", "error", err)
	}
}
