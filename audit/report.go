package audit

import (
	"fmt"
	"strings"
)

// A Kind says what was done to a log.
type Kind string

// The kinds of breaks Verify tells apart.
const (
	Edited        Kind = "edited"         // an entry's bytes are not those that were sealed
	Deleted       Kind = "deleted"        // entries are missing between others
	Inserted      Kind = "inserted"       // entries stand where the sealer put none
	Reordered     Kind = "reordered"      // entries changed places
	Truncated     Kind = "truncated"      // entries at the end are missing
	LogDeleted    Kind = "log-deleted"    // all entries of a log are missing
	Rewritten     Kind = "rewritten"      // a consistent history, but not the signed one
	RolledBack    Kind = "rolled-back"    // the log is older than a checkpoint of it
	Forked        Kind = "forked"         // the log contradicts an anchored checkpoint
	BadCheckpoint Kind = "bad-checkpoint" // a checkpoint has no valid signature
	HeadEdited    Kind = "head-edited"    // a log's head is not what its checkpoint says
	IndexEdited   Kind = "index-edited"   // a query column differs from the sealed bytes
	PendingEdited Kind = "pending-edited" // a waiting event was edited, added or put back
	BadEpoch      Kind = "bad-epoch"      // a declared restore that was not declared like that
	RevisionGap   Kind = "revision-gap"   // changes of a row are missing or counted twice
	SecretLost    Kind = "secret-lost"    // the secret of commitments is gone, and nobody was forgotten
	ErasureUndone Kind = "erasure-undone" // secrets of a forgotten person are back
)

// A Place is where a break is.
type Place struct {
	Log         string // the tenant; "" is the top log
	First, Last int64  // entries, -1 if the break is not about entries
	What        string // what else it is about: a pending row, an object, an anchor
}

func (p Place) String() string {
	log := p.Log
	if log == topLog {
		log = "(top)"
	}
	var b strings.Builder
	b.WriteString(log)
	switch {
	case p.First < 0:
	case p.First == p.Last:
		fmt.Fprintf(&b, "#%d", p.First)
	default:
		fmt.Fprintf(&b, "#%d-%d", p.First, p.Last)
	}
	if p.What != "" {
		b.WriteString(" " + p.What)
	}
	return b.String()
}

// A Break is one place at which the log is not what it was.
type Break struct {
	Kind   Kind
	Place  Place
	Detail string
}

func (b Break) String() string { return fmt.Sprintf("%s %s: %s", b.Kind, b.Place, b.Detail) }

// A Report is the result of a verification.
type Report struct {
	OK       bool // no break was found; read it together with Anchored
	Anchored bool // something outside the database was compared
	Logs     int
	Size     int64 // sealed events that were read
	Pruned   int64 // sealed events of which a purge record left the hash only
	Pending  int64 // events that wait to be sealed

	Checkpoints int64   // size of the top log
	AnchoredTo  int64   // size of the largest anchored checkpoint that fits
	Epochs      []Epoch // declared restores, see DeclareRestore
	Abandoned   int     // checkpoints from outside that a declared restore gave up
	Unprovable  int64   // rows whose values cannot be proved since a declared restore: their secrets were not restored
	Unwitnessed int     // anchored checkpoints that too few witnesses have signed
	Since       int64   // size of the top log up to which an earlier verification was believed
	Breaks      []Break
	More        int      // breaks beyond the first maxBreaks
	Verified    Verified // where the next verification may go on; empty unless OK
}

const maxBreaks = 1000

func (r *Report) add(kind Kind, place Place, format string, args ...any) {
	r.put(Break{kind, place, fmt.Sprintf(format, args...)})
}

func (r *Report) put(b Break) {
	r.OK = false
	if len(r.Breaks) == maxBreaks {
		r.More++
		return
	}
	r.Breaks = append(r.Breaks, b)
}

// String is the report for people: one line for the verdict, one per break.
func (r Report) String() string {
	var b strings.Builder
	switch {
	case !r.OK:
		fmt.Fprintf(&b, "BROKEN: %d breaks in %d events of %d logs", len(r.Breaks)+r.More, r.Size, r.Logs)
	case !r.Anchored:
		fmt.Fprintf(&b, "UNANCHORED: %d events in %d logs fit together, but nothing outside the database says that they are all", r.Size, r.Logs)
	default:
		fmt.Fprintf(&b, "valid: %d events in %d logs, anchored to checkpoint %d of %d", r.Size, r.Logs, r.AnchoredTo, r.Checkpoints)
	}
	if r.Pruned > 0 {
		fmt.Fprintf(&b, "; of %d the retention has left the hashes only", r.Pruned)
	}
	if r.Unprovable > 0 {
		fmt.Fprintf(&b, "; a declared restore did not bring back the secrets of %d rows", r.Unprovable)
	}
	if r.Since > 0 {
		fmt.Fprintf(&b, "; only what was sealed behind checkpoint %d was read", r.Since)
	}
	if r.Unwitnessed > 0 {
		fmt.Fprintf(&b, "; %d checkpoints from outside lack witnesses", r.Unwitnessed)
	}
	if r.Pending > 0 {
		fmt.Fprintf(&b, "; %d events are not sealed yet", r.Pending)
	}
	for _, e := range r.Epochs {
		b.WriteString("\n" + e.String())
	}
	for _, x := range r.Breaks {
		b.WriteString("\n" + x.String())
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", r.More)
	}
	return b.String()
}
