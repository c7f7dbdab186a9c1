package desk

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/who"
)

// SeesAudit reports whether the caller may read the log, so that a page offers it.
func (d *Desk) SeesAudit(ctx context.Context) (bool, error) { return d.may(ctx, "audit", self(ctx)) }

// EventPageSize is the number of events on a page of the log.
const EventPageSize = 50

// Events returns a page of the audit log, newest first.
func (d *Desk) Events(ctx context.Context, q EventQuery) (EventPage, error) {
	if err := d.must(ctx, "audit", self(ctx)); err != nil {
		return EventPage{}, err
	}
	if err := d.sealNow(ctx); err != nil {
		return EventPage{}, err
	}
	page := EventPage{Page: max(1, q.Page)}
	skip := (page.Page - 1) * EventPageSize
	query := audit.Query{
		Tenant: who.From(ctx).Tenant, Actor: q.Actor, Action: q.Action, Resource: q.Resource, Row: q.Row,
		Result: q.Result, Channel: q.Channel, Subject: q.Subject, Purpose: q.Purpose, DataType: q.DataType,
		From: q.From, To: q.To, Limit: skip + EventPageSize + 1,
	}
	n := 0
	for e, err := range d.Log.Events(ctx, query) {
		if err != nil {
			return EventPage{}, err
		}
		if n++; n <= skip {
			continue
		}
		if len(page.Events) == EventPageSize {
			page.More = true
			break
		}
		page.Events = append(page.Events, show(e))
	}
	return page, nil
}

func show(e audit.Event) Event {
	rows := make([]string, len(e.Rows))
	for i, r := range e.Rows {
		rows[i] = r.ID
	}
	return Event{
		Seq: e.Seq, Time: e.Time, Actor: e.Actor.ID, Action: e.Action, Resource: e.Resource, Row: strings.Join(rows, ", "),
		Fields: strings.Join(e.Fields, ", "), Purpose: e.Purpose, Result: e.Result, IP: e.Actor.IP, Channel: e.Actor.Channel,
	}
}

// VerifyLog checks the whole log against its signatures and anchors.
func (d *Desk) VerifyLog(ctx context.Context) (Verdict, error) {
	if err := d.must(ctx, "audit", self(ctx)); err != nil {
		return Verdict{}, err
	}
	if err := d.sealNow(ctx); err != nil {
		return Verdict{}, err
	}
	report, err := d.Log.Verify(ctx, audit.VerifyOptions{})
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{OK: report.OK, Anchored: report.Anchored, Size: report.Size}
	if err := d.Log.Record(ctx, VerifyAction, VerifyAttrs(report)...); err != nil {
		return Verdict{}, err
	}
	for _, b := range report.Breaks {
		v.Breaks = append(v.Breaks, Break{Kind: string(b.Kind), Place: fmt.Sprint(b.Place), Detail: b.Detail})
	}
	return v, nil
}

// sealNow brings events that have just happened into the log, so that the reader
// sees them. A log that cannot be sealed because it was tampered with can still
// be looked at; Verify says what is wrong.
func (d *Desk) sealNow(ctx context.Context) error {
	if err := d.Log.Flush(ctx); err != nil {
		return err
	}
	_, err := d.Log.Seal(ctx)
	return err
}

// VerifyAction is the event that the log was verified.
const VerifyAction = "log.verify"

// VerifyAttrs says in it with which result.
func VerifyAttrs(r audit.Report) []slog.Attr {
	result := "ok"
	if !r.OK {
		result = "failed"
	}
	return []slog.Attr{slog.Int64("size", r.Size), slog.Bool("anchored", r.Anchored), slog.String("result", result)}
}
