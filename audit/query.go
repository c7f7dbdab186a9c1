package audit

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A Query selects sealed events of one tenant. Empty fields select everything.
type Query struct {
	Tenant   string    // "" is the tenant of the actor in ctx
	From, To time.Time // From <= Time < To
	Actor    string
	Action   string
	Resource string
	Row      string // needs Resource
	Result   string
	Channel  string
	Subject  string // the person the event is about
	Purpose  string
	DataType string // one of those that Config.DataType gave the event's fields

	OldestFirst bool   // by place in the log; the newest come first otherwise
	After       string // Cursor of the last event of the page before
	Limit       int    // 0 is no limit
}

const queryPage = 200

// Events returns the selected events in the order of the log. What it yields
// was decoded from the hashed bytes and compared with the index it was found by;
// an entry that does not fit is yielded as an error that is ErrTampered,
// and the loop may go on behind it. Events not sealed yet are not shown.
func (l *Log) Events(ctx context.Context, q Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s, err := l.selection(ctx, q)
		if err != nil {
			yield(Event{}, err)
			return
		}
		pruned := purge{through: -1}
		for left := q.Limit; ; {
			s.Limit = queryPage
			if q.Limit > 0 {
				s.Limit = min(queryPage, left)
			}
			entries, err := l.cfg.Store.Entries(ctx, s)
			if err != nil {
				yield(Event{}, fmt.Errorf("audit: events: %w", err))
				return
			}
			for _, e := range entries {
				if len(e.Data) == 0 && e.Seq > pruned.through {
					if pruned, err = lastPurge(ctx, l.cfg.Store, s.Log); err != nil && !yield(Event{}, err) {
						return
					}
				}
				if e.Seq <= pruned.through {
					continue
				}
				left--
				if !yield(readEvent(e)) {
					return
				}
			}
			if len(entries) < s.Limit || q.Limit > 0 && left <= 0 {
				return
			}
			if !s.continueAfter(entries[len(entries)-1].Seq) {
				return
			}
			s.MinSeq = max(s.MinSeq, pruned.through+1)
		}
	}
}

// continueAfter makes s select what comes behind a place. It tells whether there can be
// anything: whoever can write to the database can use the last number there is.
func (s *Selection) continueAfter(seq int64) bool {
	if s.Descending {
		s.MaxSeq = max(seq, math.MinInt64+1) - 1
		return seq > s.MinSeq
	}
	s.MinSeq = min(seq, math.MaxInt64-1) + 1
	return seq < s.MaxSeq
}

func (l *Log) selection(ctx context.Context, q Query) (Selection, error) {
	s := Selection{Log: q.Tenant, MaxSeq: math.MaxInt64, Descending: !q.OldestFirst,
		Actor: q.Actor, Action: q.Action, Resource: q.Resource, Row: q.Row, Result: q.Result,
		Channel: q.Channel, Subject: q.Subject, Purpose: clean(q.Purpose, maxID), DataType: q.DataType}
	if q.Tenant == "" {
		tenant, err := tenantOf(l.cfg.Actor(ctx))
		if err != nil {
			return s, err
		}
		s.Log = tenant
	}
	if q.Row != "" && q.Resource == "" {
		return s, fmt.Errorf("%w: Query.Row needs Query.Resource: row ids are unique only within a resource", ErrInvalid)
	}
	if !q.From.IsZero() {
		s.Since = q.From.UnixMicro()
	}
	if !q.To.IsZero() {
		s.Until = q.To.UnixMicro()
	}
	if q.After != "" {
		seq, err := strconv.ParseInt(q.After, 10, 64)
		if err != nil || seq < 0 {
			return s, fmt.Errorf("%w: Query.After is not a cursor; use Event.Cursor", ErrInvalid)
		}
		s.continueAfter(seq)
	}
	return s, nil
}

// readEvent turns a stored entry into the event it holds, and checks that
// nobody changed the bytes or the index without the other.
func readEvent(s Stored) (Event, error) {
	hash := tlog.RecordHash(s.Data)
	if !bytes.Equal(hash[:], s.Hash) {
		return Event{}, fmt.Errorf("%w: entry %d of log %q was edited; run Verify", ErrTampered, s.Seq, s.Log)
	}
	e, ev, err := openEntry(s.Data)
	if err != nil || e.kind != kindEvent || e.seq != s.Seq || ev.Actor.Tenant != s.Log {
		return Event{}, fmt.Errorf("%w: entry %d of log %q is not what belongs there; run Verify", ErrTampered, s.Seq, s.Log)
	}
	if column := indexFault(indexOf(&ev), s.Index); column != "" {
		return Event{}, fmt.Errorf("%w: column %s of entry %d of log %q was edited; run Verify", ErrTampered, column, s.Seq, s.Log)
	}
	ev.Seq = s.Seq
	return ev, nil
}

// openEntry decodes an entry and, when it holds one, its event.
func openEntry(data []byte) (entry, Event, error) {
	e, err := decodeEntry(data)
	if err != nil || e.kind != kindEvent {
		return e, Event{}, err
	}
	ev, err := decodeEvent(e.body)
	return e, ev, err
}

// indexFault names the first column of have that is not what want says.
func indexFault(want, have Index) string {
	switch {
	case !bytes.Equal(want.Event, have.Event):
		return "event"
	case want.At != have.At:
		return "at"
	case want.Actor != have.Actor:
		return "actor"
	case want.Action != have.Action:
		return "action"
	case want.Resource != have.Resource:
		return "resource"
	case want.Result != have.Result:
		return "result"
	case !sameRows(want.Rows, have.Rows):
		return "rows"
	case want.Channel != have.Channel:
		return "channel"
	case want.Subject != have.Subject:
		return "subject"
	case want.Purpose != have.Purpose:
		return "purpose"
	case !sameRows(want.DataTypes, have.DataTypes):
		return "data types"
	}
	return ""
}

func sameRows(want, have []string) bool {
	if len(want) != len(have) {
		return false
	}
	if slices.Equal(want, have) {
		return true
	}
	want, have = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(have))
	return slices.Equal(want, have)
}

// Waiting returns the events that are committed and not sealed yet, in the order
// in which they were added: the present beside the history that Events shows. The
// same filters apply, cursors do not. Nothing proves that none is missing; each that
// is shown carries the recorder's MAC, and one that does not is yielded as an
// error that is ErrTampered.
func (l *Log) Waiting(ctx context.Context, q Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if q.After != "" || !q.OldestFirst {
			yield(Event{}, fmt.Errorf("%w: Waiting knows only OldestFirst and no After: events that are not sealed have no place yet", ErrInvalid))
			return
		}
		s, err := l.selection(ctx, q)
		if err != nil {
			yield(Event{}, err)
			return
		}
		left := q.Limit
		for after := int64(math.MinInt64); ; {
			page, err := l.cfg.Store.Pending(ctx, after, queryPage)
			if err != nil {
				yield(Event{}, fmt.Errorf("audit: waiting events: %w", err))
				return
			}
			for _, p := range page {
				after = p.ID
				e, show, err := l.waiting(p, s)
				if !show {
					continue
				}
				if !yield(e, err) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
			if len(page) < queryPage {
				return
			}
		}
	}
}

// waiting reads a pending event and tells whether it belongs to the selection.
// One that was tampered with belongs to all of them.
func (l *Log) waiting(p Pending, s Selection) (e Event, show bool, err error) {
	if p.Sealed {
		return e, false, nil // Events shows it; if it was put back, Verify says so
	}
	e, fault := l.checkPending(p)
	if fault != "" {
		return Event{}, true, fmt.Errorf("%w: pending row %d: %s; run Verify", ErrTampered, p.ID, fault)
	}
	e.Seq = -1
	return e, e.Actor.Tenant == s.Log && s.matches(Stored{Seq: s.MinSeq, Index: indexOf(&e)}), nil
}
