package hammer

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
)

// eventsOfARow is what each committed transaction leaves in the log, in this order,
// with the numbers of the changes.
const eventsOfARow = "create1 update2 reveal0 "

// check compares the log with the business rows. A database server may finish the
// commit of a client that is dead already, so it looks until nothing changes any
// more: rows and events of the same moment must then agree exactly.
func (a *attack) check(ctx context.Context, db *gorm.DB) error {
	log, err := openLog(ctx, db, a.job)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if err := Settle(ctx, log); err != nil {
		return err
	}
	before, err := storedRows(ctx, db)
	for err == nil {
		if a.result.Report, err = log.Verify(ctx, audit.VerifyOptions{}); err != nil {
			return err
		}
		var seen map[string]string
		if seen, err = seenRows(ctx, log); err != nil {
			return err
		}
		var after map[string]bool
		if after, err = storedRows(ctx, db); err != nil {
			return err
		}
		if len(before) == len(after) {
			a.compare(before, seen)
			return a.offline(ctx, log)
		}
		before, a.result.Late = after, a.result.Late+1
	}
	return err
}

// mostFaults are named; one fault of the machine makes thousands.
const mostFaults = 20

func (r *Result) fault(format string, args ...any) {
	if len(r.Faults) == mostFaults {
		r.More++
		return
	}
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// compare looks for what is missing, too much, or broken.
func (a *attack) compare(stored map[string]bool, seen map[string]string) {
	r := &a.result
	for _, b := range r.Report.Breaks {
		r.fault("%s", b)
	}
	if !r.Report.Anchored {
		r.fault("the log is not anchored")
	}
	for id, committed := range a.said {
		if committed != stored[id] {
			r.fault("transaction %s: committed is %t, its row is there is %t", id, committed, stored[id])
		}
	}
	for id := range stored {
		if seen[id] != eventsOfARow {
			r.fault("row %s is committed, its events are %q and not %q", id, seen[id], eventsOfARow)
		}
	}
	for id := range seen {
		if !stored[id] {
			r.fault("%s has events and no committed row", id)
		}
	}
	if want := int64(3 * len(stored)); r.Report.Size != want {
		r.fault("the log has %d events, the rows make %d", r.Report.Size, want)
	}
	if len(stored) == 0 {
		r.fault("nothing was committed: the attack shows nothing")
	}
}

// offline verifies an export with the verifier key alone.
func (a *attack) offline(ctx context.Context, log *audit.Log) error {
	verifier, err := note.NewVerifier(a.job.Vkey)
	if err != nil {
		return fmt.Errorf("hammer: %w", err)
	}
	var out bytes.Buffer
	if err := log.Export(ctx, &out); err != nil {
		return err
	}
	report, err := audit.VerifyExport(ctx, &out, verifier, audit.VerifyOptions{})
	for _, b := range report.Breaks {
		a.result.fault("export: %s", b)
	}
	return err
}

// Settle seals until the server has finished what clients left to it that are dead by
// now: nothing waits and nothing was sealed for some rounds in a row.
func Settle(ctx context.Context, log *audit.Log) error {
	for quiet := 0; quiet < 8; quiet++ {
		n, err := log.Seal(ctx)
		if err != nil {
			return err
		}
		lag, err := log.Lag(ctx)
		if err != nil {
			return err
		}
		if n > 0 || lag.Waiting > 0 {
			quiet = -1
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func storedRows(ctx context.Context, db *gorm.DB) (map[string]bool, error) {
	var ids []string
	if err := db.WithContext(ctx).Model(&hammered{}).Pluck("id", &ids).Error; err != nil {
		return nil, fmt.Errorf("hammer: %w", err)
	}
	stored := make(map[string]bool, len(ids))
	for _, id := range ids {
		stored[id] = true
	}
	return stored, nil
}

// seenRows gives the events of each row in the order of the log.
func seenRows(ctx context.Context, log *audit.Log) (map[string]string, error) {
	seen := map[string]string{}
	for _, tenant := range tenants() {
		for e, err := range log.Events(ctx, audit.Query{Tenant: tenant, OldestFirst: true}) {
			if err != nil {
				return nil, err
			}
			_, verb, _ := bytes.Cut([]byte(e.Action), []byte("."))
			for _, row := range e.Rows {
				seen[row.ID] += fmt.Sprintf("%s%d ", verb, row.Rev)
			}
		}
	}
	return seen, nil
}
