package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"
)

// purgeAction is the action of the record that says which entries were pruned.
// Only Prune writes it.
const purgeAction = "audit.purge"

// A Pruner is a Store that can forget what entries say.
type Pruner interface {
	// Prune empties the data and the index of the entries of one log up to
	// through, and removes their rows from the row index and, of a SecretStore,
	// their secrets. Place, event id and hash stay. It may do so in several transactions, the oldest first.
	Prune(ctx context.Context, log string, through int64) error
}

// PruneOptions say what Prune may remove.
type PruneOptions struct {
	Tenant  string // "" is the tenant of the actor in ctx
	Purpose string // kept in the purge record

	// Archive is an export that holds everything that will be removed. It is
	// verified before anything is. WithoutArchive is the way to do without.
	Archive        io.Reader
	WithoutArchive bool
}

// Pruned is what Prune did.
type Pruned struct {
	Events  int64 // entries emptied now
	Through int64 // the last pruned entry, -1 if none is
}

// Prune removes the events of one tenant that are older than Config.Keep. It
// first verifies the whole log and the archive, so that no evidence of an attack goes
// with it, then seals a purge record into the tenant's log, and only then
// empties the entries. Their hashes stay: the log verifies as before, and the
// archive against the same checkpoints. Verify takes an emptied entry for
// pruned only if a sealed purge record says so.
//
// Events are removed from the oldest on, up to the first that must be kept. A
// Prune that was interrupted is completed by the next.
func (l *Log) Prune(ctx context.Context, opts PruneOptions) (Pruned, error) {
	none := Pruned{Through: -1}
	if l.cfg.Keep == 0 {
		return none, fmt.Errorf("%w: Config.Keep is 0, which keeps events for ever; set how long they must be kept", ErrInvalid)
	}
	pruner, ok := l.cfg.Store.(Pruner)
	if !ok {
		return none, fmt.Errorf("%w: the store cannot prune; use audit/gormstore, or implement Pruner", ErrInvalid)
	}
	if opts.Archive == nil && !opts.WithoutArchive {
		return none, fmt.Errorf("%w: PruneOptions.Archive is nil; give an export that holds what goes, or set WithoutArchive", ErrInvalid)
	}
	actor := l.cfg.Actor(ctx)
	if opts.Tenant != "" {
		actor.Tenant = opts.Tenant
	}
	tenant, err := tenantOf(actor)
	if err != nil {
		return none, err
	}
	if r, err := l.Verify(ctx, VerifyOptions{}); err != nil || !r.OK {
		return none, pruneRefused(err, "the log", r)
	}
	p := purge{log: tenant, through: -1}
	if err := p.measure(ctx, l.cfg.Store, l.cfg.Now().Add(-l.cfg.Keep)); err != nil {
		return none, err
	}
	if p.through >= p.first {
		if err := l.checkArchive(ctx, opts, &p); err != nil {
			return none, err
		}
		if err := l.recordPurge(ctx, actor, opts.Purpose, &p); err != nil {
			return none, err
		}
	}
	if p.through < 0 {
		return none, nil
	}
	if err := pruner.Prune(ctx, tenant, p.through); err != nil {
		return none, fmt.Errorf("audit: prune log %q: %w", tenant, err)
	}
	return Pruned{Events: p.events, Through: p.through}, nil
}

func pruneRefused(err error, what string, r Report) error {
	if err != nil {
		return fmt.Errorf("audit: prune: %s cannot be verified, nothing was removed: %w", what, err)
	}
	return fmt.Errorf("%w: %s has %d breaks, nothing was removed; Verify names them", ErrTampered, what, len(r.Breaks)+r.More)
}

// A purge is which entries of a log are or will be empty.
type purge struct {
	log     string
	first   int64 // the first entry that still has its bytes
	through int64 // the last one that may go
	events  int64 // how many go now
	changes int64 // numbered changes in all pruned entries, earlier purges included
	archive string
}

// measure finds the entries from the first that is not pruned yet to the last
// before the first event that is not old enough.
func (p *purge) measure(ctx context.Context, store Store, before time.Time) error {
	done, err := lastPurge(ctx, store, p.log)
	if err != nil {
		return err
	}
	p.through, p.changes = done.through, done.changes
	p.first = done.through + 1
	for s := (Selection{Log: p.log, MinSeq: p.first, MaxSeq: math.MaxInt64, Limit: verifyPage}); ; {
		page, err := store.Entries(ctx, s)
		if err != nil {
			return fmt.Errorf("audit: prune log %q: %w", p.log, err)
		}
		for _, e := range page {
			ev, err := readEvent(e)
			if err != nil {
				return err
			}
			if !ev.Time.Before(before) {
				return nil
			}
			p.take(&ev)
		}
		if len(page) < verifyPage || !s.continueAfter(page[len(page)-1].Seq) {
			return nil
		}
	}
}

func (p *purge) take(e *Event) {
	p.through = e.Seq
	p.events++
	p.changes += e.changes()
}

// changes counts the numbered changes of an event.
func (e *Event) changes() (n int64) {
	for _, r := range e.Rows {
		if r.Rev != 0 {
			n++
		}
	}
	return n
}

// lastPurge returns what the newest purge record of a log says.
func lastPurge(ctx context.Context, store Store, log string) (purge, error) {
	p := purge{log: log, through: -1}
	found, err := store.Entries(ctx, Selection{Log: log, MaxSeq: math.MaxInt64, Action: purgeAction, Descending: true, Limit: 1})
	if err != nil {
		return p, fmt.Errorf("audit: read the purge record of log %q: %w", log, err)
	}
	if len(found) == 0 {
		return p, nil
	}
	ev, err := readEvent(found[0])
	if err != nil {
		return p, err
	}
	said, ok := readPurge(&ev)
	if !ok {
		return p, fmt.Errorf("%w: entry %d of log %q is no purge record; run Verify", ErrTampered, ev.Seq, log)
	}
	return said, nil
}

// checkArchive proves that the archive holds what will be removed.
func (l *Log) checkArchive(ctx context.Context, opts PruneOptions, p *purge) error {
	if opts.Archive == nil {
		return nil
	}
	v, err := newVerifier(l.keys, VerifyOptions{})
	if err != nil {
		return err
	}
	var n int64
	v.seen = func(s *Stored) {
		if s.Log == p.log && s.Seq >= p.first && s.Seq <= p.through && len(s.Data) > 0 {
			n++
		}
	}
	sum := sha256.New()
	if err := v.file(ctx, io.TeeReader(opts.Archive, sum)); err != nil || !v.report.OK {
		return pruneRefused(err, "the archive", v.report)
	}
	if n != p.events {
		return fmt.Errorf("%w: the archive holds %d of the %d entries that would be removed; export again", ErrInvalid, n, p.events)
	}
	p.archive = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// recordPurge seals the purge record. Nothing may be removed before.
func (l *Log) recordPurge(ctx context.Context, actor Actor, purpose string, p *purge) error {
	e := Event{Action: purgeAction, Result: "ok", Actor: actor, Purpose: purpose, Attrs: p.attrs()}
	pending, err := l.encode(&e)
	if err != nil {
		return err
	}
	if err := l.cfg.Store.Enqueue(ctx, []Pending{pending}); err != nil {
		return fmt.Errorf("audit: record the purge: %w", err)
	}
	if _, err := l.Seal(ctx); err != nil {
		return fmt.Errorf("audit: seal the purge record, nothing was removed: %w", err)
	}
	said, err := lastPurge(ctx, l.cfg.Store, p.log)
	if err == nil && said.through < p.through {
		err = fmt.Errorf("%w: the purge record is not sealed, nothing was removed; run Verify", ErrTampered)
	}
	return err
}

func (p *purge) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.Int64("through", p.through), slog.Int64("events", p.events), slog.Int64("changes", p.changes)}
	if p.archive != "" {
		attrs = append(attrs, slog.String("archive_sha256", p.archive))
	}
	return attrs
}

// readPurge reads a purge record; ok is false for any other event.
func readPurge(e *Event) (p purge, ok bool) {
	if e.Action != purgeAction {
		return p, false
	}
	p = purge{log: e.Actor.Tenant, through: -1, changes: -1}
	for _, a := range e.Attrs {
		if a.Value.Kind() != slog.KindInt64 {
			continue
		}
		switch n := a.Value.Int64(); a.Key {
		case "through":
			p.through = n
		case "events":
			p.events = n
		case "changes":
			p.changes = n
		}
	}
	return p, p.through >= 0 && p.changes >= 0
}
