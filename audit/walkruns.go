package audit

import (
	"fmt"
)

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
