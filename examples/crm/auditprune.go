package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/book"
)

func auditPruneFlags(fs *flag.FlagSet, s *settings) {
	fs.DurationVar(&s.keepLog, "keep", 0, "how long events are kept, e.g. 26280h for three years; what the law asks for is the least")
	fs.StringVar(&s.archive, "archive", "", "file with an export that holds what is removed; it is made if there is none")
	fs.StringVar(&s.purpose, "purpose", "retention", "why, for the record that stays in the log")
}

// auditPrune is the verb `audit prune`: it removes what events older than -keep say,
// once the log and the archive are verified. Their hashes stay, and so does a record of
// what was removed, by whom and why.
func auditPrune(ctx context.Context, c *command) error {
	if len(c.args) > 0 || c.keepLog <= 0 || c.archive == "" {
		return fmt.Errorf("%w: audit prune takes -keep and -archive", errUsage)
	}
	err := withExisting(operatorFor(ctx, "audit prune"), c, func(ctx context.Context, a *app) error {
		if _, err := os.Stat(c.archive); errors.Is(err, fs.ErrNotExist) {
			if err := a.log.ExportFile(ctx, c.archive); err != nil {
				return found(err, audit.ErrTampered)
			}
		}
		archive, err := os.Open(c.archive)
		if err != nil {
			return fmt.Errorf("open the archive: %w", err)
		}
		defer archive.Close()
		pruned, err := a.log.Prune(ctx, audit.PruneOptions{Tenant: book.Tenant, Purpose: c.purpose, Archive: archive})
		if err != nil {
			return found(err, audit.ErrTampered)
		}
		fmt.Fprintf(c.stdout, "%d events removed, which are in %s; keep that file as long as somebody may ask\n", pruned.Events, c.archive)
		return nil
	})
	if errors.Is(err, audit.ErrInvalid) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return err
}
