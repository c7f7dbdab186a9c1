package audit

import (
	"slices"
)

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
