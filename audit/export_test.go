package audit

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// What the tests outside the package may see of the formats inside.
var (
	DecodeEvent   = decodeEvent
	Clean         = clean
	LogOf         = logOf
	OriginOf      = originOf
	ParseNoteText = parseCheckpoint
)

// EncodeEvent encodes e without touching it.
func EncodeEvent(e Event) ([]byte, error) { return appendEvent(nil, &e) }

// EncodeEntry encodes an entry and returns its leaf hash.
func EncodeEntry(log string, kind byte, seq int64, prev *tlog.Hash, body []byte) ([]byte, tlog.Hash) {
	e := entry{kind: kind, seq: seq, prev: genesis(log), body: body}
	if prev != nil {
		e.prev = *prev
	}
	data := e.encode()
	return data, tlog.RecordHash(data)
}

// DecodeEntry tells whether the bytes are an entry, and encodes it again.
func DecodeEntry(b []byte) ([]byte, error) {
	e, err := decodeEntry(b)
	return e.encode(), err
}

// Tree is the tree of the sealer.
type Tree struct{ t tree }

func (t *Tree) Append(h tlog.Hash) { t.t.append(h) }
func (t *Tree) Root() tlog.Hash    { return t.t.root() }

// Reload stores and loads the tree as a head does.
func (t *Tree) Reload() error {
	again, err := treeFrom(t.t.size, t.t.marshalEdge())
	if err == nil {
		t.t = *again
	}
	return err
}

// VectorEvent is the event of the frozen vectors.
func VectorEvent() Event {
	return Event{ID: hex.EncodeToString([]byte("0123456789abcdef")), Time: time.UnixMicro(1763716500123456).UTC(),
		Actor:  Actor{ID: "3", Tenant: "main", IP: "10.0.0.7", Channel: "web", RequestID: "r-1"},
		Action: "customer.reveal", Resource: "customer", Rows: []Row{{"1", 0}, {"59", 7}}, Fields: []string{"email", "phone"},
		Subject: "customer:1", Purpose: "回电 ticket 7", Result: "ok",
		Attrs: []slog.Attr{slog.String("policy", "v3"), slog.Int64("count", -2), slog.Bool("soft", true)}}
}

// ChangesEvent is the event of the frozen vectors of version 2.
func ChangesEvent() Event {
	e := VectorEvent()
	e.Action = "customer.update"
	sum := Value{State: Committed}
	for i := range sum.Sum {
		sum.Sum[i] = byte(i)
	}
	e.Changes = []Change{
		{Row: AllRows, Field: "phone", Before: Value{State: Unknown}, After: Value{State: Plain}},
		{Row: 0, Field: "email", Before: Value{State: Null}, After: sum},
		{Row: 1, Field: "email", Before: sum, After: Value{State: Absent}},
		{Row: 1, Field: "phone", Before: Value{State: Masked, Text: "138****8000"}, After: Value{State: Plain, Text: "回"}},
	}
	return e
}

// WritesIn tells what SQL text would change.
func WritesIn(l *Log, text, engine string) (verb string, tables []string) {
	w, _ := l.writesIn(text, engine)
	return w.verb, w.tables
}

// Hides tells why a statement behind this text would not be one: it ends inside
// a comment that runs to the end of its line. "" is: it would be one.
func Hides(text, engine string) string {
	if _, clear := tokenize(text, engine); !clear {
		return ""
	}
	line := text[strings.LastIndexByte(text, '\n')+1:]
	if strings.Contains(line, "--") || strings.Contains(line, "#") {
		return "a comment"
	}
	return ""
}

// IndexOf derives the index of an entry.
func IndexOf(data []byte) Index {
	e, ev, err := openEntry(data)
	if err != nil || e.kind == kindCheckpoint {
		return indexOfCheckpoint(data, checkpointLog(data))
	}
	return indexOf(&ev)
}

// EncodeEpoch encodes the entry of a declared restore.
func EncodeEpoch(e Epoch) []byte { return e.encode() }

// DecodeEpoch reads what EncodeEpoch made, at a place of the top log.
func DecodeEpoch(b []byte, seq int64, keys Keys) (Epoch, error) { return decodeEpoch(b, seq, keys) }

// SealAll puts events straight into their logs, in one commit: what the sealer does
// with events that waited, without the waiting.
func SealAll(ctx context.Context, l *Log, events []Event) error {
	s := &sealer{l: l, logs: map[string]*sealedLog{}}
	checked := make([]checkedEvent, len(events))
	for i := range events {
		data, err := EncodeEvent(events[i])
		if err != nil {
			return err
		}
		checked[i] = checkedEvent{Pending: Pending{Data: data}, event: events[i]}
	}
	if err := s.load(ctx, checked); err != nil {
		return err
	}
	for i := range checked {
		s.append(&checked[i])
	}
	if err := s.close(); err != nil {
		return err
	}
	s.batch.Sealed = nil
	return l.cfg.Store.Commit(ctx, s.batch)
}
