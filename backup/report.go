package backup

import (
	"fmt"
	"slices"
	"strings"
)

// A Report is what Verify and Restore found.
type Report struct {
	OK        bool     // nothing is wrong; never true beside an error
	Snapshots []ID     // whose rows were read
	Objects   int      // read and checked
	Rows      int64    // read and, by Restore, read back from the target
	Bytes     int64    // of those objects
	Unopened  int      // of these, chunks of which only the seal was checked: their data key is not at hand
	Leftover  int      // good objects of unfinished runs and prunes: harmless
	Damage    []Damage // everything that is wrong, by object

	// Omitted is what a restore into another engine has not made: rules that are
	// written in the first one's SQL. Rows are never among it.
	Omitted []Omission
}

// Damage is one thing that is wrong with a repository.
type Damage struct {
	Object string // its key in the store
	Kind   string // "missing", "damaged", "foreign" or "rolled back"
	Detail string // what was found, never content
}

func (d Damage) String() string { return d.Object + ": " + d.Kind + ": " + d.Detail }

func (r *Report) damage(object, kind, format string, args ...any) {
	r.Damage = append(r.Damage, Damage{Object: object, Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// close sorts the damage and turns it into the error that goes with the report.
func (r *Report) close() error {
	slices.SortStableFunc(r.Damage, func(a, b Damage) int { return strings.Compare(a.Object, b.Object) })
	r.OK = len(r.Damage) == 0
	if r.OK {
		return nil
	}
	return fmt.Errorf("%w: %d found, first: %s", ErrDamaged, len(r.Damage), r.Damage[0])
}
