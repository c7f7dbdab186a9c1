package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// An Epoch is a declared restore: from its entry on the log continues from a
// backup, and the checkpoints that were made after the backup are given up. Nothing
// else explains a checkpoint that does not fit: Verify reports it as forked or rolled
// back.
type Epoch struct {
	Number    int64 // from 1; a log that was never restored is in epoch 0
	Seq       int64 // place of its entry in the top log
	Time      time.Time
	Actor     string
	Reason    string
	Common    int64      // the largest known checkpoint that both histories have, 0 for none
	Abandoned Checkpoint // the largest known one that only the abandoned history has
}

func (e Epoch) String() string {
	return fmt.Sprintf("epoch %d: %q declared on %s that a backup was restored (%s); checkpoints from %d to %d were abandoned",
		e.Number, e.Actor, e.Time.Format(time.RFC3339), e.Reason, e.Common+1, e.Abandoned.Size)
}

const (
	epochVersion = 1
	epochAction  = "audit.epoch"
	epochOrigin  = "/;epoch=" // a tenant's origin has its semicolons escaped
)

// topOrigin is the origin of the top log in an epoch. Each has its own, because
// for anchors and witnesses the log that continues is another one.
func topOrigin(name string, epoch int64) string {
	if epoch == 0 {
		return name
	}
	return name + epochOrigin + strconv.FormatInt(epoch, 10)
}

// epochOf is the inverse of topOrigin.
func epochOf(name, origin string) (int64, bool) {
	if origin == name {
		return 0, true
	}
	digits, ok := strings.CutPrefix(origin, name+epochOrigin)
	n, ok := parseDecimal(digits, ok)
	return n, ok && n > 0
}

// isTopOrigin tells whether a checkpoint is one of the whole.
func isTopOrigin(name, origin string) bool {
	_, ok := epochOf(name, origin)
	return ok
}

// isOriginOf tells whether a checkpoint is one of this log.
func isOriginOf(name, log, origin string) bool {
	if log == topLog {
		return isTopOrigin(name, origin)
	}
	return origin == originOf(name, log)
}

func (e Epoch) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{epochVersion}, uint64(e.Time.UnixMicro()))
	b = appendText(appendText(b, e.Actor), e.Reason)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Common))
	return appendText(b, string(e.Abandoned.Note))
}

// decodeEpoch reads an epoch's entry; the checkpoint in it must be signed by one of
// the keys.
func decodeEpoch(b []byte, seq int64, keys Keys) (Epoch, error) {
	d := &decoder{b: b}
	if d.byte() != epochVersion {
		return Epoch{}, fmt.Errorf("audit: epoch: %w", errMalformed)
	}
	e := Epoch{Seq: seq, Time: time.UnixMicro(d.int64()).UTC(), Actor: d.text(), Reason: d.text(), Common: d.int64()}
	msg := d.text()
	if d.bad || len(d.b) > 0 {
		return Epoch{}, fmt.Errorf("audit: epoch: %w", errMalformed)
	}
	c, err := keys.open([]byte(msg), topItself)
	if err != nil {
		return Epoch{}, err
	}
	before, ok := epochOf(keys.name(), c.Origin)
	if !ok || e.Common < 0 || e.Common > seq || c.Size <= e.Common {
		return Epoch{}, fmt.Errorf("audit: epoch: %w", errMalformed)
	}
	e.Number, e.Abandoned = before+1, c
	return e, nil
}

func indexOfEpoch(data []byte) Index {
	x := indexOfCheckpoint(data, "")
	x.Action = epochAction
	return x
}

// DeclareRestore says that the database is a restored backup and that the log goes on
// from it. It appends an entry to the top log that names the last common checkpoint
// and the abandoned one, from Config.Anchor and those that are given, and makes the
// next checkpoints those of a new epoch, which the anchor takes for a log of its own
// (register its origin at a witness). All other processes must be restarted.
//
// It is ErrInvalid when all known checkpoints fit: then there is nothing to declare.
func (l *Log) DeclareRestore(ctx context.Context, reason string, checkpoints ...[]byte) (Epoch, error) {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	e := Epoch{Time: l.cfg.Now().UTC().Truncate(time.Microsecond), Actor: clean(l.cfg.Actor(ctx).ID, maxID), Reason: clean(reason, maxText)}
	if e.Reason == "" {
		return e, fmt.Errorf("%w: DeclareRestore needs a reason: it stays in the log for ever", ErrInvalid)
	}
	anchored, err := l.anchoredCheckpoints(ctx)
	if err != nil {
		return e, err
	}
	known := append(anchored, checkpoints...)
	for attempt := 1; ; attempt++ {
		err := l.declare(ctx, &e, known)
		if !errors.Is(err, ErrConflict) || attempt == sealAttempts {
			if err == nil {
				err = l.anchor(ctx)
			}
			return e, err
		}
		if err := pause(ctx, attempt); err != nil {
			return e, err
		}
	}
}

func (l *Log) declare(ctx context.Context, e *Epoch, known [][]byte) error {
	heads, err := l.cfg.Store.Heads(ctx, topLog)
	if err != nil {
		return fmt.Errorf("audit: declare a restore: %w", err)
	}
	if len(heads) == 0 {
		return fmt.Errorf("%w: the log is empty; a restored backup would hold a checkpoint", ErrInvalid)
	}
	s := &sealer{l: l, logs: map[string]*sealedLog{}}
	top, err := s.open(heads[0])
	if err != nil {
		return err
	}
	if err := l.compareKnown(ctx, e, top, known); err != nil {
		return err
	}
	e.Seq, e.Number = top.tree.size, top.epoch+1
	top.epoch++
	s.add(top, kindEpoch, e.encode(), indexOfEpoch)
	head, err := s.sign(top)
	if err != nil {
		return err
	}
	s.batch.Heads = []Head{head}
	if err := l.cfg.Store.Commit(ctx, s.batch); err != nil {
		return fmt.Errorf("audit: declare a restore: %w", err)
	}
	l.sealed, l.anchored = head.Size, 0
	return nil
}

// compareKnown finds the largest known checkpoint that is in this log, and the
// largest that is not.
func (l *Log) compareKnown(ctx context.Context, e *Epoch, top *sealedLog, known [][]byte) error {
	var list []Checkpoint
	for _, msg := range known {
		c, err := l.keys.open(msg, topItself)
		if err == nil && c.Origin == topOrigin(l.keys.name(), top.epoch) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	nodes := newNodeReader(l.cfg.Store, topLog, top.tree.size, false)
	e.Common, e.Abandoned = 0, Checkpoint{}
	for _, c := range list {
		fits := c.Size <= top.tree.size
		if fits {
			root, err := tlog.TreeHash(c.Size, nodes.reader(ctx))
			if err != nil {
				return fmt.Errorf("audit: declare a restore: %w", err)
			}
			fits = root == tlog.Hash(c.Root)
		}
		switch {
		case !fits:
			e.Abandoned = c
		case e.Abandoned.Size == 0: // what fits behind it was made after the restore, undeclared
			e.Common = c.Size
		}
	}
	if e.Abandoned.Size == 0 {
		return fmt.Errorf("%w: every known checkpoint is one of this log: there is no restore to declare; give the newest checkpoint from before it", ErrInvalid)
	}
	return nil
}

// takeEpoch verifies an epoch's entry.
func (w *walker) takeEpoch(r *row) {
	e, err := decodeEpoch(r.entry.body, r.seq, w.v.keys)
	if err != nil || e.Number != w.baseEpoch+int64(len(w.rep.Epochs))+1 {
		w.report(BadEpoch, r.seq, r.seq, "it declares no restore that can be believed")
		return
	}
	w.rep.Epochs = append(w.rep.Epochs, e)
	for log, points := range w.v.points {
		if c := w.v.secretsOf(log); c != nil {
			c.restored = points[len(points)-1].size
		}
	}
}

// excused tells whether a declared restore explains that the log has not this checkpoint.
func (w *walker) excused(p point) bool {
	for _, e := range w.rep.Epochs {
		if p.epoch != e.Number-1 || p.size <= e.Common || p.size > e.Abandoned.Size {
			continue
		}
		return p.size < e.Abandoned.Size || bytes.Equal(p.root[:], e.Abandoned.Root[:])
	}
	return false
}

// closeStrays judges the checkpoints that did not fit, now that all epochs are known.
func (w *walker) closeStrays() {
	for _, p := range w.strays {
		switch {
		case w.excused(p):
			w.rep.Abandoned++
		case !w.wrong:
			w.wrong = true
			w.report(Forked, p.good, p.size-1, "the anchored checkpoint of %d entries has another root: this is not the history that was anchored", p.size)
		}
	}
	if p := w.rewritten; p != nil && !w.wrong {
		w.wrong = true
		w.report(Rewritten, p.good, p.size-1, "the entries fit together, but not to the signed checkpoint of %d entries; every later one differs too", p.size)
	}
}
