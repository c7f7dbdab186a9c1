package backup

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// An Action is what a merge does with one row.
type Action string

// The actions of a merge.
const (
	Insert    Action = "insert"    // the database has no such row
	Overwrite Action = "overwrite" // the database's row differs and is replaced
	Skip      Action = "skip"      // the database's row differs and stays
	Equal     Action = "equal"     // the database has the row as it is
)

// A Diff is what a merge does, or would do.
type Diff struct {
	Snapshot ID
	Changes  []Change
	Digest   string // names exactly this: these rows over these
}

// A Change is what happens to one row. Keys are data: show them to whoever may
// see the rows, and do not log them.
type Change struct {
	Table   string
	Key     []string // values of the primary key
	Action  Action
	Columns []string // that differ, if the database has the row in another form
	Needed  bool     // brought only because another row refers to it
}

// Count returns how many rows there are of an action.
func (d Diff) Count(a Action) (n int) {
	for _, c := range d.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// compare looks at what the database has now and decides what to do.
func (w *merge) compare(ctx context.Context) (Diff, error) {
	diff := Diff{Snapshot: w.rows.from.id}
	digest := hmac.New(sha256.New, w.rows.ring.rows)
	conflicts, table := 0, ""
	for _, c := range w.order {
		have, err := w.live.Find(ctx, c.table.Name, keyNames(c.table), c.key)
		if err != nil {
			return diff, err
		}
		switch {
		case have == nil:
			c.action = Insert
		case bytes.Equal(have, c.row):
			c.action = Equal
		case c.parent, w.opts.Conflict == SkipConflicts:
			c.action = Skip
		default:
			c.action = Overwrite
			if w.opts.Conflict == FailOnConflict {
				conflicts, table = conflicts+1, c.table.Name
			}
		}
		diff.Changes = append(diff.Changes, c.change(have))
		digest.Write(bind(c.table.Name, c.row, have, []byte(c.action)))
	}
	diff.Digest = hex.EncodeToString(digest.Sum(nil))
	if conflicts > 0 && !w.opts.DryRun {
		return diff, fmt.Errorf("the database has %d of the rows in another form, e.g. in table %q; nothing was changed; choose to skip or to overwrite them", conflicts, table)
	}
	return diff, nil
}

func (c *candidate) change(have Row) Change {
	out := Change{Table: c.table.Name, Action: c.action, Needed: c.parent}
	for _, one := range cellsOf(c.key) {
		text, ok := textOf(one)
		if !ok {
			text = hex.EncodeToString(one)
		}
		out.Key = append(out.Key, text)
	}
	if have == nil {
		return out
	}
	mine, theirs := cellsOf(c.row), cellsOf(have)
	for i, column := range c.table.Columns {
		if !bytes.Equal(mine[i], theirs[i]) {
			out.Columns = append(out.Columns, column.Name)
		}
	}
	return out
}
