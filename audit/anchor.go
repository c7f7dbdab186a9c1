package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"
)

// An Anchor keeps the top log's checkpoints where the database's administrator
// cannot change them. Without one, nobody can tell a database from an older
// copy of itself.
type Anchor interface {
	// Put returns when c is kept for good. It refuses a checkpoint that is
	// smaller than one of the same origin that it has, and another one of the same size.
	Put(ctx context.Context, c Checkpoint) error
}

// An AnchorReader is an Anchor that can show what it has, so that Verify
// compares it. What other anchors hold is given to VerifyOptions.
type AnchorReader interface {
	Checkpoints(ctx context.Context) iter.Seq2[[]byte, error]
}

// A ConsistencyAnchor is an Anchor that wants to see that the log only grew, such
// as a witness. prove makes the hashes of the consistency proof from an older size.
type ConsistencyAnchor interface {
	PutConsistent(ctx context.Context, c Checkpoint, prove func(ctx context.Context, old int64) ([]tlog.Hash, error)) error
}

// Unanchored is the named choice to keep no checkpoint outside the database.
// Verify then says "unanchored" and can never say more.
var Unanchored Anchor = unanchored{}

type unanchored struct{}

func (unanchored) Put(context.Context, Checkpoint) error { return nil }

// A QuorumAnchor keeps checkpoints in several anchors and succeeds when Need of them
// have it, so that one that is away stops nobody. What the others missed they get
// with the next checkpoint.
type QuorumAnchor struct {
	Need    int
	Anchors []Anchor
}

var (
	_ Anchor            = QuorumAnchor{}
	_ AnchorReader      = QuorumAnchor{}
	_ ConsistencyAnchor = QuorumAnchor{}
)

// Put implements Anchor.
func (q QuorumAnchor) Put(ctx context.Context, c Checkpoint) error {
	return q.PutConsistent(ctx, c, nil)
}

// PutConsistent implements ConsistencyAnchor. All anchors are asked at the same
// time. An anchor that says the log was rolled back or forked outweighs any quorum.
func (q QuorumAnchor) PutConsistent(ctx context.Context, c Checkpoint, prove func(context.Context, int64) ([]tlog.Hash, error)) error {
	if q.Need < 1 || q.Need > len(q.Anchors) {
		return fmt.Errorf("%w: QuorumAnchor.Need is %d of %d anchors", ErrInvalid, q.Need, len(q.Anchors))
	}
	results := make(chan error, len(q.Anchors))
	for _, a := range q.Anchors {
		go func() { results <- put(ctx, a, c, prove) }()
	}
	var failed []error
	for range q.Anchors {
		if err := <-results; err != nil {
			failed = append(failed, err)
		}
	}
	err := errors.Join(failed...)
	if have := len(q.Anchors) - len(failed); have < q.Need {
		return fmt.Errorf("audit: %d of %d anchors have the checkpoint, %d are needed: %w", have, len(q.Anchors), q.Need, err)
	}
	if errors.Is(err, ErrTampered) {
		return err
	}
	return nil
}

// put gives a checkpoint to an anchor of either kind.
func put(ctx context.Context, a Anchor, c Checkpoint, prove func(context.Context, int64) ([]tlog.Hash, error)) error {
	if p, ok := a.(ConsistencyAnchor); ok && prove != nil {
		return p.PutConsistent(ctx, c, prove)
	}
	return a.Put(ctx, c)
}

// Checkpoints implements AnchorReader: what all of them have. One that cannot be
// read is skipped as long as Need of them can.
func (q QuorumAnchor) Checkpoints(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var failed []error
		for _, a := range q.Anchors {
			r, ok := a.(AnchorReader)
			if !ok {
				continue
			}
			for msg, err := range r.Checkpoints(ctx) {
				if err != nil {
					failed = append(failed, err)
					break
				}
				if !yield(msg, nil) {
					return
				}
			}
		}
		if len(failed) > len(q.Anchors)-q.Need {
			yield(nil, errors.Join(failed...))
		}
	}
}
