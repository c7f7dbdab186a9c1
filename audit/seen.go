package audit

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Seen records that rows of a resource were shown to the actor in ctx: one event
// "<resource>.read" for a whole page, with the names of the fields that could be
// read on it. It does not wait for the database unless Config.Class makes it Must.
//
// Within Config.SeenWindow, the same page shown to the same actor again is
// counted, and recorded as one more event at its end, with the attributes
// repeats, since and until. Flush and Close end all windows.
func (l *Log) Seen(ctx context.Context, resource string, rows, fields []string, attrs ...slog.Attr) error {
	for first := true; first || len(rows) > 0; first = false {
		n := min(len(rows), maxRows)
		e := &Event{Action: resource + ".read", Resource: resource, Result: "ok", Actor: l.actor(ctx), Fields: slices.Clone(fields)}
		for _, id := range rows[:n] {
			e.Rows = append(e.Rows, Row{ID: id})
		}
		if err := l.saw(ctx, e, attrs); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (l *Log) saw(ctx context.Context, e *Event, attrs []slog.Attr) error {
	if err := e.apply(attrs); err != nil {
		return err
	}
	if e.Purpose == "" {
		e.Purpose = SourceOf(ctx).Purpose
	}
	if l.class(e.Action, Should) == Must {
		p, err := l.encode(e)
		if err != nil {
			return err
		}
		return l.record(ctx, p, e)
	}
	if l.cfg.SeenWindow <= 0 {
		return l.keep(ctx, e)
	}
	now := l.cfg.Now()
	again, ended := l.sights.see(e, now, l.cfg.SeenWindow)
	if err := l.keepAll(ctx, ended); err != nil || again {
		return err
	}
	return l.keep(ctx, e)
}

// keep leaves an event in the queue's memory.
func (l *Log) keep(ctx context.Context, e *Event) error {
	p, err := l.encode(e)
	if err != nil {
		return err
	}
	return l.queue.keep(ctx, &queued{event: p, tenant: e.Actor.Tenant, class: l.class(e.Action, Should)})
}

func (l *Log) keepAll(ctx context.Context, events []*Event) error {
	for _, e := range events {
		if err := l.keep(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// maxSights bounds the pages whose repetition is counted at the same time.
const maxSights = 4096

// sights counts repetitions of the same reading.
type sights struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]*sight
	next time.Time // when the first window ends; zero if none is open
}

type sight struct {
	event       *Event
	began, ends time.Time
	last        time.Time
	since       time.Time // of the first repetition
	repeats     int64
}

// see tells whether e repeats what is known, and returns the events of windows that have ended.
func (s *sights) see(e *Event, now time.Time, window time.Duration) (again bool, ended []*Event) {
	key := e.sameness()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[[sha256.Size]byte]*sight{}
	}
	if !s.next.IsZero() && !now.Before(s.next) {
		ended = s.end(func(x *sight) bool { return !now.Before(x.ends) })
	}
	if len(s.open) >= maxSights {
		ended = append(ended, s.end(func(*sight) bool { return true })...)
	}
	if x := s.open[key]; x != nil {
		if x.repeats == 0 {
			x.since = now
		}
		x.repeats++
		x.last = now
		return true, ended
	}
	s.open[key] = &sight{event: e, began: now, ends: now.Add(window)}
	s.next = soonest(s.next, now.Add(window))
	return false, ended
}

// end closes windows and returns the events of those that saw repetitions. It runs under mu.
func (s *sights) end(over func(*sight) bool) (ended []*Event) {
	s.next = time.Time{}
	for key, x := range s.open {
		if !over(x) {
			s.next = soonest(s.next, x.ends)
			continue
		}
		delete(s.open, key)
		if x.repeats > 0 {
			e := *x.event
			e.Attrs = append(slices.Clip(withoutDataTypes(e.Attrs)), slog.Int64("repeats", x.repeats),
				slog.String("since", gapTime(x.since.UnixMicro())), slog.String("until", gapTime(x.last.UnixMicro())))
			ended = append(ended, &e)
		}
	}
	return ended
}

// over closes the windows that have ended by now.
func (s *sights) over(now time.Time) []*Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(func(x *sight) bool { return !now.Before(x.ends) })
}

func soonest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func (s *sights) endAll() []*Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(func(*sight) bool { return true })
}

// sameness is equal for readings that differ in nothing but request and time.
func (e *Event) sameness() [sha256.Size]byte {
	var b []byte
	for _, t := range [...]string{e.Actor.Tenant, e.Actor.ID, e.Actor.IP, e.Actor.Channel, e.Resource, e.Subject, e.Purpose, e.Result} {
		b = appendText(b, t)
	}
	for _, r := range e.Rows {
		b = appendText(b, r.ID)
	}
	b = append(b, 0xff) // no length begins so
	for _, f := range e.Fields {
		b = appendText(b, f)
	}
	b = append(b, 0xff)
	for _, a := range withoutDataTypes(e.Attrs) {
		b = appendText(appendText(b, a.Key), a.Value.Kind().String()+text(a.Value))
	}
	return sha256.Sum256(b)
}

// withoutDataTypes leaves out what encode adds by itself.
func withoutDataTypes(attrs []slog.Attr) []slog.Attr {
	return slices.DeleteFunc(slices.Clone(attrs), func(a slog.Attr) bool { return a.Key == dataTypesKey })
}
