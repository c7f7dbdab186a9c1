package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Outside is a change of a row that a trigger saw and the plugin did not make:
// another program, a console, SQL text on a connection of its own.
type Outside struct {
	ID               int64
	Table, Verb, Row string
	At               time.Time
}

// An OutsideStore is a Store whose database has triggers that write down what
// goes past the plugin. gormstore is one.
type OutsideStore interface {
	// Outside lists what was written down, in that order.
	Outside(ctx context.Context, limit int) ([]Outside, error)

	// Settle adds events and removes what they tell, in one transaction. It
	// returns ErrConflict if something is gone already.
	Settle(ctx context.Context, seen []Outside, events []Pending) error
}

const (
	outsideAction = "audit.outofband"
	outsidePage   = 500
)

// CollectOutside turns what the triggers wrote down into events audit.outofband and
// returns how many. They go to the log of the tenant in ctx, or to that of MainTenant:
// triggers know neither tenant nor actor. Run does it before it seals, if
// Config.Triggers is set.
func (l *Log) CollectOutside(ctx context.Context) (int, error) {
	store, ok := l.cfg.Store.(OutsideStore)
	if !ok {
		return 0, fmt.Errorf("%w: the store knows no triggers", ErrInvalid)
	}
	for total, lost := 0, 0; ; {
		seen, err := store.Outside(ctx, outsidePage)
		if err != nil || len(seen) == 0 {
			return total, wrapOutside(err)
		}
		events := make([]Pending, len(seen))
		for i, o := range seen {
			if events[i], err = l.encode(outsideEvent(o, l.cfg.Actor(ctx).Tenant)); err != nil {
				return total, err
			}
		}
		err = store.Settle(ctx, seen, events)
		if errors.Is(err, ErrConflict) && lost < sealAttempts { // another process is at it
			lost++
			if err := pause(ctx, lost); err != nil {
				return total, err
			}
			continue
		}
		if err != nil {
			return total, wrapOutside(err)
		}
		if total += len(seen); len(seen) < outsidePage {
			return total, nil
		}
	}
}

func wrapOutside(err error) error {
	if err != nil {
		return fmt.Errorf("audit: collect what the triggers saw: %w", err)
	}
	return nil
}

func outsideEvent(o Outside, tenant string) *Event {
	e := &Event{Action: outsideAction, Result: "ok", Actor: Actor{Tenant: tenant}, Attrs: []slog.Attr{slog.String("verb", o.Verb), slog.String("at", o.At.UTC().Format(time.RFC3339Nano))}}
	if checkName("", o.Table) == nil {
		e.Resource = o.Table
	} else {
		e.Attrs = append(e.Attrs, slog.String("table", clean(o.Table, maxText)))
	}
	if o.Row != "" && e.Resource != "" {
		e.Rows = []Row{{ID: o.Row}}
	}
	return e
}
