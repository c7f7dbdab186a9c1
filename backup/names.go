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
	drillPrefix    = "drill/"
	dataKeyPrefix  = "datakey/"
	chunkPrefix    = "chunk/"
)

func (id ID) digits() string { return fmt.Sprintf("%020d", uint64(id)) }

func manifestKey(id ID) string { return manifestPrefix + id.digits() }

func pruneKey(number ID) string { return prunePrefix + number.digits() }

func drillKey(number ID) string { return drillPrefix + number.digits() }

// chunkKey names a chunk by the run that stored it and its content. Try is above
// zero if a run that was killed left an object there that its successor must not
// use, as it was sealed to others.
func chunkKey(run ID, chunk chunkID, try int) string {
	key := chunkPrefix + run.digits() + "/" + chunk.String()
	if try > 0 {
		key += "-" + strconv.Itoa(try)
	}
	return key
}

// afterRun sorts behind all chunks of a run and before those of the next.
func afterRun(run ID) string { return chunkPrefix + run.digits() + "0" }

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
	run, ok := parseNumbered("", digits)
	if !ok {
		return 0, chunkID{}, false
	}
	name, number, again := strings.Cut(name, "-")
	if try, err := strconv.ParseUint(number, 10, 31); again && (err != nil || try == 0 || strconv.FormatUint(try, 10) != number) {
		return 0, chunkID{}, false
	}
	var chunk chunkID
	if err := chunk.UnmarshalText([]byte(name)); err != nil {
		return 0, chunkID{}, false
	}
	return run, chunk, true
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
