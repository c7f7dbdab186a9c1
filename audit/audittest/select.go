package audittest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/confide-go/confide/audit"
)

// fill commits ten entries whose index columns differ.
func (s *suite) fill() {
	s.Helper()
	b := audit.Batch{Heads: []audit.Head{head("t", 0, 10), head("other", 0, 1)}, Entries: []audit.Stored{entryOf("other", 0, 99)}}
	for i := range 10 {
		e := entryOf("t", int64(i), i)
		e.Index.Actor = fmt.Sprintf("u%d", i%2)
		e.Index.Action = fmt.Sprintf("a%d", i%3)
		e.Index.Resource = fmt.Sprintf("r%d", i%2)
		e.Index.Result = fmt.Sprintf("x%d", i%5)
		e.Index.Rows = []string{fmt.Sprint(i % 4), "all"}
		e.Index.Channel = []string{"web", "", "api"}[i%3]
		e.Index.Subject = fmt.Sprintf("customer:%d", i%4)
		e.Index.Purpose = []string{"", "回电 ticket 7"}[i%2]
		e.Index.DataTypes = [][]string{nil, {"contact"}, {"contact", "identity"}}[i%3]
		b.Entries = append(b.Entries, e)
	}
	s.check(s.store.Commit(s.ctx, b), "Commit")
}

func (s *suite) seqs(sel audit.Selection) []int64 {
	s.Helper()
	list, err := s.store.Entries(s.ctx, sel)
	s.check(err, "Entries")
	seqs := []int64{}
	for _, e := range list {
		if len(e.Index.Rows) != 2 && e.Log == "t" {
			s.Errorf("entry %d came with the rows %q; it has two", e.Seq, e.Index.Rows)
		}
		if want := [][]string{nil, {"contact"}, {"contact", "identity"}}[e.Seq%3]; e.Log == "t" && !slices.Equal(e.Index.DataTypes, want) {
			s.Errorf("entry %d came with the data types %q; it has %q", e.Seq, e.Index.DataTypes, want)
		}
		if e.Log == "t" && (e.Index.Channel != []string{"web", "", "api"}[e.Seq%3] || e.Index.Subject != fmt.Sprintf("customer:%d", e.Seq%4)) {
			s.Errorf("entry %d came with the channel %q and the subject %q", e.Seq, e.Index.Channel, e.Index.Subject)
		}
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func (s *suite) selects() {
	s.fill()
	all := audit.Selection{Log: "t", MinSeq: 0, MaxSeq: math.MaxInt64, Limit: 100}
	for _, c := range []struct {
		name string
		set  func(*audit.Selection)
		want []int64
	}{
		{"nothing", func(*audit.Selection) {}, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"seq", func(x *audit.Selection) { x.MinSeq, x.MaxSeq = 3, 5 }, []int64{3, 4, 5}},
		{"time", func(x *audit.Selection) { x.Since, x.Until = 1002, 1004 }, []int64{2, 3}},
		{"actor", func(x *audit.Selection) { x.Actor = "u1" }, []int64{1, 3, 5, 7, 9}},
		{"action", func(x *audit.Selection) { x.Action = "a2" }, []int64{2, 5, 8}},
		{"resource", func(x *audit.Selection) { x.Resource = "r0" }, []int64{0, 2, 4, 6, 8}},
		{"row", func(x *audit.Selection) { x.Resource, x.Row = "r1", "3" }, []int64{3, 7}},
		{"row descending", func(x *audit.Selection) { x.Resource, x.Row, x.Descending = "r1", "all", true }, []int64{9, 7, 5, 3, 1}},
		{"result", func(x *audit.Selection) { x.Result = "x4" }, []int64{4, 9}},
		{"channel", func(x *audit.Selection) { x.Channel = "api" }, []int64{2, 5, 8}},
		{"subject", func(x *audit.Selection) { x.Subject = "customer:3" }, []int64{3, 7}},
		{"purpose", func(x *audit.Selection) { x.Purpose, x.Descending = "回电 ticket 7", true }, []int64{9, 7, 5, 3, 1}},
		{"data type", func(x *audit.Selection) { x.DataType = "contact" }, []int64{1, 2, 4, 5, 7, 8}},
		{"another data type", func(x *audit.Selection) { x.DataType = "identity" }, []int64{2, 5, 8}},
		{"terms together", func(x *audit.Selection) {
			x.Channel, x.Purpose, x.DataType, x.Actor = "api", "回电 ticket 7", "identity", "u1"
		}, []int64{5}},
		{"all terms", func(x *audit.Selection) {
			x.Channel, x.Purpose, x.DataType, x.Subject, x.Resource, x.Row = "api", "回电 ticket 7", "identity", "customer:1", "r1", "all"
		}, []int64{5}},
		{"a term of another kind", func(x *audit.Selection) { x.Subject = "api" }, []int64{}},
		{"everything", func(x *audit.Selection) {
			x.Actor, x.Action, x.Resource, x.Row, x.Result, x.Since = "u1", "a0", "r1", "all", "x4", 1001
		}, []int64{9}},
		{"no match", func(x *audit.Selection) { x.Actor = "U1" }, []int64{}},
	} {
		sel := all
		c.set(&sel)
		if got := s.seqs(sel); !slices.Equal(got, c.want) {
			s.Errorf("selecting by %s gave %v; it must give %v", c.name, got, c.want)
		}
	}
}

func (s *suite) pages() {
	s.fill()
	var up, down []int64
	sel := audit.Selection{Log: "t", MinSeq: math.MinInt64, MaxSeq: math.MaxInt64, Limit: 3}
	for page := s.seqs(sel); len(page) > 0; page = s.seqs(sel) {
		up = append(up, page...)
		sel.MinSeq = page[len(page)-1] + 1
	}
	sel = audit.Selection{Log: "t", MinSeq: 0, MaxSeq: math.MaxInt64, Limit: 4, Descending: true}
	for page := s.seqs(sel); len(page) > 0; page = s.seqs(sel) {
		down = append(down, page...)
		sel.MaxSeq = page[len(page)-1] - 1
	}
	slices.Reverse(down)
	if len(up) != 10 || !slices.IsSorted(up) || !slices.Equal(up, down) {
		s.Errorf("paging up gave %v, down %v reversed", up, down)
	}
}

// exactNames: collations that ignore case, accents or trailing blanks would
// merge two tenants' logs.
func (s *suite) exactNames() {
	names := []string{"acme", "Acme", "acmé", "acme "}
	for i, name := range names {
		e := entryOf(name, 0, i)
		e.Index.Rows = []string{name}
		s.check(s.store.Commit(s.ctx, audit.Batch{Heads: []audit.Head{head(name, 0, 1)}, Entries: []audit.Stored{e}}), "Commit of the log "+name)
		if revs := s.revise(name, "r", name); revs[0] != 1 {
			s.Errorf("the first revision in log %q is %d: another log's row counted", name, revs[0])
		}
	}
	for i, name := range names {
		got, err := s.store.Entries(s.ctx, audit.Selection{Log: name, Resource: "r", Row: name, MaxSeq: 10, Limit: 10})
		s.check(err, "Entries")
		if len(got) != 1 || got[0].Log != name || got[0].Index.Event[15] != byte(i) {
			s.Errorf("log %q holds %v; it must hold its own entry only", name, got)
		}
		heads, err := s.store.Heads(s.ctx, name)
		s.check(err, "Heads")
		if len(heads) != 1 || heads[0].Log != name {
			s.Errorf("the head of %q is %v", name, heads)
		}
	}
}

func (s *suite) orphans() {
	s.check(s.store.Commit(s.ctx, audit.Batch{Entries: []audit.Stored{entryOf("lost", 0, 1)}}), "Commit")
	heads, err := s.store.Heads(s.ctx)
	s.check(err, "Heads")
	if len(heads) != 1 || heads[0].Log != "lost" || heads[0].Size != 0 || len(heads[0].Note) != 0 {
		s.Errorf("heads are %+v; a log with entries and no head must be listed bare", heads)
	}
}

// nodes is a rule for stores that keep them.
func (s *suite) nodes() {
	store, ok := s.store.(audit.NodeStore)
	if !ok {
		return
	}
	s.fill()
	var put []audit.Node
	for i := range int64(5) {
		put = append(put, audit.Node{Log: "t", Level: 1, Index: i, Hash: bytes.Repeat([]byte{byte(i)}, 32)},
			audit.Node{Log: "t", Level: 2, Index: i, Hash: bytes.Repeat([]byte{byte(20 + i)}, 32)},
			audit.Node{Log: "T", Level: 1, Index: i, Hash: bytes.Repeat([]byte{byte(40 + i)}, 32)})
	}
	s.check(s.store.Commit(s.ctx, audit.Batch{Heads: []audit.Head{head("n", 0, 1)}, Nodes: put[2:]}), "Commit")
	there := put[3]
	there.Hash = make([]byte, 32) // AddNodes must leave the one that is there
	s.check(store.AddNodes(s.ctx, append(put[:2:2], there)), "AddNodes")
	for _, c := range []struct {
		level       int
		first, last int64
		want        string
	}{{1, 1, 3, "[1 2 3]"}, {2, 4, 9, "[24]"}, {3, 0, 9, "[]"}, {1, 5, 9, "[]"}} {
		got, err := store.Nodes(s.ctx, "t", c.level, c.first, c.last)
		s.check(err, "Nodes")
		list := []byte{}
		for i, n := range got {
			if n.Log != "t" || n.Level != c.level || i > 0 && got[i-1].Index >= n.Index {
				s.Errorf("nodes came back as %v", got)
			}
			list = append(list, n.Hash[31])
		}
		if fmt.Sprint(list) != c.want {
			s.Errorf("nodes %d to %d of level %d are %v; they must be %s", c.first, c.last, c.level, list, c.want)
		}
	}
	leaves, err := store.Nodes(s.ctx, "t", 0, 3, 4)
	s.check(err, "Nodes of level 0")
	entries := s.scan("t")
	if len(leaves) != 2 || leaves[0].Index != 3 || !bytes.Equal(leaves[1].Hash, entries[4].Hash) {
		s.Errorf("leaf hashes 3 and 4 are %v; they must be those of the entries", leaves)
	}
}

func (s *suite) cancelled() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, revise := s.store.Revise(ctx, "t", "r", []string{"1"})
	_, pending := s.store.Pending(ctx, 0, 1)
	_, entries := s.store.Entries(ctx, audit.Selection{Log: "t", Limit: 1})
	for name, err := range map[string]error{
		"Enqueue": s.store.Enqueue(ctx, []audit.Pending{event(1)}),
		"Commit":  s.store.Commit(ctx, audit.Batch{Heads: []audit.Head{head("t", 0, 1)}}),
		"Revise":  revise, "Pending": pending, "Entries": entries,
	} {
		if err == nil {
			s.Errorf("%s with a cancelled context returned no error", name)
		}
	}
	if left := s.add(); len(left) != 0 {
		s.Error("a cancelled Enqueue left an event")
	}
}
