package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

func (b *bench) keys() audit.Keys { return audit.KeysOf(b.cfg.Verifier) }

// again sends a proof through its text.
func again(t *testing.T, p audit.TLogProof) audit.TLogProof {
	t.Helper()
	text, err := p.MarshalText()
	require.NoError(t, err)
	var q audit.TLogProof
	require.NoError(t, q.UnmarshalText(text))
	require.Equal(t, p, q)
	return q
}

func TestEveryEventIsProven(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		for _, tenant := range []string{"main", "acme"} {
			p, err := b.log.Prover(b.ctx, tenant)
			require.NoError(t, err)
			top, err := again(t, p.Link()).OpenLink(p.Checkpoint().Note, b.keys())
			require.NoError(t, err)
			require.EqualValues(t, 3, top.Size)
			require.Equal(t, b.anchor.notes[len(b.anchor.notes)-1], top.Note, "the proof ends in what was anchored")
			for seq := range p.Checkpoint().Size {
				proof, err := p.Prove(b.ctx, seq)
				require.NoError(t, err)
				e, c, err := again(t, proof).OpenEvent(b.keys())
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(tenant, seq), e.Rows[0].ID)
				require.Equal(t, seq, e.Seq)
				require.Equal(t, p.Checkpoint(), c)
			}
			_, err = p.Prove(b.ctx, p.Checkpoint().Size)
			require.ErrorIs(t, err, audit.ErrInvalid)
		}
		_, err := b.log.Prover(b.ctx, "nobody")
		require.ErrorContains(t, err, `log "nobody" has no sealed events to prove`)
	})
}

// Whatever is changed in a proof, it no longer proves; every single bit counts.
func TestAChangedProofProvesNothing(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	p, err := b.log.Prover(b.ctx, "main")
	require.NoError(t, err)
	proof, err := p.Prove(b.ctx, 4)
	require.NoError(t, err)
	other, err := p.Prove(b.ctx, 5)
	require.NoError(t, err)
	text, err := proof.MarshalText()
	require.NoError(t, err)
	for i := range text {
		for _, bit := range []byte{1, 0x20, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= bit
			var q audit.TLogProof
			if q.UnmarshalText(changed) == nil {
				_, _, err := q.OpenEvent(b.keys())
				require.Error(t, err, "byte %d: %q", i, changed)
			}
		}
	}
	for name, change := range map[string]func(*audit.TLogProof){
		"another entry":        func(p *audit.TLogProof) { p.Extra = other.Extra },
		"another index":        func(p *audit.TLogProof) { p.Index = 5 },
		"an index beyond":      func(p *audit.TLogProof) { p.Index = 10 },
		"no hashes":            func(p *audit.TLogProof) { p.Hashes = nil },
		"a hash more":          func(p *audit.TLogProof) { p.Hashes = append(p.Hashes, tlog.Hash{}) },
		"the checkpoint of it": func(p *audit.TLogProof) { p.Checkpoint = b.anchor.notes[2] },
	} {
		q := again(t, proof)
		change(&q)
		_, _, err := q.OpenEvent(b.keys())
		require.ErrorIs(t, err, audit.ErrTampered, name)
	}
	_, strange := keys(t)
	_, _, err = proof.OpenEvent(audit.KeysOf(strange))
	require.ErrorIs(t, err, audit.ErrTampered)
	_, _, err = proof.OpenEvent(nil)
	require.ErrorIs(t, err, audit.ErrInvalid)

	link := p.Link()
	acme, err := b.log.Prover(b.ctx, "acme")
	require.NoError(t, err)
	for name, open := range map[string]func() (audit.Checkpoint, error){
		"another tenant's checkpoint": func() (audit.Checkpoint, error) { return link.OpenLink(acme.Checkpoint().Note, b.keys()) },
		"another tenant's link":       func() (audit.Checkpoint, error) { return acme.Link().OpenLink(p.Checkpoint().Note, b.keys()) },
		"an event's proof":            func() (audit.Checkpoint, error) { return proof.OpenLink(p.Checkpoint().Note, b.keys()) },
		"no predecessor": func() (audit.Checkpoint, error) {
			l := link
			l.Extra = nil
			return l.OpenLink(p.Checkpoint().Note, b.keys())
		},
	} {
		_, err := open()
		require.ErrorIs(t, err, audit.ErrTampered, name)
	}
}

func TestACustomersHistory(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		ctx := as(b.ctx, audit.Actor{ID: "u3"})
		for _, owner := range []string{"u1", "u2"} {
			require.NoError(t, b.WithContext(ctx).Model(&customer{ID: "main1"}).Update("owner", owner).Error)
			b.seal(t)
		}
		require.NoError(t, b.log.Record(ctx, "customer.reveal", slog.String("resource", "customer"), slog.String("row", "main1")))
		b.seal(t)
		h, err := b.log.ProveHistory(ctx, audit.Query{Resource: "customer", Row: "main1"})
		require.NoError(t, err)
		var file bytes.Buffer
		_, err = h.WriteTo(&file)
		require.NoError(t, err)
		h, err = audit.ReadHistory(&file)
		require.NoError(t, err)
		got, err := h.Check(b.keys())
		require.NoError(t, err)
		require.Equal(t, "main", got.Log)
		require.Equal(t, []string{"customer.create", "customer.update", "customer.update", "customer.reveal"}, actions(got.Events))
		require.Equal(t, []audit.Revision{{Log: "main", Resource: "customer", Row: "main1", Rev: 3}}, got.Complete)
		require.Empty(t, got.Partial)
		require.Equal(t, b.anchor.notes[len(b.anchor.notes)-1], got.Checkpoint.Note)

		left := audit.History{Link: h.Link, Events: append(h.Events[:1:1], h.Events[2:]...)}
		got, err = left.Check(b.keys())
		require.NoError(t, err)
		require.Empty(t, got.Complete)
		require.EqualValues(t, 3, got.Partial[0].Rev, "a change that was left out shows")

		for name, bad := range map[string]audit.History{
			"doubled":           {Link: h.Link, Events: append(h.Events[:1:1], h.Events...)},
			"out of order":      {Link: h.Link, Events: []audit.TLogProof{h.Events[1], h.Events[0]}},
			"another's linkage": {Link: h.Events[0], Events: h.Events},
		} {
			_, err = bad.Check(b.keys())
			require.ErrorIs(t, err, audit.ErrTampered, name)
		}
		_, err = audit.History{Link: h.Link}.Check(b.keys())
		require.ErrorIs(t, err, audit.ErrInvalid)
	})
}

func TestWhatIsNoHistoryIsRefused(t *testing.T) {
	for _, text := range []string{"", "{}", `{"format":"confide-audit-history/2"}`, `{"format":"confide-audit-history/1","link":"x","events":[]}`,
		`{"format":"confide-audit-history/1","evil":1}`} {
		_, err := audit.ReadHistory(bytes.NewReader([]byte(text)))
		require.ErrorIs(t, err, audit.ErrInvalid, text)
	}
}

// fillLog seals n events of one tenant into a memory store, in steps.
func fillLog(t testing.TB, log *audit.Log, n, step int) {
	t.Helper()
	for i := range n {
		require.NoError(t, log.RecordApart(t.Context(), "a.b", slog.Int("n", i)))
		if i%step == step-1 || i == n-1 {
			require.NoError(t, log.Flush(t.Context()))
			_, err := log.Seal(t.Context())
			require.NoError(t, err)
		}
	}
}

// Against tlog, over every size to some hundreds and around the sizes at which
// nodes are complete: the same hashes, for entries and for checkpoints.
func TestProofsAreThoseOfTlog(t *testing.T) {
	store := audit.NewMemory()
	log := memoryLog(t, store)
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(at))
		for i, x := range at {
			list[i] = hashes[x]
		}
		return list, nil
	})
	for n := range int64(300) {
		require.NoError(t, log.Record(t.Context(), "a.b"))
		_, err := log.Seal(t.Context())
		require.NoError(t, err)
		entries, err := store.Entries(t.Context(), audit.Selection{Log: "main", MinSeq: n, MaxSeq: n, Limit: 1})
		require.NoError(t, err)
		stored, err := tlog.StoredHashes(n, entries[0].Data, reader)
		require.NoError(t, err)
		hashes = append(hashes, stored...)
		root, err := tlog.TreeHash(n+1, reader)
		require.NoError(t, err)

		p, err := log.Prover(t.Context(), "main")
		require.NoError(t, err)
		require.Equal(t, root, tlog.Hash(p.Checkpoint().Root))
		for i := int64(0); i <= n; i += 1 + n/16 {
			proof, err := p.Prove(t.Context(), i)
			require.NoError(t, err)
			want, err := tlog.ProveRecord(n+1, i, reader)
			require.NoError(t, err)
			require.Equal(t, []tlog.Hash(want), proof.Hashes, "entry %d of %d", i, n+1)
		}
	}
	notes := checkpointsOf(t, store)
	for _, pair := range [][2]int{{1, 300}, {255, 256}, {256, 257}, {128, 300}, {299, 300}, {7, 7}, {257, 299}} {
		p, err := log.ProveConsistency(t.Context(), notes[pair[0]-1], notes[pair[1]-1])
		require.NoError(t, err)
		want, err := tlog.ProveTree(int64(pair[1]), int64(pair[0]), reader)
		require.NoError(t, err)
		require.Equal(t, []tlog.Hash(want), p.Hashes, "%v", pair)
	}
}

// checkpointsOf are the signed checkpoints of main, one per entry of the top log.
func checkpointsOf(t *testing.T, store audit.Store) (notes [][]byte) {
	entries, err := store.Entries(t.Context(), audit.Selection{Log: "", MaxSeq: 1 << 40, Limit: 10_000})
	require.NoError(t, err)
	for _, e := range entries {
		notes = append(notes, e.Data[42:])
	}
	return notes
}

// bare hides that a store keeps nodes.
type bare struct{ audit.Store }

// lying gives wrong nodes and leaf hashes.
type lying struct{ *audit.Memory }

func (s lying) Nodes(ctx context.Context, log string, level int, first, last int64) ([]audit.Node, error) {
	nodes, err := s.Memory.Nodes(ctx, log, level, first, last)
	for i := range nodes {
		nodes[i].Hash = bytes.Repeat([]byte{byte(i)}, 32)
	}
	return nodes, err
}

func TestProofsDoNotDependOnNodes(t *testing.T) {
	memory := audit.NewMemory()
	fillLog(t, memoryLog(t, memory), 0, 1)
	var cfg audit.Config
	log := memoryLog(t, memory, func(c *audit.Config) { cfg = *c })
	fillLog(t, log, 1000, 100)
	nodes, err := memory.Nodes(t.Context(), "main", 1, 0, 10)
	require.NoError(t, err)
	require.Len(t, nodes, 3, "one of 256 entries each")
	want, err := log.Prover(t.Context(), "main")
	require.NoError(t, err)
	for name, store := range map[string]audit.Store{"without": bare{memory}, "with wrong ones": lying{memory}} {
		cfg.Store = store
		other, err := audit.Open(t.Context(), cfg)
		require.NoError(t, err)
		p, err := other.Prover(t.Context(), "main")
		require.NoError(t, err)
		for _, seq := range []int64{0, 255, 256, 511, 700, 999} {
			a, err := want.Prove(t.Context(), seq)
			require.NoError(t, err)
			b, err := p.Prove(t.Context(), seq)
			require.NoError(t, err, name)
			require.Equal(t, a, b, name)
		}
	}
}

// What was edited cannot be proven, and its neighbours still can.
func TestAnEditedEntryIsNotProven(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		rewrite("main", 4, true, otherActor)(t, b)
		p, err := b.log.Prover(b.ctx, "main")
		require.NoError(t, err)
		for _, seq := range []int64{4, 5, 3, 9} { // with the hash of entry 4 gone, the tree cannot be computed
			_, err = p.Prove(b.ctx, seq)
			require.ErrorIs(t, err, audit.ErrTampered)
		}
		remove("log_id = 'main' AND seq = 4")(t, b)
		p, err = b.log.Prover(b.ctx, "main")
		require.NoError(t, err)
		_, err = p.Prove(b.ctx, 3)
		require.ErrorContains(t, err, `entry 4 of log "main" is missing`)

		remove("log_id = ''")(t, b)
		_, err = b.log.Prover(b.ctx, "main")
		require.ErrorIs(t, err, audit.ErrTampered)
	})
}

func TestConsistencyBetweenCheckpoints(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		for i := range b.anchor.notes {
			p, err := b.log.ProveConsistency(b.ctx, b.anchor.notes[i], nil)
			require.NoError(t, err)
			text, err := p.MarshalText()
			require.NoError(t, err)
			var q audit.ConsistencyProof
			require.NoError(t, q.UnmarshalText(text))
			c, err := q.Check(b.anchor.notes[i], b.keys())
			require.NoError(t, err)
			require.EqualValues(t, 3, c.Size)
			if i == 0 {
				_, err = q.Check(b.anchor.notes[1], b.keys())
				require.ErrorIs(t, err, audit.ErrTampered, "it is about another checkpoint")
				for j := range q.Hashes {
					q.Hashes[j][3] ^= 4
					_, err = q.Check(b.anchor.notes[0], b.keys())
					require.ErrorIs(t, err, audit.ErrTampered)
					q.Hashes[j][3] ^= 4
				}
			}
		}
		_, err := b.log.ProveConsistency(b.ctx, b.anchor.notes[2], b.anchor.notes[1])
		require.ErrorIs(t, err, audit.ErrInvalid)
		heads, err := b.cfg.Store.Heads(b.ctx, "main")
		require.NoError(t, err)
		_, err = b.log.ProveConsistency(b.ctx, heads[0].Note, b.anchor.notes[1])
		require.ErrorContains(t, err, "not one of the same log")
		_, err = b.log.ProveConsistency(b.ctx, []byte("x"), nil)
		require.ErrorContains(t, err, "the older checkpoint is not signed by")
	})
}

// A database that was rolled back and went on cannot prove that it contains
// what was anchored.
func TestAForkHasNoConsistencyProof(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		b.save(t)
		require.NoError(t, b.log.Record(b.ctx, "the.truth"))
		b.seal(t)
		truth := b.anchor.notes[3]
		b.putBack(t, "1 = 1", ownTables...)
		log := b.restart(t)
		_, err := log.ProveConsistency(b.ctx, truth, nil)
		require.Error(t, err)
		for range 2 {
			require.NoError(t, log.Record(b.ctx, "a.lie"))
			_, _ = log.Seal(b.ctx)
		}
		_, err = log.ProveConsistency(b.ctx, truth, nil)
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, "does not begin with the one of 4")
	})
}

func FuzzTLogProof(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\nnote\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 17\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nnote\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p audit.TLogProof
		if p.UnmarshalText(text) != nil || len(p.Checkpoint) == 0 {
			return
		}
		got, err := p.MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, got, "two spellings of one proof")
	})
}

func FuzzConsistencyProof(f *testing.F) {
	f.Add([]byte("old 0\n\nnote\n"))
	f.Add([]byte("old 17\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nnote\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p audit.ConsistencyProof
		if p.UnmarshalText(text) != nil || len(p.Checkpoint) == 0 {
			return
		}
		got, err := p.MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, got)
	})
}
