package backuptest

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// A Fixture is a source to check. It holds at least two tables with at least two
// rows each.
type Fixture struct {
	Source backup.Source
	// Change commits an insert, an update and a delete of rows.
	Change func(t *testing.T)
	// Target returns a new, empty place for a restore of this source.
	Target func(t *testing.T) backup.Target
}

// RunSource checks the contracts of backup.Source and backup.Target.
func RunSource(t *testing.T, open func(t *testing.T) Fixture) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, f Fixture)
	}{
		{"the schema names tables, columns and keys", sourceSchema},
		{"each row has a canonical cell for each column, and a key", sourceRows},
		{"a snapshot reads the same whenever it is read", sourceRepeatable},
		{"a snapshot does not see what is committed after it began, the next one does", sourceIsolated},
		{"a source that tracks changes reports each of them, and a mark stands for no other state", sourceTracks},
		{"a reader that stops early or is cancelled leaves the view usable or closed", sourceStops},
		{"a restored target holds exactly the rows that were loaded", targetRoundTrip},
		{"a target that is not empty, or of another engine, is refused and unchanged", targetRefuses},
		{"a restore that is not committed leaves the target empty", targetAbandons},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, open(t)) })
	}
}

func sourceSchema(t *testing.T, f Fixture) {
	s := snapshot(t, f).Schema()
	require.NotEmpty(t, s.Engine)
	require.GreaterOrEqual(t, len(s.Tables), 2)
	for _, table := range s.Tables {
		require.NotEmpty(t, table.Name)
		require.NotEmpty(t, table.Columns, "columns of %s", table.Name)
		require.NotEmpty(t, table.Key, "key of %s", table.Name)
		require.NotEmpty(t, table.Create, "statements of %s", table.Name)
	}
	require.True(t, slices.IsSortedFunc(s.Tables, func(a, b backup.Table) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }), "tables in the order of their names")
}

func sourceRows(t *testing.T, f Fixture) {
	view := snapshot(t, f)
	for _, table := range view.Schema().Tables {
		keys := map[string]bool{}
		for _, row := range read(t, view.Rows(t.Context(), table.Name)) {
			var cells []string
			for rest := []byte(row); len(rest) > 0; {
				_, after, err := cell.Next(rest)
				require.NoError(t, err)
				cells = append(cells, string(rest[:len(rest)-len(after)]))
				rest = after
			}
			require.Len(t, cells, len(table.Columns), "cells of a row of %s", table.Name)
			key := ""
			for _, i := range table.Key {
				key += cells[i]
			}
			require.False(t, keys[key], "two rows of %s with one key", table.Name)
			keys[key] = true
		}
		require.GreaterOrEqual(t, len(keys), 2, "rows of %s", table.Name)
	}
}

func sourceRepeatable(t *testing.T, f Fixture) {
	view := snapshot(t, f)
	before := readAll(t, view)
	require.Equal(t, before, readAll(t, view))
	require.Equal(t, before, readAll(t, snapshot(t, f)), "two snapshots of an unchanged source")
}

func sourceIsolated(t *testing.T, f Fixture) {
	old := snapshot(t, f)
	f.Change(t)
	before := readAll(t, old)
	fresh := snapshot(t, f)
	after := readAll(t, fresh)
	require.NotEqual(t, before, after, "a new snapshot shows the change")
	f.Change(t)
	require.Equal(t, before, readAll(t, old), "an open snapshot does not change")
	require.Equal(t, after, readAll(t, fresh), "an open snapshot does not change")
}

// sourceTracks: what a Tracker does not report would be missing from an
// incremental snapshot.
func sourceTracks(t *testing.T, f Fixture) {
	old, ok := snapshot(t, f).(backup.Tracker)
	if !ok {
		return // reads everything
	}
	view := old.(backup.View)
	before := readAll(t, view)
	require.NoError(t, view.Close())
	require.NoError(t, old.Settle(t.Context()))
	f.Change(t)
	fresh := snapshot(t, f).(backup.Tracker)
	after := readAll(t, fresh.(backup.View))
	for _, table := range view.Schema().Tables {
		_, next := old.Marks(table.Name)
		now, further := fresh.Marks(table.Name)
		if now == "" || now != next {
			continue // read whole, and that is always right
		}
		require.NotEqual(t, now, further, "marks of %s: each snapshot leaves its own", table.Name)
		changed, err := fresh.Changed(t.Context(), table.Name, []backup.Span{{}})
		require.NoError(t, err)
		require.Len(t, changed, 1, "one answer for one span of %s", table.Name)
		same := slices.EqualFunc(before[table.Name], after[table.Name], func(a, b backup.Row) bool { return bytes.Equal(a, b) })
		require.True(t, changed[0] || same, "%s has changed", table.Name)
		count, err := fresh.Count(t.Context(), table.Name)
		require.NoError(t, err)
		require.Len(t, after[table.Name], int(count), "the number of rows of %s", table.Name)
		require.Equal(t, after[table.Name], read(t, fresh.Range(t.Context(), table.Name, backup.Span{})), "the whole span of %s", table.Name)
		spans(t, fresh, table, after[table.Name])
	}
}

// spans cuts a table in two at each row, as an incremental run does at its chunks.
func spans(t *testing.T, view backup.Tracker, table backup.Table, rows []backup.Row) {
	for i, row := range rows {
		key := keyOf(t, table, row)
		require.Equal(t, rows[:i+1], read(t, view.Range(t.Context(), table.Name, backup.Span{Through: key})), "rows of %s up to number %d", table.Name, i)
		require.Equal(t, len(rows)-i-1, len(read(t, view.Range(t.Context(), table.Name, backup.Span{After: key}))), "rows of %s behind number %d", table.Name, i)
	}
}

func keyOf(t *testing.T, table backup.Table, row backup.Row) (key []byte) {
	var cells [][]byte
	for rest := []byte(row); len(rest) > 0; {
		_, after, err := cell.Next(rest)
		require.NoError(t, err)
		cells = append(cells, rest[:len(rest)-len(after)])
		rest = after
	}
	for _, i := range table.Key {
		key = append(key, cells[i]...)
	}
	return key
}

func sourceStops(t *testing.T, f Fixture) {
	view := snapshot(t, f)
	whole := readAll(t, view)
	for _, table := range view.Schema().Tables {
		for _, err := range view.Rows(t.Context(), table.Name) {
			require.NoError(t, err)
			break
		}
	}
	require.Equal(t, whole, readAll(t, view), "after readers that stopped")
	var unknown error
	for _, err := range view.Rows(t.Context(), "no such table") {
		unknown = err
	}
	require.Error(t, unknown, "a table that does not exist")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var cancelled error
	for _, err := range view.Rows(ctx, view.Schema().Tables[0].Name) {
		cancelled = err
	}
	require.ErrorIs(t, cancelled, context.Canceled)
	require.NoError(t, view.Close())
	require.NoError(t, view.Close(), "closing twice")
	require.Equal(t, whole, readAll(t, snapshot(t, f)), "a new snapshot after a cancelled one")
	_, err := f.Source.Snapshot(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func targetRoundTrip(t *testing.T, f Fixture) {
	view := snapshot(t, f)
	loading := load(t, f.Target(t), view)
	want := readAll(t, view)
	for _, table := range view.Schema().Tables {
		require.ElementsMatch(t, want[table.Name], read(t, loading.Rows(t.Context(), table.Name)), "rows of %s", table.Name)
	}
	require.NoError(t, loading.Commit(t.Context()))
	require.NoError(t, loading.Close(), "closing after the commit")
}

func targetRefuses(t *testing.T, f Fixture) {
	view, target := snapshot(t, f), f.Target(t)
	other := view.Schema()
	other.Engine = "another engine"
	_, err := target.Begin(t.Context(), other)
	require.ErrorIs(t, err, backup.ErrUnsupported)

	loading := load(t, target, view)
	require.NoError(t, loading.Commit(t.Context()))
	_, err = target.Begin(t.Context(), view.Schema())
	require.ErrorIs(t, err, backup.ErrNotEmpty)
}

func targetAbandons(t *testing.T, f Fixture) {
	view, target := snapshot(t, f), f.Target(t)
	loading := load(t, target, view)
	require.NoError(t, loading.Close())
	require.NoError(t, loading.Close(), "closing twice")
	loading = load(t, target, view) // would be refused if anything were left
	require.NoError(t, loading.Commit(t.Context()))
}

func snapshot(t *testing.T, f Fixture) backup.View {
	t.Helper()
	view, err := f.Source.Snapshot(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { view.Close() })
	return view
}

func load(t *testing.T, target backup.Target, view backup.View) backup.Loading {
	t.Helper()
	loading, err := target.Begin(t.Context(), view.Schema())
	require.NoError(t, err)
	t.Cleanup(func() { loading.Close() })
	for _, table := range view.Schema().Tables {
		require.NoError(t, loading.Load(t.Context(), table.Name, view.Rows(t.Context(), table.Name)))
	}
	require.NoError(t, loading.Finish(t.Context()))
	return loading
}

func read(t *testing.T, rows iter.Seq2[backup.Row, error]) []backup.Row {
	t.Helper()
	var out []backup.Row
	for row, err := range rows {
		require.NoError(t, err)
		out = append(out, slices.Clone(row))
	}
	return out
}

func readAll(t *testing.T, view backup.View) map[string][]backup.Row {
	t.Helper()
	all := map[string][]backup.Row{}
	for _, table := range view.Schema().Tables {
		all[table.Name] = read(t, view.Rows(t.Context(), table.Name))
	}
	return all
}
