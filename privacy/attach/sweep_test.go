package attach_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/privacy/attach/attachtest"
)

func sweeping(t *testing.T) (*attach.Files, *attachtest.Memory, *clock) {
	t.Helper()
	c := &clock{at: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	store := attachtest.NewMemory(c.now)
	files, err := attach.New(attach.Config{Store: store, Segment: smallest, Now: c.now})
	require.NoError(t, err)
	return files, store, c
}

func count(store attach.Store) int {
	n := 0
	for range store.List(context.Background()) {
		n++
	}
	return n
}

// liveRows is what SweepConfig.Live's comment shows.
func liveRows(db testdb.DB) func(context.Context, []string) ([]string, error) {
	return func(ctx context.Context, ids []string) (live []string, err error) {
		err = db.DB.WithContext(ctx).Model(&Document{}).Where("object IN ?", ids).Pluck("object", &live).Error
		return live, err
	}
}

func TestSweepRemovesWhatHasNoRow(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			db := testdb.New(t, engine)
			newVault(t, db, privacy.AllowAll, privacy.Discard)
			files, store, c := sweeping(t)
			kept := seal(t, files, []byte("kept"))
			require.NoError(t, db.Create(&Document{ID: "1", CustomerID: "7", Object: kept.ID(), File: kept.Sealed()}).Error)
			erased := seal(t, files, []byte("erased"))
			require.NoError(t, db.Create(&Document{ID: "2", CustomerID: "8", Object: erased.ID(), File: erased.Sealed()}).Error)
			seal(t, files, []byte("its row was rolled back"))
			c.at = c.at.Add(23 * time.Hour)
			young := seal(t, files, []byte("its transaction is still open"))

			swept, err := files.Sweep(t.Context(), attach.SweepConfig{Live: liveRows(db)})
			require.NoError(t, err)
			require.Equal(t, attach.Swept{Young: 4}, swept, "nothing is older than a day")

			require.NoError(t, db.Model(&Document{ID: "2", CustomerID: "8"}).Update("object", "").Error)
			c.at = c.at.Add(2 * time.Hour)
			dry, err := files.Sweep(t.Context(), attach.SweepConfig{Live: liveRows(db), DryRun: true})
			require.NoError(t, err)
			require.Equal(t, 4, count(store))
			swept, err = files.Sweep(t.Context(), attach.SweepConfig{Live: liveRows(db)})
			require.NoError(t, err)
			require.Equal(t, dry, swept)
			require.Equal(t, 1, swept.Live)
			require.Equal(t, 1, swept.Young)
			require.Equal(t, 2, swept.Removed)
			require.NotEmpty(t, store.Bytes(kept.ID()))
			require.NotEmpty(t, store.Bytes(young.ID()))
			require.Empty(t, store.Bytes(erased.ID()))
			_, err = readAll(files, kept)
			require.NoError(t, err)
		})
	}
}

func TestSweepFailsClosed(t *testing.T) {
	files, store, c := sweeping(t)
	for range 1200 {
		seal(t, files, nil)
	}
	c.at = c.at.Add(48 * time.Hour)
	none := func(context.Context, []string) ([]string, error) { return nil, nil }
	for name, cfg := range map[string]attach.SweepConfig{
		"no question":    {},
		"negative":       {Live: none, Grace: -1},
		"database fails": {Live: func(context.Context, []string) ([]string, error) { return nil, errors.New("connection refused") }},
		"wrong database": {Live: none},
		"other spelling": {Live: func(_ context.Context, ids []string) ([]string, error) {
			return []string{strings.ToUpper(ids[0]) + "X"}, nil
		}},
		"small allowance":  {Live: none, Max: 1199},
		"fails on the 2nd": {Live: failOnSecond(), Max: 2000},
	} {
		swept, err := files.Sweep(t.Context(), cfg)
		require.Error(t, err, name)
		require.Zero(t, swept, name)
		require.Equal(t, 1200, count(store), name)
	}
	_, err := files.Sweep(t.Context(), attach.SweepConfig{Live: none})
	require.ErrorIs(t, err, attach.ErrSweep)
	require.EqualError(t, err, "attach: sweep: more than 1000 objects have no row; if that is right, raise SweepConfig.Max, else see which database Live asks")

	swept, err := files.Sweep(t.Context(), attach.SweepConfig{Live: none, Max: 1200})
	require.NoError(t, err)
	require.Equal(t, 1200, swept.Removed)
	require.Zero(t, count(store))
}

func failOnSecond() func(context.Context, []string) ([]string, error) {
	calls := 0
	return func(context.Context, []string) ([]string, error) {
		if calls++; calls == 2 {
			return nil, errors.New("connection lost")
		}
		return nil, nil
	}
}

// An object dated in the future, by a clock that was wrong, is kept.
func TestSweepKeepsTheFuture(t *testing.T) {
	files, store, c := sweeping(t)
	seal(t, files, nil)
	c.at = c.at.Add(-72 * time.Hour)
	swept, err := files.Sweep(t.Context(), attach.SweepConfig{Live: func(context.Context, []string) ([]string, error) { return nil, nil }})
	require.NoError(t, err)
	require.Equal(t, 1, swept.Young)
	require.Equal(t, 1, count(store))
}

func TestLiveIsAskedInBatches(t *testing.T) {
	files, _, c := sweeping(t)
	for range 1100 {
		seal(t, files, nil)
	}
	c.at = c.at.Add(48 * time.Hour)
	var asked []int
	swept, err := files.Sweep(t.Context(), attach.SweepConfig{Live: func(_ context.Context, ids []string) ([]string, error) {
		asked = append(asked, len(ids))
		return ids, nil
	}})
	require.NoError(t, err)
	require.Equal(t, 1100, swept.Live)
	require.Equal(t, "[500 500 100]", fmt.Sprint(asked))
}
