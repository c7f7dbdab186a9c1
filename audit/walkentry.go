package audit

import (
	"bytes"

	"golang.org/x/mod/sumdb/tlog"
)

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
