package audit

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// A walker verifies one log from its first entry to its end. It holds each
// entry back until it has seen the next one, whose predecessor hash says what
// the entry was when it was sealed.
type walker struct {
	v       *verifier
	rep     *Report
	revs    *revisions
	secrets *secretCheck
	log     string
	head    Head
	base    Head  // where the verification begins; its zero value is the beginning
	size    int64 // entries the log must have
	points  []point

	held       *row
	spare      [2]row
	next       int64 // place of the next entry
	tree       tree
	tip        tlog.Hash
	nodes      map[[2]int64]tlog.Hash // level and index
	lost       bool                   // the tree cannot be continued: hashes are missing
	headOrigin string
	goodBefore int64   // size of the last smaller checkpoint that fit
	baseEpoch  int64   // of the top log, where the verification begins
	strays     []point // anchored checkpoints whose root did not fit
	rewritten  *point  // the first other one
	wrong      bool    // a root did not fit: all later ones cannot
	good       int64   // size of the last checkpoint that fit
	found      int64   // entries read
	moved      run
	extra      run
	ended      bool

	outgrown bool // entries were sealed since the verification began
	outrun   bool // and entries were pruned meanwhile
	reread   func(seq int64) ([]Stored, error)
	blanks   []run     // entries without bytes
	beheaded bool      // the first entry is missing
	sums     []changed // of the entries behind the first of them
	purged   purge     // what the newest purge record said when it was verified
}

// A run collects consecutive entries with the same fault.
type run struct {
	first, last, by int64
	open            bool
}

func (v *verifier) walk(head Head, log string) *walker {
	head.Log = log
	w := &walker{v: v, rep: &Report{OK: true}, revs: v.revs(log), secrets: v.secretsOf(log), log: log, head: head, base: v.since[log], points: v.points[log], purged: purge{through: -1}}
	if log == topLog {
		for _, c := range v.anchored {
			epoch, _ := epochOf(v.keys.name(), c.Origin)
			w.points = append(w.points, point{size: c.Size, root: c.Root, anchored: true, epoch: epoch})
		}
	}
	if w.base.Size > 0 {
		t, _ := treeFrom(w.base.Size, w.base.Edge) // checked by begin
		w.tree, w.next, w.good = *t, t.size, t.size
		copy(w.tip[:], w.base.Tip)
		if log == topLog {
			origin, _, _ := bytes.Cut(w.base.Note, []byte("\n"))
			w.baseEpoch, _ = epochOf(v.keys.name(), string(origin))
		}
		w.points = append(w.points, point{size: t.size, root: t.root(), anchored: true, epoch: w.baseEpoch})
	}
	if v.store != nil {
		w.tree.full = w.keep
	}
	return w
}

// from is the first place to read.
func (w *walker) from() int64 {
	if w.base.Size > 0 {
		return w.base.Size
	}
	return math.MinInt64
}

func (w *walker) place(first, last int64) Place { return Place{Log: w.log, First: first, Last: last} }

func (w *walker) report(kind Kind, first, last int64, format string, args ...any) {
	w.rep.add(kind, w.place(first, last), format, args...)
}

func (w *walker) run(ctx context.Context, pages pages) error {
	w.checkHead()
	w.pass()
	w.revs.before(ctx, w)
	w.reread = func(seq int64) ([]Stored, error) {
		return w.v.store.Entries(ctx, Selection{Log: w.log, MinSeq: seq, MaxSeq: seq, Limit: 1})
	}
	for page, err := range pages {
		if err != nil {
			return fmt.Errorf("audit: verify log %q: %w", w.log, err)
		}
		for i := range page {
			more, err := w.take(ctx, &page[i])
			if err != nil {
				return err
			}
			if !more {
				return w.end(ctx)
			}
		}
		if err := w.lookUpSecrets(ctx, secretPage); err != nil {
			return err
		}
	}
	if err := w.end(ctx); err != nil {
		return err
	}
	return w.revs.err
}

// end closes the log and compares what else the store says about it.
func (w *walker) end(ctx context.Context) error {
	w.finish()
	if err := w.lookUpSecrets(ctx, 0); err != nil {
		return err
	}
	return w.compareNodes(ctx)
}

// reached is the head up to which this log was verified.
func (w *walker) reached() Head {
	return Head{Log: w.log, Size: w.tree.size, Tip: bytes.Clone(w.tip[:]), Edge: w.tree.marshalEdge(), Note: w.head.Note}
}

// take handles the next stored entry. It returns false when the rest was sealed
// after the verification began.
func (w *walker) take(ctx context.Context, s *Stored) (bool, error) {
	if s.Seq < w.from() {
		return true, nil // an export may begin before the place that was verified
	}
	if s.Seq >= w.size {
		grown, err := w.grown(ctx, s.Seq)
		if grown || err != nil {
			w.outgrown = grown
			return false, err
		}
	}
	w.found++
	if s.Seq < 0 || s.Seq >= w.size {
		w.extend(&w.extra, s.Seq, 0, w.closeExtra)
		return true, nil
	}
	if s.Seq < w.next {
		w.report(Inserted, s.Seq, s.Seq, "a second entry stands at this place")
		return true, nil
	}
	if w.log != topLog {
		w.rep.Size++
	}
	if w.v.seen != nil {
		w.v.seen(s)
	}
	r := w.read(s)
	if s.Seq > w.next {
		w.gap(r)
	}
	if w.held != nil {
		w.settle(w.held, r)
	}
	w.held = r
	w.next = s.Seq + 1
	return true, nil
}

// grown tells whether the log has been sealed further in the meantime.
func (w *walker) grown(ctx context.Context, seq int64) (bool, error) {
	if w.v.store == nil {
		return false, nil
	}
	heads, err := w.v.store.Heads(ctx, w.log)
	if err != nil {
		return false, fmt.Errorf("audit: verify log %q: %w", w.log, err)
	}
	if len(heads) == 0 || heads[0].Size <= seq {
		return false, nil
	}
	c, err := w.v.keys.open(heads[0].Note, placeOf(w.log))
	return err == nil && c.Size == heads[0].Size && isOriginOf(w.v.keys.name(), w.log, c.Origin), nil
}

// gap handles missing entries before r.
func (w *walker) gap(r *row) {
	first, last := w.next, r.seq-1
	if w.held != nil {
		w.settle(w.held, nil)
		w.held = nil
	}
	w.report(Deleted, first, last, "%d entries are missing", last-first+1)
	w.beheaded = w.beheaded || first == 0
	if first == last && r.sound {
		w.append(r.entry.prev) // its successor remembers its hash
		return
	}
	w.lost = true
}

// finish reports what is missing at the end and what was left open.
func (w *walker) finish() {
	if w.held != nil {
		w.settle(w.held, nil)
		w.held = nil
	}
	w.ended = true
	w.closeMoved()
	w.closeExtra()
	w.closeBlanks()
	w.closeStrays()
	w.compareEpoch()
	switch {
	case w.next >= w.size:
	case w.next == 0:
		w.report(LogDeleted, 0, w.size-1, "all %d entries are missing", w.size)
	default:
		w.report(Truncated, w.next, w.size-1, "the last %d entries are missing", w.size-w.next)
	}
	w.compareAnchors()
}
