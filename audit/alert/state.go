package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/confide-go/confide/audit"
)

// A state is the record of a watcher and a tenant, or of what is about no tenant.
type state struct {
	Began      time.Time            `json:"began"`
	After      string               `json:"after,omitempty"` // cursor of the last event that was looked at
	Rules      map[string]*Counts   `json:"rules,omitempty"`
	Conditions map[string]time.Time `json:"conditions,omitempty"`
	Waiting    []Alert              `json:"waiting,omitempty"`
	By         string               `json:"by,omitempty"` // who delivers them
	Until      time.Time            `json:"until,omitzero"`
}

func (s *state) counts(rule string) *Counts {
	if s.Rules == nil {
		s.Rules = map[string]*Counts{}
	}
	if s.Rules[rule] == nil {
		s.Rules[rule] = &Counts{}
	}
	return s.Rules[rule]
}

// raise makes an alert wait for delivery.
func (s *state) raise(watcher string, a Alert) {
	sum := sha256.Sum256(fmt.Appendf(nil, "confide alert v1\n%q %q %q %q %d %d", watcher, a.Rule, a.Tenant, a.Actor, a.Seq, a.Time.UnixNano()))
	a.ID = hex.EncodeToString(sum[:16])
	s.Waiting = append(s.Waiting, a)
}

// tampered tells of an entry that is not what was sealed. Which one says Verify.
func (s *state) tampered(watcher, tenant string, now time.Time, repeat time.Duration) bool {
	if since, was := s.Conditions["tampered"]; was && now.Sub(since) < repeat {
		return false
	}
	if s.Conditions == nil {
		s.Conditions = map[string]time.Time{}
	}
	s.Conditions["tampered"] = now
	s.raise(watcher, Alert{Rule: "tampered", Tenant: tenant, Time: now, Seq: -1, Detail: "an entry is not what was sealed; run Verify"})
	return true
}

// recordVersion begins every record; a MAC over name and record follows it.
const recordVersion = "confide-alert/1\n"

func (w *Watcher) seal(name string, version int64, body []byte) []byte {
	h := hmac.New(sha256.New, w.cfg.Key)
	fmt.Fprintf(h, "%s%q %d\n", recordVersion, name, version)
	h.Write(body)
	return append(h.Sum([]byte(recordVersion)), body...)
}

// unseal returns nil for a record that nobody with the key has written.
func (w *Watcher) unseal(name string, version int64, data []byte) []byte {
	start := len(recordVersion) + sha256.Size
	if len(data) < start {
		return nil
	}
	body := data[start:]
	if !hmac.Equal(w.seal(name, version, body), data) {
		return nil
	}
	return body
}

func (w *Watcher) load(ctx context.Context, name, tenant string) (version int64, s *state, fresh bool, err error) {
	version, data, err := w.cfg.Store.AlertState(ctx, name)
	if err != nil {
		return 0, nil, false, fmt.Errorf("alert: read the record: %w", err)
	}
	s = &state{}
	body := w.unseal(name, version, data)
	if version > 0 && body != nil {
		if err := json.Unmarshal(body, s); err != nil {
			return 0, nil, false, fmt.Errorf("alert: the record is of another release: %w", err)
		}
		return version, s, false, nil
	}
	s.Began = w.cfg.Now()
	if tenant != "" {
		why := "there is no record of this watcher"
		if version > 0 {
			why = "the record of this watcher was edited"
		}
		s.raise(w.cfg.Name, Alert{Rule: "started", Tenant: tenant, Time: s.Began, Seq: -1, Detail: why + ": it learns from what is in the log, without alerts"})
	}
	return version, s, true, nil
}

func (w *Watcher) save(ctx context.Context, name string, version int64, s *state) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(s); err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	if err := w.cfg.Store.SetAlertState(ctx, name, version, w.seal(name, version+1, body.Bytes())); err != nil {
		return fmt.Errorf("alert: write the record: %w", err)
	}
	return nil
}

// change does f to a record, writes it if f or this function changed it, and delivers what waits.
// While another process delivers, it does nothing.
func (w *Watcher) change(ctx context.Context, tenant string, f func(s *state) (bool, error)) error {
	name := w.cfg.Name + "/" + tenant
	for lost := 0; ; lost++ {
		version, s, fresh, err := w.load(ctx, name, tenant)
		if err != nil {
			return err
		}
		if now := w.cfg.Now(); len(s.Waiting) > 0 && s.By != w.self && now.Before(s.Until) {
			return nil
		}
		changed, ferr := f(s)
		if !changed && !fresh && len(s.Waiting) == 0 {
			return ferr
		}
		if len(s.Waiting) > 0 {
			s.By, s.Until = w.self, w.cfg.Now().Add(w.cfg.Lease)
		}
		err = w.save(ctx, name, version, s)
		if errors.Is(err, audit.ErrConflict) && lost < lostRaces {
			continue // another process was faster, or has done it already
		}
		if err == nil && len(s.Waiting) > 0 {
			err = w.deliver(ctx, name, version+1, s)
		}
		return errors.Join(ferr, err)
	}
}

// deliver delivers in order and notes what is done. It stops at the first that fails.
func (w *Watcher) deliver(ctx context.Context, name string, version int64, s *state) (failed error) {
	for len(s.Waiting) > 0 && w.cfg.Now().Before(s.Until) {
		if failed = w.cfg.Deliver.Deliver(ctx, s.Waiting[0]); failed != nil {
			failed = fmt.Errorf("alert: deliver an alert of rule %s: %w", s.Waiting[0].Rule, failed)
			break
		}
		s.Waiting = s.Waiting[1:]
	}
	s.By, s.Until = "", time.Time{}
	// The receiver has them; the caller's context may be at its end.
	return errors.Join(failed, w.save(context.WithoutCancel(ctx), name, version, s))
}
