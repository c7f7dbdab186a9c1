package audit

import (
	"context"
	"iter"
)

// An Anchor keeps the top log's checkpoints where the database's administrator
// cannot change them. Without one, nobody can tell a database from an older
// copy of itself.
type Anchor interface {
	// Put returns when c is kept for good. It refuses a checkpoint that is
	// smaller than one it has.
	Put(ctx context.Context, c Checkpoint) error
}

// An AnchorReader is an Anchor that can show what it has, so that Verify
// compares it. What other anchors hold is given to VerifyOptions.
type AnchorReader interface {
	Checkpoints(ctx context.Context) iter.Seq2[[]byte, error]
}

// Unanchored is the named choice to keep no checkpoint outside the database.
// Verify then says "unanchored" and can never say more.
var Unanchored Anchor = unanchored{}

type unanchored struct{}

func (unanchored) Put(context.Context, Checkpoint) error { return nil }
