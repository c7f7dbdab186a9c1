package sqlsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"

	"github.com/confide-go/confide/backup"
)

var _ backup.Tracker = (*view)(nil)

// A tracked is what a view has seen of one table's change log.
type tracked struct {
	table     *table
	born      string
	now, next string // marks with the table's shape
	mark      string // to leave
	seen      []run  // numbers of the log's rows
	all       bool   // a TRUNCATE
}

// A run is an unbroken sequence of numbers.
type run struct{ first, last int64 }

// tracking reads the marks and change logs of a view.
func (v *view) tracking(ctx context.Context) error {
	v.tracked = map[string]*tracked{}
	states, err := v.marks(ctx)
	if err != nil {
		return err
	}
	for _, t := range v.catalog.tables {
		state, ok := states[t.name]
		if !ok {
			continue
		}
		why, err := v.engine.untrackable(ctx, v.session, t)
		if err != nil {
			return err
		}
		intact, err := v.engine.intact(ctx, v.session, t)
		if err != nil {
			return err
		}
		if why != "" || !intact {
			continue
		}
		if v.tracked[t.name], err = v.track(ctx, t, state); err != nil {
			return err
		}
	}
	return nil
}

type markState struct{ born, mark string }

func (v *view) marks(ctx context.Context) (map[string]markState, error) {
	out := map[string]markState{}
	there, err := v.engine.hasMarks(ctx, v.session)
	if err != nil || !there {
		return out, err
	}
	err = v.session.each(ctx, "SELECT table_name, born, mark FROM "+marks, nil, func(scan func(...any) error) error {
		var name string
		var state markState
		err := scan(&name, &state.born, &state.mark)
		out[name] = state
		return err
	})
	return out, err
}

func (v *view) track(ctx context.Context, t *table, state markState) (*tracked, error) {
	tr := &tracked{table: t, born: state.born}
	shape, err := v.engine.shape(ctx, v.session, t)
	if err != nil {
		return nil, err
	}
	if tr.mark, err = randomText(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(state.born + "\x00" + shape))
	stamp := ":" + hex.EncodeToString(sum[:16])
	tr.next = tr.mark + stamp
	if state.mark != "" {
		tr.now = state.mark + stamp
	}
	log := v.engine.quote(logName(t.name))
	err = v.session.each(ctx, "SELECT seq FROM "+log+" ORDER BY seq", nil, func(scan func(...any) error) error {
		var n int64
		err := scan(&n)
		if last := len(tr.seen) - 1; last >= 0 && tr.seen[last].last == n-1 {
			tr.seen[last].last = n
		} else {
			tr.seen = append(tr.seen, run{n, n})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var truncated int64
	err = v.session.one(ctx, "SELECT count(*) FROM "+log+" WHERE k0 IS NULL", nil, &truncated)
	tr.all = truncated > 0
	return tr, err
}

// Marks implements backup.Tracker.
func (v *view) Marks(name string) (now, next string) {
	if tr := v.tracked[name]; tr != nil {
		return tr.now, tr.next
	}
	return "", ""
}

func (v *view) find(name string) (*tracked, error) {
	if tr := v.tracked[name]; tr != nil {
		return tr, nil
	}
	return nil, fmt.Errorf("sqlsource: changes of table %q are not tracked", name)
}

// spansAtOnce is how many spans one query asks about: engines limit the parts and
// the arguments of one.
const spansAtOnce = 100

// Changed implements backup.Tracker.
func (v *view) Changed(ctx context.Context, name string, spans []backup.Span) ([]bool, error) {
	tr, err := v.find(name)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(spans))
	for i := range out {
		out[i] = tr.all
	}
	if tr.all || len(tr.seen) == 0 {
		return out, nil
	}
	for first := 0; first < len(spans); first += spansAtOnce {
		last := min(first+spansAtOnce, len(spans))
		if err := v.changed(ctx, tr.table, spans[first:last], out[first:last]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// changed asks about spans; each has its search in the log's index.
func (v *view) changed(ctx context.Context, t *table, spans []backup.Span, out []bool) error {
	var parts []string
	var args []any
	for i, span := range spans {
		where, more, err := v.engine.within(t, span, len(args), func(i int, _ column) string { return "t." + v.engine.quote(logKey(i)) })
		if err != nil {
			return err
		}
		args = append(args, more...)
		parts = append(parts, fmt.Sprintf("SELECT %d AS span FROM (SELECT 1 AS one FROM %s AS t WHERE %s LIMIT 1) AS found%d", i, v.engine.quote(logName(t.name)), where, i))
	}
	return v.session.each(ctx, strings.Join(parts, " UNION ALL "), args, func(scan func(...any) error) error {
		var i int
		err := scan(&i)
		if err == nil && i >= 0 && i < len(out) {
			out[i] = true
		}
		return err
	})
}

// Range implements backup.Tracker.
func (v *view) Range(ctx context.Context, name string, span backup.Span) iter.Seq2[backup.Row, error] {
	t, err := v.catalog.find(name)
	if err != nil {
		return failed(err)
	}
	where, args, err := v.engine.within(t, span, 0, func(_ int, c column) string { return "t." + v.engine.quote(c.name) })
	if err != nil {
		return failed(err)
	}
	return v.engine.rows(ctx, v.session, t, selection{ordered: true, where: where, args: args})
}

// Count implements backup.Tracker.
func (v *view) Count(ctx context.Context, name string) (n int64, err error) {
	t, err := v.catalog.find(name)
	if err != nil {
		return 0, err
	}
	err = v.session.one(ctx, "SELECT count(*) FROM "+v.engine.quote(t.name), nil, &n)
	return n, err
}

// Settle implements backup.Tracker. It removes exactly the numbers that the view
// has read: a transaction that was open then, and has a smaller number than
// others that were seen, keeps its rows in the log.
func (v *view) Settle(ctx context.Context) error {
	if len(v.tracked) == 0 {
		return nil
	}
	s, err := openSession(ctx, v.db)
	if err != nil {
		return err
	}
	defer s.end()
	if err := v.engine.beginWrite(ctx, s); err != nil {
		return err
	}
	for _, t := range v.catalog.tables {
		if tr := v.tracked[t.name]; tr != nil {
			if err := v.settle(ctx, s, tr); err != nil {
				return err
			}
		}
	}
	return s.commit(ctx, "COMMIT")
}

func (v *view) settle(ctx context.Context, s *session, tr *tracked) error {
	p := v.engine.placeholder
	changed, err := s.affect(ctx, "UPDATE "+marks+" SET mark = "+p(1)+" WHERE table_name = "+p(2)+" AND born = "+p(3), tr.mark, tr.table.name, tr.born)
	if err != nil || changed == 0 {
		return err // installed anew since: another log
	}
	for _, r := range tr.seen {
		statement := "DELETE FROM " + v.engine.quote(logName(tr.table.name)) + " WHERE seq BETWEEN " + p(1) + " AND " + p(2)
		if err := s.exec(ctx, statement, r.first, r.last); err != nil {
			return err
		}
	}
	return nil
}
