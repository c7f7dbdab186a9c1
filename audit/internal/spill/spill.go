package spill

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/confide-go/confide/internal/durable"
)

const (
	segmentSuffix = ".spill"
	badSuffix     = ".bad"
	rotateAt      = 4 << 20   // a segment of this size is followed by a new one
	reuseAt       = 256 << 10 // a segment whose records are all stored is emptied from this size on

	// DefaultLimit is how many bytes a directory may hold unless told otherwise.
	DefaultLimit = 256 << 20
)

// ErrFull says that the directory holds as much as it may.
var ErrFull = errors.New("spill: the directory is full")

// A Dir is one process's part of a directory. It is safe for concurrent use.
type Dir struct {
	path  string
	key   []byte
	keys  [][]byte
	limit int64
	id    [sessionLen]byte

	io      sync.Mutex // one write to the disk at a time
	mu      sync.Mutex
	session *session
	batch   *batch
	active  *Segment
	closed  []*Segment // no longer written to, with records that are not stored yet
	next    uint64     // number of the next segment
	bytes   int64
}

// A Segment counts what became of the records of one file.
type Segment struct {
	number   uint64
	path     string
	size     int64
	index    uint64 // of the next record
	flying   int    // on their way into the database
	stranded int    // to be read back
}

// batch gathers records of callers that meet while the disk is busy.
type batch struct {
	records [][]byte
	bytes   int64
	written bool
	segment *Segment
	err     error
}

// Open makes the directory if it is missing and begins a session in it. The first
// key authenticates every record; the others are those of earlier sessions, which are
// still read. A limit of 0 is DefaultLimit.
func Open(path string, keys [][]byte, limit int64) (*Dir, error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	if err := durable.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	s, err := newSession(path, keys[0])
	if err != nil {
		return nil, err
	}
	return &Dir{path: path, key: keys[0], keys: keys, limit: limit, id: s.id, session: s}, nil
}

// Append returns when the records are on stable storage. They count as flying:
// tell Done or Strand what becomes of them. Callers that meet share one fsync.
func (d *Dir) Append(records ...[]byte) (*Segment, error) {
	d.mu.Lock()
	if d.batch == nil {
		d.batch = &batch{}
	}
	b := d.batch
	for _, r := range records {
		b.bytes += int64(4 + len(r) + macLen)
	}
	b.records = append(b.records, records...)
	d.mu.Unlock()

	d.io.Lock()
	defer d.io.Unlock()
	if !b.written {
		d.mu.Lock()
		d.batch = nil // from here on nobody adds to it
		d.mu.Unlock()
		b.segment, b.err = d.write(b)
		b.written = true
	}
	return b.segment, b.err
}

func (d *Dir) write(b *batch) (*Segment, error) {
	d.mu.Lock()
	if d.session == nil {
		d.mu.Unlock()
		return nil, fmt.Errorf("spill: %s is closed", d.path)
	}
	if d.bytes+b.bytes > d.limit {
		d.mu.Unlock()
		return nil, fmt.Errorf("%w: %s holds %d bytes of %d", ErrFull, d.path, d.bytes, d.limit)
	}
	s := d.segment()
	s.flying += len(b.records) // before the write, so that nobody empties the file under it
	at := place{d.id, s.number, s.index}
	data := make([]byte, 0, b.bytes+int64(headerLen))
	if s.size == 0 {
		data = appendHeader(data, at)
	}
	d.mu.Unlock()

	for _, r := range b.records {
		if len(r) == 0 || len(r) > MaxRecord {
			d.settle(s, len(b.records), false)
			return nil, fmt.Errorf("spill: a record of %d bytes; give 1 to %d", len(r), MaxRecord)
		}
		data = appendRecord(data, d.key, at, r)
		at.index++
	}
	err := durable.Append(s.path, data, 0o600)

	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		// What is on the disk now is unknown, so nothing may follow it in this file.
		s.flying -= len(b.records)
		d.retire(s)
		return nil, err
	}
	s.size += int64(len(data))
	d.bytes += int64(len(data))
	s.index = at.index
	if s.size >= rotateAt {
		d.retire(s)
	}
	return s, nil
}

// segment returns the one to write to. It runs under mu.
func (d *Dir) segment() *Segment {
	if d.active == nil {
		d.next++
		d.active = &Segment{number: d.next, path: segmentPath(d.path, d.id, d.next)}
	}
	return d.active
}

func segmentPath(dir string, session [sessionLen]byte, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%06d%s", hex.EncodeToString(session[:]), number, segmentSuffix))
}

// retire ends the writing to a segment. It runs under mu.
func (d *Dir) retire(s *Segment) {
	if d.active == s {
		d.active = nil
		d.closed = append(d.closed, s)
		d.sweep()
	}
}

// sweep removes files of which nothing is needed any more. It runs under mu. A
// file that a crash brings back is read again, and its records are recognised.
func (d *Dir) sweep() {
	d.closed = slices.DeleteFunc(d.closed, func(s *Segment) bool {
		if s.flying > 0 || s.stranded > 0 {
			return false
		}
		os.Remove(s.path)
		d.bytes -= s.size
		return true
	})
	if s := d.active; s != nil && s.flying == 0 && s.stranded == 0 && s.size >= reuseAt {
		if os.Truncate(s.path, 0) != nil {
			d.active, d.closed = nil, append(d.closed, s) // it goes with the next sweep
			return
		}
		d.bytes -= s.size
		s.size, s.index = 0, 0
	}
}

// Done tells that n records of a segment are in the database.
func (d *Dir) Done(s *Segment, n int) { d.settle(s, n, false) }

// Strand tells that n records of a segment could not be stored: they wait for Replay.
func (d *Dir) Strand(s *Segment, n int) { d.settle(s, n, true) }

func (d *Dir) settle(s *Segment, n int, stranded bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.flying -= n
	if stranded {
		s.stranded += n
	}
	d.sweep()
}

// Stranded returns how many records wait for Replay, and the bytes on the disk.
func (d *Dir) Stranded() (records int, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.closed {
		records += s.stranded
	}
	if d.active != nil {
		records += d.active.stranded
	}
	return records, d.bytes
}

// replayBatch is how many records are handed out at once.
const replayBatch = 256

// Replay hands the stranded records of this session to store, oldest first,
// together with others of the same file, which may be stored already. A file is removed
// when store has taken all of it. Files with flying records are left for a later
// call, lest a record be stored twice at the same moment.
func (d *Dir) Replay(store func(records [][]byte) error, report func(Fault) error) error {
	for _, s := range d.replayable() {
		bad, err := d.hand(s.path, place{session: d.id, segment: s.number}, store, report)
		if err != nil {
			return err
		}
		if bad {
			if err := setAside(s.path); err != nil {
				return err
			}
		}
		d.mu.Lock()
		s.stranded = 0
		d.sweep()
		d.mu.Unlock()
	}
	return nil
}

func (d *Dir) replayable() []*Segment {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.active; s != nil && s.stranded > 0 {
		d.retire(s)
	}
	var list []*Segment
	for _, s := range d.closed {
		if s.stranded > 0 && s.flying == 0 {
			list = append(list, s)
		}
	}
	return list
}

// hand reads one file and tells whether a part of it was unreadable.
func (d *Dir) hand(path string, at place, store func([][]byte) error, report func(Fault) error) (bad bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, report(Fault{filepath.Base(path), 1, "it is gone"})
	}
	if err != nil {
		return false, fmt.Errorf("spill: %w", err)
	}
	defer f.Close()
	var group [][]byte
	fault, err := readSegment(f, filepath.Base(path), d.keys, at, func(data []byte) error {
		group = append(group, data)
		if len(group) < replayBatch {
			return nil
		}
		err := store(group)
		group = nil
		return err
	})
	if err == nil && len(group) > 0 {
		err = store(group)
	}
	if err != nil || fault == nil {
		return false, err
	}
	return true, report(*fault)
}

// setAside keeps a file that could not be read whole, as evidence.
func setAside(path string) error {
	if err := os.Rename(path, path+badSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("spill: set %s aside: %w", filepath.Base(path), cause(err))
	}
	return nil
}

// SaveLedger replaces this session's ledger, durably. It takes no new room on the disk.
func (d *Dir) SaveLedger(ledger []byte) error {
	d.io.Lock()
	defer d.io.Unlock()
	if d.session == nil {
		return fmt.Errorf("spill: %s is closed", d.path)
	}
	return d.session.save(d.key, ledger)
}

// Close ends the session. What is neither stored nor noted in the ledger is
// left for whoever opens the directory next; keep says that the ledger is needed, too.
func (d *Dir) Close(keep bool) error {
	d.io.Lock()
	defer d.io.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return nil
	}
	s := d.session
	d.session = nil
	if d.active != nil {
		d.closed = append(d.closed, d.active)
		d.active = nil
	}
	d.sweep()
	if len(d.closed) == 0 && !keep {
		os.Remove(s.path)
	}
	return s.file.Close()
}

// ID names this session.
func (d *Dir) ID() string { return hex.EncodeToString(d.id[:]) }

// segmentsOf lists a session's files in the order in which they were written.
func (d *Dir) segmentsOf(s *session) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(d.path, hex.EncodeToString(s.id[:])+"-*"+segmentSuffix))
	if err != nil {
		return nil, fmt.Errorf("spill: %w", err)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b) // the longer number is the later one
		}
		return strings.Compare(a, b)
	})
	return names, nil
}
