package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/book"
)

func auditQueryFlags(fs *flag.FlagSet, s *settings) {
	q := &s.query
	for _, f := range []struct {
		field *string
		name  string
		usage string
	}{
		{&q.Actor, "actor", "only what this person did"},
		{&q.Action, "action", "only this action, such as customer.reveal"},
		{&q.Resource, "resource", "only records of this kind, such as customer"},
		{&q.Row, "row", "only the record of this number; with -resource"},
		{&q.Result, "result", "only ok, denied, failed or refused"},
		{&q.Channel, "channel", "only what came by this way: web, cli, schedule"},
		{&q.Subject, "subject", "only what is about this person, such as customer:5"},
		{&q.Purpose, "purpose", "only what was done for this reason"},
		{&q.DataType, "type", "only what touched data of this type: identity, contact, address, billing, document"},
	} {
		fs.StringVar(f.field, f.name, "", f.usage)
	}
	fs.StringVar(&s.from, "from", "", "only from this day or moment on, as 2026-01-31 or 2026-01-31T08:00:00Z")
	fs.StringVar(&s.until, "until", "", "only before this day or moment")
	fs.IntVar(&q.Limit, "limit", 0, "at most so many")
	fs.BoolVar(&q.OldestFirst, "oldest", false, "the oldest first")
}

// auditQuery is the verb `audit query`: one line an event, newest first.
func auditQuery(ctx context.Context, c *command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("%w: audit query takes flags only", errUsage)
	}
	q := c.query
	q.Tenant = book.Tenant
	var err1, err2 error
	q.From, err1 = moment(c.from)
	q.To, err2 = moment(c.until)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%w: -from and -until are days or moments, as 2026-01-31 or 2026-01-31T08:00:00Z", errUsage)
	}
	return withExisting(operatorFor(ctx, "audit query"), c, func(ctx context.Context, a *app) error {
		for e, err := range a.log.Events(ctx, q) {
			switch {
			case errors.Is(err, audit.ErrInvalid):
				return fmt.Errorf("%w: %w", errUsage, err)
			case err != nil:
				return found(err, audit.ErrTampered)
			}
			fmt.Fprintln(c.stdout, line(e))
		}
		return nil
	})
}

// moment reads a day or a moment; "" is no bound.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}

// line is an event for people: when, who, what, on what, why, from where, how it ended.
func line(e audit.Event) string {
	var rows []string
	for _, r := range e.Rows {
		rows = append(rows, r.ID)
	}
	orNone := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return strings.Join([]string{
		fmt.Sprint(e.Seq), e.Time.UTC().Format(time.RFC3339), orNone(e.Actor.ID), e.Action, orNone(strings.TrimSpace(e.Resource + " " + strings.Join(rows, ","))),
		orNone(strings.Join(e.Fields, ",")), orNone(e.Purpose), orNone(e.Actor.IP), orNone(e.Actor.Channel), e.Result,
	}, "\t")
}
