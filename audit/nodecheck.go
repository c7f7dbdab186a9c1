package audit

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// keep remembers a node that the recomputed tree has completed.
func (w *walker) keep(level int, index int64, h tlog.Hash) {
	if w.nodes == nil {
		w.nodes = map[[2]int64]tlog.Hash{}
	}
	w.nodes[[2]int64{int64(level), index}] = h
}

// compareNodes compares the stored nodes with those of the recomputed tree. A
// missing one only makes proofs slower; a wrong one was put there.
func (w *walker) compareNodes(ctx context.Context) error {
	store, ok := w.v.store.(NodeStore)
	if !ok || w.lost || w.wrong {
		return nil
	}
	for level := 1; level <= 64/nodeHeight; level++ {
		from := w.base.Size >> (level * nodeHeight)
		for first := from; ; {
			nodes, err := store.Nodes(ctx, w.log, level, first, min(first+verifyPage-1, math.MaxInt64))
			if err != nil {
				return fmt.Errorf("audit: verify nodes of log %q: %w", w.log, err)
			}
			for _, n := range nodes {
				w.compareNode(level, n)
			}
			if len(nodes) == 0 {
				break
			}
			first = nodes[len(nodes)-1].Index + 1
		}
	}
	return nil
}

func (w *walker) compareNode(level int, n Node) {
	h, known := w.nodes[[2]int64{int64(level), n.Index}]
	if known && bytes.Equal(h[:], n.Hash) {
		return
	}
	if !known && n.Index < w.size>>(level*nodeHeight) && w.base.Size > 0 {
		return // it lies in what was verified before
	}
	place := Place{Log: w.log, First: -1, Last: -1, What: fmt.Sprintf("node %d of level %d", n.Index, level)}
	w.rep.add(IndexEdited, place, "it is not the hash of the entries below it; proofs are made without it")
}
