package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/privacy"
)

// auditVerify is the verb `audit verify`.
func auditVerify(ctx context.Context, c *command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("%w: audit verify takes no arguments", errUsage)
	}
	return withExisting(operatorFor(ctx, "audit verify"), c, func(ctx context.Context, a *app) error {
		ok, err := a.verifyLog(ctx, c)
		if err == nil && !ok {
			err = fmt.Errorf("%w: the audit log is not what was written", errFound)
		}
		return err
	})
}

// verifyLog checks the log as it is, before anything of this run is sealed into
// it: sealing on top of a broken log would only add to the confusion.
func (a *app) verifyLog(ctx context.Context, c *command) (ok bool, err error) {
	report, err := a.log.Verify(ctx, audit.VerifyOptions{})
	if err != nil {
		return false, err
	}
	for _, b := range report.Breaks {
		fmt.Fprintf(c.stdout, "%s at %s: %s\n", b.Kind, b.Place, b.Detail)
	}
	switch {
	case !report.OK:
		fmt.Fprintf(c.stdout, "%d breaks in a log of %d events\n", len(report.Breaks), report.Size)
	case !report.Anchored:
		fmt.Fprintf(c.stdout, "UNANCHORED: %d events fit together, but there is nothing outside the database to compare them with\n", report.Size)
	default:
		fmt.Fprintf(c.stdout, "%d events: chain, tree, signatures and anchors fit\n", report.Size)
	}
	return report.OK, a.log.Record(ctx, desk.VerifyAction, desk.VerifyAttrs(report)...)
}

// doctor is the verb `doctor`.
func doctor(ctx context.Context, c *command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("%w: doctor takes no arguments", errUsage)
	}
	return withExisting(operatorFor(ctx, "doctor"), c, func(ctx context.Context, a *app) error {
		findings, err := a.vault.Doctor(ctx, a.db)
		if err != nil {
			return err
		}
		leaks, err := a.findLeaks(ctx, c.settings)
		if err != nil {
			return err
		}
		findings = append(findings, leaks...)
		for _, f := range findings {
			fmt.Fprintln(c.stdout, f)
		}
		if err := a.authz.MustCover(ctx, a.db); err != nil {
			return err
		}
		ok, err := a.verifyLog(ctx, c)
		if err != nil {
			return err
		}
		stores, err := a.checkStores(ctx, c)
		if err != nil {
			return err
		}
		backups, err := a.checkBackups(ctx, c)
		if err != nil {
			return err
		}
		if len(findings) > 0 || !ok || !stores || !backups {
			return fmt.Errorf("%w: see above", errFound)
		}
		fmt.Fprintln(c.stdout, "seals, indexes, constraints, guards, log and stores are in order, and no plaintext was found")
		return nil
	})
}

// findLeaks looks for plaintext in all tables and in the log files of -logs.
func (a *app) findLeaks(ctx context.Context, s settings) ([]privacy.Finding, error) {
	l := privacy.Leaks{Logs: map[string]io.Reader{}}
	for name := range strings.SplitSeq(s.logs, ",") {
		if name == "" {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		defer f.Close()
		l.Logs[name] = f
	}
	if s.canaries != "" {
		text, err := os.ReadFile(s.canaries)
		if err != nil {
			return nil, fmt.Errorf("read the canaries: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				l.Canaries = append(l.Canaries, line)
			}
		}
	}
	return a.vault.FindLeaks(ctx, a.db, l)
}
