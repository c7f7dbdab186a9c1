package audit

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A Prover makes proofs for the events of one tenant's log, all against the
// checkpoint the log had when the Prover was made. It is for one goroutine.
type Prover struct {
	store Store
	log   string
	head  Checkpoint
	link  TLogProof
	nodes *nodeReader
}

// Prover returns a prover for a tenant's log; "" is the tenant of the actor in
// ctx. Nothing it hands out was not checked against the signed checkpoints.
func (l *Log) Prover(ctx context.Context, tenant string) (*Prover, error) {
	if tenant == "" {
		var err error
		if tenant, err = tenantOf(l.cfg.Actor(ctx)); err != nil {
			return nil, err
		}
	}
	top, head, err := l.headsToProve(ctx, tenant)
	if err != nil {
		return nil, err
	}
	p := &Prover{store: l.cfg.Store, log: tenant, head: head, nodes: newNodeReader(l.cfg.Store, tenant, head.Size, false)}
	entry, err := l.checkpointEntry(ctx, tenant, top.Size, head.Note)
	if err != nil {
		return nil, err
	}
	p.link, err = prove(ctx, newNodeReader(l.cfg.Store, topLog, top.Size, false), top, entry)
	if err != nil {
		return nil, err
	}
	p.link.Extra = bytes.Clone(entry.Data[10:entryHeaderSize])
	_, err = p.link.OpenLink(head.Note, l.keys)
	return p, err
}

// headsToProve reads the two heads in one statement, so that the top log's
// checkpoint covers the tenant's.
func (l *Log) headsToProve(ctx context.Context, tenant string) (top, head Checkpoint, err error) {
	heads, err := l.cfg.Store.Heads(ctx, topLog, tenant)
	if err != nil {
		return top, head, fmt.Errorf("audit: prove: read heads: %w", err)
	}
	for _, h := range heads {
		if _, err := l.checkHead(h); err != nil {
			return top, head, err
		}
		c, err := l.keys.open(h.Note, anywhere)
		if err != nil {
			return top, head, err
		}
		if h.Log == topLog {
			top = c
		} else if h.Log == tenant {
			head = c
		}
	}
	if top.Size == 0 || head.Size == 0 {
		return top, head, fmt.Errorf("%w: log %q has no sealed events to prove; call Seal first", ErrInvalid, tenant)
	}
	return top, head, nil
}

// checkpointEntry finds the entry of the top log that holds a tenant's checkpoint.
func (l *Log) checkpointEntry(ctx context.Context, tenant string, size int64, msg []byte) (Stored, error) {
	for _, actor := range []string{tenant, ""} { // older entries are not indexed by tenant
		s := Selection{Log: topLog, Actor: actor, MinSeq: 0, MaxSeq: size - 1, Descending: true, Limit: queryPage}
		for s.MaxSeq >= 0 {
			page, err := l.cfg.Store.Entries(ctx, s)
			if err != nil {
				return Stored{}, fmt.Errorf("audit: prove: find the checkpoint of log %q: %w", tenant, err)
			}
			for _, e := range page {
				if len(e.Data) > entryHeaderSize && bytes.Equal(e.Data[entryHeaderSize:], msg) {
					return e, nil
				}
			}
			if len(page) < s.Limit || actor != "" { // the newest of a tenant is its head's, or it is not indexed
				break
			}
			if !s.continueAfter(page[len(page)-1].Seq) {
				break
			}
		}
	}
	return Stored{}, fmt.Errorf("%w: the top log does not have the checkpoint of log %q; run Verify", ErrTampered, tenant)
}

// Checkpoint is the checkpoint of the tenant's log that the proofs are against.
func (p *Prover) Checkpoint() Checkpoint { return p.head }

// Link proves that this checkpoint is an entry of the top log.
func (p *Prover) Link() TLogProof { return p.link }

// Prove proves one event, by its place in the log (Event.Seq). An event that was
// sealed after the prover was made is ErrInvalid.
func (p *Prover) Prove(ctx context.Context, seq int64) (TLogProof, error) {
	if seq < 0 || seq >= p.head.Size {
		return TLogProof{}, fmt.Errorf("%w: log %q has entries 0 to %d at this checkpoint, not %d", ErrInvalid, p.log, p.head.Size-1, seq)
	}
	entries, err := p.store.Entries(ctx, Selection{Log: p.log, MinSeq: seq, MaxSeq: seq, Limit: 1})
	if err != nil {
		return TLogProof{}, fmt.Errorf("audit: prove entry %d of log %q: %w", seq, p.log, err)
	}
	if len(entries) == 0 {
		return TLogProof{}, fmt.Errorf("%w: entry %d of log %q is missing; run Verify", ErrTampered, seq, p.log)
	}
	if len(entries[0].Data) == 0 {
		return TLogProof{}, fmt.Errorf("%w: entry %d of log %q has no bytes any more; if it was pruned, the archive has them", ErrInvalid, seq, p.log)
	}
	proof, err := prove(ctx, p.nodes, p.head, entries[0])
	if err != nil {
		return TLogProof{}, err
	}
	proof.Extra = entries[0].Data
	return proof, nil
}

// prove makes the inclusion proof of an entry and checks it. If the stored hashes
// do not give one, they are computed again from the entries themselves.
func prove(ctx context.Context, r *nodeReader, c Checkpoint, e Stored) (TLogProof, error) {
	proof := TLogProof{Index: e.Seq, Checkpoint: c.Note}
	leaf := tlog.RecordHash(e.Data)
	for {
		hashes, err := tlog.ProveRecord(c.Size, e.Seq, r.reader(ctx))
		if err == nil {
			proof.Hashes = hashes
			err = proof.includes(c, leaf)
		}
		if err == nil || r.fromData || ctx.Err() != nil {
			return proof, err
		}
		*r = *newNodeReader(r.store, r.log, r.size, true)
	}
}
