package audittest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
)

// RunAnchor checks the rules of audit.Anchor. place makes a new, empty place that
// accepts checkpoints of this key; the function it returns opens an anchor on it,
// each time as another process would.
func RunAnchor(t *testing.T, place func(t *testing.T, key note.Verifier) (open func() audit.Anchor)) {
	rules := []struct {
		name string
		run  func(s *anchorSuite)
	}{
		{"a checkpoint that was put is there", (*anchorSuite).keeps},
		{"the same checkpoint again is no news", (*anchorSuite).again},
		{"a smaller checkpoint is ErrTampered", (*anchorSuite).smaller},
		{"another checkpoint of the same size is ErrTampered", (*anchorSuite).another},
		{"what is kept outlives the process", (*anchorSuite).reopened},
		{"two processes see each other's checkpoints", (*anchorSuite).shared},
		{"of concurrent checkpoints the largest is kept", (*anchorSuite).concurrent},
		{"a cancelled context is an error and keeps nothing", (*anchorSuite).cancelled},
		{"no error text holds a root or a signature", (*anchorSuite).quiet},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			truth, key := newGrowing(t, 12, nil)
			fork, _ := newGrowing(t, 12, truth)
			open := place(t, key)
			r.run(&anchorSuite{T: t, open: open, a: open(), truth: truth, fork: fork})
		})
	}
}

type anchorSuite struct {
	*testing.T
	open        func() audit.Anchor
	a           audit.Anchor
	truth, fork *growing
}

// A growing log gives its checkpoint of every size.
type growing struct {
	signer note.Signer
	key    note.Verifier
	notes  []audit.Checkpoint // of size i+1
	hashes []tlog.Hash
}

// newGrowing makes a log of n checkpoints; with the keys of another one it is a
// fork of that.
func newGrowing(t *testing.T, n int, of *growing) (*growing, note.Verifier) {
	t.Helper()
	g := &growing{}
	if of != nil {
		g.signer, g.key = of.signer, of.key
	} else {
		skey, vkey, err := audit.GenerateKey("crm.example/audit")
		if err == nil {
			g.signer, err = note.NewSigner(skey)
		}
		if err == nil {
			g.key, err = note.NewVerifier(vkey)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	store := audit.NewMemory()
	log, err := audit.Open(t.Context(), audit.Config{Store: store, Signer: g.signer, Verifier: g.key, Anchor: audit.Unanchored,
		Actor: func(context.Context) audit.Actor { return audit.Actor{} }})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := log.Record(t.Context(), "a.b"); err != nil {
			t.Fatal(err)
		}
		if _, err := log.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		heads, err := store.Heads(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		c, err := audit.OpenCheckpoint(heads[0].Note, g.key)
		if err != nil {
			t.Fatal(err)
		}
		g.notes = append(g.notes, c)
	}
	entries, err := store.Entries(t.Context(), audit.Selection{MaxSeq: int64(n), Limit: n})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		stored, err := tlog.StoredHashes(int64(i), e.Data, g)
		if err != nil {
			t.Fatal(err)
		}
		g.hashes = append(g.hashes, stored...)
	}
	return g, g.key
}

// ReadHashes implements tlog.HashReader.
func (g *growing) ReadHashes(at []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(at))
	for i, x := range at {
		list[i] = g.hashes[x]
	}
	return list, nil
}

// put offers the checkpoint of a size the way a Log does.
func (g *growing) put(ctx context.Context, a audit.Anchor, size int64) error {
	c := g.notes[size-1]
	p, ok := a.(audit.ConsistencyAnchor)
	if !ok {
		return a.Put(ctx, c)
	}
	return p.PutConsistent(ctx, c, func(_ context.Context, old int64) ([]tlog.Hash, error) {
		switch {
		case old == 0:
			return nil, nil
		case old > size:
			return nil, audit.ErrTampered
		}
		return tlog.ProveTree(size, old, g)
	})
}

func (s *anchorSuite) must(err error, doing string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s failed: %v", doing, err)
	}
}

func (s *anchorSuite) refused(err error, what string) {
	s.Helper()
	if !errors.Is(err, audit.ErrTampered) {
		s.Errorf("%s: Put returned %v; it must return ErrTampered", what, err)
	}
}

// sizes are the sizes of the checkpoints the anchor shows, each of which must be signed.
func (s *anchorSuite) has(a audit.Anchor, want ...int64) {
	s.Helper()
	r, ok := a.(audit.AnchorReader)
	if !ok {
		return
	}
	seen := map[int64]bool{}
	for msg, err := range r.Checkpoints(s.Context()) {
		s.must(err, "Checkpoints")
		c, err := audit.OpenCheckpoint(msg, s.truth.key)
		s.must(err, "to open a checkpoint that was kept")
		if c.Root != s.truth.notes[c.Size-1].Root {
			s.Errorf("the checkpoint of %d is not the one that was put", c.Size)
		}
		seen[c.Size] = true
	}
	for _, size := range want {
		if !seen[size] {
			s.Errorf("the checkpoint of %d is missing; Put returned nil for it", size)
		}
	}
	if len(seen) != len(want) {
		s.Errorf("the anchor shows %d checkpoints, %d were put", len(seen), len(want))
	}
}

func (s *anchorSuite) keeps() {
	s.has(s.a)
	for _, size := range []int64{1, 2, 7, 12} {
		s.must(s.truth.put(s.Context(), s.a, size), "Put")
	}
	s.has(s.a, 1, 2, 7, 12)
}

func (s *anchorSuite) again() {
	for range 3 {
		s.must(s.truth.put(s.Context(), s.a, 3), "Put")
	}
	s.must(s.truth.put(s.Context(), s.open(), 3), "Put by another process")
	s.has(s.a, 3)
}

func (s *anchorSuite) smaller() {
	s.must(s.truth.put(s.Context(), s.a, 5), "Put")
	for _, a := range []audit.Anchor{s.a, s.open()} {
		s.refused(s.truth.put(s.Context(), a, 4), "a checkpoint of 4 after one of 5")
		s.refused(s.fork.put(s.Context(), a, 1), "another one of 1 after one of 5")
	}
	s.must(s.truth.put(s.Context(), s.a, 6), "Put after a refusal")
	s.has(s.a, 5, 6)
}

func (s *anchorSuite) another() {
	s.must(s.truth.put(s.Context(), s.a, 5), "Put")
	for _, a := range []audit.Anchor{s.a, s.open()} {
		s.refused(s.fork.put(s.Context(), a, 5), "another checkpoint of 5")
	}
	s.has(s.a, 5)
}

func (s *anchorSuite) reopened() {
	s.must(s.truth.put(s.Context(), s.a, 5), "Put")
	b := s.open()
	s.has(b, 5)
	s.must(s.truth.put(s.Context(), b, 9), "Put")
	s.has(s.open(), 5, 9)
}

func (s *anchorSuite) shared() {
	b := s.open()
	s.must(s.truth.put(s.Context(), s.a, 2), "Put")
	s.must(s.truth.put(s.Context(), b, 4), "Put by another process")
	s.refused(s.truth.put(s.Context(), s.a, 3), "a checkpoint of 3 after another process put 4")
	s.must(s.truth.put(s.Context(), s.a, 6), "Put")
	s.has(b, 2, 4, 6)
}

func (s *anchorSuite) concurrent() {
	var wg sync.WaitGroup
	for i := range s.truth.notes {
		wg.Go(func() { _ = s.truth.put(s.Context(), s.a, int64(i+1)) }) // smaller ones may be refused
	}
	wg.Wait()
	s.must(s.truth.put(s.Context(), s.a, 12), "Put of the largest")
	s.refused(s.truth.put(s.Context(), s.open(), 11), "a smaller one")
}

func (s *anchorSuite) cancelled() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if s.truth.put(ctx, s.a, 1) == nil {
		s.Error("Put with a cancelled context returned nil")
	}
	s.has(s.open())
	r, ok := s.a.(audit.AnchorReader)
	if !ok {
		return
	}
	s.must(s.truth.put(s.Context(), s.a, 1), "Put")
	for _, err := range r.Checkpoints(ctx) {
		if err != nil {
			return
		}
	}
	s.Error("Checkpoints with a cancelled context yielded no error")
}

func (s *anchorSuite) quiet() {
	s.must(s.truth.put(s.Context(), s.a, 5), "Put")
	for _, err := range []error{s.truth.put(s.Context(), s.a, 4), s.fork.put(s.Context(), s.a, 5)} {
		for _, c := range append(s.truth.notes, s.fork.notes...) {
			if root := strings.Split(string(c.Note), "\n")[2]; err != nil && strings.Contains(err.Error(), root) {
				s.Errorf("the error holds a root: %v", err)
			}
		}
	}
}
