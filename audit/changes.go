package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
)

// A Change is what a statement did to one field of one row. It says that the
// field changed, and holds the values so that they can be proved but not read:
// see State.
type Change struct {
	Row    int    // place in Event.Rows; AllRows for a bulk statement that names none
	Field  string // one of Event.Fields
	Before Value
	After  Value
}

// AllRows is the Row of a change that a statement made to all rows it counts.
const AllRows = -1

// A ChangeKind is one of three: it gave the field a value, it took the
// value away (NULL, or the row is gone), or nobody read what it did.
type ChangeKind string

// The kinds of changes.
const (
	Set     ChangeKind = "set"
	Cleared ChangeKind = "cleared"
	Unread  ChangeKind = "unknown"
)

// Kind tells what the change did to the field.
func (c Change) Kind() ChangeKind {
	switch c.After.State {
	case Unknown:
		return Unread
	case Absent, Null:
		return Cleared
	}
	return Set
}

// A State says in which form an event holds a value.
type State uint8

// The forms of a value. NULL, the empty text (a Committed or Plain value like
// any other) and a row that does not exist are three different things.
const (
	Absent    State = iota // the row did not exist, or does not any more
	Null                   // SQL NULL
	Committed              // a commitment: Log.Proves tells whether a value is the one
	Plain                  // the value itself, of a field declared to be nobody's secret
	Masked                 // what the declared mask made of the value
	Unknown                // not read
	states
)

// String names the state.
func (s State) String() string {
	names := [...]string{"absent", "null", "committed", "plain", "masked", "unknown"}
	if int(s) < len(names) {
		return names[s]
	}
	return "?"
}

// A Value is one side of a Change.
type Value struct {
	State State
	Sum   [sha256.Size]byte // the commitment, if State is Committed
	Text  string            // the text, if State is Plain or Masked
}

// String shows the value on a screen: the text, or what there is instead of it.
func (v Value) String() string {
	switch v.State {
	case Plain, Masked:
		return v.Text
	case Committed:
		return "#" + hex.EncodeToString(v.Sum[:4])
	}
	return v.State.String()
}

// checkChanges refuses changes that have no encoding, and sorts the others.
func (e *Event) checkChanges() error {
	for i := range e.Changes {
		c := &e.Changes[i]
		c.Field = clean(c.Field, maxID)
		c.Before.Text, c.After.Text = clean(c.Before.Text, maxText), clean(c.After.Text, maxText)
		if c.Row < AllRows || c.Row >= len(e.Rows) || !slices.Contains(e.Fields, c.Field) {
			return fmt.Errorf("%w: %s has a change of a row or field that it does not name", ErrInvalid, e.Action)
		}
	}
	slices.SortFunc(e.Changes, func(a, b Change) int {
		if a.Row != b.Row {
			return a.Row - b.Row
		}
		return slices.Index(e.Fields, a.Field) - slices.Index(e.Fields, b.Field)
	})
	return nil
}

func appendChanges(b []byte, e *Event) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Changes)))
	last := [2]int{-1, 0}
	for _, c := range e.Changes {
		at := [2]int{c.Row + 1, slices.Index(e.Fields, c.Field)}
		if at[0] < 0 || at[0] > len(e.Rows) || at[1] < 0 || slices.Compare(at[:], last[:]) <= 0 {
			return nil, fmt.Errorf("audit: change of %s: %w", c.Field, errMalformed)
		}
		last = at
		b = binary.BigEndian.AppendUint32(b, uint32(at[0]))
		b = binary.BigEndian.AppendUint32(b, uint32(at[1]))
		b = appendValue(appendValue(b, c.Before), c.After)
	}
	return b, nil
}

func appendValue(b []byte, v Value) []byte {
	b = append(b, byte(v.State))
	switch v.State {
	case Committed:
		return append(b, v.Sum[:]...)
	case Plain, Masked:
		return appendText(b, v.Text)
	}
	return b
}

// changes reads at least one change, each behind the one before.
func (d *decoder) changes(e *Event) []Change {
	n := d.count(10)
	if n == 0 {
		d.bad = true
		return nil
	}
	first := make(map[string]int, len(e.Fields))
	for i, f := range slices.Backward(e.Fields) {
		first[f] = i
	}
	list := make([]Change, n)
	last := [2]int{-1, 0}
	for i := range list {
		at := [2]int{int(d.uint32()), int(d.uint32())}
		list[i].Before, list[i].After = d.value(), d.value()
		if d.bad || at[0] > len(e.Rows) || at[1] >= len(e.Fields) || first[e.Fields[at[1]]] != at[1] || slices.Compare(at[:], last[:]) <= 0 {
			d.bad = true
			return nil
		}
		last = at
		list[i].Row, list[i].Field = at[0]-1, e.Fields[at[1]]
	}
	return list
}

func (d *decoder) value() (v Value) {
	v.State = State(d.byte())
	switch v.State {
	case Committed:
		copy(v.Sum[:], d.bytes(sha256.Size))
	case Plain, Masked:
		v.Text = d.text()
	}
	d.bad = d.bad || v.State >= states
	return v
}
