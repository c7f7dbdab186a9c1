package backup

import (
	"context"
	"iter"
)

// A Source is what a repository copies. sqlsource reads SQL databases;
// backuptest.RunSource checks the contract of others.
type Source interface {
	// Snapshot begins a consistent view: everything read through it shows the
	// same moment, however long it takes and whoever writes meanwhile. What
	// cannot be copied exactly is refused here with ErrUnsupported.
	Snapshot(ctx context.Context) (View, error)
}

// A View is one consistent snapshot of a source. It is used by one goroutine.
type View interface {
	// Schema describes everything in the view.
	Schema() Schema
	// Rows yields a table's rows in the order of its primary key.
	Rows(ctx context.Context, table string) iter.Seq2[Row, error]
	// Close ends the view. It may be called more than once.
	Close() error
}

// A Tracker is a View of a source that keeps track of changes, so that an
// incremental run need not read everything. What it says is never believed
// alone: rows are counted, and a rolling share of them is read all the same.
type Tracker interface {
	// Marks returns what a table's tracking carries in this view, and what Settle
	// will make it carry; empty if the table is not tracked. If the first equals
	// what an earlier snapshot's Settle left, then all changes since that snapshot
	// are known. Nothing that restores, copies or rebuilds a table or its tracking
	// may preserve a mark without the changes that go with it.
	Marks(table string) (now, next string)
	// Changed reports of each span whether a row with a key in it may have been
	// inserted, updated or deleted since then.
	Changed(ctx context.Context, table string, spans []Span) ([]bool, error)
	// Range yields the rows in the span, like Rows.
	Range(ctx context.Context, table string, span Span) iter.Seq2[Row, error]
	// Count returns the exact number of rows.
	Count(ctx context.Context, table string) (int64, error)
	// Settle forgets the changes that this view has seen, and no others. It is
	// called after Close, once the snapshot exists.
	Settle(ctx context.Context) error
}

// A Span is the rows of a table whose primary key is greater than After and not
// greater than Through, in the order of Rows. Both are the key's cells one after
// the other; nil stands for no bound.
type Span struct{ After, Through []byte }

// A Row is its cells in column order, in the encoding of package cell. The
// bytes are valid until the next row.
type Row []byte

// A Target takes what a restore brings. sqlsource.Database is one.
type Target interface {
	// Begin prepares an empty target for the schema. It refuses a target that
	// holds any of the tables (ErrNotEmpty) or cannot hold them exactly
	// (ErrUnsupported), and changes nothing then.
	Begin(ctx context.Context, schema Schema) (Loading, error)
}

// A Surveyor is a Target that takes snapshots of other engines too. Restore asks
// it first.
type Surveyor interface {
	// Survey reads the rows of the snapshot as often as it has to, writes nothing,
	// and returns the Target to restore into. What the engine cannot hold exactly
	// is refused with ErrUnsupported, naming table and column.
	Survey(ctx context.Context, schema Schema, rows func(table string) iter.Seq2[Row, error]) (Target, error)
}

// A Loading is a restore under way. It is used by one goroutine.
type Loading interface {
	// Load stores a table's rows.
	Load(ctx context.Context, table string, rows iter.Seq2[Row, error]) error
	// Finish builds indexes, constraints and counters once all rows are there.
	Finish(ctx context.Context) error
	// Rows reads a table's rows back, in any order.
	Rows(ctx context.Context, table string) iter.Seq2[Row, error]
	// Commit makes the restored data visible to others, all of it at once where
	// the engine can do that.
	Commit(ctx context.Context) error
	// Close removes everything that was loaded, unless Commit succeeded. It may
	// be called more than once.
	Close() error
}

// A Schema is the shape of a snapshot, complete enough to make it again in the
// same engine.
type Schema struct {
	Engine  string     `json:"engine"`            // "sqlite", "postgres", "mysql"
	Before  []string   `json:"before,omitempty"`  // statements before the tables: types, sequences
	Tables  []Table    `json:"tables"`            // by name
	After   []string   `json:"after,omitempty"`   // statements after all rows: foreign keys, counters
	Omitted []Omission `json:"omitted,omitempty"` // what the database has and the snapshot has not
}

// A Table is one table of a schema.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`          // in the order of a row's cells; computed columns are not among them
	Key     []int    `json:"key"`              // the primary key, as positions in Columns
	Create  []string `json:"create"`           // statements that make the table
	Finish  []string `json:"finish,omitempty"` // statements after its rows: indexes and constraints

	// What follows is the same in words that every engine understands, for a
	// restore into another one and for the relations between rows.
	Indexes    []Index     `json:"indexes,omitempty"`    // beside the primary key
	References []Reference `json:"references,omitempty"` // foreign keys
	Counter    *Counter    `json:"counter,omitempty"`    // numbers that the database gives out
	Local      []Omission  `json:"local,omitempty"`      // what only Create and Finish can make again

	Estimate int64 `json:"-"` // about how many rows there are, for progress; 0 if unknown
}

// A Column is one column of a table.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // as declared in the engine, with length and precision

	NotNull bool   `json:"not_null,omitempty"`
	Form    string `json:"form,omitempty"` // "json" where the type alone does not say so
}

// An Index is an index over whole columns.
type Index struct {
	Columns []string `json:"columns"`
	Unique  bool     `json:"unique,omitempty"`
}

// A Reference is a foreign key: each row's Columns name a row of Table by To.
type Reference struct {
	Columns  []string `json:"columns"`
	Table    string   `json:"table"`
	To       []string `json:"to,omitempty"` // empty: the primary key of Table
	OnDelete string   `json:"on_delete,omitempty"`
	OnUpdate string   `json:"on_update,omitempty"`
}

// A Counter numbers the rows of a table.
type Counter struct {
	Column string `json:"column"`
	Last   int64  `json:"last"` // the last number given out; 0 if only the rows tell
}

// An Omission is something a snapshot does not contain, and why.
type Omission struct {
	Kind   string `json:"kind"` // "table", "view", "trigger", ...
	Name   string `json:"name"`
	Reason string `json:"reason"`
}
