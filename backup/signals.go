package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/confide-go/confide/backup/cell"
)

// Limits are the changes from one snapshot to the next that are taken for an
// attack or an accident. A zero field has the value that its comment names.
type Limits struct {
	Changed   float64 // share of a table's rows that changed or went: 0.5
	Gone      float64 // share of a table's rows that went: 0.3
	Encrypted float64 // share of a column's values that look like ciphertext and did not before: 0.3
	Rows      int64   // smaller tables are not looked at: 100
}

func (l Limits) filled() Limits {
	for _, f := range []struct {
		value    *float64
		standard float64
	}{{&l.Changed, 0.5}, {&l.Gone, 0.3}, {&l.Encrypted, 0.3}} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	if l.Rows == 0 {
		l.Rows = 100
	}
	return l
}

// A Signal is a change of a table that looks like an attack or an accident.
type Signal struct {
	Snapshot ID // in which it is seen first
	Table    string
	Kind     string  // "mass change", "mass deletion" or "encryption"
	Column   string  // of an encryption
	Share    float64 // of the rows
}

func (s Signal) String() string {
	where := fmt.Sprintf("table %q", s.Table)
	if s.Column != "" {
		where = fmt.Sprintf("column %q of %s", s.Column, where)
	}
	return fmt.Sprintf("snapshot %d: %s of %.0f %% of %s", s.Snapshot, s.Kind, 100*s.Share, where)
}

// A FrozenError is returned by Prune while the data changes as under an attack.
// Nothing was removed. Look at the signals; if all is well, pass the newest
// snapshot as PruneOptions.Accept.
type FrozenError struct{ Signals []Signal }

func (e *FrozenError) Error() string {
	var list []string
	for _, s := range e.Signals {
		list = append(list, s.String())
	}
	return "backup: nothing pruned, the retention is frozen: " + strings.Join(list, "; ")
}

// frozen looks at the changes since the snapshot that the last prune had seen.
func (r *Repository) frozen(ctx context.Context, ring *keyring, all []*openedManifest, checked ID, opts PruneOptions) error {
	frozen := &FrozenError{}
	for i := 1; i < len(all); i++ {
		if all[i].id <= max(checked, opts.Accept) {
			continue
		}
		signals, err := r.signals(ctx, ring, all[i-1], all[i], opts.Limits.filled())
		if err != nil {
			return fmt.Errorf("backup: nothing pruned: %w", err)
		}
		frozen.Signals = append(frozen.Signals, signals...)
	}
	if len(frozen.Signals) > 0 {
		return frozen
	}
	return nil
}

// Signals compares two snapshots, reading no more than the chunks in which they
// differ. It is what freezes Prune, for alerts that come earlier.
func (r *Repository) Signals(ctx context.Context, from, to ID, limits Limits) ([]Signal, error) {
	ring, err := r.ring(ctx)
	if err != nil {
		return nil, err
	}
	before, err := r.find(ctx, ring, from)
	if err != nil {
		return nil, err
	}
	after, err := r.find(ctx, ring, to)
	if err != nil {
		return nil, err
	}
	return r.signals(ctx, ring, before, after, limits.filled())
}

func (r *Repository) signals(ctx context.Context, ring *keyring, before, after *openedManifest, limits Limits) ([]Signal, error) {
	var out []Signal
	for i, t := range before.Schema.Tables {
		old, now := before.Tables[i], manifestTable{}
		var columns Table
		for j, u := range after.Schema.Tables {
			if u.Name == t.Name {
				now, columns = after.Tables[j], u
			}
		}
		if old.Rows < limits.Rows || old.Sum == now.Sum {
			continue
		}
		found, err := r.look(ctx, ring, t, old, columns, now, limits)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			s.Snapshot, s.Table = after.id, t.Name
			out = append(out, s)
		}
	}
	return out, nil
}

// look compares the rows of a table, or what the manifests say about them if the
// key that opens the rows is not at hand.
func (r *Repository) look(ctx context.Context, ring *keyring, t Table, old manifestTable, u Table, now manifestTable, limits Limits) ([]Signal, error) {
	changed, err := r.changed(ctx, ring, t, old, u, now)
	if errors.Is(err, errSealed) {
		return outside(old, now, limits), nil
	}
	if err != nil {
		return nil, err
	}
	return changed.signals(limits, old.Rows), nil
}

// outside goes by the number of rows and by how far they can be compressed, which
// ciphertext cannot.
func outside(old, now manifestTable, l Limits) (out []Signal) {
	if share := float64(old.Rows-now.Rows) / float64(old.Rows); share >= l.Gone {
		out = append(out, Signal{Kind: "mass deletion", Share: share})
	}
	ratio := func(t manifestTable) float64 {
		var stored int64
		for _, ref := range t.Chunks {
			stored += ref.Stored
		}
		return float64(stored) / float64(max(t.Bytes, 1))
	}
	const enough = 16 << 10 // bytes, below which headers and seals count for more than content
	if was, is := ratio(old), ratio(now); old.Bytes >= enough && now.Bytes >= enough && is-was >= l.Encrypted {
		out = append(out, Signal{Kind: "encryption", Share: is - was})
	}
	return out
}

// A change of a table between two snapshots, by its rows.
type tableChange struct {
	table         Table
	gone, changed int64 // rows whose key is not there any more, or whose other cells differ
	before, after *looks
}

func (c tableChange) signals(l Limits, rows int64) (out []Signal) {
	if share := float64(c.gone) / float64(rows); share >= l.Gone {
		out = append(out, Signal{Kind: "mass deletion", Share: share})
	}
	if share := float64(c.gone+c.changed) / float64(rows); share >= l.Changed {
		out = append(out, Signal{Kind: "mass change", Share: share})
	}
	for _, column := range c.table.Columns {
		more := c.after.sealed[column.Name] - c.before.sealed[column.Name]
		if share := float64(more) / float64(rows); share >= l.Encrypted {
			out = append(out, Signal{Kind: "encryption", Column: column.Name, Share: share})
		}
	}
	return out
}

// looks counts values that look like ciphertext, by column.
type looks struct{ sealed map[string]int64 }

func (l *looks) add(t Table, row Row) {
	for i, one := range cellsOf(row) {
		if v, _, err := cell.Next(one); err == nil && ciphertext(v) {
			l.sealed[t.Columns[i].Name]++
		}
	}
}

// ciphertext reports whether a value has no more pattern than random bytes or
// their base64. Hexadecimal is not told from an identifier, nor short values from
// words.
func ciphertext(v cell.Value) bool {
	// The chance that two bytes are equal is 1/256 in random bytes, 1/64 in base64,
	// and about 1/15 in words or hexadecimal digits.
	limit := 1.0 / 64
	switch {
	case len(v.Raw) < 24:
		return false
	case v.Kind == cell.Text:
		limit = 1.0 / 32
		base64 := func(r rune) bool {
			return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+/=-_.:$", r)
		}
		if strings.ContainsFunc(string(v.Raw), func(r rune) bool { return !base64(r) }) {
			return false
		}
	case v.Kind != cell.Bytes:
		return false
	}
	var counts [256]int
	for _, b := range v.Raw {
		counts[b]++
	}
	pairs := 0
	for _, n := range counts {
		pairs += n * (n - 1)
	}
	return float64(pairs)/float64(len(v.Raw)*(len(v.Raw)-1)) < limit
}

// changed compares the rows of the chunks that only one of the two snapshots has.
func (r *Repository) changed(ctx context.Context, ring *keyring, t Table, old manifestTable, u Table, now manifestTable) (tableChange, error) {
	out := tableChange{table: t, before: &looks{map[string]int64{}}, after: &looks{map[string]int64{}}}
	was := map[chunkID]Row{} // by key: the keyed hash of the row
	index := func(t Table, row Row) (key, value chunkID) {
		k, v := newRowSet(ring.rows, "key"), newRowSet(ring.rows, "row")
		k.add(pick(&t, row, keyNames(&t)))
		v.add(row)
		return k.value(), v.value()
	}
	err := r.eachRow(ctx, ring, t, only(old, now), func(row Row) {
		key, value := index(t, row)
		was[key] = value[:]
		out.before.add(t, row)
	})
	if err != nil {
		return out, err
	}
	err = r.eachRow(ctx, ring, u, only(now, old), func(row Row) {
		key, value := index(u, row)
		if before, ok := was[key]; ok {
			if chunkID(before) != value {
				out.changed++
			}
			delete(was, key)
		}
		out.after.add(u, row)
	})
	out.gone = int64(len(was))
	return out, err
}

// only returns the chunks whose content the other table has not.
func only(a, b manifestTable) (refs []*chunkRef) {
	have := map[chunkID]bool{}
	for _, ref := range b.Chunks {
		have[ref.ID] = true
	}
	for _, ref := range a.Chunks {
		if !have[ref.ID] {
			refs = append(refs, ref)
		}
	}
	return refs
}

func (r *Repository) eachRow(ctx context.Context, ring *keyring, t Table, refs []*chunkRef, f func(Row)) error {
	for got := range fetch(ctx, r.cfg.Store, ring, refs) {
		if got.err != nil {
			return got.err
		}
		for row, err := range rowsOf(t, got.content) {
			if err != nil {
				return fmt.Errorf("%w: %s %w", ErrDamaged, got.ref.key(), err)
			}
			f(row)
		}
	}
	return nil
}
