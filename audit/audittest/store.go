package audittest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/confide-go/confide/audit"
)

// RunStore checks the rules of audit.Store on stores that open makes: each call
// must return an empty one.
func RunStore(t *testing.T, open func(t *testing.T) audit.Store) {
	rules := []struct {
		name string
		run  func(s *suite)
	}{
		{"pending events come in the order they were added and page by ID", (*suite).pendingOrder},
		{"bytes come back exactly", (*suite).exactBytes},
		{"many large events fit into one call", (*suite).largeBatch},
		{"a commit moves pending events into entries", (*suite).commitMoves},
		{"a commit at the wrong size is a conflict and changes nothing", (*suite).wrongSize},
		{"a new head for a log that has one is a conflict", (*suite).existingHead},
		{"a taken place is a conflict and changes nothing", (*suite).takenPlace},
		{"an event is sealed once", (*suite).sealedOnce},
		{"a pending event that is gone is a conflict", (*suite).pendingGone},
		{"of competing commits exactly one wins", (*suite).oneWins},
		{"pending tells which events are sealed", (*suite).tellsSealed},
		{"revisions count each row for itself", (*suite).revisionsCount},
		{"concurrent revisions are all different", (*suite).revisionsConcurrent},
		{"revisions are listed in order and page", (*suite).revisionsList},
		{"entries are selected by every column", (*suite).selects},
		{"entries page in both directions", (*suite).pages},
		{"names are compared byte by byte", (*suite).exactNames},
		{"heads without names lists logs that lost their head", (*suite).orphans},
		{"nodes come back by level and range, leaf hashes as level 0", (*suite).nodes},
		{"a pruned entry keeps its place, event and hash and nothing else", (*suite).prunes},
		{"EnqueueOnce, if there is one, adds an event once", (*suite).enqueuesOnce},
		{"EnqueueOnce, if there is one, adds an event once whoever else adds it", (*suite).enqueuesOnceConcurrently},
		{"secrets are kept by event and destroyed by subject", (*suite).secretsKept},
		{"a cancelled context is an error", (*suite).cancelled},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.run(&suite{T: t, store: open(t), ctx: t.Context()}) })
	}
}

type suite struct {
	*testing.T
	store audit.Store
	ctx   context.Context
}

func (s *suite) check(err error, doing string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s failed: %v", doing, err)
	}
}

func (s *suite) conflict(b audit.Batch, why string) {
	s.Helper()
	if err := s.store.Commit(s.ctx, b); !errors.Is(err, audit.ErrConflict) {
		s.Errorf("%s: Commit returned %v; it must return ErrConflict", why, err)
	}
}

// event makes the nth event of the suite; the store does not look inside.
func event(n int) audit.Pending {
	id := make([]byte, 16)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return audit.Pending{Event: id, Data: fmt.Appendf(nil, "event %d \x00\xff'\"", n), MAC: bytes.Repeat([]byte{byte(n)}, 32)}
}

func entryOf(log string, seq int64, n int) audit.Stored {
	e := event(n)
	return audit.Stored{Log: log, Seq: seq, Data: e.Data, Hash: e.MAC,
		Index: audit.Index{Event: e.Event, At: 1000 + int64(n), Actor: "u", Action: "a", Resource: "r", Result: "ok"}}
}

func head(log string, was, size int64) audit.Head {
	return audit.Head{Log: log, Was: was, Size: size, Tip: bytes.Repeat([]byte{1}, 32), Edge: []byte{0, 1, 2}, Note: []byte("note\n")}
}

func (s *suite) add(n ...int) []audit.Pending {
	s.Helper()
	var list []audit.Pending
	for _, n := range n {
		list = append(list, event(n))
	}
	s.check(s.store.Enqueue(s.ctx, list), "Enqueue")
	all, err := s.store.Pending(s.ctx, math.MinInt64, 10_000)
	s.check(err, "Pending")
	return all[len(all)-len(n):]
}

func (s *suite) scan(log string) []audit.Stored {
	s.Helper()
	all, err := s.store.Entries(s.ctx, audit.Selection{Log: log, MinSeq: math.MinInt64, MaxSeq: math.MaxInt64, Limit: 10_000})
	s.check(err, "Entries")
	return all
}

func (s *suite) pendingOrder() {
	s.add(3, 1)
	s.add(2)
	var got []byte
	for after := int64(math.MinInt64); ; {
		page, err := s.store.Pending(s.ctx, after, 2)
		s.check(err, "Pending")
		for _, p := range page {
			got = append(got, p.Event[15])
			after = p.ID
		}
		if len(page) < 2 {
			break
		}
	}
	if !bytes.Equal(got, []byte{3, 1, 2}) {
		s.Errorf("events 3, 1, 2 came back as %v", got)
	}
}

func (s *suite) exactBytes() {
	p := s.add(7)[0]
	want := event(7)
	if !bytes.Equal(p.Data, want.Data) || !bytes.Equal(p.MAC, want.MAC) || !bytes.Equal(p.Event, want.Event) {
		s.Error("a pending event came back with other bytes")
	}
	e := entryOf("t", 0, 7)
	e.Index.Rows = []string{"王 小明'\"%_"}
	e.Index.Actor = "Ωμέγα 👨‍👩‍👧"
	h := head("t", 0, 1)
	s.check(s.store.Commit(s.ctx, audit.Batch{Heads: []audit.Head{h}, Entries: []audit.Stored{e}, Sealed: []int64{p.ID}}), "Commit")
	got := s.scan("t")
	if len(got) != 1 || !bytes.Equal(got[0].Data, e.Data) || !bytes.Equal(got[0].Hash, e.Hash) || !bytes.Equal(got[0].Index.Event, e.Index.Event) ||
		got[0].Index.Actor != e.Index.Actor || got[0].Index.At != e.Index.At || !slices.Equal(got[0].Index.Rows, e.Index.Rows) {
		s.Errorf("an entry came back as %+v", got)
	}
	heads, err := s.store.Heads(s.ctx, "t")
	s.check(err, "Heads")
	if len(heads) != 1 || heads[0].Size != 1 || !bytes.Equal(heads[0].Tip, h.Tip) || !bytes.Equal(heads[0].Edge, h.Edge) || !bytes.Equal(heads[0].Note, h.Note) {
		s.Errorf("a head came back as %+v", heads)
	}
}

// largeBatch moves more bytes at once than some engines take in one statement.
func (s *suite) largeBatch() {
	events := make([]audit.Pending, 400)
	b := audit.Batch{Heads: []audit.Head{head("t", 0, 400)}}
	for i := range events {
		events[i] = event(i)
		events[i].Data = bytes.Repeat([]byte{byte(i)}, 60<<10)
	}
	s.check(s.store.Enqueue(s.ctx, events), "Enqueue of 24 MB")
	pending, err := s.store.Pending(s.ctx, math.MinInt64, 1000)
	s.check(err, "Pending")
	for i, p := range pending {
		e := entryOf("t", int64(i), i)
		e.Data = p.Data
		b.Entries, b.Sealed = append(b.Entries, e), append(b.Sealed, p.ID)
	}
	s.check(s.store.Commit(s.ctx, b), "Commit of 24 MB")
	if got := s.scan("t"); len(got) != 400 || !bytes.Equal(got[399].Data, events[399].Data) {
		s.Errorf("400 large events became %d entries", len(got))
	}
}

func (s *suite) commitMoves() {
	p := s.add(1, 2, 3)
	s.check(s.store.Commit(s.ctx, audit.Batch{
		Heads:   []audit.Head{head("", 0, 1), head("t", 0, 2)},
		Entries: []audit.Stored{entryOf("t", 0, 1), entryOf("t", 1, 3), entryOf("", 0, 100)},
		Sealed:  []int64{p[0].ID, p[2].ID},
	}), "Commit")
	if n := len(s.scan("t")); n != 2 {
		s.Errorf("the log has %d entries; 2 were committed", n)
	}
	left, err := s.store.Pending(s.ctx, math.MinInt64, 10)
	s.check(err, "Pending")
	if len(left) != 1 || left[0].ID != p[1].ID {
		s.Errorf("pending is %v; only the event that was not sealed must stay", left)
	}
	s.check(s.store.Commit(s.ctx, audit.Batch{Heads: []audit.Head{head("t", 2, 3)}, Entries: []audit.Stored{entryOf("t", 2, 2)}, Sealed: []int64{p[1].ID}}), "Commit")
	heads, err := s.store.Heads(s.ctx)
	s.check(err, "Heads")
	if len(heads) != 2 || heads[0].Log != "" || heads[1].Size != 3 {
		s.Errorf("heads are %+v; the top log and t at 3 were committed", heads)
	}
}

// unchanged commits a first entry, tries b, and checks that nothing moved.
func (s *suite) unchanged(b audit.Batch, why string) {
	s.Helper()
	p := s.add(50)
	b.Sealed = append(b.Sealed, p[0].ID)
	s.conflict(b, why)
	heads, err := s.store.Heads(s.ctx, "t", "new")
	s.check(err, "Heads")
	if len(heads) != 1 || heads[0].Size != 1 || len(s.scan("t")) != 1 || len(s.scan("new")) != 0 {
		s.Errorf("%s: a commit that failed left something behind", why)
	}
	if left, err := s.store.Pending(s.ctx, math.MinInt64, 10); err != nil || len(left) != 1 {
		s.Errorf("%s: a commit that failed took pending events away", why)
	}
}

func (s *suite) first() {
	s.Helper()
	s.check(s.store.Commit(s.ctx, audit.Batch{Heads: []audit.Head{head("t", 0, 1)}, Entries: []audit.Stored{entryOf("t", 0, 1)}}), "Commit")
}

func (s *suite) wrongSize() {
	s.first()
	s.unchanged(audit.Batch{Heads: []audit.Head{head("new", 0, 1), head("t", 2, 3)}, Entries: []audit.Stored{entryOf("new", 0, 8), entryOf("t", 2, 9)}}, "the head is at 1, not at 2")
}

func (s *suite) existingHead() {
	s.first()
	s.unchanged(audit.Batch{Heads: []audit.Head{head("new", 0, 1), head("t", 0, 1)}, Entries: []audit.Stored{entryOf("new", 0, 8)}}, "the head exists")
}

func (s *suite) takenPlace() {
	s.first()
	s.unchanged(audit.Batch{Heads: []audit.Head{head("new", 0, 1), head("t", 1, 2)}, Entries: []audit.Stored{entryOf("new", 0, 8), entryOf("t", 0, 9)}}, "place 0 is taken")
}

func (s *suite) sealedOnce() {
	s.first()
	s.unchanged(audit.Batch{Heads: []audit.Head{head("new", 0, 1)}, Entries: []audit.Stored{entryOf("new", 0, 1)}}, "event 1 is sealed in another log")
}

func (s *suite) pendingGone() {
	s.first()
	s.unchanged(audit.Batch{Heads: []audit.Head{head("t", 1, 2)}, Entries: []audit.Stored{entryOf("t", 1, 9)}, Sealed: []int64{987654}}, "a pending event is gone")
}

func (s *suite) oneWins() {
	s.first()
	const sealers = 8
	results := make([]error, sealers)
	var wg sync.WaitGroup
	for i := range sealers {
		wg.Go(func() {
			results[i] = s.store.Commit(s.ctx, audit.Batch{Heads: []audit.Head{head("t", 1, 2)}, Entries: []audit.Stored{entryOf("t", 1, 20+i)}})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, audit.ErrConflict):
			s.Errorf("a sealer that lost got %v; it must get ErrConflict", err)
		}
	}
	if won != 1 || len(s.scan("t")) != 2 {
		s.Errorf("%d of %d competing commits won", won, sealers)
	}
}

func (s *suite) tellsSealed() {
	s.first()
	p := s.add(1, 2)
	if !p[0].Sealed || p[1].Sealed {
		s.Error("event 1 is in an entry and event 2 is not; Pending must tell")
	}
}

func (s *suite) revise(log, resource string, rows ...string) []int64 {
	s.Helper()
	revs, err := s.store.Revise(s.ctx, log, resource, rows)
	s.check(err, "Revise")
	return revs
}

func (s *suite) revisionsCount() {
	for _, c := range []struct {
		log, resource string
		rows          []string
		want          []int64
	}{
		{"t", "customer", []string{"1"}, []int64{1}},
		{"t", "customer", []string{"2", "1", "3"}, []int64{1, 2, 1}},
		{"t", "invoice", []string{"1"}, []int64{1}},
		{"u", "customer", []string{"1"}, []int64{1}},
		{"t", "customer", []string{"1"}, []int64{3}},
	} {
		if got := s.revise(c.log, c.resource, c.rows...); !slices.Equal(got, c.want) {
			s.Errorf("revisions of %s %v are %v; they must be %v", c.resource, c.rows, got, c.want)
		}
	}
}

func (s *suite) revisionsConcurrent() {
	const calls = 16
	revs := make([]int64, calls)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if got, err := s.store.Revise(s.ctx, "t", "customer", []string{"1"}); err == nil {
				revs[i] = got[0]
			} else {
				s.Errorf("Revise failed: %v", err)
			}
		})
	}
	wg.Wait()
	slices.Sort(revs)
	for i, rev := range revs {
		if rev != int64(i+1) {
			s.Fatalf("16 concurrent calls gave %v; they must give 1 to 16", revs)
		}
	}
}

func (s *suite) revisionsList() {
	s.revise("b", "x", "1")
	s.revise("a", "y", "2", "10")
	s.revise("a", "x", "3", "3x")
	s.revise("a", "x", "3")
	want := []audit.Revision{{Log: "a", Resource: "x", Row: "3", Rev: 2}, {Log: "a", Resource: "x", Row: "3x", Rev: 1}, {Log: "a", Resource: "y", Row: "10", Rev: 1},
		{Log: "a", Resource: "y", Row: "2", Rev: 1}, {Log: "b", Resource: "x", Row: "1", Rev: 1}}
	var got []audit.Revision
	for after := (audit.Revision{}); ; {
		page, err := s.store.Revisions(s.ctx, after, 2)
		s.check(err, "Revisions")
		got = append(got, page...)
		if len(page) < 2 {
			break
		}
		after = page[1]
	}
	if !slices.Equal(got, want) {
		s.Errorf("revisions are listed as %v; they must be %v", got, want)
	}
}
