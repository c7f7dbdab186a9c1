package audittest

import (
	"bytes"

	"github.com/confide-go/confide/audit"
)

// prunes checks the stores that can forget; to be able to is optional.
func (s *suite) prunes() {
	pruner, ok := s.store.(audit.Pruner)
	if !ok {
		return
	}
	var entries []audit.Stored
	var waiting []int64
	for i, p := range s.add(1, 2, 3, 4) {
		e := entryOf("t", int64(i), i+1)
		e.Index.Rows = []string{"row"}
		entries, waiting = append(entries, e), append(waiting, p.ID)
	}
	other := entryOf("u", 0, 5)
	s.check(s.store.Commit(s.ctx, audit.Batch{Heads: []audit.Head{head("t", 0, 4), head("u", 0, 1)}, Entries: append(entries, other), Sealed: waiting}), "Commit")
	keeper, ok := s.store.(audit.SecretStore)
	if ok {
		for _, e := range entries {
			s.check(keeper.Keep(s.ctx, []audit.Secret{{Log: "t", Event: e.Index.Event, Row: 0, Subject: "p", Key: bytes.Repeat([]byte{7}, 32)}}), "Keep")
		}
	}
	for range 2 { // what is done already is done
		s.check(pruner.Prune(s.ctx, "t", 1), "Prune")
	}
	got, err := s.store.Entries(s.ctx, audit.Selection{Log: "t", MaxSeq: 10, Limit: 10})
	s.check(err, "Entries")
	if len(got) != len(entries) {
		s.Fatalf("after Prune the log has %d entries; it must still have all %d", len(got), len(entries))
	}
	for i, e := range got {
		want := entries[i]
		if !bytes.Equal(e.Hash, want.Hash) || !bytes.Equal(e.Index.Event, want.Index.Event) {
			s.Errorf("entry %d lost its hash or its event", i)
		}
		x := e.Index
		blank := len(e.Data) == 0 && x.At == 0 && x.Actor+x.Action+x.Resource+x.Result == "" && len(x.Rows) == 0
		if ok {
			secrets, err := keeper.Secrets(s.ctx, "t", want.Index.Event)
			if gone := len(secrets) == 0; err != nil || gone != (i <= 1) {
				s.Errorf("entry %d has no secrets: %v, error %v; Prune up to 1 must make it %v", i, gone, err, i <= 1)
			}
		}
		if want := i <= 1; blank != want {
			s.Errorf("entry %d blank: %v; Prune up to 1 must make it %v", i, blank, want)
		}
	}
	if found, err := s.store.Entries(s.ctx, audit.Selection{Log: "t", MaxSeq: 10, Resource: "r", Row: "row", Limit: 10}); err != nil || len(found) != 2 {
		s.Errorf("the row index finds %d entries, error %v; it must find the 2 that were not pruned", len(found), err)
	}
	if got, err := s.store.Entries(s.ctx, audit.Selection{Log: "u", MaxSeq: 10, Limit: 10}); err != nil || len(got) != 1 || len(got[0].Data) == 0 {
		s.Errorf("Prune touched another log (error %v)", err)
	}
}
