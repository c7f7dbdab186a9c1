package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// History is what one may hand to a customer, an auditor or a court: events,
// each proven to be in the tenant's log, and the proof that this log is in the whole.
type History struct {
	Link   TLogProof
	Events []TLogProof
}

// ProveHistory proves all events a query selects, oldest first: with Resource and
// Row, everything that was recorded about one customer.
func (l *Log) ProveHistory(ctx context.Context, q Query) (History, error) {
	p, err := l.Prover(ctx, q.Tenant)
	if err != nil {
		return History{}, err
	}
	q.Tenant, q.OldestFirst = p.log, true
	h := History{Link: p.link}
	for e, err := range l.Events(ctx, q) {
		if err != nil {
			return h, err
		}
		if e.Seq >= p.head.Size {
			break // sealed since
		}
		proof, err := p.Prove(ctx, e.Seq)
		if err != nil {
			return h, err
		}
		h.Events = append(h.Events, proof)
	}
	return h, nil
}

// Proven is what a History proves.
type Proven struct {
	Log        string     // the tenant
	Events     []Event    // in the order of the log
	Checkpoint Checkpoint // of the whole: compare it with an anchor

	// Complete are the objects of which every recorded change from the first to
	// Rev is among the events; of those in Partial, changes up to Rev are missing.
	// A proof says that events are in a log, never that there are no others: the
	// numbers of the changes say that for changes, nothing says it for reads.
	Complete, Partial []Revision
}

// Check verifies every proof of the history with nothing but the verifier's keys.
func (h History) Check(keys Keys) (Proven, error) {
	var p Proven
	if len(h.Events) == 0 {
		return p, fmt.Errorf("%w: the history holds no events", ErrInvalid)
	}
	tenant := h.Events[0].Checkpoint
	top, err := h.Link.OpenLink(tenant, keys)
	if err != nil {
		return p, err
	}
	p.Checkpoint = top
	last := int64(-1)
	for i, proof := range h.Events {
		if !bytes.Equal(proof.Checkpoint, tenant) {
			return p, fmt.Errorf("%w: event %d of the history is proven against another checkpoint than the first", ErrTampered, i)
		}
		e, c, err := proof.openEvent(keys, h.Link.Index+1)
		if err != nil {
			return p, fmt.Errorf("event %d of the history: %w", i, err)
		}
		if e.Seq <= last {
			return p, fmt.Errorf("%w: event %d of the history is not behind the one before it", ErrTampered, i)
		}
		last = e.Seq
		p.Log, _ = logOf(keys.name(), c.Origin)
		p.Events = append(p.Events, e)
	}
	p.count()
	return p, nil
}

// count sorts the objects by whether their changes are all there.
func (p *Proven) count() {
	seen := map[Revision][]int64{}
	for _, e := range p.Events {
		for _, r := range e.Rows {
			if r.Rev > 0 {
				key := Revision{Log: p.Log, Resource: e.Resource, Row: r.ID}
				seen[key] = append(seen[key], r.Rev)
			}
		}
	}
	for key, revs := range seen {
		slices.Sort(revs)
		key.Rev = revs[len(revs)-1]
		if int64(len(slices.Compact(revs))) == key.Rev {
			p.Complete = append(p.Complete, key)
		} else {
			p.Partial = append(p.Partial, key)
		}
	}
	slices.SortFunc(p.Complete, compareRevisions)
	slices.SortFunc(p.Partial, compareRevisions)
}

// historyFormat is the first field of a history's file, with its version.
const historyFormat = "confide-audit-history/1"

type historyFile struct {
	Format string      `json:"format"`
	Link   TLogProof   `json:"link"`
	Events []TLogProof `json:"events"`
}

// WriteTo writes the history as one JSON document whose parts are tlog-proofs.
func (h History) WriteTo(w io.Writer) (int64, error) {
	text, err := json.MarshalIndent(historyFile{historyFormat, h.Link, h.Events}, "", " ")
	if err != nil {
		return 0, fmt.Errorf("audit: write history: %w", err)
	}
	n, err := w.Write(append(text, '\n'))
	if err != nil {
		return int64(n), fmt.Errorf("audit: write history: %w", err)
	}
	return int64(n), nil
}

// ReadHistory reads what WriteTo wrote. It checks the form only: Check is next.
func ReadHistory(r io.Reader) (History, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	var f historyFile
	if err := dec.Decode(&f); err != nil || f.Format != historyFormat || dec.More() {
		return History{}, fmt.Errorf("%w: the file is not a history in the format %s", ErrInvalid, historyFormat)
	}
	return History{f.Link, f.Events}, nil
}
