package audit

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// VerifyOptions say what to compare the log with besides itself.
type VerifyOptions struct {
	// Checkpoints are signed checkpoints of the top log that were kept outside
	// the database: printed, mailed, witnessed. Those of Config.Anchor are
	// compared without being given here, if it can show them.
	Checkpoints [][]byte

	// Keys are further keys of the log, for VerifyExport. Log.Verify has those of
	// its Config.
	Keys Keys

	// Witnesses are keys of witnesses (audit/witness.NewVerifier). When Quorum is
	// positive, a checkpoint from outside anchors the log only if so many of them
	// have signed it too.
	Witnesses []note.Verifier
	Quorum    int

	// Since is the Report.Verified of an earlier verification: only what was
	// sealed afterwards is read. It finds every change of that, and a log that does
	// not continue what was verified, but not an old entry that was edited since.
	// What was verified is known from outside the database, so it anchors.
	Since *Verified
}

// Verify reads all data, recomputes every hash and compares it with the chain,
// the signed checkpoints, the top log, the anchor and the query columns. It reports
// every break it finds; the error is only for not being able to read. It
// may run while others write and seal. Tenants' logs are verified in parallel.
func (l *Log) Verify(ctx context.Context, opts VerifyOptions) (Report, error) {
	v, err := l.verify(ctx, opts)
	if err == nil && v.outrun { // a purge was recorded meanwhile: read again with its record
		v, err = l.verify(ctx, opts)
	}
	if err != nil {
		return Report{}, err
	}
	return v.finish(), nil
}

func (l *Log) verify(ctx context.Context, opts VerifyOptions) (*verifier, error) {
	v, err := newVerifier(l.keys, opts)
	if err != nil {
		return nil, err
	}
	v.store = l.cfg.Store
	anchored, err := l.anchoredCheckpoints(ctx)
	if err != nil {
		return nil, err
	}
	// The order matters while others write: an event moves from pending to
	// entries, so pending is read first, and before that its revision counter and
	// what is there only together with an event.
	if err := v.readDestroyed(ctx); err != nil {
		return nil, err
	}
	if err := v.readRevisions(ctx); err != nil {
		return nil, err
	}
	if err := v.readPending(ctx, l); err != nil {
		return nil, err
	}
	if err := v.logs(ctx, append(anchored, opts.Checkpoints...)); err != nil {
		return nil, err
	}
	return v, v.compareRevisions(ctx)
}

func (l *Log) anchoredCheckpoints(ctx context.Context) (list [][]byte, err error) {
	reader, ok := l.cfg.Anchor.(AnchorReader)
	if !ok {
		return nil, nil
	}
	for msg, err := range reader.Checkpoints(ctx) {
		if err != nil {
			return nil, fmt.Errorf("audit: read the anchor: %w", err)
		}
		list = append(list, msg)
	}
	return list, nil
}

type verifier struct {
	store     Store // nil for an export
	keys      Keys
	witnesses []note.Verifier
	quorum    int
	since     map[string]Head
	report    Report
	counters  map[string]*revisions // by log
	secrets   map[string]*secretCheck
	waited    map[[idLength]byte]bool // events that were read while they waited: they may be sealed meanwhile
	points    map[string][]point      // checkpoints of tenants' logs found in the top log
	anchored  []Checkpoint            // checkpoints of the whole from outside
	outrun    bool                    // entries were pruned while this ran
	seen      func(*Stored)           // is told of every entry, if set
}

func newVerifier(keys Keys, opts VerifyOptions) (*verifier, error) {
	keys = append(slices.Clone(keys), opts.Keys...)
	if err := keys.check(); err != nil {
		return nil, err
	}
	if opts.Quorum < 0 || opts.Quorum > len(opts.Witnesses) {
		return nil, fmt.Errorf("%w: VerifyOptions.Quorum is %d of %d witnesses", ErrInvalid, opts.Quorum, len(opts.Witnesses))
	}
	v := &verifier{keys: keys, witnesses: opts.Witnesses, quorum: opts.Quorum, report: Report{OK: true},
		counters: map[string]*revisions{}, secrets: map[string]*secretCheck{}, waited: map[[idLength]byte]bool{}, points: map[string][]point{}}
	return v, v.begin(opts.Since)
}

// revs are the revisions of one log. Only one goroutine uses those of a log.
func (v *verifier) revs(log string) *revisions {
	if v.counters[log] == nil {
		v.counters[log] = newRevisions(log)
	}
	return v.counters[log]
}

// A point is a checkpoint that a log must agree with.
type point struct {
	size     int64
	root     tlog.Hash
	anchored bool
	epoch    int64 // of the top log in which it was made
	good     int64 // size of the last checkpoint that fitted before this one did not
}

const verifyPage = 1000

func (v *verifier) readPending(ctx context.Context, l *Log) error {
	seen := map[string]bool{}
	for after := int64(-1 << 63); ; {
		page, err := v.store.Pending(ctx, after, verifyPage)
		if err != nil {
			return fmt.Errorf("audit: verify pending events: %w", err)
		}
		for _, p := range page {
			v.report.Pending++
			e, fault := l.checkPending(p)
			if fault == "" && seen[string(p.Event)] {
				fault = "its event waits twice"
			}
			if fault != "" {
				v.report.add(PendingEdited, Place{First: -1, Last: -1, Log: e.Actor.Tenant, What: fmt.Sprintf("pending row %d", p.ID)}, "%s", fault)
				continue
			}
			seen[string(p.Event)] = true
			v.waited[[idLength]byte(p.Event)] = true
			v.revs(e.Actor.Tenant).observeEvent(&e, &v.report)
			v.secretsOf(e.Actor.Tenant).observe(&e, -1)
		}
		if len(page) < verifyPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// pages are the entries of one log as they come.
type pages = iter.Seq2[[]Stored, error]

// stored reads a log from the store, from a place on.
func (v *verifier) stored(ctx context.Context, log string, from int64) pages {
	return func(yield func([]Stored, error) bool) {
		sel := everything(log)
		sel.MinSeq = from
		for {
			page, err := v.store.Entries(ctx, sel)
			if !yield(page, err) || err != nil || len(page) < sel.Limit || !sel.continueAfter(page[len(page)-1].Seq) {
				return
			}
		}
	}
}

// logs verifies the top log against the anchored checkpoints, then each
// tenant's log against what the top log says about it.
func (v *verifier) logs(ctx context.Context, anchored [][]byte) error {
	heads, err := v.store.Heads(ctx)
	if err != nil {
		return fmt.Errorf("audit: verify: read heads: %w", err)
	}
	byName := map[string]Head{}
	for _, h := range heads {
		byName[h.Log] = h
	}
	run := func(log string) (*walker, error) {
		w := v.walk(byName[log], log)
		return w, w.run(ctx, v.stored(ctx, log, w.from()))
	}
	v.anchors(anchored)
	top, err := run(topLog)
	if err != nil {
		return err
	}
	v.top(top)
	names := v.names(byName)
	walkers, errs := make([]*walker, len(names)), make([]error, len(names))
	next := make(chan int)
	var wg sync.WaitGroup
	for _, name := range names {
		v.revs(name) // so that nobody writes the maps while they run
		v.secretsOf(name)
	}
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		wg.Go(func() {
			for i := range next {
				walkers[i], errs[i] = run(names[i])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, w := range walkers {
		if errs[i] != nil {
			return errs[i]
		}
		v.merge(w)
	}
	for _, c := range v.secrets { // of logs of which there are only waiting events
		if err := c.flush(ctx, 0); err != nil {
			return err
		}
	}
	for i, name := range names {
		w := walkers[i]
		v.secrets[name].finish(&v.report, w.base.Size == 0 && w.purged.through < 0 && w.rep.OK)
		delete(v.secrets, name)
	}
	for _, name := range slices.Sorted(maps.Keys(v.secrets)) {
		v.secrets[name].finish(&v.report, true)
	}
	return nil
}

// names are the tenants' logs that are there or were, in order.
func (v *verifier) names(heads map[string]Head) []string {
	names := []string{}
	add := func(name string) {
		if name != topLog {
			names = append(names, name)
		}
	}
	for name := range heads {
		add(name)
	}
	for name := range v.points {
		add(name)
	}
	for name := range v.since {
		add(name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// top takes the result of the top log.
func (v *verifier) top(w *walker) {
	v.merge(w)
	v.report.Logs = 0
	v.report.Checkpoints = w.size
	v.report.Epochs, v.report.Abandoned = w.rep.Epochs, w.rep.Abandoned
}

// merge adds what the verification of one log found to the report.
func (v *verifier) merge(w *walker) {
	r := w.rep
	v.report.OK = v.report.OK && r.OK
	v.outrun = v.outrun || w.outrun
	v.report.Size += r.Size
	v.report.Pruned += r.Pruned
	v.report.Logs++
	v.report.AnchoredTo = max(v.report.AnchoredTo, r.AnchoredTo)
	for _, b := range r.Breaks {
		v.report.put(b)
	}
	v.report.More += r.More
	if len(w.head.Note) > 0 {
		v.report.Verified.Heads = append(v.report.Verified.Heads, w.reached())
	}
}

// finish completes the report.
func (v *verifier) finish() Report {
	if !v.report.OK {
		v.report.Verified = Verified{} // nothing to continue from
	}
	return v.report
}

// anchors reads the checkpoints from outside. One that is not signed by this
// log's key proves nothing and is reported: somebody put it there.
func (v *verifier) anchors(msgs [][]byte) {
	for i, msg := range msgs {
		place := Place{First: -1, Last: -1, What: fmt.Sprintf("anchored checkpoint %d", i)}
		c, err := v.keys.open(msg, topItself)
		switch {
		case err != nil || !isTopOrigin(v.keys.name(), c.Origin):
			v.report.add(BadCheckpoint, place, "it is not signed by %s as a checkpoint of the whole", v.keys.name())
			continue
		case !v.witnessed(msg):
			v.report.Unwitnessed++
		default:
			v.report.Anchored = true
		}
		v.anchored = append(v.anchored, c)
	}
}

// witnessed tells whether enough witnesses have signed a checkpoint.
func (v *verifier) witnessed(msg []byte) bool {
	if v.quorum == 0 {
		return true
	}
	n, err := note.Open(msg, note.VerifierList(v.witnesses...))
	return err == nil && len(n.Sigs) >= v.quorum
}
