package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"
)

// Record adds an event. Under WithTx it is part of that transaction; otherwise
// Record returns when the event is committed (many callers share one commit).
// If it returns an error, refuse the act the event is about. (The error can mean that
// nobody knows: then the event may be in the log although the act was refused.)
// Config.Class makes events less strict; see Class.
//
// The attributes resource, row, rows, fields, subject, purpose and result fill
// the fields of Event of the same name; rows and fields take a []string or a
// string with commas. Other attributes are kept when they are strings, numbers,
// booleans, times or types with a LogValue; anything else is an error. Never
// give personal values: what is in the log stays there.
func (l *Log) Record(ctx context.Context, action string, attrs ...slog.Attr) error {
	e, p, err := l.build(ctx, action, "ok", attrs)
	if err != nil {
		return err
	}
	return l.record(ctx, p, e)
}

func (l *Log) record(ctx context.Context, p Pending, e *Event) error {
	pool, ok := Tx(ctx)
	if !ok {
		return l.queue.add(ctx, p, e.Actor.Tenant, l.class(e.Action, Must))
	}
	if !isTx(pool) {
		return fmt.Errorf("%w: WithTx got a *gorm.DB outside a transaction; use the one that db.Transaction gives", ErrInvalid)
	}
	if l.queue.isClosed() {
		return fmt.Errorf("%w: %s was not recorded", ErrClosed, e.Action)
	}
	if err := l.cfg.Store.Enqueue(ctx, []Pending{p}); err != nil {
		return fmt.Errorf("audit: record %s: %w", e.Action, err)
	}
	return nil
}

// RecordApart adds an event that must outlive the caller's transaction: a denied
// or failed act. It takes the event and returns; the event is written by another
// connection as soon as the database lets it. Flush and Close wait for that. With
// Config.Spill it is on the local disk before RecordApart returns; without, a
// process that is killed loses it.
func (l *Log) RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error {
	e, p, err := l.build(ctx, action, "failed", attrs)
	if err != nil {
		return err
	}
	return l.queue.addApart(ctx, p, e.Actor.Tenant, l.class(action, Should))
}

func (l *Log) build(ctx context.Context, action, result string, attrs []slog.Attr) (*Event, Pending, error) {
	switch action {
	case purgeAction:
		return nil, Pending{}, fmt.Errorf("%w: the action %s is Prune's own; give yours another name", ErrInvalid, action)
	case GapAction:
		return nil, Pending{}, fmt.Errorf("%w: the action %s is the log's own; give yours another name", ErrInvalid, action)
	}
	e := &Event{Action: action, Result: result, Actor: l.actor(ctx)}
	if err := e.apply(attrs); err != nil {
		return nil, Pending{}, err
	}
	if e.Purpose == "" {
		e.Purpose = SourceOf(ctx).Purpose
	}
	p, err := l.encode(e)
	return e, p, err
}

// encode completes an event and turns it into what a store keeps until it is sealed.
func (l *Log) encode(e *Event) (Pending, error) {
	now := l.cfg.Now()
	id, err := newID(now)
	if err != nil {
		return Pending{}, fmt.Errorf("audit: event id: %w", err)
	}
	return l.encodeAs(id, now, e)
}

func (l *Log) encodeAs(id [idLength]byte, now time.Time, e *Event) (Pending, error) {
	e.ID, e.Time = hex.EncodeToString(id[:]), now
	l.addDataTypes(e)
	if err := e.normalize(); err != nil {
		return Pending{}, err
	}
	data, err := appendEvent(nil, e)
	if err != nil {
		return Pending{}, err
	}
	return Pending{Event: id[:], Data: data, MAC: l.mac(data)}, nil
}

// pendingOf is encode for an event that comes back from the local disk.
func (l *Log) pendingOf(data []byte) (Pending, error) {
	e, err := decodeEvent(data)
	if err != nil {
		return Pending{}, fmt.Errorf("audit: a spilled event: %w", err)
	}
	return Pending{Event: indexOf(&e).Event, Data: data, MAC: l.mac(data)}, nil
}
