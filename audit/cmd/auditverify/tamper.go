package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
)

func verifiers(keys audit.Keys) []note.Verifier {
	list := make([]note.Verifier, len(keys))
	for i, k := range keys {
		list[i] = k.Verifier
	}
	return list
}

// A copy is an export taken apart: its first line and its frames but the last.
type copied struct {
	magic  []byte
	frames [][]byte
}

func takeApart(data []byte) (copied, error) {
	magic, rest, ok := bytes.Cut(data, []byte("\n"))
	x := copied{magic: append(bytes.Clone(magic), '\n')}
	for ok && len(rest) >= 5 {
		n := 5 + int(binary.BigEndian.Uint32(rest[1:]))
		if n > len(rest) {
			break
		}
		x.frames = append(x.frames, rest[:n:n])
		rest = rest[n:]
	}
	if len(rest) > 0 || len(x.frames) < 4 || x.frames[len(x.frames)-1][0] != 'Z' {
		return x, fmt.Errorf("%w: tamper needs a whole export of version 3 with events", errUsage)
	}
	x.frames = x.frames[:len(x.frames)-1]
	return x, nil
}

// bytes puts the copy together, with a last frame that fits what is left: an
// attacker would not forget that.
func (x copied) bytes() []byte {
	b := append(bytes.Clone(x.magic), bytes.Join(x.frames, nil)...)
	return binary.BigEndian.AppendUint64(append(b, 'Z', 0, 0, 0, 8), uint64(len(x.frames)))
}

func (x copied) edit(i int, f func(frame []byte)) copied {
	frames := slices.Clone(x.frames)
	frames[i] = bytes.Clone(frames[i])
	f(frames[i])
	return copied{x.magic, frames}
}

func (x copied) remove(first, last int) copied {
	return copied{x.magic, slices.Delete(slices.Clone(x.frames), first, last+1)}
}

// A target is the longest tenant's log: the frames of its head, first and last entry.
type target struct{ head, first, last int }

func (x copied) target() (t target, top target, ok bool) {
	head := 0
	for i, f := range x.frames {
		switch f[0] {
		case 'H':
			head = i
		case 'E':
			switch {
			case binary.BigEndian.Uint32(x.frames[head][5:]) == 0:
				top = target{head, head + 1, i}
			case i-head > t.last-t.head:
				t = target{head, head + 1, i}
			}
		}
	}
	return t, top, t.last > t.first+1
}

// An attack changes a copy; one of the kinds must be among what is found.
type attack struct {
	name  string
	do    func(x copied) copied
	kinds []audit.Kind
}

// body is where the bytes of an entry's event begin in its frame.
const body = 5 + 8 + 42

func attacks(t, top target) []attack {
	middle := (t.first + t.last) / 2
	edit := func(i, at int) func(copied) copied {
		return func(x copied) copied { return x.edit(i, func(f []byte) { f[at] ^= 1 }) }
	}
	swap := func(i, j int) func(copied) copied {
		return func(x copied) copied { // the bytes change places, the places stay
			return x.with(i, x.frames[j]).with(j, x.frames[i])
		}
	}
	return []attack{
		{"edit an event", edit(middle, body+30), []audit.Kind{audit.Edited}},
		{"edit the first event", edit(t.first, body+30), []audit.Kind{audit.Edited}},
		{"edit the last event", edit(t.last, body+30), []audit.Kind{audit.Edited}},
		{"edit an event's time", edit(middle, body+24), []audit.Kind{audit.Edited}},
		{"edit an event's id", edit(middle, body+3), []audit.Kind{audit.Edited}},
		{"edit a predecessor's hash", edit(middle, 5+8+20), []audit.Kind{audit.Edited}},
		{"edit a format version", edit(middle, 5+8), []audit.Kind{audit.Edited}},
		{"delete the first event", func(x copied) copied { return x.remove(t.first, t.first) }, []audit.Kind{audit.Deleted}},
		{"delete one in the middle", func(x copied) copied { return x.remove(middle, middle) }, []audit.Kind{audit.Deleted, audit.Truncated}},
		{"delete the last event", func(x copied) copied { return x.remove(t.last, t.last) }, []audit.Kind{audit.Truncated}},
		{"delete all events of a log", func(x copied) copied { return x.remove(t.first, t.last) }, []audit.Kind{audit.LogDeleted}},
		{"delete a log with its head", func(x copied) copied { return x.remove(t.head, t.last) }, []audit.Kind{audit.LogDeleted}},
		{"insert an event twice", func(x copied) copied {
			return copied{x.magic, slices.Insert(slices.Clone(x.frames), middle, x.frames[middle])}
		}, []audit.Kind{audit.Inserted}},
		{"swap two events", swap(t.first, t.last), []audit.Kind{audit.Reordered}},
		{"claim an event was pruned", func(x copied) copied {
			return x.with(middle, append([]byte{'B', 0, 0, 0, 40}, append(bytes.Clone(x.frames[middle][5:13]), make([]byte, 32)...)...))
		}, []audit.Kind{audit.Edited, audit.Rewritten}},
		{"edit the head's length", func(x copied) copied {
			n := int(binary.BigEndian.Uint32(x.frames[t.head][5:]))
			return x.edit(t.head, func(f []byte) { f[5+4+n+7] ^= 1 })
		}, []audit.Kind{audit.HeadEdited}},
		{"edit the head's checkpoint", func(x copied) copied {
			return x.edit(t.head, func(f []byte) { f[len(f)-10] ^= 1 })
		}, []audit.Kind{audit.BadCheckpoint}},
		{"edit a checkpoint in the top log", edit(top.first, body+4), []audit.Kind{audit.Edited}},
		{"delete the newest checkpoint of the whole", func(x copied) copied { return x.remove(top.last, top.last) }, []audit.Kind{audit.Truncated, audit.LogDeleted}},
		{"delete the top log", func(x copied) copied { return x.remove(top.head, top.last) }, []audit.Kind{audit.HeadEdited, audit.LogDeleted}},
	}
}

func (x copied) with(i int, frame []byte) copied {
	frames := slices.Clone(x.frames)
	seq := x.frames[i][5:13]
	frames[i] = bytes.Clone(frame)
	copy(frames[i][5:13], seq)
	return copied{x.magic, frames}
}

// tamper is the verb `tamper`.
func tamper(ctx context.Context, c *command) error {
	data, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	x, err := takeApart(data)
	if err != nil {
		return err
	}
	t, top, ok := x.target()
	if !ok {
		return fmt.Errorf("%w: tamper needs a log of three events or more", errUsage)
	}
	check := func(data []byte) (audit.Report, error) {
		return audit.VerifyExport(ctx, bytes.NewReader(data), c.keys[0].Verifier, c.opts)
	}
	r, err := check(data)
	if err != nil {
		return err
	}
	if !r.OK {
		return fmt.Errorf("%w: the export itself is not what was written; run verify", errFound)
	}
	missed := 0
	for _, a := range attacks(t, top) {
		r, err := check(a.do(x).bytes())
		if !c.tell(a, r, err) {
			missed++
		}
	}
	if missed > 0 {
		return fmt.Errorf("%w: %d attacks were not found, or not named rightly", errFound, missed)
	}
	return nil
}

// tell prints what became of an attack and whether it was found for what it is.
func (c *command) tell(a attack, r audit.Report, err error) bool {
	switch {
	case err != nil && errors.Is(err, audit.ErrInvalid):
		fmt.Fprintf(c.out, "refused  %s: %v\n", a.name, err)
		return true
	case err != nil:
		fmt.Fprintf(c.out, "FAILED   %s: %v\n", a.name, err)
		return false
	}
	for _, b := range r.Breaks {
		if slices.Contains(a.kinds, b.Kind) {
			fmt.Fprintf(c.out, "found    %s: %s\n", a.name, b)
			return true
		}
	}
	fmt.Fprintf(c.out, "MISSED   %s: %s\n", a.name, r)
	return false
}
