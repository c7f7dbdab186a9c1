package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/confide-go/confide/audit/internal/spill"
)

// GapAction is the action of an event that tells of events that were lost. Its
// attributes are reason, class, lost (how many), since and until. For the
// reason "killed" the number is not known: a process ended without Close, and
// took the best-effort events and counts of repeated reads it still held with it.
const GapAction = "audit.gap"

// Why events were lost, as gap events say it.
const (
	lostFull       = "full"       // no room in memory, nor on the local disk
	lostUnwritten  = "unwritten"  // neither database nor local disk took it
	lostClosed     = "closed"     // the log was closed while the database was away
	lostKilled     = "killed"     // a process ended without Close; how many is not known
	lostUnreadable = "unreadable" // a spill file was edited or damaged
)

// A loss is what one gap event will say. Its event id is given when it begins,
// so that it is recorded once, however often that is tried.
type loss struct {
	id          [idLength]byte
	told        bool // a gap event with these numbers may exist: it must not change any more
	tenant      string
	class       Class
	reason      string
	count       int64
	first, last int64 // microseconds
}

const (
	maxLosses     = 60 // that many fit into a ledger, whatever the tenants' names
	ledgerVersion = 1
	ledgerOpen    = 1 // flag: the process has not closed its log
	ledgerEvery   = time.Second
)

// losses counts lost events until a gap event tells of them, and keeps the
// counts where they survive the process.
type losses struct {
	dir *spill.Dir // nil: in memory only
	now func() time.Time

	mu    sync.Mutex
	list  []*loss
	saved time.Time
	total [BestEffort + 1]int64 // by class, since Open
}

// add counts n lost events. It reports an error of writing the ledger: the
// loss is known to this process then, and lost with it.
func (s *losses) add(tenant string, class Class, reason string, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.total[class] += n
	l := s.find(tenant, class, reason)
	fresh := l == nil
	if fresh {
		if len(s.list) >= maxLosses {
			tenant = MainTenant
			l = s.find(tenant, class, reason)
		}
		if l == nil {
			id, err := newID(now)
			if err != nil {
				return fmt.Errorf("audit: event id: %w", err)
			}
			l = &loss{id: id, tenant: tenant, class: class, reason: reason, first: now.UnixMicro()}
			s.list = append(s.list, l)
		}
	}
	l.count += n
	l.last = now.UnixMicro()
	if fresh || now.Sub(s.saved) >= ledgerEvery || now.Before(s.saved) {
		s.saved = now
		return s.save(true)
	}
	return nil
}

func (s *losses) find(tenant string, class Class, reason string) *loss {
	i := slices.IndexFunc(s.list, func(l *loss) bool {
		return !l.told && l.tenant == tenant && l.class == class && l.reason == reason
	})
	if i < 0 {
		return nil
	}
	return s.list[i]
}

func (s *losses) save(open bool) error {
	if s.dir == nil {
		return nil
	}
	return s.dir.SaveLedger(encodeLedger(s.list, open))
}

func encodeLedger(list []*loss, open bool) []byte {
	b := []byte{ledgerVersion, 0}
	if open {
		b[1] = ledgerOpen
	}
	if len(list) > maxLosses {
		list = list[:maxLosses]
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, l := range list {
		b = append(append(b, l.id[:]...), byte(l.class))
		b = appendText(appendText(b, l.tenant), l.reason)
		for _, n := range [...]int64{l.count, l.first, l.last} {
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		}
	}
	return b
}

// decodeLedger reads what encodeLedger wrote. The empty ledger is that of a
// session that ended before its log was opened.
func decodeLedger(b []byte) (list []*loss, open bool, err error) {
	if len(b) == 0 {
		return nil, false, nil
	}
	d := &decoder{b: b}
	if v := d.byte(); v != ledgerVersion {
		return nil, false, fmt.Errorf("audit: ledger format %d is not known; upgrade the library: %w", v, errMalformed)
	}
	open = d.byte()&ledgerOpen != 0
	for range d.count(idLength + 1 + 4 + 4 + 24) {
		l := &loss{told: true}
		copy(l.id[:], d.bytes(idLength))
		l.class = Class(d.byte())
		l.tenant, l.reason = d.text(), d.text()
		l.count, l.first, l.last = d.int64(), d.int64(), d.int64()
		list = append(list, l)
	}
	if d.bad || len(d.b) != 0 {
		return nil, false, fmt.Errorf("audit: ledger: %w", errMalformed)
	}
	return list, open, nil
}

// tell returns what is to be recorded now, and freezes it.
func (s *losses) tell() []*loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.list {
		l.told = true
	}
	return slices.Clone(s.list)
}

// told forgets what has been recorded.
func (s *losses) told(done []*loss) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(l *loss) bool { return slices.Contains(done, l) })
	return s.save(true)
}

func (s *losses) waiting() (n int64, any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.list {
		n += l.count
	}
	return n, len(s.list) > 0
}

// derivedLoss is a loss found in what another process left: its id follows from
// where it was found, for it may be found twice.
func derivedLoss(where, reason string, count int64) *loss {
	sum := sha256.Sum256([]byte("confide audit gap v1\n" + reason + "\n" + where))
	return &loss{id: [idLength]byte(sum[:idLength]), told: true, tenant: MainTenant, reason: reason, count: count}
}

// gap makes the event that tells of a loss.
func (l *Log) gap(x *loss) (Pending, error) {
	e := &Event{Action: GapAction, Result: "lost", Actor: Actor{Tenant: x.tenant}}
	e.Attrs = []slog.Attr{slog.String("reason", x.reason)}
	if x.class != 0 {
		e.Attrs = append(e.Attrs, slog.String("class", x.class.String()))
	}
	if x.reason != lostKilled {
		e.Attrs = append(e.Attrs, slog.Int64("lost", x.count))
	}
	if x.first != 0 {
		e.Attrs = append(e.Attrs, slog.String("since", gapTime(x.first)), slog.String("until", gapTime(x.last)))
	}
	return l.encodeAs(x.id, l.cfg.Now(), e)
}

func gapTime(micro int64) string { return time.UnixMicro(micro).UTC().Format(time.RFC3339Nano) }
