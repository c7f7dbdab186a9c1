package audit

import (
	"bytes"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

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
