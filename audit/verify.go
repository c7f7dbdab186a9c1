package audit

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// VerifyOptions say what to compare the log with besides itself.
type VerifyOptions struct {
	// Checkpoints are signed checkpoints of the top log that were kept outside
	// the database: printed, mailed, witnessed. Those of Config.Anchor are
	// compared without being given here, if it can show them.
	Checkpoints [][]byte
}

// Verify reads all data, recomputes every hash and compares it with the chain,
// the signed checkpoints, the top log, the anchor and the query columns. It reports
// every break it finds; the error is only for not being able to read. It
// may run while others write and seal.
func (l *Log) Verify(ctx context.Context, opts VerifyOptions) (Report, error) {
	v, err := l.verify(ctx, opts)
	if err == nil && v.outrun { // a purge was recorded meanwhile: read again with its record
		v, err = l.verify(ctx, opts)
	}
	if err != nil {
		return Report{}, err
	}
	return v.report, nil
}

func (l *Log) verify(ctx context.Context, opts VerifyOptions) (*verifier, error) {
	v := newVerifier(l.cfg.Store, l.cfg.Verifier)
	anchored, err := l.anchoredCheckpoints(ctx)
	if err != nil {
		return nil, err
	}
	// The order matters while others write: an event moves from pending to
	// entries, so pending is read first, and its revision counter before that.
	if err := v.readRevisions(ctx); err != nil {
		return nil, err
	}
	if err := v.readPending(ctx, l); err != nil {
		return nil, err
	}
	if err := v.logs(ctx, append(anchored, opts.Checkpoints...)); err != nil {
		return nil, err
	}
	if err := v.compareRevisions(ctx); err != nil {
		return nil, err
	}
	return v, nil
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
	store  Store
	key    note.Verifier
	report Report
	revs   revisions
	outrun bool               // entries were pruned while this ran
	points map[string][]point // checkpoints of tenants' logs found in the top log
}

func newVerifier(store Store, key note.Verifier) *verifier {
	return &verifier{store: store, key: key, report: Report{OK: true}, revs: newRevisions(), points: map[string][]point{}}
}

// A point is a checkpoint that a log must agree with.
type point struct {
	size     int64
	root     tlog.Hash
	anchored bool
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
			v.observe(&e)
		}
		if len(page) < verifyPage {
			return nil
		}
		after = page[len(page)-1].ID
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
	top := v.walk(byName[topLog], topLog)
	top.points = v.anchors(anchored)
	if err := top.run(ctx); err != nil {
		return err
	}
	v.report.Checkpoints = top.size
	if v.report.AnchoredTo > 0 {
		v.report.Anchored = true
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	for name := range v.points {
		if _, ok := byName[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if name == topLog {
			continue
		}
		v.report.Logs++
		w := v.walk(byName[name], name)
		w.points = v.points[name]
		if err := w.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// anchors reads the checkpoints from outside. One that is not signed by this
// log's key proves nothing and is reported: somebody put it there.
func (v *verifier) anchors(msgs [][]byte) []point {
	var points []point
	for i, msg := range msgs {
		c, err := OpenCheckpoint(msg, v.key)
		if err != nil || c.Origin != v.key.Name() {
			v.report.add(BadCheckpoint, Place{First: -1, Last: -1, What: fmt.Sprintf("anchored checkpoint %d", i)}, "it is not signed by %s as a checkpoint of the whole", v.key.Name())
			continue
		}
		v.report.Anchored = true
		points = append(points, point{c.Size, c.Root, true})
	}
	slices.SortStableFunc(points, func(a, b point) int { return int(a.size - b.size) })
	return points
}

// checkpoint takes an entry of the top log: what it says about a tenant's log.
func (v *verifier) checkpoint(seq int64, msg []byte) {
	place := Place{First: seq, Last: seq}
	c, err := OpenCheckpoint(msg, v.key)
	if err != nil {
		v.report.add(BadCheckpoint, place, "the checkpoint in this entry is not signed by %s", v.key.Name())
		return
	}
	log, ok := logOf(v.key.Name(), c.Origin)
	if !ok {
		v.report.add(BadCheckpoint, place, "the checkpoint in this entry belongs to no log")
		return
	}
	points := v.points[log]
	if n := len(points); n > 0 && points[n-1].size >= c.Size {
		v.report.add(Forked, place, "log %q went from %d back to %d entries", log, points[n-1].size, c.Size)
		return
	}
	v.points[log] = append(points, point{size: c.Size, root: c.Root})
}

func (v *verifier) observe(e *Event) {
	for _, r := range e.Rows {
		if r.Rev != 0 {
			v.revs.observe(Revision{e.Actor.Tenant, e.Resource, r.ID, r.Rev}, &v.report)
		}
	}
}
