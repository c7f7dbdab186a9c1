package backup_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// counted is a tracked source that counts what it is asked.
type counted struct {
	backup.Source
	spans          int // of the table, as last asked
	changed, whole int
	ranges         []backup.Span
}

type countedView struct {
	backup.View
	backup.Tracker
	of *counted
}

func (c *counted) Snapshot(ctx context.Context) (backup.View, error) {
	c.spans, c.changed, c.whole, c.ranges = 0, 0, 0, nil
	v, err := c.Source.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return &countedView{v, v.(backup.Tracker), c}, nil
}

func (v *countedView) Changed(ctx context.Context, table string, spans []backup.Span) ([]bool, error) {
	v.of.changed++
	v.of.spans = len(spans)
	return v.Tracker.Changed(ctx, table, spans)
}

func (v *countedView) Range(ctx context.Context, table string, span backup.Span) iter.Seq2[backup.Row, error] {
	v.of.ranges = append(v.of.ranges, span)
	return v.Tracker.Range(ctx, table, span)
}

func (v *countedView) Rows(ctx context.Context, table string) iter.Seq2[backup.Row, error] {
	v.of.whole++
	return v.View.Rows(ctx, table)
}

// An incremental run asks once what has changed, reads neighbours together, and
// never does more than a full one.
func TestWhatLiesTogetherIsReadTogether(t *testing.T) {
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		pool := poolOf(t, db)
		const rows, twoFillAChunk = 16, 600_000
		exec(t, pool, "CREATE TABLE wide (id INT PRIMARY KEY, n INT, body "+map[string]string{testdb.MySQL: "LONGTEXT"}[db.Engine]+map[bool]string{true: "TEXT"}[db.Engine != testdb.MySQL]+")")
		body := map[string]string{testdb.SQLite: "hex(zeroblob(%d))", testdb.Postgres: "repeat('0', 2 * %d)", testdb.MySQL: "repeat('0', 2 * %d)"}[db.Engine]
		for id := range rows {
			exec(t, pool, fmt.Sprintf("INSERT INTO wide VALUES (%d, 0, "+body+")", id, twoFillAChunk/2))
		}
		track(t, db)
		source := &counted{Source: sourceOf(t, db)}
		store, kek := backup.NewMemory(), backuptest.NewKEK(t)
		r := open(t, store, kek, source)
		run(t, r)
		never := backup.RunOptions{Kind: backup.Incremental, Scrub: 1 << 30}
		for _, c := range []struct {
			name, where   string
			ranges, whole int
		}{
			{"nothing", "id < 0", 0, 0},
			{"neighbours", "id BETWEEN 4 AND 9", 1, 0},
			{"two places", "id BETWEEN 2 AND 4 OR id BETWEEN 10 AND 12", 2, 0},
			{"the ends", "id IN (0, 15)", 2, 0},
			{"most", "id % 4 = 0 OR id > 10", 0, 1},
		} {
			exec(t, pool, "UPDATE wide SET n = n + 1 WHERE "+c.where)
			s, err := r.Run(t.Context(), never)
			require.NoError(t, err)
			require.Empty(t, s.Missed)
			require.Equal(t, backup.Incremental, s.Kind)
			require.Equal(t, 8, source.spans, c.name)
			require.Equal(t, 1, source.changed, c.name)
			require.Len(t, source.ranges, c.ranges, c.name)
			require.Equal(t, c.whole, source.whole, c.name)
			require.LessOrEqual(t, s.Work.Read, int64(rows), c.name)
		}
		to := restored(t, store, kek, backup.Newest, db.Engine)
		require.Equal(t, rowsOf(t, source), rowsOf(t, sourceOf(t, to)))

		// Also where all is read, the tracking is tried.
		exec(t, pool, "UPDATE wide SET n = n + 1 WHERE id = 7", "DELETE FROM confide_changes_wide", "UPDATE wide SET n = n + 1 WHERE id > 9")
		s, err := r.Run(t.Context(), backup.RunOptions{Kind: backup.Incremental, Scrub: 1})
		require.NoError(t, err)
		require.Len(t, s.Missed, 1)
		require.Contains(t, s.Missed[0].Detail, "rows that the tracking calls unchanged")
		requireWhole(t, store, kek)
	})
}
