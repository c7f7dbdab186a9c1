package audit_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

// Sealers of several processes run into each other all the time; that must
// cost nothing but a second attempt.
func TestCompetingSealers(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		logs := []*audit.Log{b.log}
		for range 3 {
			logs = append(logs, b.restart(t))
		}
		for range 10 {
			for range 20 {
				require.NoError(t, b.log.RecordApart(b.ctx, "a.b"))
			}
			require.NoError(t, b.log.Flush(b.ctx))
			var wg sync.WaitGroup
			errs := make([]error, len(logs))
			sealed := make([]int, len(logs))
			for i, log := range logs {
				wg.Go(func() { sealed[i], errs[i] = log.Seal(b.ctx) })
			}
			wg.Wait()
			require.NoError(t, errors.Join(errs...))
			total := 0
			for _, n := range sealed {
				total += n
			}
			require.Equal(t, 20, total, "each event must be sealed by exactly one")
		}
		require.EqualValues(t, 200, audittest.CheckLog(t, b.log).Size)
	})
}

// contended makes every commit lose its race against another sealer, as long as it lasts.
type contended struct {
	*audit.Memory
	losses int
}

func (c *contended) Commit(ctx context.Context, b audit.Batch) error {
	if c.losses > 0 {
		c.losses--
		return audit.ErrConflict
	}
	return c.Memory.Commit(ctx, b)
}

func TestALostRaceIsRunAgainButNotForEver(t *testing.T) {
	store := &contended{audit.NewMemory(), 5}
	log := memoryLog(t, store)
	require.NoError(t, log.Record(t.Context(), "a.b"))
	n, err := log.Seal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)

	store.losses = 1 << 30
	require.NoError(t, log.Record(t.Context(), "a.b"))
	_, err = log.Seal(t.Context())
	require.ErrorIs(t, err, audit.ErrConflict)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = log.Seal(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// An entry that an administrator put where the next one belongs blocks the log
// loudly: nothing is sealed over it, nothing is lost.
func TestATakenPlaceBlocksTheSealer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		forge("main", 10)(t, b)
		require.NoError(t, b.log.Record(b.ctx, "one.more"))
		_, err := b.log.Seal(b.ctx)
		require.ErrorIs(t, err, audit.ErrConflict)
		remove("log_id = 'main' AND seq = 10")(t, b)
		require.Equal(t, 1, b.seal(t))
		audittest.CheckLog(t, b.log)
	})
}

// slowAnchor lets another process seal and anchor between the reading of a
// checkpoint and its arrival, once.
type slowAnchor struct {
	memoryAnchor
	largest   int64
	meanwhile func()
}

func (a *slowAnchor) Put(ctx context.Context, c audit.Checkpoint) error {
	if f := a.meanwhile; f != nil {
		a.meanwhile = nil
		f()
	}
	if c.Size < a.largest {
		return errTest
	}
	a.largest = c.Size
	return a.memoryAnchor.Put(ctx, c)
}

func TestANewerCheckpointOfAnotherProcessIsNoRollback(t *testing.T) {
	anchor := &slowAnchor{}
	var cfg audit.Config
	log := memoryLog(t, audit.NewMemory(), func(c *audit.Config) { c.Anchor = anchor; cfg = *c })
	other, err := audit.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, log.Record(t.Context(), "a.b"))
	anchor.meanwhile = func() {
		require.NoError(t, other.Record(t.Context(), "c.d"))
		_, err := other.Seal(t.Context())
		require.NoError(t, err)
	}
	_, err = log.Seal(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, anchor.largest)
	require.EqualValues(t, 2, audittest.CheckLog(t, log).AnchoredTo)
}
