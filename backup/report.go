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

	Chunks int // by Verify: different chunks of the chosen snapshots that are there,
	Read   int // and those of them that were read

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

// Detects returns how likely this Verify was to find at least one of k chunks that
// are there and damaged, wherever they are: 1 if all were read. For a part it is
// true of damage that fell on chunks by chance, not of an attacker's choice.
func (r Report) Detects(k int) float64 {
	missed := 1.0
	for i := range min(k, r.Chunks) {
		missed *= float64(max(0, r.Chunks-r.Read-i)) / float64(r.Chunks-i)
	}
	return 1 - missed
}
