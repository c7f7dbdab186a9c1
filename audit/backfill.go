package audit

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// BackfillNodes adds the nodes that a log lacks which was sealed by a release that
// kept none, and returns how many. Without it everything works; a proof then reads all leaf
// hashes instead of some hundred. It reads the whole log, may run while others
// seal, and does nothing where nothing is missing: after an interruption call it again.
// It refuses a log whose hashes are not those of its signed checkpoint.
func (l *Log) BackfillNodes(ctx context.Context) (int64, error) {
	store, ok := l.cfg.Store.(NodeStore)
	if !ok {
		return 0, fmt.Errorf("%w: the store keeps no nodes; use one that is a NodeStore", ErrInvalid)
	}
	heads, err := l.cfg.Store.Heads(ctx)
	if err != nil {
		return 0, fmt.Errorf("audit: backfill nodes: %w", err)
	}
	var total int64
	for _, h := range heads {
		n, err := l.backfill(ctx, store, h)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (l *Log) backfill(ctx context.Context, store NodeStore, h Head) (int64, error) {
	end, err := l.checkHead(h)
	if err != nil {
		return 0, err
	}
	have, err := nodesOf(ctx, store, h)
	if err != nil {
		return 0, err
	}
	var belong int64
	for level := 1; h.Size>>(level*nodeHeight) > 0; level++ {
		belong += h.Size >> (level * nodeHeight)
	}
	if int64(len(have)) == belong {
		return 0, nil
	}
	var add []Node
	t := &tree{full: func(level int, index int64, hash tlog.Hash) {
		if !have[[2]int64{int64(level), index}] {
			add = append(add, Node{Log: h.Log, Level: level, Index: index, Hash: bytes.Clone(hash[:])})
		}
	}}
	nodes := newNodeReader(l.cfg.Store, h.Log, h.Size, false)
	for t.size < h.Size {
		leaves, err := nodes.leaves(ctx, t.size, min(t.size+verifyPage, h.Size)-1)
		if err != nil {
			return 0, err
		}
		for _, leaf := range leaves {
			t.append(leaf)
		}
	}
	if t.root() != end.root() {
		return 0, fmt.Errorf("%w: the hashes of log %q are not those of its checkpoint; run Verify", ErrTampered, h.Log)
	}
	if err := store.AddNodes(ctx, add); err != nil {
		return 0, fmt.Errorf("audit: backfill nodes of log %q: %w", h.Log, err)
	}
	return int64(len(add)), nil
}

// nodesOf lists which nodes a log has.
func nodesOf(ctx context.Context, store NodeStore, h Head) (map[[2]int64]bool, error) {
	have := map[[2]int64]bool{}
	for level := 1; h.Size>>(level*nodeHeight) > 0; level++ {
		list, err := store.Nodes(ctx, h.Log, level, 0, h.Size>>(level*nodeHeight)-1)
		if err != nil {
			return nil, fmt.Errorf("audit: backfill nodes of log %q: %w", h.Log, err)
		}
		for _, n := range list {
			have[[2]int64{int64(level), n.Index}] = true
		}
	}
	return have, nil
}
