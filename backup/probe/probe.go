// Package probe finds out what one store really does, on the bucket and with the
// credentials that a backup will have. Stores promise more than they keep: some
// accept an object lock and delete all the same, some let two writers win.
//
// # What it does
//
// It puts a few small objects below backup.ProbePrefix, races writers, reads,
// lists, and tries to replace and to delete. Each finding is proven, refuted, or
// not tested, with what was seen. What may be deleted is deleted again; on a
// write-once store a handful of objects remain, of which a repository takes no
// notice. backup.Open does not probe, for that reason: it writes nothing.
//
// # The call you need
//
//	report, err := probe.Run(ctx, store, probe.Config{})
//	fmt.Print(report)
//	if !report.Safe() { ... }
//
// # What is NOT protected
//
// A proof holds for the moment, and for as many races as were run. A store that
// behaves while it is probed and lies later is found by Verify.
//
// # How it fails
//
// A refuted promise is a finding, not an error. The error is for a probe that
// could not begin: without a key to put there is nothing to say.
package probe

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/confide-go/confide/backup"
)

// Config says how thorough to be; the zero value is useful.
type Config struct {
	Writers int // that race for a key; 0: 16
	Rounds  int // of that race; 0: 4
	// Lock, if not zero, tests object lock: it puts an object under a retention of
	// so long, which stays for that time. At least a minute, for the clocks.
	Lock time.Duration
}

// A Promise is something that a store may do.
type Promise string

// The promises, in the order of a report. The first five are what a repository
// needs; the others say what protects it.
const (
	PutIfAbsent    Promise = "a put never replaces"
	OneWinner      Promise = "of racing writers one wins"
	ReadAfterWrite Promise = "what was put is read at once, whole and in ranges"
	ListAfterWrite Promise = "what was put is listed at once, in order"
	Missing        Promise = "what is missing is told from what cannot be read"
	Deletes        Promise = "these credentials can delete"
	RefusesDelete  Promise = "these credentials cannot delete"
	LockHolds      Promise = "an object under retention is not deleted or replaced"
	LockGrows      Promise = "a retention can be extended and not shortened"
)

// A Verdict is what became of a promise.
type Verdict string

// The verdicts.
const (
	Proven    Verdict = "proven"
	Refuted   Verdict = "refuted"
	NotTested Verdict = "not tested"
)

// A Finding is one promise and what was seen of it.
type Finding struct {
	Promise Promise
	Verdict Verdict
	Detail  string // what was seen, or why it was not tested
}

// A Report is the findings, one for each promise.
type Report struct {
	Time     time.Time
	Findings []Finding
}

// Of returns the verdict on a promise.
func (r Report) Of(p Promise) Verdict {
	for _, f := range r.Findings {
		if f.Promise == p {
			return f.Verdict
		}
	}
	return NotTested
}

// Safe reports whether all that a repository needs was proven.
func (r Report) Safe() bool {
	for _, p := range []Promise{PutIfAbsent, OneWinner, ReadAfterWrite, ListAfterWrite, Missing} {
		if r.Of(p) != Proven {
			return false
		}
	}
	return true
}

// String is one line for each promise.
func (r Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-10s  %s: %s\n", f.Verdict, f.Promise, f.Detail)
	}
	return b.String()
}

// Run probes a store.
func Run(ctx context.Context, store backup.Store, cfg Config) (Report, error) {
	if cfg.Writers <= 0 {
		cfg.Writers = 16
	}
	if cfg.Rounds <= 0 {
		cfg.Rounds = 4
	}
	p := &probe{ctx: ctx, store: store, cfg: cfg, prefix: backup.ProbePrefix + strings.ToLower(rand.Text()) + "/"}
	if err := store.Put(ctx, p.key("first"), []byte("first")); err != nil {
		return Report{}, fmt.Errorf("probe: nothing can be put, so nothing can be said: %w", err)
	}
	p.report.Time = time.Now().UTC()
	p.putIfAbsent()
	p.oneWinner()
	p.readAfterWrite()
	p.listAfterWrite()
	p.missing()
	p.deletes()
	p.lock()
	p.tidy()
	return p.report, ctx.Err()
}

type probe struct {
	ctx    context.Context
	store  backup.Store
	cfg    Config
	prefix string
	report Report
	keys   []string // put and to be deleted
	list   []string // put after one another, to be listed
}

func (p *probe) key(name string) string {
	key := p.prefix + name
	p.keys = append(p.keys, key)
	return key
}

// find books a finding: without an objection the promise is proven.
func (p *probe) find(promise Promise, objection error, seen string, args ...any) {
	f := Finding{Promise: promise, Verdict: Proven, Detail: fmt.Sprintf(seen, args...)}
	switch {
	case p.ctx.Err() != nil:
		f.Verdict, f.Detail = NotTested, p.ctx.Err().Error()
	case objection != nil:
		f.Verdict, f.Detail = Refuted, objection.Error()
	}
	p.report.Findings = append(p.report.Findings, f)
}

func (p *probe) skip(promise Promise, why string) {
	p.report.Findings = append(p.report.Findings, Finding{Promise: promise, Verdict: NotTested, Detail: why})
}
