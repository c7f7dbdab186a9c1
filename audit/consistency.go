package audit

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A ConsistencyProof says that the log of a checkpoint begins with the log of an
// older one: nothing of it was changed or removed. Its text is the request of
// c2sp.org/tlog-witness, so that any witness can be given it as it is.
type ConsistencyProof struct {
	Old        int64 // size of the older checkpoint
	Hashes     []tlog.Hash
	Checkpoint []byte // the newer one, a signed note
}

// MarshalText implements encoding.TextMarshaler.
func (p ConsistencyProof) MarshalText() ([]byte, error) {
	if p.Old < 0 || len(p.Hashes) > mostHashes || len(p.Checkpoint) == 0 {
		return nil, fmt.Errorf("%w: the proof is not complete; only ProveConsistency makes them", ErrInvalid)
	}
	b := append(strconv.AppendInt([]byte("old "), p.Old, 10), '\n')
	b = appendHashes(b, p.Hashes)
	return append(append(b, '\n'), p.Checkpoint...), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It checks the form only.
func (p *ConsistencyProof) UnmarshalText(text []byte) error {
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, prefix := strings.CutPrefix(lines[0], "old ")
	var q ConsistencyProof
	old, isSize := parseDecimal(size, prefix)
	hashes, areHashes := parseHashes(lines[1:])
	if !ok || !isSize || !areHashes || len(text) > mostProof {
		return fmt.Errorf("audit: consistency proof: %w", errMalformed)
	}
	q.Old, q.Hashes, q.Checkpoint = old, hashes, bytes.Clone(checkpoint)
	*p = q
	return nil
}

// Check verifies the proof against the older checkpoint, which the verifier has
// kept, and returns the newer one. It needs nothing else.
func (p ConsistencyProof) Check(older []byte, keys Keys) (Checkpoint, error) {
	if err := keys.check(); err != nil {
		return Checkpoint{}, err
	}
	a, err := keys.open(older, anywhere)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: the older checkpoint is not signed by %s", ErrTampered, keys.name())
	}
	b, err := keys.openOwn(p.Checkpoint)
	if err != nil {
		return b, fmt.Errorf("%w: the newer checkpoint is not signed by %s", ErrTampered, keys.name())
	}
	if a.Origin != b.Origin || p.Old != a.Size {
		return b, fmt.Errorf("%w: the proof is not about this older checkpoint", ErrTampered)
	}
	return b, p.follows(a, b)
}

func (p ConsistencyProof) follows(a, b Checkpoint) error {
	if a.Size > b.Size {
		return fmt.Errorf("%w: the log went back from %d to %d entries", ErrTampered, a.Size, b.Size)
	}
	if err := tlog.CheckTree(p.Hashes, b.Size, b.Root, a.Size, a.Root); err != nil {
		return fmt.Errorf("%w: the log of %d entries does not begin with the one of %d", ErrTampered, b.Size, a.Size)
	}
	return nil
}

// openOwn opens a checkpoint and judges one of the top log by its own size.
func (k Keys) openOwn(msg []byte) (Checkpoint, error) {
	c, err := k.open(msg, anywhere)
	if err == nil && isTopOrigin(k.name(), c.Origin) {
		return k.open(msg, topItself)
	}
	return c, err
}

// ProveConsistency proves that the newer of two checkpoints of a log contains the
// older one. Both are signed notes, of any size; a nil newer is the log as it is now.
func (l *Log) ProveConsistency(ctx context.Context, older, newer []byte) (ConsistencyProof, error) {
	a, err := l.keys.open(older, anywhere)
	if err != nil {
		return ConsistencyProof{}, fmt.Errorf("%w: the older checkpoint is not signed by %s", ErrInvalid, l.keys.name())
	}
	log, ok := logOf(l.keys.name(), a.Origin)
	if !ok && !isTopOrigin(l.keys.name(), a.Origin) {
		return ConsistencyProof{}, fmt.Errorf("%w: the older checkpoint is not one of this log", ErrInvalid)
	}
	heads, err := l.cfg.Store.Heads(ctx, log)
	if err != nil {
		return ConsistencyProof{}, fmt.Errorf("audit: prove consistency: %w", err)
	}
	if len(heads) == 0 {
		return ConsistencyProof{}, fmt.Errorf("%w: log %q has no head; run Verify", ErrTampered, log)
	}
	if newer == nil {
		newer = heads[0].Note
	}
	b, err := l.keys.openOwn(newer)
	if err != nil || b.Origin != a.Origin {
		return ConsistencyProof{}, fmt.Errorf("%w: the newer checkpoint is not one of the same log", ErrInvalid)
	}
	if b.Size > heads[0].Size {
		return ConsistencyProof{}, fmt.Errorf("%w: log %q has %d entries, the newer checkpoint %d: it was rolled back; run Verify", ErrTampered, log, heads[0].Size, b.Size)
	}
	return l.proveTree(ctx, log, a, b)
}

// proveTree makes a consistency proof and checks it, once more from the entries
// themselves if the stored hashes do not give one.
func (l *Log) proveTree(ctx context.Context, log string, a, b Checkpoint) (ConsistencyProof, error) {
	p := ConsistencyProof{Old: a.Size, Checkpoint: b.Note}
	if a.Size > b.Size {
		return p, fmt.Errorf("%w: the older checkpoint has %d entries, the newer only %d", ErrInvalid, a.Size, b.Size)
	}
	for _, fromData := range []bool{false, true} {
		r := newNodeReader(l.cfg.Store, log, b.Size, fromData)
		hashes, err := tlog.ProveTree(b.Size, a.Size, r.reader(ctx))
		if err == nil {
			p.Hashes = hashes
			err = p.follows(a, b)
		}
		if err == nil || fromData || ctx.Err() != nil {
			return p, err
		}
	}
	return p, nil
}

// proveSize makes the hashes of a consistency proof from a size of the top log that
// somebody else remembers, and whose root only they know.
func (l *Log) proveSize(ctx context.Context, old int64, c Checkpoint) ([]tlog.Hash, error) {
	if old < 0 || old > c.Size {
		return nil, fmt.Errorf("%w: an anchor has a checkpoint of %d, the database offers %d: it was rolled back or replaced; run Verify", ErrTampered, old, c.Size)
	}
	if old == 0 {
		return nil, nil
	}
	hashes, err := tlog.ProveTree(c.Size, old, newNodeReader(l.cfg.Store, topLog, c.Size, false).reader(ctx))
	if err != nil {
		return nil, fmt.Errorf("audit: prove consistency from %d: %w", old, err)
	}
	return hashes, nil
}
