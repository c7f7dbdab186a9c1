package main

import (
	"context"
	"fmt"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/desk"
)

// systemState looks at the backups and at the log, as the system and not as whoever
// asked.
func (a *app) systemState(ctx context.Context) (s desk.SystemState, err error) {
	ctx = operator(ctx, "state of the system")
	if s.Backup, err = a.backupState(ctx); err != nil {
		return s, err
	}
	s.Log, err = a.logState(ctx)
	return s, err
}

func (a *app) logState(ctx context.Context) (s desk.LogState, err error) {
	lag, err := a.log.Lag(ctx)
	if err != nil {
		return s, err
	}
	s.Waiting, s.Oldest = lag.Waiting, lag.Oldest
	for _, b := range lag.Blockers {
		s.Blockers = append(s.Blockers, fmt.Sprintf("%s %s (%s)", b.Session, b.Client, b.State))
	}
	stats := a.log.Stats()
	s.Spilled, s.Lost = stats.Spilled, stats.LostShould+stats.LostBestEffort
	for e, err := range a.log.Events(ctx, audit.Query{Tenant: book.Tenant, Action: desk.VerifyAction, Limit: 1}) {
		if err != nil {
			return s, err
		}
		s.Verified, s.VerifiedOK = e.Time, e.Result == "ok"
		for _, attr := range e.Attrs {
			if attr.Key == "size" {
				s.Size = attr.Value.Int64()
			}
		}
	}
	return s, nil
}
