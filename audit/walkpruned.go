package audit

import "golang.org/x/mod/sumdb/tlog"

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

func (w *walker) observePurge(r *row) {
	if r.seq <= w.claimed.through {
		w.kept += r.event.changes()
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
		w.v.report.Pruned += max(0, covered-b.first+1)
		if first := max(b.first, covered+1); first <= b.last {
			w.report(Edited, first, b.last, "its bytes are gone, and no purge record in this log covers it")
			w.v.outrun = w.v.outrun || w.outgrown
		}
	}
	if w.purged.through >= 0 {
		w.v.revs.pruned[w.log] = w.purged.changes - w.kept
	}
}
