package backup

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// An ID is the number of a snapshot: 1, 2, 3 and so on, without gaps.
type ID uint64

const (
	// Newest stands for the newest snapshot.
	Newest ID = 0
	// Every stands for all snapshots; only Verify takes it.
	Every ID = 1<<64 - 1
)

// The keys of a repository's objects; FORMAT.md describes them.
const (
	keysFirst  = "keys/a" // two copies: a single lost object must not cost everything
	keysSecond = "keys/b"

	manifestPrefix = "manifest/"
	prunePrefix    = "prune/"
	chunkPrefix    = "chunk/"
)

func (id ID) digits() string { return fmt.Sprintf("%020d", uint64(id)) }

func manifestKey(id ID) string { return manifestPrefix + id.digits() }

func pruneKey(through ID) string { return prunePrefix + through.digits() }

func chunkKey(generation ID, chunk chunkID) string {
	return chunkPrefix + generation.digits() + "/" + chunk.String()
}

// afterGeneration sorts behind all chunks of a generation and before those of the next.
func afterGeneration(generation ID) string { return chunkPrefix + generation.digits() + "0" }

func parseNumbered(prefix, key string) (ID, bool) {
	digits, ok := strings.CutPrefix(key, prefix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	id := ID(n)
	return id, err == nil && id != 0 && id != Every && id.digits() == digits
}

func parseChunkKey(key string) (ID, chunkID, bool) {
	rest, ok := strings.CutPrefix(key, chunkPrefix)
	if !ok {
		return 0, chunkID{}, false
	}
	digits, name, _ := strings.Cut(rest, "/")
	generation, ok := parseNumbered("", digits)
	if !ok {
		return 0, chunkID{}, false
	}
	var chunk chunkID
	if err := chunk.UnmarshalText([]byte(name)); err != nil {
		return 0, chunkID{}, false
	}
	return generation, chunk, true
}

// A chunkID is the keyed hash of a chunk's content.
type chunkID [32]byte

func (c chunkID) String() string { return hex.EncodeToString(c[:]) }

func (c chunkID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c *chunkID) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(c) || hex.EncodeToString(b) != string(text) {
		return fmt.Errorf("backup: hash is not %d lower-case hexadecimal digits", 2*len(c))
	}
	copy(c[:], b)
	return nil
}
