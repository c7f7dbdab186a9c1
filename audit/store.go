package audit

import (
	"context"
	"math"

	"gorm.io/gorm"
)

// A Store keeps the log. It is trusted with nothing: whatever it returns is
// checked against hashes and signatures. audittest.RunStore holds the rules an
// implementation must keep.
type Store interface {
	// Enqueue adds events that wait to be sealed: in the transaction ctx
	// carries (see Tx), else all of them in one of its own.
	Enqueue(ctx context.Context, events []Pending) error

	// Revise raises the revision number of each row by one, in the transaction
	// ctx carries, and returns the new numbers, the first being 1.
	Revise(ctx context.Context, log, resource string, rows []string) ([]int64, error)

	// Revisions lists the numbers Revise has given, ordered by log, resource and
	// row, beginning behind after.
	Revisions(ctx context.Context, after Revision, limit int) ([]Revision, error)

	// Pending lists waiting events in the order in which they were added,
	// beginning behind the given ID, and tells which are already in a log.
	Pending(ctx context.Context, after int64, limit int) ([]Pending, error)

	// Heads returns the heads of the named logs that have one. With no names it
	// returns all, and a bare Head{Log: ...} for entries that have none.
	Heads(ctx context.Context, logs ...string) ([]Head, error)

	// Entries returns the selected entries.
	Entries(ctx context.Context, s Selection) ([]Stored, error)

	// Commit does all of b in one transaction or returns an error and does
	// nothing. It returns ErrConflict if a head is not at its size Was, if an
	// entry's place or event is taken, or if a pending event is gone.
	Commit(ctx context.Context, b Batch) error
}

// An OnceEnqueuer is a Store that can tell which events it has already. Config.Spill
// needs one: what comes back from the local disk may be in the database, because
// an answer was lost or a process died in the middle.
type OnceEnqueuer interface {
	// EnqueueOnce adds, in one transaction of its own, those events that are
	// neither waiting nor sealed nor added by somebody else at the same moment.
	EnqueueOnce(ctx context.Context, events []Pending) error
}

// Pending is an event that is committed but not yet sealed.
type Pending struct {
	ID     int64  // given by the store
	Event  []byte // the event's unique id
	Data   []byte // the encoded event
	MAC    []byte // proves that the recorder wrote Data
	Sealed bool   // set by Store.Pending: an entry with this event exists
}

// A Revision is the number of recorded changes of one row.
type Revision struct {
	Log, Resource, Row string
	Rev                int64
}

// A Head is the end of one log.
type Head struct {
	Log  string
	Was  int64  // for Commit: the size it must have now; 0 if it must not exist
	Size int64  // number of entries
	Tip  []byte // leaf hash of the last entry
	Edge []byte // right edge of the Merkle tree
	Note []byte // signed checkpoint of this size
}

// Stored is one sealed entry.
type Stored struct {
	Log   string
	Seq   int64
	Data  []byte // the exact bytes of the leaf
	Hash  []byte // their leaf hash
	Index Index
}

// Index is what a store keeps beside an entry so that it can be found. It says
// nothing that is not in Data.
type Index struct {
	Event                           []byte
	At                              int64 // microseconds since 1970
	Actor, Action, Resource, Result string
	Channel, Subject, Purpose       string // "" is none, and needs no room
	Rows, DataTypes                 []string
}

// A Selection selects entries of one log. Empty fields select everything.
type Selection struct {
	Log                                  string
	MinSeq, MaxSeq                       int64 // both inclusive
	Since, Until                         int64 // microseconds, Since <= At < Until; 0 is no bound
	Actor, Action, Resource, Row, Result string
	Channel, Subject, Purpose, DataType  string
	Descending                           bool // by Seq
	Limit                                int
}

// everything selects a whole log, page by page.
func everything(log string) Selection {
	return Selection{Log: log, MinSeq: math.MinInt64, MaxSeq: math.MaxInt64, Limit: verifyPage}
}

// A Batch is one step of the sealer.
type Batch struct {
	Heads   []Head // the top log's first, then by name
	Entries []Stored
	Sealed  []int64 // IDs of the pending events that Entries seal
	Nodes   []Node  // for a NodeStore; others may leave them
}

type txKey struct{}

// WithTx returns a context under which Record writes in tx, so that the event
// is committed or rolled back together with everything else in it. Events of the GORM
// plugin need no WithTx: they always use the connection of their statement.
func WithTx(ctx context.Context, tx *gorm.DB) context.Context {
	return context.WithValue(ctx, txKey{}, tx.Statement.ConnPool)
}

// Tx returns the connection that WithTx put into ctx. It is for stores.
func Tx(ctx context.Context) (gorm.ConnPool, bool) {
	pool, ok := ctx.Value(txKey{}).(gorm.ConnPool)
	return pool, ok
}

func withPool(ctx context.Context, pool gorm.ConnPool) context.Context {
	return context.WithValue(ctx, txKey{}, pool)
}

// isTx tells whether a connection is inside a transaction.
func isTx(pool gorm.ConnPool) bool {
	_, ok := pool.(gorm.TxCommitter)
	return ok && pool != nil
}
