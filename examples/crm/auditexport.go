package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/extract"
	"github.com/confide-go/confide/examples/crm/internal/book"
)

// auditExport is the verb `audit export`. That the log is taken out is itself in
// the log, before a line of it is written.
func auditExport(ctx context.Context, c *command) error {
	if len(c.args) > 1 {
		return fmt.Errorf("%w: audit export takes one customer at most", errUsage)
	}
	switch c.format {
	case "csv", "ocsf", "jsonl":
	default:
		return fmt.Errorf("%w: -format is csv, ocsf or jsonl", errUsage)
	}
	return withExisting(operatorFor(ctx, "audit export"), c, func(ctx context.Context, a *app) error {
		query := audit.Query{Tenant: book.Tenant, OldestFirst: true}
		attrs := []slog.Attr{slog.String("format", c.format), slog.String("resource", "log")}
		if len(c.args) == 1 {
			query.Resource, query.Row = "customer", c.args[0]
			attrs = append(attrs, slog.String("of", "customer "+c.args[0]))
		}
		if err := a.log.Record(ctx, "log.export", attrs...); err != nil {
			return err
		}
		if _, err := a.log.Seal(ctx); err != nil && !errors.Is(err, audit.ErrTampered) {
			return err
		}
		err := a.exportLog(ctx, c, query)
		if errors.Is(err, audit.ErrTampered) {
			return fmt.Errorf("%w: %w", errFound, err)
		}
		return err
	})
}

func (a *app) exportLog(ctx context.Context, c *command, query audit.Query) error {
	switch {
	case c.format == "csv":
		return extract.CSV(c.stdout, a.log.Events(ctx, query))
	case c.format == "ocsf":
		chain := "confide-crm/" + book.Tenant
		if query.Row != "" {
			chain += "/customer/" + query.Row
		}
		return extract.OCSF(c.stdout, a.log.Events(ctx, query), extract.OCSFConfig{Product: "confide-crm", Chain: chain})
	case query.Row != "":
		n, err := extract.Seen(ctx, c.stdout, a.log, query)
		if err == nil {
			fmt.Fprintf(c.stderr, "%d events in which customer %s was seen or exported, each with its proof\n", n, query.Row)
		}
		return err
	}
	return extract.Proofs(ctx, c.stdout, a.log, query)
}
