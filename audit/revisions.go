package audit

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"slices"
)

// revisions checks that the recorded changes of every row of a log are numbered
// without holes, and that the last number is the one the database counted to.
// That is how an event that was deleted before it was sealed is missed.
type revisions struct {
	log   string
	seeds [2]maphash.Seed
	rows  map[[2]uint64]counted
	ahead map[Revision]map[int64]bool // numbers seen before their predecessors; key has Rev 0
	// earlier finds the last number of a row in what an earlier verification has
	// read; nil when everything is read now.
	earlier func(Revision) (int64, error)
	err     error // of earlier

	pruned  bool  // a purge record removed the beginning of the log,
	removed int64 // with so many changes
	gone    int64 // changes that are missing at the beginning of rows
}

type counted struct {
	have int64 // 1..have were all seen
	want int64 // what the counter said before the events were read
	seen bool  // an event of the row was read
}

func newRevisions(log string) *revisions {
	return &revisions{log: log, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		rows: map[[2]uint64]counted{}, ahead: map[Revision]map[int64]bool{}}
}

// key keeps a hash instead of two strings: there may be millions of rows. The
// seeds are of this process, so nobody can choose rows that collide.
func (s *revisions) key(resource, row string) (k [2]uint64) {
	for i, seed := range s.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		h.WriteString(resource)
		h.WriteByte(0) // resources hold no NUL
		h.WriteString(row)
		k[i] = h.Sum64()
	}
	return k
}

func (r Revision) place() Place {
	return Place{Log: r.Log, First: -1, Last: -1, What: r.Resource + " " + r.Row}
}

func (s *revisions) observeEvent(e *Event, report *Report) {
	for i := range e.Rows {
		if r := &e.Rows[i]; r.Rev != 0 {
			s.observe(Revision{s.log, e.Resource, r.ID, r.Rev}, report)
		}
	}
}

func (s *revisions) observe(r Revision, report *Report) {
	key := s.key(r.Resource, r.Row)
	c := s.rows[key]
	name := r
	name.Rev = 0
	if !c.seen {
		c.seen = true
		if s.earlier != nil && r.Rev > 1 && s.err == nil {
			c.have, s.err = s.earlier(r)
		}
	}
	switch {
	case r.Rev == c.have+1:
		c.have++
		for waiting := s.ahead[name]; waiting[c.have+1]; {
			c.have++
			delete(waiting, c.have)
		}
	case r.Rev <= c.have || s.ahead[name][r.Rev]:
		report.add(RevisionGap, r.place(), "two events carry change %d", r.Rev)
	default:
		if s.ahead[name] == nil {
			s.ahead[name] = map[int64]bool{}
		}
		s.ahead[name][r.Rev] = true
	}
	s.rows[key] = c
}

// before makes an incremental verification look up what it does not read. An
// export has nothing to look up: the first change it holds of a row is believed.
func (s *revisions) before(ctx context.Context, w *walker) {
	switch {
	case w.base.Size == 0:
	case w.v.store == nil:
		s.earlier = func(r Revision) (int64, error) { return r.Rev - 1, nil }
	default:
		s.earlier = func(r Revision) (int64, error) { return w.v.lastRevision(ctx, r, w.base.Size) }
	}
}

// lastRevision is the number of a row's last change before a place of its log.
// Not to find it is no error here: the missing numbers are reported then.
func (v *verifier) lastRevision(ctx context.Context, r Revision, before int64) (int64, error) {
	sel := Selection{Log: r.Log, Resource: r.Resource, Row: r.Row, MinSeq: math.MinInt64, MaxSeq: before - 1, Descending: true, Limit: queryPage}
	for {
		page, err := v.store.Entries(ctx, sel)
		if err != nil {
			return 0, fmt.Errorf("audit: verify: earlier changes of a row in log %q: %w", r.Log, err)
		}
		for _, s := range page {
			e, err := readEvent(s)
			for _, row := range e.Rows {
				if err == nil && row.ID == r.Row && row.Rev > 0 {
					return row.Rev, nil
				}
			}
		}
		if len(page) < sel.Limit || !sel.continueAfter(page[len(page)-1].Seq) {
			break
		}
	}
	if p, err := lastPurge(ctx, v.store, r.Log); err != nil || p.through >= 0 {
		return r.Rev - 1, err // it may have been pruned
	}
	return 0, nil
}

// holes reports the numbers that never came, once everything was read.
func (s *revisions) holes(report *Report) {
	names := slices.SortedFunc(maps.Keys(s.ahead), compareRevisions)
	for _, name := range names {
		key := s.key(name.Resource, name.Row)
		c := s.rows[key]
		for _, rev := range slices.Sorted(maps.Keys(s.ahead[name])) {
			switch {
			case s.pruned && c.have == 0:
				s.gone += rev - 1
			case rev > c.have+1:
				report.add(RevisionGap, name.place(), "the events of changes %d to %d are missing", c.have+1, rev-1)
			}
			c.have = rev
		}
		s.rows[key] = c
	}
}

// holes reports those of all logs.
func (v *verifier) holes() {
	for _, log := range slices.Sorted(maps.Keys(v.counters)) {
		v.counters[log].holes(&v.report)
	}
}

// goneChanges compares the changes that are missing at the beginning of a pruned
// log's rows with the number its purge record counted. An export has no counters,
// and so cannot know the rows of which nothing is left.
func (v *verifier) goneChanges(complete bool) {
	for _, log := range slices.Sorted(maps.Keys(v.counters)) {
		s := v.counters[log]
		if s.pruned && s.earlier == nil && (s.gone > s.removed || complete && s.gone < s.removed) {
			v.report.add(RevisionGap, Place{Log: log, First: -1, Last: -1, What: "pruned changes"}, "%d changes are missing before the first that is left of their rows, the purge record says %d", s.gone, s.removed)
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
		s := v.revs(r.Log)
		s.rows[s.key(r.Resource, r.Row)] = counted{want: r.Rev}
	})
}

func (v *verifier) compareRevisions(ctx context.Context) error {
	v.holes()
	err := v.eachRevision(ctx, func(now Revision) {
		s := v.revs(now.Log)
		key := s.key(now.Resource, now.Row)
		c := s.rows[key]
		delete(s.rows, key)
		if !c.seen && s.earlier != nil {
			return // its events were verified before
		}
		switch {
		case s.pruned && c.have == 0:
			s.gone += c.want
		case c.have < c.want:
			v.report.add(RevisionGap, now.place(), "the database counted %d changes, the log has %d", c.want, c.have)
		}
		if c.have > now.Rev {
			v.report.add(RevisionGap, now.place(), "the log has %d changes, the counter was set back to %d", c.have, now.Rev)
		}
	})
	v.goneChanges(true)
	left := 0
	for _, s := range v.counters {
		left += len(s.rows)
	}
	if err == nil && left > 0 {
		v.report.add(RevisionGap, Place{First: -1, Last: -1, What: "counters"}, "%d rows with recorded changes have no counter", left)
	}
	return err
}
