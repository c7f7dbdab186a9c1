package audit

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// A tree is an RFC 6962 Merkle tree that remembers only its right edge: the
// roots of the complete subtrees it consists of, largest first. That is all
// it takes to append and to know the root.
type tree struct {
	size int64
	edge []tlog.Hash
	// full is told of every subtree of 256, 65,536, ... entries when it is complete.
	full func(level int, index int64, h tlog.Hash)
}

// Nodes are kept of every eighth height: few enough to write, and enough that
// a proof reads some hundred hashes whatever the size of the log.
const (
	nodeHeight = 8
	nodeWidth  = 1 << nodeHeight
)

func (t *tree) append(leaf tlog.Hash) {
	height := 0
	for full := t.size; full&1 == 1; full >>= 1 {
		last := len(t.edge) - 1
		leaf = tlog.NodeHash(t.edge[last], leaf)
		t.edge = t.edge[:last]
		if height++; height%nodeHeight == 0 && t.full != nil {
			t.full(height/nodeHeight, t.size>>height, leaf)
		}
	}
	t.edge = append(t.edge, leaf)
	t.size++
}

// root returns the tree's hash; the one of an empty tree is all zero and never signed.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return tlog.Hash{}
	}
	h := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}

func (t *tree) marshalEdge() []byte {
	b := make([]byte, 0, len(t.edge)*tlog.HashSize)
	for _, h := range t.edge {
		b = append(b, h[:]...)
	}
	return b
}

// treeFrom rebuilds a tree of the given size from its stored edge.
func treeFrom(size int64, edge []byte) (*tree, error) {
	n := bits.OnesCount64(uint64(size))
	if size < 0 || len(edge) != n*tlog.HashSize {
		return nil, fmt.Errorf("audit: tree of %d entries needs %d hashes: %w", size, n, errMalformed)
	}
	t := &tree{size: size, edge: make([]tlog.Hash, n)}
	for i := range t.edge {
		copy(t.edge[i][:], edge[i*tlog.HashSize:])
	}
	return t, nil
}
