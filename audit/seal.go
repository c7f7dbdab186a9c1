package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	sealBatch    = 1000 // events sealed by one commit
	sealAttempts = 12   // lost races against other sealers before giving up
)

// Seal moves all committed events into their tenants' logs and returns how many
// it moved. It is safe in any number of processes: the store's constraints let
// one win. An error that is ErrTampered does not stop the rest.
func (l *Log) Seal(ctx context.Context) (int, error) {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	var found []error
	total, after, lost := 0, int64(0), 0
	for {
		s := &sealer{l: l, logs: map[string]*sealedLog{}}
		n, err := s.pass(ctx, after)
		if errors.Is(err, ErrConflict) && lost < sealAttempts {
			lost++
			if err := pause(ctx, lost); err != nil {
				return total, err
			}
			continue
		}
		if err != nil {
			return total, errors.Join(append(found, err)...)
		}
		lost = 0
		total += n
		after = s.last
		found = append(found, s.found...)
		if s.read < sealBatch {
			break
		}
	}
	if err := l.anchor(ctx); err != nil {
		found = append(found, err)
	}
	return total, errors.Join(found...)
}

// pause waits a little longer each time, so that competing sealers part.
func pause(ctx context.Context, attempt int) error {
	t := time.NewTimer(time.Duration(1+rand.IntN(4*attempt)) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("audit: seal: %w", ctx.Err())
	}
}

// A sealer is one pass: what it read and what it will commit.
type sealer struct {
	l     *Log
	read  int   // pending events read
	last  int64 // ID of the last one
	found []error
	logs  map[string]*sealedLog
	batch Batch
}

type sealedLog struct {
	epoch  int64 // of the top log
	head   Head
	tree   *tree
	tip    tlog.Hash
	broken bool
}

func (s *sealer) pass(ctx context.Context, after int64) (int, error) {
	pending, err := s.l.cfg.Store.Pending(ctx, after, sealBatch)
	if err != nil {
		return 0, fmt.Errorf("audit: read pending events: %w", err)
	}
	s.read = len(pending)
	if s.read == 0 {
		return 0, nil
	}
	s.last = pending[len(pending)-1].ID
	events := s.check(pending)
	if len(events) == 0 {
		return 0, nil
	}
	if err := s.load(ctx, events); err != nil {
		return 0, err
	}
	for i := range events {
		s.append(&events[i])
	}
	if len(s.batch.Sealed) == 0 {
		return 0, nil
	}
	if err := s.close(); err != nil {
		return 0, err
	}
	if err := s.l.cfg.Store.Commit(ctx, s.batch); err != nil {
		return 0, fmt.Errorf("audit: seal %d events: %w", len(s.batch.Sealed), err)
	}
	s.l.sealed = s.logs[topLog].tree.size
	return len(s.batch.Sealed), nil
}

type checkedEvent struct {
	Pending
	event Event
}

// check drops what the recorder did not write or what is already sealed. Such
// rows stay where they are, as evidence for Verify.
func (s *sealer) check(pending []Pending) []checkedEvent {
	events := make([]checkedEvent, 0, len(pending))
	seen := make(map[string]bool, len(pending))
	bad := 0
	for _, p := range pending {
		e, fault := s.l.checkPending(p)
		if fault != "" || seen[string(p.Event)] {
			bad++
			continue
		}
		seen[string(p.Event)] = true
		events = append(events, checkedEvent{p, e})
	}
	if bad > 0 {
		s.found = append(s.found, fmt.Errorf("%w: %d pending events are not what was recorded and are not sealed; run Verify", ErrTampered, bad))
	}
	return events
}

// checkPending returns the event of a pending row, or what is wrong with the row.
func (l *Log) checkPending(p Pending) (e Event, fault string) {
	if !l.recorded(p) {
		return e, "its bytes are not what was recorded"
	}
	e, err := decodeEvent(p.Data)
	if err != nil {
		return e, "its bytes cannot be decoded"
	}
	if !bytes.Equal(indexOf(&e).Event, p.Event) {
		return e, "its event id was changed"
	}
	if p.Sealed {
		return e, "its event is already sealed: the row was put back"
	}
	return e, ""
}

// recorded tells whether this log, or one with another of its keys, made the row.
func (l *Log) recorded(p Pending) bool {
	if hmac.Equal(l.mac(p.Data), p.MAC) {
		return true
	}
	for _, key := range l.oldMAC {
		h := hmac.New(sha256.New, key)
		h.Write(p.Data)
		if hmac.Equal(h.Sum(nil), p.MAC) {
			return true
		}
	}
	return false
}

// load reads the heads of all logs the pass touches and refuses to extend what
// this log has not signed: otherwise rewritten history would get a good signature.
func (s *sealer) load(ctx context.Context, events []checkedEvent) error {
	names := []string{topLog}
	for _, e := range events {
		if !slices.Contains(names, e.event.Actor.Tenant) {
			names = append(names, e.event.Actor.Tenant)
		}
	}
	heads, err := s.l.cfg.Store.Heads(ctx, names...)
	if err != nil {
		return fmt.Errorf("audit: read heads: %w", err)
	}
	for _, name := range names {
		s.logs[name] = &sealedLog{head: Head{Log: name}, tree: &tree{full: s.keep(name)}, tip: genesis(name)}
	}
	for _, h := range heads {
		log := s.logs[h.Log]
		if log == nil {
			return fmt.Errorf("audit: the store returned a head nobody asked for; audittest.RunStore shows what it must do")
		}
		opened, err := s.open(h)
		if err != nil && h.Log == topLog {
			return err
		}
		if err != nil {
			s.found = append(s.found, err)
			log.broken = true
			continue
		}
		s.logs[h.Log] = opened
	}
	if size := s.logs[topLog].tree.size; size < s.l.sealed {
		return fmt.Errorf("%w: the log went back from %d to %d checkpoints while this process ran; run Verify; after a restore restart all processes and declare it with DeclareRestore", ErrTampered, s.l.sealed, size)
	}
	return nil
}

// open makes a log of its head, if that is signed.
func (s *sealer) open(h Head) (*sealedLog, error) {
	t, err := s.l.checkHead(h)
	if err != nil {
		return nil, err
	}
	t.full = s.keep(h.Log)
	log := &sealedLog{head: h, tree: t}
	log.head.Was = h.Size
	copy(log.tip[:], h.Tip)
	if h.Log == topLog {
		origin, _, _ := strings.Cut(string(h.Note), "\n") // checkHead has looked at it
		log.epoch, _ = epochOf(s.l.keys.name(), origin)
	}
	return log, nil
}

// keep adds the nodes that a log's tree completes to the batch.
func (s *sealer) keep(log string) func(int, int64, tlog.Hash) {
	return func(level int, index int64, h tlog.Hash) {
		s.batch.Nodes = append(s.batch.Nodes, Node{Log: log, Level: level, Index: index, Hash: bytes.Clone(h[:])})
	}
}

// placeOf tells where the Until of a key is judged for a log's head: only the
// top log's says by itself how much it vouches for.
func placeOf(log string) int64 {
	if log == topLog {
		return topItself
	}
	return anywhere
}

// checkHead tells whether a head is what its signed checkpoint says.
func (l *Log) checkHead(h Head) (*tree, error) { return l.keys.checkHead(h) }

func (k Keys) checkHead(h Head) (*tree, error) {
	t, err := treeFrom(h.Size, h.Edge)
	if err != nil || len(h.Tip) != tlog.HashSize {
		return nil, fmt.Errorf("%w: the head of log %q is malformed; run Verify", ErrTampered, h.Log)
	}
	c, err := k.open(h.Note, placeOf(h.Log))
	if err != nil {
		return nil, fmt.Errorf("%w: the checkpoint of log %q is not signed by %s; run Verify", ErrTampered, h.Log, k.name())
	}
	if !isOriginOf(k.name(), h.Log, c.Origin) || c.Size != h.Size || c.Root != t.root() {
		return nil, fmt.Errorf("%w: the head of log %q is not what its checkpoint signs; run Verify", ErrTampered, h.Log)
	}
	return t, nil
}

func (s *sealer) append(e *checkedEvent) {
	log := s.logs[e.event.Actor.Tenant]
	if log.broken {
		return
	}
	s.add(log, kindEvent, e.Data, func([]byte) Index { return indexOf(&e.event) })
	s.batch.Sealed = append(s.batch.Sealed, e.ID)
}

func (s *sealer) add(log *sealedLog, kind byte, body []byte, index func(data []byte) Index) {
	data := entry{kind: kind, seq: log.tree.size, prev: log.tip, body: body}.encode()
	leaf := tlog.RecordHash(data)
	s.batch.Entries = append(s.batch.Entries, Stored{Log: log.head.Log, Seq: log.tree.size, Data: data, Hash: leaf[:], Index: index(data)})
	log.tree.append(leaf)
	log.tip = leaf
}

// close signs the new checkpoints, the tenants' first: they are the entries
// of the top log.
func (s *sealer) close() error {
	names := make([]string, 0, len(s.logs))
	for name, log := range s.logs {
		if name != topLog && log.tree.size > log.head.Size {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	top := s.logs[topLog]
	heads := make([]Head, 0, len(names)+1)
	for _, name := range names {
		head, err := s.sign(s.logs[name])
		if err != nil {
			return err
		}
		heads = append(heads, head)
		s.add(top, kindCheckpoint, head.Note, func(data []byte) Index { return indexOfCheckpoint(data, name) })
	}
	head, err := s.sign(top)
	if err != nil {
		return err
	}
	s.batch.Heads = append([]Head{head}, heads...)
	return nil
}

func (s *sealer) sign(log *sealedLog) (Head, error) {
	origin := originOf(s.l.keys.name(), log.head.Log)
	if log.head.Log == topLog {
		origin = topOrigin(s.l.keys.name(), log.epoch)
	}
	c, err := signCheckpoint(origin, log.tree, s.l.cfg.signers())
	if err != nil {
		return Head{}, err
	}
	return Head{Log: log.head.Log, Was: log.head.Was, Size: log.tree.size,
		Tip: bytes.Clone(log.tip[:]), Edge: log.tree.marshalEdge(), Note: c.Note}, nil
}

// anchor brings the newest checkpoint to the anchor, unless it is there.
func (l *Log) anchor(ctx context.Context) error {
	if l.cfg.Anchor == Unanchored {
		return nil
	}
	for {
		c, err := l.topCheckpoint(ctx)
		if err != nil || c.Size == l.anchored {
			return err
		}
		err = put(ctx, l.cfg.Anchor, c, func(ctx context.Context, old int64) ([]tlog.Hash, error) {
			return l.proveSize(ctx, old, c)
		})
		if err == nil {
			l.anchored = c.Size
			return nil
		}
		// Another process may have anchored a newer one since: then try with that.
		if now, nowErr := l.topCheckpoint(ctx); nowErr != nil || now.Size <= c.Size {
			return fmt.Errorf("audit: anchor the checkpoint at %d: %w", c.Size, err)
		}
	}
}

func (l *Log) topCheckpoint(ctx context.Context) (Checkpoint, error) {
	heads, err := l.cfg.Store.Heads(ctx, topLog)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: read the head to anchor: %w", err)
	}
	if len(heads) == 0 {
		return Checkpoint{Size: l.anchored}, nil
	}
	if _, err := l.checkHead(heads[0]); err != nil {
		return Checkpoint{}, err
	}
	return l.keys.open(heads[0].Note, topItself)
}
