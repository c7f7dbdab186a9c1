package backup

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/bits"
)

// A rowSet is a keyed hash of a multiset of rows: the sum, modulo 2^256, of each
// row's HMAC. It does not depend on the order, so it proves a restore also where
// the target sorts text differently from the source.
type rowSet struct {
	mac    hash.Hash
	prefix []byte
	digest []byte
	sum    [4]uint64 // least significant first
	rows   int64
	bytes  int64
}

func newRowSet(key []byte, table string) *rowSet {
	return &rowSet{mac: hmac.New(sha256.New, key), prefix: bind(table)}
}

func (s *rowSet) add(row []byte) {
	s.mac.Reset()
	s.mac.Write(s.prefix)
	s.mac.Write(row)
	s.digest = s.mac.Sum(s.digest[:0])
	s.merge(chunkID(s.digest), 1, int64(len(row)))
}

// merge adds another set's rows.
func (s *rowSet) merge(sum chunkID, rows, bytes int64) {
	var carry uint64
	for i := range s.sum {
		s.sum[i], carry = bits.Add64(s.sum[i], binary.BigEndian.Uint64(sum[24-8*i:]), carry)
	}
	s.rows += rows
	s.bytes += bytes
}

// value is the sum, most significant byte first.
func (s *rowSet) value() (out chunkID) {
	for i, word := range s.sum {
		binary.BigEndian.PutUint64(out[24-8*i:], word)
	}
	return out
}
