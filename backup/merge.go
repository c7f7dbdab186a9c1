package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// A Live is a database in use into which rows are brought back. sqlsource.Database
// is one.
type Live interface {
	// Merge begins a transaction, one that writes or one that only reads. Tables and
	// columns are those of the schema; what the database lacks of them is refused
	// when it is needed.
	Merge(ctx context.Context, schema Schema, write bool) (Merging, error)
}

// A Merging is a merge under way. It is used by one goroutine.
type Merging interface {
	// References returns a table's foreign keys as the database has them now.
	References(table string) []Reference
	// Find returns the row that has these values, cells in the order of columns,
	// or nil. A transaction that writes locks it.
	Find(ctx context.Context, table string, columns []string, values Row) (Row, error)
	// Put inserts a row, or replaces the one with its primary key if there is one.
	Put(ctx context.Context, table string, row Row, replace bool) error
	// Commit makes everything that was put visible, at once.
	Commit(ctx context.Context) error
	// Close takes everything back, unless Commit succeeded. It may be called more
	// than once.
	Close() error
}

// A Conflict says what to do with a row that the database has in another form.
type Conflict string

// The policies for conflicts.
const (
	FailOnConflict     Conflict = ""          // nothing is changed
	SkipConflicts      Conflict = "skip"      // the database's row stays
	OverwriteConflicts Conflict = "overwrite" // the snapshot's row replaces it
)

// A Selection is rows of a snapshot, by the values of some columns.
type Selection struct {
	// Table is where they are; empty means every table that has these columns, as
	// with the column of a tenant.
	Table string
	// Where gives each column's value as text: 7, true, luisg@embraer.com.br.
	Where map[string]string
}

// A Relation is a reference that the database does not declare.
type Relation struct {
	Table string // whose rows refer
	Reference
}

// MergeOptions says what to bring back and how.
type MergeOptions struct {
	Select []Selection
	// Children also brings the rows that refer to the selected ones, and those
	// that refer to these. Rows that they refer to themselves are always brought
	// if the database lacks them.
	Children  bool
	Relations []Relation // beside the foreign keys of snapshot and database

	Conflict Conflict
	DryRun   bool // only find out what would be done
	// Expect is the Digest of a dry run: if the same merge would do anything else
	// now, nothing is done. Empty means whatever there is to do.
	Expect string

	Erasures Erasures          // required; NobodyErased is the named "nobody"
	Subjects map[string]string // which column of a table names the person whose row it is

	Progress func(Progress) // may be nil
}

// Merge brings a part of a snapshot back into a database that is in use: a
// record, a customer with everything that is theirs, a tenant. It first reads the
// snapshot and the database, then does all of it in one transaction, which locks
// no more than the rows concerned (SQLite: the writers), and reads every row back
// before it commits. If it is killed, nothing has happened; run it again.
//
// Rows go where they came from. A value that privacy has sealed is bound to
// tenant, table, row and person, so that it opens nowhere else; and only as long
// as the person's key exists. A row of somebody who was erased is refused with an
// ErasedError and nothing is changed.
func (r *Repository) Merge(ctx context.Context, id ID, live Live, opts MergeOptions) (Diff, error) {
	if err := opts.check(); err != nil {
		return Diff{}, err
	}
	ring, err := r.ring(ctx)
	if err != nil {
		return Diff{}, err
	}
	from, err := r.find(ctx, ring, id)
	if err != nil {
		return Diff{}, err
	}
	w := &merge{rows: &restoration{store: r.cfg.Store, ring: ring, from: from, progress: opts.Progress}, opts: opts, found: map[string]map[string]*candidate{}}
	diff, err := w.plan(ctx, live)
	if err != nil || opts.DryRun {
		return diff, wrapMerge(from.id, err)
	}
	// Now, because the recorder may want to write into the same database.
	err = r.cfg.Record.Record(ctx, "backup.merge", slog.String("dataset", r.cfg.DataSet), slog.Uint64("snapshot", uint64(from.id)),
		slog.String("hash", from.hash.String()), slog.Int("count", len(diff.Changes)))
	if err != nil {
		return diff, fmt.Errorf("backup: nothing merged: record backup.merge: %w", err)
	}
	diff, err = w.carryOut(ctx, live)
	return diff, wrapMerge(from.id, err)
}

func wrapMerge(id ID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backup: merge of snapshot %d: %w", id, err)
}

func (o MergeOptions) check() error {
	switch {
	case len(o.Select) == 0:
		return errors.New("backup: MergeOptions.Select is empty; Restore brings back everything, into a new database")
	case o.Erasures == nil:
		return errors.New("backup: MergeOptions.Erasures is nil; pass the erasure ledger, or backup.NobodyErased")
	case o.Conflict != FailOnConflict && o.Conflict != SkipConflicts && o.Conflict != OverwriteConflicts:
		return errors.New("backup: MergeOptions.Conflict is none of the policies")
	}
	for _, s := range o.Select {
		if len(s.Where) == 0 {
			return errors.New("backup: a Selection without Where would be a whole table; Restore brings that back, into a new database")
		}
	}
	return nil
}

// A merge is one run of Merge.
type merge struct {
	rows  *restoration // where the snapshot's rows come from
	opts  MergeOptions
	live  Merging
	found map[string]map[string]*candidate // by table and primary key
	order []*candidate
}

// A candidate is one row of the snapshot that is to come back.
type candidate struct {
	table  *Table
	key    Row // cells of the primary key
	row    Row
	parent bool // only because another row refers to it
	state  int  // of ordered
	action Action
}

// plan finds the rows and what would happen to them. It changes nothing.
func (w *merge) plan(ctx context.Context, live Live) (Diff, error) {
	var err error
	if w.live, err = live.Merge(ctx, w.rows.from.Schema, false); err != nil {
		return Diff{}, err
	}
	defer w.live.Close()
	if err := w.gather(ctx); err != nil {
		return Diff{}, err
	}
	if err := w.refuseErased(ctx); err != nil {
		return Diff{}, err
	}
	w.arrange()
	return w.compare(ctx)
}

// carryOut does the whole in one transaction.
func (w *merge) carryOut(ctx context.Context, live Live) (Diff, error) {
	var err error
	if w.live, err = live.Merge(ctx, w.rows.from.Schema, true); err != nil {
		return Diff{}, err
	}
	defer w.live.Close()
	diff, err := w.compare(ctx) // again, with the rows locked
	if err != nil {
		return diff, err
	}
	if w.opts.Expect != "" && w.opts.Expect != diff.Digest {
		return diff, errors.New("the database has changed since the dry run; nothing was changed; look at a new one")
	}
	// Somebody may have been erased since.
	if err := w.refuseErased(ctx); err != nil {
		return diff, err
	}
	if err := w.put(ctx); err != nil {
		return diff, err
	}
	if err := w.prove(ctx); err != nil {
		return diff, err
	}
	return diff, w.live.Commit(ctx)
}

// put writes the rows, each after those it refers to. Where they refer to each
// other in a circle, a row goes in without that reference first.
func (w *merge) put(ctx context.Context) error {
	var late []*candidate
	written := map[*candidate]bool{}
	for _, c := range w.order {
		if c.action != Insert && c.action != Overwrite {
			written[c] = true
			continue
		}
		row := c.row
		for _, r := range w.references(c.table) {
			if target := w.target(c, r); target != nil && !written[target] && target != c {
				row = without(c.table, row, r.Columns)
			}
		}
		if len(row) != len(c.row) {
			late = append(late, c)
		}
		if err := w.live.Put(ctx, c.table.Name, row, c.action == Overwrite); err != nil {
			return err
		}
		written[c] = true
	}
	for _, c := range late {
		if err := w.live.Put(ctx, c.table.Name, c.row, true); err != nil {
			return err
		}
	}
	return nil
}

// prove reads the rows back and compares their keyed hashes.
func (w *merge) prove(ctx context.Context) error {
	want, got := map[string]*rowSet{}, map[string]*rowSet{}
	for _, c := range w.order {
		if c.action == Skip {
			continue
		}
		name := c.table.Name
		if want[name] == nil {
			want[name], got[name] = newRowSet(w.rows.ring.rows, name), newRowSet(w.rows.ring.rows, name)
		}
		want[name].add(c.row)
		row, err := w.live.Find(ctx, name, keyNames(c.table), c.key)
		if err != nil {
			return err
		}
		if row != nil {
			got[name].add(row)
		}
	}
	for name := range want {
		if want[name].value() != got[name].value() || want[name].rows != got[name].rows {
			return fmt.Errorf("table %q does not hold what was put into it; nothing was changed: a trigger, or a column of another type than in the snapshot", name)
		}
	}
	return nil
}
