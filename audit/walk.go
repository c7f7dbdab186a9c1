package audit

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

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

type row struct {
	seq    int64
	leaf   tlog.Hash // computed from the bytes
	stored bool      // the hash column says the same
	column tlog.Hash
	entry  entry
	event  Event
	data   []byte
	index  Index
	sound  bool // the bytes are an entry of this place and log
	blank  bool // there are no bytes, only their hash
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

// checkHead finds out how long the log must be. The signed checkpoint of the head
// counts most, then the top log's word, then the bare number in the head.
func (w *walker) checkHead() {
	h := w.head
	w.size = h.Size
	known := w.base.Size
	for _, p := range w.points {
		if !p.anchored {
			known = max(known, p.size)
		}
	}
	if len(h.Note) == 0 {
		if known > 0 || w.log == topLog && len(w.points) > 0 {
			w.report(HeadEdited, -1, -1, "the head is missing")
		}
		w.size = known
		return
	}
	c, err := w.v.keys.open(h.Note, placeOf(w.log))
	switch {
	case err != nil:
		w.report(BadCheckpoint, -1, -1, "the head's checkpoint is not signed by %s", w.v.keys.name())
		w.size = max(known, h.Size)
		return
	case !isOriginOf(w.v.keys.name(), w.log, c.Origin):
		w.report(HeadEdited, -1, -1, "the head carries the checkpoint of another log")
		w.size = max(known, h.Size)
		return
	}
	w.size, w.headOrigin = c.Size, c.Origin
	t, err := treeFrom(h.Size, h.Edge)
	if err != nil || h.Size != c.Size || t.root() != c.Root {
		w.report(HeadEdited, -1, -1, "the head says %d entries, its checkpoint %d, or their hashes differ", h.Size, c.Size)
	}
	w.compareLengths(known)
	w.points = append(slices.Clone(w.points), point{size: c.Size, root: c.Root})
	slices.SortStableFunc(w.points, func(a, b point) int { return int(a.size - b.size) })
}

// compareLengths compares the length in the head with the top log's word.
func (w *walker) compareLengths(known int64) {
	if w.log == topLog {
		return
	}
	if w.size < known {
		w.report(RolledBack, w.size, known-1, "the head is at %d entries, the top log has a checkpoint of %d", w.size, known)
	}
	if w.size > known {
		w.report(HeadEdited, -1, -1, "the top log has no checkpoint of the head's %d entries", w.size)
	}
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

// read decodes one entry and tells whether it belongs where it stands.
func (w *walker) read(s *Stored) *row {
	r := &w.spare[0]
	if r == w.held {
		r = &w.spare[1]
	}
	*r = row{seq: s.Seq, leaf: tlog.RecordHash(s.Data), data: s.Data, index: s.Index}
	if len(s.Data) == 0 && len(s.Hash) == tlog.HashSize && s.Index.isBlank() {
		r.blank = true
		copy(r.leaf[:], s.Hash)
		return r
	}
	if r.stored = w.v.store == nil; r.stored {
		// an export has no hash column
	} else if r.stored = bytes.Equal(r.leaf[:], s.Hash); !r.stored && len(s.Hash) == tlog.HashSize {
		copy(r.column[:], s.Hash)
	}
	e, ev, err := openEntry(s.Data)
	r.entry, r.event = e, ev
	want := byte(kindEvent)
	if w.log == topLog {
		want = kindCheckpoint
	}
	switch {
	case err != nil || e.kind != want && (e.kind != kindEpoch || w.log != topLog) || e.seq < 0 || e.seq >= w.size || want == kindEvent && ev.Actor.Tenant != w.log:
		w.report(Edited, s.Seq, s.Seq, "its bytes are not an entry of this log")
	case e.seq != s.Seq:
		w.extend(&w.moved, s.Seq, s.Seq-e.seq, w.closeMoved)
	default:
		r.sound = true
	}
	return r
}

// accept takes an entry whose bytes are what was sealed: it compares the index
// with them and collects what they say.
func (w *walker) accept(r *row) {
	if w.v.store != nil {
		if column := indexFault(w.indexOf(r), r.index); column != "" && w.prunedNow(r.seq) {
			w.outrun = true // the store read it in the middle of a Prune
		} else if column != "" {
			w.report(IndexEdited, r.seq, r.seq, "the column %s is not what the entry says; queries miss it or show it wrongly", column)
		}
	}
	if w.log == topLog && r.entry.kind == kindEpoch {
		w.takeEpoch(r)
	} else if w.log == topLog {
		w.checkpoint(r.seq, r.entry.body)
	} else {
		if len(w.v.waited) == 0 || !w.v.waited[[idLength]byte(indexOf(&r.event).Event)] {
			w.revs.observeEvent(&r.event, w.rep)
			w.secrets.observe(&r.event, r.seq)
		}
		w.observePurge(r)
	}
	w.append(r.leaf)
}

func (w *walker) indexOf(r *row) Index {
	switch {
	case w.log != topLog:
		return indexOf(&r.event)
	case r.entry.kind == kindEpoch:
		return indexOfEpoch(r.data)
	case r.index.Actor == "": // entries from before tenants were indexed have none
		return indexOfCheckpoint(r.data, "")
	default:
		return indexOfCheckpoint(r.data, checkpointLog(r.data))
	}
}

// checkpoint takes an entry of the top log: what it says about a tenant's log.
func (w *walker) checkpoint(seq int64, msg []byte) {
	c, err := w.v.keys.open(msg, seq+1)
	if err != nil {
		w.report(BadCheckpoint, seq, seq, "the checkpoint in this entry is not signed by %s", w.v.keys.name())
		return
	}
	log, ok := logOf(w.v.keys.name(), c.Origin)
	if !ok {
		w.report(BadCheckpoint, seq, seq, "the checkpoint in this entry belongs to no log")
		return
	}
	points := w.v.points[log]
	last := w.v.since[log].Size
	if n := len(points); n > 0 {
		last = points[n-1].size
	}
	if last >= c.Size {
		w.report(Forked, seq, seq, "log %q went from %d back to %d entries", log, last, c.Size)
		return
	}
	w.v.points[log] = append(points, point{size: c.Size, root: c.Root})
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

// settle decides what entry r was when it was sealed. next is the entry behind
// it, or nil if there is none to ask.
func (w *walker) settle(r, next *row) {
	if r.seq == 0 && r.sound && r.stored && r.entry.prev != genesis(w.log) {
		w.report(Edited, 0, 0, "it does not begin this log")
	}
	if r.seq > 0 && r.seq == w.base.Size && r.sound && r.stored && !bytes.Equal(r.entry.prev[:], w.base.Tip) {
		w.report(Forked, r.seq, r.seq, "it does not follow the last entry that was verified before")
	}
	asked := next != nil && next.sound && next.stored
	var said tlog.Hash
	if asked {
		said = next.entry.prev
	} else if next == nil && r.seq == w.size-1 && len(w.head.Tip) == tlog.HashSize {
		asked = true
		copy(said[:], w.head.Tip)
	}
	switch {
	case r.blank:
		w.blank(r, said, asked)
	case !r.sound: // told when it was read
		w.appendKnown(said, asked)
	case r.stored && (!asked || said == r.leaf):
		w.accept(r)
	case r.stored && next == nil && w.wouldEnd(said):
		w.report(Edited, r.seq, r.seq, "its hash is not the one that was signed")
		w.append(said)
	case r.stored && next == nil:
		w.report(HeadEdited, r.seq, r.seq, "the head's last hash is not that of the last entry")
		w.accept(r)
	case r.stored:
		w.report(Edited, r.seq, r.seq, "its hash is not the one its successor carries: it was edited, or the successor was")
		w.append(said)
	case asked && said == r.leaf:
		w.report(IndexEdited, r.seq, r.seq, "the column hash is not the hash of the entry")
		w.accept(r)
	default:
		w.report(Edited, r.seq, r.seq, "its bytes are not those that were hashed")
		if !asked {
			said = r.column
		}
		w.append(said)
	}
}

// wouldEnd tells whether the signed checkpoint has this as the last leaf.
func (w *walker) wouldEnd(leaf tlog.Hash) bool {
	t := tree{size: w.tree.size, edge: slices.Clone(w.tree.edge)}
	t.append(leaf)
	return !w.lost && slices.ContainsFunc(w.points, func(p point) bool { return p.size == t.size && p.root == t.root() })
}

func (w *walker) appendKnown(h tlog.Hash, known bool) {
	if !known {
		w.lost = true
	}
	w.append(h)
}

// append adds a leaf to the recomputed tree and compares the root wherever a
// checkpoint stands.
func (w *walker) append(leaf tlog.Hash) {
	if w.lost {
		return
	}
	w.tree.append(leaf)
	w.tip = leaf
	w.pass()
}

// pass compares the tree with the checkpoints of its size.
func (w *walker) pass() {
	for len(w.points) > 0 && w.points[0].size <= w.tree.size {
		p := w.points[0]
		w.points = w.points[1:]
		if p.size == w.tree.size {
			w.compare(p)
		}
	}
}

func (w *walker) compare(p point) {
	if p.good = w.good; p.good == p.size {
		p.good = w.goodBefore
	}
	switch {
	case w.tree.root() == p.root:
		if p.size > w.good {
			w.goodBefore, w.good = w.good, p.size
		}
		if p.anchored && w.log == topLog {
			w.rep.AnchoredTo = max(w.rep.AnchoredTo, p.size)
		}
	case p.anchored:
		w.strays = append(w.strays, p)
	case w.rewritten == nil:
		w.rewritten = &p
	}
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

// compareEpoch reports a head of another epoch than its log.
func (w *walker) compareEpoch() {
	epoch, ok := epochOf(w.v.keys.name(), w.headOrigin)
	if w.log != topLog || !ok || w.lost || w.next < w.size {
		return
	}
	if n := w.baseEpoch + int64(len(w.rep.Epochs)); n != epoch {
		w.report(HeadEdited, -1, -1, "the head is of epoch %d, the log declares %d restores", epoch, n)
	}
}

// compareAnchors reports that the largest anchored checkpoint is out of reach.
func (w *walker) compareAnchors() {
	var most int64
	for _, p := range w.points {
		if p.anchored && w.excused(p) {
			w.rep.Abandoned++
		} else if p.anchored {
			most = max(most, p.size)
		}
	}
	switch {
	case most <= w.size:
	case w.found == 0 && len(w.head.Note) == 0:
		w.report(LogDeleted, 0, most-1, "the database knows no checkpoint, the anchor %d", most)
	default:
		w.report(RolledBack, w.size, most-1, "the database knows %d checkpoints, the anchor %d: it is an older copy, or its end was cut off", w.size, most)
	}
}

func (w *walker) extend(r *run, seq, by int64, flush func()) {
	if r.open && r.last+1 == seq && r.by == by {
		r.last = seq
		return
	}
	flush()
	*r = run{seq, seq, by, true}
}

func (w *walker) closeExtra() {
	switch r := w.extra; {
	case !r.open:
	case r.first < 0:
		place := Place{Log: w.log, First: -1, Last: -1, What: fmt.Sprintf("entries %d to %d", r.first, r.last)}
		w.rep.add(Inserted, place, "no log begins before entry 0")
	default:
		w.report(Inserted, r.first, r.last, "no checkpoint of this log reaches these entries")
	}
	w.extra.open = false
}

// closeMoved names a run of entries that stand in places they were not sealed
// for. If all entries up to the end moved by the same number, others were put in
// or taken out before them.
func (w *walker) closeMoved() {
	r := w.moved
	w.moved.open = false
	toEnd := w.ended && r.last == w.next-1 && r.last > r.first
	switch {
	case !r.open:
	case toEnd && r.by > 0:
		w.report(Inserted, r.first-r.by, r.first-1, "the entries %d to %d were moved up by %d to make room", r.first, r.last, r.by)
	case toEnd && r.by < 0:
		w.report(Deleted, r.first, r.first-r.by-1, "the entries %d to %d were moved down by %d to close the gap", r.first, r.last, -r.by)
	default:
		w.report(Reordered, r.first, r.last, "the entry of place %d stands here", r.first-r.by)
	}
}
