package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// revisions checks that the recorded changes of every row are numbered without
// holes, and that the last number is the one the database counted to. That is
// how an event that was deleted before it was sealed is missed.
type revisions struct {
	rows  map[[16]byte]counted
	ahead map[Revision]map[int64]bool // numbers seen before their predecessors; key has Rev 0

	pruned map[string]int64 // changes a purge record counted in each pruned log
	gone   map[string]int64 // changes that are missing at the beginning of rows in those logs
}

type counted struct {
	have int64 // 1..have were all seen
	want int64 // what the counter said before the events were read
}

func newRevisions() revisions {
	return revisions{rows: map[[16]byte]counted{}, ahead: map[Revision]map[int64]bool{},
		pruned: map[string]int64{}, gone: map[string]int64{}}
}

// key keeps a hash instead of three strings: there may be millions of rows.
func (r Revision) key() [16]byte {
	b := appendText(appendText(appendText(nil, r.Log), r.Resource), r.Row)
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

func (r Revision) place() Place {
	return Place{Log: r.Log, First: -1, Last: -1, What: r.Resource + " " + r.Row}
}

func (s *revisions) observe(r Revision, report *Report) {
	key := r.key()
	c := s.rows[key]
	name := r
	name.Rev = 0
	switch {
	case r.Rev == c.have+1:
		c.have++
		for waiting := s.ahead[name]; waiting[c.have+1]; {
			c.have++
			delete(waiting, c.have)
		}
		s.rows[key] = c
	case r.Rev <= c.have || s.ahead[name][r.Rev]:
		report.add(RevisionGap, r.place(), "two events carry change %d", r.Rev)
	default:
		if s.ahead[name] == nil {
			s.ahead[name] = map[int64]bool{}
		}
		s.ahead[name][r.Rev] = true
	}
}

// holes reports the numbers that never came, once everything was read.
func (s *revisions) holes(report *Report) {
	for name, ahead := range s.ahead {
		key := name.key()
		c := s.rows[key]
		for _, rev := range slices.Sorted(maps.Keys(ahead)) {
			switch _, pruned := s.pruned[name.Log]; {
			case pruned && c.have == 0:
				s.gone[name.Log] += rev - 1
			case rev > c.have+1:
				report.add(RevisionGap, name.place(), "the events of changes %d to %d are missing", c.have+1, rev-1)
			}
			c.have = rev
		}
		s.rows[key] = c
	}
}

// goneChanges compares the changes that are missing at the beginning of a pruned
// log's rows with the number its purge record counted. An export has no counters,
// and so cannot know the rows of which nothing is left.
func (s *revisions) goneChanges(report *Report, complete bool) {
	for _, log := range slices.Sorted(maps.Keys(s.pruned)) {
		want, gone := s.pruned[log], s.gone[log]
		if gone > want || complete && gone < want {
			report.add(RevisionGap, Place{Log: log, First: -1, Last: -1, What: "pruned changes"}, "%d changes are missing before the first that is left of their rows, the purge record says %d", gone, want)
		}
	}
}

const revisionPage = 5000

func (v *verifier) eachRevision(ctx context.Context, f func(Revision)) error {
	for after := (Revision{}); ; {
		page, err := v.store.Revisions(ctx, after, revisionPage)
		if err != nil {
			return fmt.Errorf("audit: verify revisions: %w", err)
		}
		for _, r := range page {
			f(r)
		}
		if len(page) < revisionPage {
			return nil
		}
		after = page[len(page)-1]
	}
}

func (v *verifier) readRevisions(ctx context.Context) error {
	return v.eachRevision(ctx, func(r Revision) {
		v.revs.rows[r.key()] = counted{want: r.Rev}
	})
}

func (v *verifier) compareRevisions(ctx context.Context) error {
	v.revs.holes(&v.report)
	err := v.eachRevision(ctx, func(now Revision) {
		key := now.key()
		c := v.revs.rows[key]
		_, pruned := v.revs.pruned[now.Log]
		switch {
		case pruned && c.have == 0:
			v.revs.gone[now.Log] += c.want
		case c.have < c.want:
			v.report.add(RevisionGap, now.place(), "the database counted %d changes, the log has %d", c.want, c.have)
		}
		if c.have > now.Rev {
			v.report.add(RevisionGap, now.place(), "the log has %d changes, the counter was set back to %d", c.have, now.Rev)
		}
		delete(v.revs.rows, key)
	})
	v.revs.goneChanges(&v.report, true)
	if err == nil && len(v.revs.rows) > 0 {
		v.report.add(RevisionGap, Place{First: -1, Last: -1, What: "counters"}, "%d rows with recorded changes have no counter", len(v.revs.rows))
	}
	return err
}
