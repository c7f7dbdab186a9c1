package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

// A fault is a way in which a store does not do what it was asked.
type fault int

const (
	works     fault = iota
	failsHard       // nothing is stored
	failsSoft       // everything is stored, and the answer is lost
	hangs           // nothing is stored before the caller gives up or it is released
)

// A faulty store is one that does not always do what it was asked.
type faulty struct {
	*audit.Memory
	fault    atomic.Int32
	entered  chan struct{} // closed by the first call: a group of events is on its way
	released chan struct{}
	calls    atomic.Int32
}

func newFaulty(f fault) *faulty {
	s := &faulty{Memory: audit.NewMemory(), entered: make(chan struct{}), released: make(chan struct{})}
	s.fault.Store(int32(f))
	return s
}

func (s *faulty) heal() {
	if fault(s.fault.Swap(int32(works))) == hangs {
		close(s.released)
	}
}

func (s *faulty) do(store func() error) error {
	if s.calls.Add(1) == 1 {
		close(s.entered)
	}
	switch fault(s.fault.Load()) {
	case failsHard:
		return errTest
	case failsSoft:
		if err := store(); err != nil {
			return err
		}
		return errTest
	case hangs:
		<-s.released
	}
	return store()
}

// fill records best-effort events until one is lost, and returns how many it
// recorded. It waits until the store hangs: later nothing leaves the full queue.
func (s *faulty) fill(t *testing.T, log *audit.Log) (n int64) {
	t.Helper()
	for log.Stats().LostBestEffort == 0 {
		require.NoError(t, log.RecordApart(t.Context(), "filler"))
		if n++; n == 1 {
			<-s.entered
		}
	}
	return n
}

func (s *faulty) Enqueue(ctx context.Context, events []audit.Pending) error {
	return s.do(func() error { return s.Memory.Enqueue(ctx, events) })
}

func (s *faulty) EnqueueOnce(ctx context.Context, events []audit.Pending) error {
	return s.do(func() error { return s.Memory.EnqueueOnce(ctx, events) })
}

// tally seals, verifies, and counts the events by action. Gap events count what they say.
func tally(t *testing.T, log *audit.Log) map[string]int64 {
	t.Helper()
	audittest.CheckLog(t, log)
	got := map[string]int64{}
	for e, err := range log.Events(t.Context(), audit.Query{}) {
		require.NoError(t, err)
		if e.Action != audit.GapAction {
			got[e.Action]++
			continue
		}
		name, n := "gap", int64(0)
		for _, a := range e.Attrs {
			switch a.Key {
			case "reason", "class":
				name += " " + a.Value.String()
			case "lost":
				n = a.Value.Int64()
			}
		}
		require.Equal(t, "lost", e.Result)
		got[name] += n
	}
	return got
}

func classed(c audit.Class) func(*audit.Config) {
	return func(cfg *audit.Config) { cfg.Class = func(string) audit.Class { return c } }
}

// What each class promises, for each way in which the database can fail.
func TestClasses(t *testing.T) {
	type outcome struct {
		fails bool             // the call returns an error
		got   map[string]int64 // in the log, once the database works again
	}
	once := map[string]int64{"act": 1}
	lost := map[string]int64{"gap unwritten should": 1}
	none := map[string]int64{}
	for _, c := range []struct {
		apart bool
		class audit.Class
		spill bool
		fault fault
		want  outcome
	}{
		{false, audit.Must, false, failsHard, outcome{true, none}},
		{false, audit.Must, true, failsHard, outcome{true, none}},
		{false, audit.Must, true, failsSoft, outcome{true, once}}, // the log says more than happened, never less
		{false, audit.Must, true, hangs, outcome{true, once}},
		{false, audit.Should, false, failsHard, outcome{true, lost}},
		{false, audit.Should, true, failsHard, outcome{false, once}},
		{false, audit.Should, true, failsSoft, outcome{false, once}},
		{false, audit.Should, true, hangs, outcome{false, once}},
		{false, audit.BestEffort, false, failsHard, outcome{false, once}},
		{false, audit.BestEffort, true, failsSoft, outcome{false, once}},
		{false, audit.BestEffort, true, hangs, outcome{false, once}},
		{true, audit.Must, false, failsHard, outcome{false, once}},
		{true, audit.Must, true, failsHard, outcome{false, once}},
		{true, audit.Must, true, failsSoft, outcome{false, once}},
		{true, audit.Should, false, failsHard, outcome{false, once}},
		{true, audit.Should, false, failsSoft, outcome{false, once}},
		{true, audit.Should, true, failsHard, outcome{false, once}},
		{true, audit.Should, true, failsSoft, outcome{false, once}},
		{true, audit.Should, true, hangs, outcome{false, once}},
		{true, audit.BestEffort, false, failsSoft, outcome{false, once}},
		{true, audit.BestEffort, true, failsHard, outcome{false, once}},
	} {
		name := fmt.Sprintf("apart=%t %s spill=%t fault=%d", c.apart, c.class, c.spill, c.fault)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newFaulty(c.fault)
			log := memoryLog(t, store, classed(c.class), func(cfg *audit.Config) {
				if c.spill {
					cfg.Spill = t.TempDir()
				}
			})
			record := log.Record
			if c.apart {
				record = log.RecordApart
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.fault == hangs {
				go func() { // the caller gives up when the event is on its way
					<-store.entered
					cancel()
				}()
			}
			err := record(ctx, "act")
			require.Equal(t, c.want.fails, err != nil, "%v", err)
			store.heal()
			require.Equal(t, c.want.got, tally(t, log))
			require.NoError(t, log.Close())
		})
	}
}

// A queue that is full, by policy and class.
func TestOnFull(t *testing.T) {
	for _, c := range []struct {
		on    audit.OnFull
		class audit.Class
		spill bool
		fails bool
		got   map[string]int64 // besides what filled the queue
	}{
		{audit.SpillOver, audit.Must, true, true, nil},
		{audit.SpillOver, audit.Should, true, false, map[string]int64{"act": 1}},
		{audit.SpillOver, audit.Should, false, true, map[string]int64{"gap full should": 1}},
		{audit.SpillOver, audit.BestEffort, true, false, map[string]int64{"gap full best-effort": 1}},
		{audit.Block, audit.Must, true, true, nil},
		{audit.Block, audit.Should, true, false, map[string]int64{"act": 1}},
		{audit.Block, audit.BestEffort, false, false, map[string]int64{"gap full best-effort": 1}},
		{audit.Deny, audit.Must, true, true, nil},
		{audit.Deny, audit.Should, true, true, map[string]int64{"gap full should": 1}},
	} {
		t.Run(fmt.Sprintf("%d %s spill=%t", c.on, c.class, c.spill), func(t *testing.T) {
			t.Parallel()
			store := newFaulty(hangs)
			log := memoryLog(t, store, func(cfg *audit.Config) {
				cfg.OnFull, cfg.BlockFor = c.on, 20*time.Millisecond
				cfg.Class = func(action string) audit.Class {
					if action == "filler" {
						return audit.BestEffort
					}
					return c.class
				}
				if c.spill {
					cfg.Spill = t.TempDir()
				}
			})
			fillers := store.fill(t, log)
			err := log.Record(t.Context(), "act")
			require.Equal(t, c.fails, err != nil, "%v", err)
			if c.fails {
				require.ErrorIs(t, err, audit.ErrFull)
			}
			store.heal()
			got := tally(t, log)
			want := map[string]int64{"filler": fillers - 1, "gap full best-effort": 1}
			for k, n := range c.got {
				want[k] += n
			}
			require.Equal(t, want, got)
			require.NoError(t, log.Close())
		})
	}
}

func TestBlockLetsAnEventInAsSoonAsThereIsRoom(t *testing.T) {
	store := newFaulty(hangs)
	log := memoryLog(t, store, func(cfg *audit.Config) { cfg.OnFull, cfg.BlockFor = audit.Block, time.Minute })
	for log.Stats().Queued < log.Stats().QueueLimit {
		require.NoError(t, log.RecordApart(t.Context(), "filler"))
	}
	var wg sync.WaitGroup
	for range 600 { // more than one group of room
		wg.Go(func() {
			if err := log.Record(t.Context(), "act"); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for { // the group on its way leaves room for some
		if err := log.Record(ctx, "gives.up"); err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			break
		}
	}
	store.heal()
	wg.Wait()
	require.EqualValues(t, 600, tally(t, log)["act"])
}

// An event in a transaction shares its fate, whatever its class.
func TestInATransactionEveryEventIsMust(t *testing.T) {
	log := memoryLog(t, newFaulty(works), classed(audit.BestEffort), func(cfg *audit.Config) { cfg.Spill = t.TempDir() })
	tx := testdb.New(t, testdb.SQLite).Begin() // the memory store cannot join it
	defer tx.Rollback()
	require.ErrorIs(t, log.Record(audit.WithTx(t.Context(), tx), "act"), audit.ErrInvalid)
	require.Empty(t, tally(t, log))
}

func TestASpillDirectoryThatIsFullIsAnErrorAndAGap(t *testing.T) {
	store := newFaulty(failsHard)
	log := memoryLog(t, store, classed(audit.Should), func(cfg *audit.Config) { cfg.Spill, cfg.SpillLimit = t.TempDir(), 20_000 })
	refused, taken := int64(0), int64(0)
	for range 300 {
		if err := log.Record(t.Context(), "act"); err != nil {
			require.ErrorContains(t, err, "spill: the directory is full")
			refused++
		} else {
			taken++
		}
	}
	require.Positive(t, refused)
	require.Positive(t, taken)
	s := log.Stats()
	require.Equal(t, refused, s.LostShould)
	require.Equal(t, refused, s.Untold)
	require.EqualValues(t, taken, s.Spilled)
	require.True(t, s.Failing)
	require.Contains(t, s.LastError, errTest.Error())
	store.heal()
	require.Equal(t, map[string]int64{"act": taken, "gap unwritten should": refused}, tally(t, log))
	s = log.Stats()
	require.Zero(t, s.Untold)
	require.Zero(t, s.Spilled)
	require.False(t, s.Failing)
	require.NoError(t, log.Close())
}

// shared is a spill directory and a store that several logs use one after the other.
type shared struct {
	store    *faulty
	dir      string
	signer   note.Signer
	verifier note.Verifier
}

func newShared(t *testing.T, f fault) *shared {
	signer, verifier := keys(t)
	return &shared{newFaulty(f), filepath.Join(t.TempDir(), "spill"), signer, verifier}
}

func (s *shared) open(t *testing.T, change ...func(*audit.Config)) *audit.Log {
	t.Helper()
	return memoryLog(t, s.store, append([]func(*audit.Config){func(cfg *audit.Config) {
		cfg.Signer, cfg.Verifier, cfg.Spill = s.signer, s.verifier, s.dir
	}}, change...)...)
}

func (s *shared) left(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(s.dir, "*"))
	require.NoError(t, err)
	return list
}

func TestLossesAndSpilledEventsSurviveARestart(t *testing.T) {
	s := newShared(t, failsHard)
	log := s.open(t, func(cfg *audit.Config) {
		cfg.CloseWait = 50 * time.Millisecond
		cfg.Class = func(action string) audit.Class {
			return map[string]audit.Class{"must": audit.Must, "should": audit.Should, "best": audit.BestEffort}[action]
		}
	})
	require.Error(t, log.Record(t.Context(), "must"))
	require.NoError(t, log.Record(t.Context(), "should"))
	require.NoError(t, log.RecordApart(t.Context(), "should"))
	for range 3 {
		require.NoError(t, log.Record(as(t.Context(), audit.Actor{Tenant: "main"}), "best"))
	}
	err := log.Close()
	require.ErrorContains(t, err, "events are not written")
	require.ErrorIs(t, err, errTest)
	require.NoError(t, log.Close(), "a second Close has nothing to do")

	again := s.open(t) // the database is still away: everything stays
	require.NotEmpty(t, s.left(t))
	s.store.fault.Store(int32(failsSoft)) // stored, but the answer is lost: and again
	third := s.open(t)
	s.store.heal()
	fourth := s.open(t)
	require.Equal(t, map[string]int64{"should": 2, "gap closed best-effort": 3}, tally(t, fourth))
	for _, l := range []*audit.Log{again, third, fourth} {
		require.NoError(t, l.Close())
	}
	require.Empty(t, s.left(t))
}

func TestAnEditedSpillFileIsAGap(t *testing.T) {
	s := newShared(t, failsHard)
	log := s.open(t)
	require.NoError(t, log.RecordApart(t.Context(), "first"))
	require.NoError(t, log.RecordApart(t.Context(), "second"))
	require.Eventually(t, func() bool { return log.Stats().Spilled == 2 }, 10*time.Second, time.Millisecond, "no longer in memory")
	flipByte(t, s.left(t), 120)
	s.store.heal()
	got := tally(t, log)
	require.EqualValues(t, 1, got["gap unreadable"])
	require.EqualValues(t, 1, got["first"]+got["second"])
	require.NoError(t, log.Close())
	require.Len(t, s.left(t), 1, "the file is kept as evidence")
}

func TestSpillNeedsAStoreThatRecognisesEvents(t *testing.T) {
	signer, verifier := keys(t)
	_, err := audit.Open(t.Context(), audit.Config{Store: struct{ audit.Store }{audit.NewMemory()}, Signer: signer, Verifier: verifier, Actor: actorOf,
		Anchor: audit.Unanchored, Spill: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "Config.Spill needs a Store that has EnqueueOnce")
}

// A ledger has room for some tenants only; what does not fit is still counted.
func TestLossesOfManyTenantsAreAllCounted(t *testing.T) {
	store := newFaulty(hangs)
	dir := t.TempDir()
	log := memoryLog(t, store, classed(audit.BestEffort), func(cfg *audit.Config) { cfg.Spill = dir })
	store.fill(t, log)
	before := log.Stats().LostBestEffort
	for i := range 200 {
		ctx := as(t.Context(), audit.Actor{Tenant: fmt.Sprintf("%064d", i)})
		require.NoError(t, log.RecordApart(ctx, "act"))
	}
	require.EqualValues(t, before+200, log.Stats().Untold)
	store.heal()
	audittest.CheckLog(t, log)
	told := int64(0)
	for i := -1; i < 200; i++ {
		tenant := audit.MainTenant
		if i >= 0 {
			tenant = fmt.Sprintf("%064d", i)
		}
		for e, err := range log.Events(t.Context(), audit.Query{Tenant: tenant, Action: audit.GapAction}) {
			require.NoError(t, err)
			for _, a := range e.Attrs {
				if a.Key == "lost" {
					told += a.Value.Int64()
				}
			}
		}
	}
	require.Equal(t, before+200, told)
	require.NoError(t, log.Close())
}

// flipByte changes one byte of the segment among the files.
func flipByte(t *testing.T, files []string, at int) {
	t.Helper()
	for _, f := range files {
		if filepath.Ext(f) == ".spill" {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			b[at] ^= 1
			require.NoError(t, os.WriteFile(f, b, 0o600))
			return
		}
	}
	t.Fatal("no segment")
}
