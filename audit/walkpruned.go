package audit

import (
	"sort"

	"golang.org/x/mod/sumdb/tlog"
)

// isBlank tells whether an index says nothing but which event it is, as Prune leaves it.
func (x Index) isBlank() bool { return indexFault(Index{Event: x.Event}, x) == "" }

// blank takes an entry of which only the hash is left. Whether it may be so is
// known at the end of the log, where the purge record is.
func (w *walker) blank(r *row, said tlog.Hash, asked bool) {
	if last := len(w.blanks) - 1; last >= 0 && w.blanks[last].last+1 == r.seq {
		w.blanks[last].last = r.seq
	} else {
		w.blanks = append(w.blanks, run{first: r.seq, last: r.seq})
	}
	if asked && said != r.leaf {
		w.report(Edited, r.seq, r.seq, "the hash of a pruned entry is not the one its successor carries")
		w.append(said)
		return
	}
	w.append(r.leaf)
}

// prunedNow tells whether an entry that had its bytes when it was read has none any more.
func (w *walker) prunedNow(seq int64) bool {
	e, err := w.reread(seq)
	return err == nil && len(e) == 1 && len(e[0].Data) == 0
}

// headless tells that the first entries have no bytes, or are not there at all.
func (w *walker) headless() bool { return len(w.blanks) > 0 || w.beheaded }

// changed is how many changes the entries up to a place have together.
type changed struct{ seq, sum int64 }

// observePurge remembers the newest purge record and, since that stands behind what
// it covers, counts the changes that are still there: a Prune may have been interrupted.
func (w *walker) observePurge(r *row) {
	if n := r.event.changes(); n > 0 && w.headless() {
		if last := len(w.sums) - 1; last >= 0 {
			n += w.sums[last].sum
		}
		w.sums = append(w.sums, changed{r.seq, n})
	}
	if p, ok := readPurge(&r.event); ok && p.through < r.seq && p.through >= w.purged.through {
		w.purged = p
	}
}

// closeBlanks reports entries without bytes that no purge record covers, and
// tells the revisions what was removed with the others.
func (w *walker) closeBlanks() {
	for _, b := range w.blanks {
		covered := min(b.last, w.purged.through)
		w.rep.Pruned += max(0, covered-b.first+1)
		if first := max(b.first, covered+1); first <= b.last {
			w.report(Edited, first, b.last, "its bytes are gone, and no purge record in this log covers it")
			w.outrun = w.outrun || w.outgrown
		}
	}
	if w.purged.through < 0 || !w.headless() {
		return
	}
	var kept int64
	if i := sort.Search(len(w.sums), func(i int) bool { return w.sums[i].seq > w.purged.through }); i > 0 {
		kept = w.sums[i-1].sum
	}
	w.revs.pruned, w.revs.removed = true, w.purged.changes-kept
}
