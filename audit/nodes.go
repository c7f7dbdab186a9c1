package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A Node is the root of a complete subtree of 256^Level entries of a log. Level 0
// are the leaf hashes.
type Node struct {
	Log   string
	Level int
	Index int64 // counted in subtrees of this level, from 0
	Hash  []byte
}

// A NodeStore is a Store that keeps Batch.Nodes. With it a proof costs the same
// few reads whatever the size of the log; without it, proofs read all leaf hashes.
type NodeStore interface {
	// Nodes returns the nodes of one level from first to last, both inclusive, in
	// order. It leaves out what it does not have. Level 0 is read from the entries.
	Nodes(ctx context.Context, log string, level int, first, last int64) ([]Node, error)

	// AddNodes adds those that are not there. It may do so in several transactions.
	AddNodes(ctx context.Context, nodes []Node) error
}

// nodeReader reads the hashes of a log of a given size from what the store
// keeps. Nothing it returns is to be trusted: proofs are checked against a
// signed root before they leave this package.
type nodeReader struct {
	store    Store
	log      string
	size     int64
	fromData bool // believe neither nodes nor the hash column, only the entries' bytes
	blocks   map[[2]int64][]tlog.Hash
}

func newNodeReader(store Store, log string, size int64, fromData bool) *nodeReader {
	return &nodeReader{store: store, log: log, size: size, fromData: fromData, blocks: map[[2]int64][]tlog.Hash{}}
}

// reader is r as tlog wants it.
func (r *nodeReader) reader(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			height, n := tlog.SplitStoredHashIndex(x)
			h, err := r.subtree(ctx, height, n)
			if err != nil {
				return nil, err
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}

// subtree returns the root of the nth complete subtree of 2^height entries.
func (r *nodeReader) subtree(ctx context.Context, height int, n int64) (tlog.Hash, error) {
	level, width := height/nodeHeight, int64(1)<<(height%nodeHeight)
	first := n * width
	block, err := r.block(ctx, level, first/nodeWidth)
	if err != nil {
		return tlog.Hash{}, err
	}
	at := first % nodeWidth
	if at+width > int64(len(block)) {
		return tlog.Hash{}, fmt.Errorf("%w: log %q has no subtree %d of height %d", ErrTampered, r.log, n, height)
	}
	return fold(block[at : at+width]), nil
}

// fold is the root of a complete subtree, given the roots of its equal parts.
func fold(hashes []tlog.Hash) tlog.Hash {
	level := append([]tlog.Hash(nil), hashes...)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// block returns the nodes of a level that have one parent, as many as are complete.
func (r *nodeReader) block(ctx context.Context, level int, number int64) ([]tlog.Hash, error) {
	key := [2]int64{int64(level), number}
	if b, ok := r.blocks[key]; ok {
		return b, nil
	}
	b, err := r.readBlock(ctx, level, number)
	if err == nil {
		r.blocks[key] = b
	}
	return b, err
}

func (r *nodeReader) readBlock(ctx context.Context, level int, number int64) ([]tlog.Hash, error) {
	first := number * nodeWidth
	last := min(first+nodeWidth, r.size>>(nodeHeight*level)) - 1
	if last < first {
		return nil, nil
	}
	if level == 0 {
		return r.leaves(ctx, first, last)
	}
	block := make([]tlog.Hash, last-first+1)
	have := make([]bool, len(block))
	if store, ok := r.store.(NodeStore); ok && !r.fromData {
		nodes, err := store.Nodes(ctx, r.log, level, first, last)
		if err != nil {
			return nil, fmt.Errorf("audit: read nodes of log %q: %w", r.log, err)
		}
		for _, n := range nodes {
			if i := n.Index - first; i >= 0 && i < int64(len(block)) && len(n.Hash) == tlog.HashSize {
				copy(block[i][:], n.Hash)
				have[i] = true
			}
		}
	}
	for i := range block { // a log from before there were nodes, or a store without
		if have[i] {
			continue
		}
		below, err := r.readBlock(ctx, level-1, first+int64(i))
		if err != nil {
			return nil, err
		}
		block[i] = fold(below)
	}
	return block, nil
}

// leaves returns the leaf hashes of the entries from first to last, without a hole.
func (r *nodeReader) leaves(ctx context.Context, first, last int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, last-first+1)
	missing := func(seq int64) error {
		return fmt.Errorf("%w: entry %d of log %q is missing; run Verify", ErrTampered, seq, r.log)
	}
	add := func(seq int64, hash []byte) error {
		if seq != first+int64(len(hashes)) || len(hash) != tlog.HashSize {
			return missing(first + int64(len(hashes)))
		}
		hashes = append(hashes, tlog.Hash(hash))
		return nil
	}
	if store, ok := r.store.(NodeStore); ok && !r.fromData {
		nodes, err := store.Nodes(ctx, r.log, 0, first, last)
		if err != nil {
			return nil, fmt.Errorf("audit: read leaf hashes of log %q: %w", r.log, err)
		}
		for _, n := range nodes {
			if err := add(n.Index, n.Hash); err != nil {
				return nil, err
			}
		}
	} else {
		entries, err := r.store.Entries(ctx, Selection{Log: r.log, MinSeq: first, MaxSeq: last, Limit: int(last - first + 1)})
		if err != nil {
			return nil, fmt.Errorf("audit: read entries of log %q: %w", r.log, err)
		}
		for _, e := range entries {
			hash := e.Hash
			if len(e.Data) > 0 { // of a pruned entry the hash is all there is
				leaf := tlog.RecordHash(e.Data)
				hash = leaf[:]
			}
			if err := add(e.Seq, hash); err != nil {
				return nil, err
			}
		}
	}
	if int64(len(hashes)) != last-first+1 {
		return nil, missing(first + int64(len(hashes)))
	}
	return hashes, nil
}
