package audit

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
)

// Lag is how far sealing is behind. Watch it: an event is safe from the database's
// administrator only once it is sealed.
type Lag struct {
	Waiting  int64         // events that are committed and not sealed
	Oldest   time.Duration // how long ago the first of them was recorded, 0 if there is none
	Blockers []Blocker     // asked only if something waits, the longest first
}

// A Blocker is a transaction of the database that holds what a sealer needs.
type Blocker struct {
	Session string        // process or thread id, as the database's own tools take it
	Client  string        // how the client has named itself, if the database knows
	State   string        // as the database calls it, such as "idle in transaction"
	Open    time.Duration // how long the transaction has been open
}

func (l Lag) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d events wait, the oldest for %s", l.Waiting, l.Oldest.Round(time.Millisecond))
	for _, x := range l.Blockers {
		fmt.Fprintf(&b, "; session %s %s (%s) holds the log's rows for %s", x.Session, x.Client, x.State, x.Open.Round(time.Millisecond))
	}
	return b.String()
}

// A LagStore is a Store that can count what waits and name who holds it up.
type LagStore interface {
	Backlog(ctx context.Context) (int64, error)
	Blockers(ctx context.Context) ([]Blocker, error)
}

// Lag tells how far sealing is behind and, where the database can tell, because of
// whom. The error is for not being able to ask; Blockers may be missing although
// there is one when the database's user may not see other sessions.
func (l *Log) Lag(ctx context.Context) (Lag, error) {
	var lag Lag
	first, err := l.cfg.Store.Pending(ctx, math.MinInt64, 1)
	if err != nil {
		return lag, fmt.Errorf("audit: lag: %w", err)
	}
	if len(first) == 0 {
		return lag, nil
	}
	if e, err := decodeEvent(first[0].Data); err == nil { // an edited one is Verify's to report
		lag.Oldest = max(0, l.cfg.Now().Sub(e.Time))
	}
	store, ok := l.cfg.Store.(LagStore)
	if !ok {
		lag.Waiting, err = l.countPending(ctx)
		return lag, err
	}
	if lag.Waiting, err = store.Backlog(ctx); err != nil {
		return lag, fmt.Errorf("audit: lag: %w", err)
	}
	if lag.Blockers, err = store.Blockers(ctx); err != nil {
		return lag, fmt.Errorf("audit: lag: who holds up the sealer: %w", err)
	}
	return lag, nil
}

func (l *Log) countPending(ctx context.Context) (n int64, err error) {
	for after := int64(math.MinInt64); ; {
		page, err := l.cfg.Store.Pending(ctx, after, verifyPage)
		if err != nil {
			return n, fmt.Errorf("audit: lag: %w", err)
		}
		n += int64(len(page))
		if len(page) < verifyPage {
			return n, nil
		}
		after = page[len(page)-1].ID
	}
}
