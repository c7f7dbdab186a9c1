package alert

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// An Alert says which rule found what, and where. It holds no personal values.
type Alert struct {
	ID     string    `json:"id"` // the same for every delivery of this alert
	Rule   string    `json:"rule"`
	Tenant string    `json:"tenant,omitempty"` // "" if it is about all of them
	Actor  string    `json:"actor,omitempty"`
	Time   time.Time `json:"time"`             // of the event, or when it was noticed
	Seq    int64     `json:"seq"`              // place of the event in its tenant's log; -1 if it is about none
	Count  int64     `json:"count,omitempty"`  // what the rule counted
	Detail string    `json:"detail,omitempty"` // words of the rule
}

// A Deliverer brings an alert to somebody. It may get the same one again after a
// failure, and must then return nil if it is there already.
type Deliverer interface {
	Deliver(ctx context.Context, a Alert) error
}

// All delivers to each of several. One that fails makes all of them get the alert again.
type All []Deliverer

// Deliver implements Deliverer.
func (d All) Deliver(ctx context.Context, a Alert) error {
	var failed []error
	for _, x := range d {
		failed = append(failed, x.Deliver(ctx, a))
	}
	return errors.Join(failed...)
}

// Slog writes alerts as warnings of a logger.
type Slog struct{ Logger *slog.Logger }

// Deliver implements Deliverer.
func (d Slog) Deliver(ctx context.Context, a Alert) error {
	d.Logger.WarnContext(ctx, "audit alert", "id", a.ID, "rule", a.Rule, "tenant", a.Tenant, "actor", a.Actor,
		"time", a.Time, "seq", a.Seq, "count", a.Count, "detail", a.Detail)
	return nil
}
