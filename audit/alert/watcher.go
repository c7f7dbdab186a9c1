package alert

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
)

// A Log is what is watched. *audit.Log is one.
type Log interface {
	Events(ctx context.Context, q audit.Query) iter.Seq2[audit.Event, error]
	Lag(ctx context.Context) (audit.Lag, error)
}

// A Store keeps one record for each name. *gormstore.Store is one, for any number of processes.
type Store interface {
	// AlertState returns the record, and version 0 if there is none.
	AlertState(ctx context.Context, name string) (version int64, data []byte, err error)

	// SetAlertState replaces the record that has this version by one with the
	// next. It returns audit.ErrConflict if it has another version.
	SetAlertState(ctx context.Context, name string, version int64, data []byte) error
}

// Config says what a Watcher does. Log, Store, Key, Rules and Deliver are required.
type Config struct {
	Log     Log
	Store   Store
	Key     []byte // at least 16 bytes that the database's administrator does not have
	Rules   []Rule
	Deliver Deliverer

	Name    string   // of the watcher, for several on one log; "" is "main"
	Tenants []string // whose logs are watched; nil is audit.MainTenant alone

	MaxLag  time.Duration // how long the oldest event may wait to be sealed; 0 is a minute
	Repeat  time.Duration // when a state that lasts (lag, a break) is told again; 0 is a day
	Learn   time.Duration // how far back a watcher without a record learns; 0 is 30 days
	Lease   time.Duration // when others take over what a process delivers; 0 is five minutes
	Backlog int           // alerts that may wait for delivery; 0 is 500
	Now     func() time.Time
}

// A Watcher evaluates rules. It is safe for concurrent use and needs no closing.
type Watcher struct {
	cfg  Config
	self string // tells the processes apart
}

// Open checks the configuration.
func Open(cfg Config) (*Watcher, error) {
	switch {
	case cfg.Log == nil || cfg.Store == nil || cfg.Deliver == nil || len(cfg.Rules) == 0:
		return nil, fmt.Errorf("%w: alert.Config needs Log, Store, Deliver and at least one of Rules", audit.ErrInvalid)
	case len(cfg.Key) < 16:
		return nil, fmt.Errorf("%w: alert.Config.Key has %d bytes; give 16 random ones or more", audit.ErrInvalid, len(cfg.Key))
	}
	seen := map[string]bool{}
	for _, r := range cfg.Rules {
		if name := r.Name(); !plain(name) || seen[name] {
			return nil, fmt.Errorf("%w: each of alert.Config.Rules needs a name of its own, of at most 32 letters, digits and dashes", audit.ErrInvalid)
		}
		seen[r.Name()] = true
	}
	if cfg.Name == "" {
		cfg.Name = "main"
	}
	if !plain(cfg.Name) || slices.Contains(cfg.Tenants, "") {
		return nil, fmt.Errorf("%w: alert.Config.Name must be of at most 32 letters, digits and dashes, and none of Tenants empty", audit.ErrInvalid)
	}
	if cfg.Tenants == nil {
		cfg.Tenants = []string{audit.MainTenant}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Backlog <= 0 {
		cfg.Backlog = 500
	}
	for _, d := range []struct {
		have  *time.Duration
		usual time.Duration
	}{{&cfg.MaxLag, time.Minute}, {&cfg.Repeat, 24 * time.Hour}, {&cfg.Learn, 30 * 24 * time.Hour}, {&cfg.Lease, 5 * time.Minute}} {
		if *d.have <= 0 {
			*d.have = d.usual
		}
	}
	return &Watcher{cfg, rand.Text()}, nil
}

func plain(name string) bool {
	return name != "" && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}

const (
	passEvents = 500 // looked at between two records
	lostRaces  = 20
)

// Pass looks at what was sealed since the last one, and at the lag, and delivers alerts. An
// error says what could not be read or delivered; the next Pass goes on there.
func (w *Watcher) Pass(ctx context.Context) error {
	var failed []error
	for _, tenant := range w.cfg.Tenants {
		if err := w.tenant(ctx, tenant); err != nil {
			failed = append(failed, err)
		}
	}
	lag, err := w.cfg.Log.Lag(ctx)
	if err != nil {
		return errors.Join(append(failed, err)...)
	}
	failed = append(failed, w.condition(ctx, "seal-lag", lag.Oldest > w.cfg.MaxLag,
		Alert{Count: lag.Waiting, Detail: "events wait to be sealed, the oldest for " + lag.Oldest.Truncate(time.Second).String()}))
	return errors.Join(failed...)
}

// Verified takes the result of a verification and alerts if it is not OK, or not anchored.
func (w *Watcher) Verified(ctx context.Context, r audit.Report) error {
	kinds := map[audit.Kind]bool{}
	for _, b := range r.Breaks {
		kinds[b.Kind] = true
	}
	names := make([]string, 0, len(kinds))
	for k := range kinds {
		names = append(names, string(k))
	}
	slices.Sort(names)
	return errors.Join(
		w.condition(ctx, "verification-failed", !r.OK, Alert{Count: int64(len(r.Breaks) + r.More), Detail: strings.Join(names, ", ")}),
		w.condition(ctx, "unanchored", r.OK && !r.Anchored, Alert{Detail: "nothing outside the database was compared"}))
}

// condition alerts when something begins to be so, and again as long as it is.
func (w *Watcher) condition(ctx context.Context, rule string, is bool, a Alert) error {
	return w.change(ctx, "", func(s *state) (bool, error) {
		now := w.cfg.Now()
		since, was := s.Conditions[rule]
		switch {
		case !is && !was:
			return false, nil
		case !is:
			delete(s.Conditions, rule)
			return true, nil
		case was && now.Sub(since) < w.cfg.Repeat:
			return false, nil
		}
		if s.Conditions == nil {
			s.Conditions = map[string]time.Time{}
		}
		s.Conditions[rule] = now
		a.Rule, a.Time, a.Seq = rule, now, -1
		s.raise(w.cfg.Name, a)
		return true, nil
	})
}

// tenant looks at one log until there is nothing new.
func (w *Watcher) tenant(ctx context.Context, tenant string) error {
	for more := true; more; {
		more = false // as it stays while another process delivers
		err := w.change(ctx, tenant, func(s *state) (bool, error) {
			if more = len(s.Waiting) < w.cfg.Backlog; !more {
				return false, fmt.Errorf("alert: %d alerts of tenant %q wait for delivery; no more events are looked at until they are gone", len(s.Waiting), tenant)
			}
			after := s.After
			n, changed, err := w.look(ctx, tenant, s)
			more = n == passEvents && err == nil
			return changed || s.After != after, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// look evaluates the rules on the next events, and returns how many it could read, and
// whether it met others.
func (w *Watcher) look(ctx context.Context, tenant string, s *state) (n int, tampered bool, err error) {
	q := audit.Query{Tenant: tenant, OldestFirst: true, After: s.After}
	if s.After == "" {
		q.From = s.Began.Add(-w.cfg.Learn)
	}
	for e, err := range w.cfg.Log.Events(ctx, q) {
		if errors.Is(err, audit.ErrTampered) {
			tampered = s.tampered(w.cfg.Name, tenant, w.cfg.Now(), w.cfg.Repeat) || tampered
			continue
		}
		if err != nil {
			return n, tampered, fmt.Errorf("alert: %w", err)
		}
		s.After = e.Cursor()
		for _, r := range w.cfg.Rules {
			f, alert := r.See(e, s.counts(r.Name()))
			if alert && !e.Time.Before(s.Began) {
				s.raise(w.cfg.Name, Alert{Rule: r.Name(), Tenant: tenant, Actor: e.Actor.ID, Time: e.Time, Seq: e.Seq, Count: f.Count, Detail: f.Detail})
			}
		}
		if n++; n == passEvents {
			break
		}
	}
	return n, tampered, nil
}
