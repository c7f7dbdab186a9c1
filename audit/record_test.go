package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
)

// memoryLog opens a log without a database.
func memoryLog(t testing.TB, store audit.Store, change ...func(*audit.Config)) *audit.Log {
	t.Helper()
	signer, verifier := keys(t)
	cfg := audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored,
		Now: ticking(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&cfg)
	}
	log, err := audit.Open(context.Background(), cfg)
	require.NoError(t, err)
	return log
}

func oneEvent(t *testing.T, log *audit.Log) audit.Event {
	t.Helper()
	audittest.CheckLog(t, log)
	for e, err := range log.Events(t.Context(), audit.Query{Limit: 1}) {
		require.NoError(t, err)
		return e
	}
	t.Fatal("no event")
	return audit.Event{}
}

// wiretap is a type that knows how to hide itself.
type wiretap struct{ Phone string }

func (wiretap) LogValue() slog.Value { return slog.StringValue("138****8000") }

func TestAttributes(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	require.NoError(t, log.Record(t.Context(), "customer.reveal",
		slog.Any("resource", "customer"), slog.Int("row", 5), slog.String("rows", "6, 7,"), slog.Any("fields", []string{"phone", "e,mail"}),
		slog.String("subject", "customer:5"), slog.String("purpose", "why"), slog.String("result", "denied"),
		slog.Uint64("small", 1), slog.Uint64("large", 1<<63), slog.Float64("ratio", 0.25), slog.Bool("yes", true), slog.Duration("took", time.Second),
		slog.Time("at", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), slog.Any("list", []string{"a", "b"}), slog.Any("phone", wiretap{"13800138000"}),
		slog.Group("http", slog.String("method", "GET"), slog.Group("deep", slog.Int("n", 1))), slog.Attr{}))
	e := oneEvent(t, log)
	require.Equal(t, "customer", e.Resource)
	require.Equal(t, []audit.Row{{ID: "5"}, {ID: "6"}, {ID: "7"}}, e.Rows)
	require.Equal(t, []string{"phone", "e,mail"}, e.Fields)
	require.Equal(t, []string{"customer:5", "why", "denied"}, []string{e.Subject, e.Purpose, e.Result})
	require.Equal(t, "[small=1 large=9223372036854775808 ratio=0.25 yes=true took=1s at=2026-01-02T03:04:05Z list=a,b phone=138****8000 http.method=GET http.deep.n=1]", fmt.Sprint(e.Attrs))
}

func TestRecordRefuses(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	many := make([]string, 501)
	for _, c := range []struct {
		name, action string
		attrs        []slog.Attr
		want         string
	}{
		{"no action", "", nil, "the action has 0 bytes"},
		{"blank in action", "customer reveal", nil, "only ASCII letters"},
		{"long action", strings.Repeat("a", 65), nil, "the action has 65 bytes; give it 1 to 64"},
		{"resource", "a", []slog.Attr{slog.String("resource", "kunde ö")}, "the resource of a may hold only"},
		{"struct", "a", []slog.Attr{slog.Any("x", struct{ Secret string }{"hunter2"})}, "attribute x of a is a struct { Secret string }; give a string"},
		{"error", "a", []slog.Attr{slog.Any("x", errors.New("hunter2"))}, "attribute x of a is a *errors.errorString"},
		{"nil", "a", []slog.Attr{slog.Any("x", nil)}, "attribute x of a is a <nil>"},
		{"struct row", "a", []slog.Attr{slog.Any("row", &struct{ S string }{"hunter2"})}, "attribute row of a"},
		{"rows", "a", []slog.Attr{slog.Any("rows", []int{1})}, "attribute rows of a is a []int; give a []string"},
		{"too many rows", "a", []slog.Attr{slog.Any("rows", many)}, "names 501 rows; record at most 500"},
		{"twice", "a", []slog.Attr{slog.Int("x", 1), slog.Int("x", 2)}, "has the attribute x twice"},
		{"key", "a", []slog.Attr{slog.Int("a b", 1)}, "an attribute key of a may hold only"},
		{"large", "a", largeAttrs(), "bytes; keep an event below 61440"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, record := range []func(context.Context, string, ...slog.Attr) error{log.Record, log.RecordApart} {
				err := record(t.Context(), c.action, c.attrs...)
				require.ErrorIs(t, err, audit.ErrInvalid)
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "hunter2")
			}
		})
	}
	err := log.Record(as(t.Context(), audit.Actor{Tenant: strings.Repeat("t", 65)}), "a")
	require.ErrorContains(t, err, "the actor's tenant must be valid UTF-8 of at most 64 bytes")
	require.Empty(t, audittest.CheckLog(t, log).Size, "a refused event was recorded")
}

func largeAttrs() []slog.Attr {
	var attrs []slog.Attr
	for i := range 40 {
		attrs = append(attrs, slog.String(fmt.Sprint("k", i), strings.Repeat("x", 2000)))
	}
	return attrs
}

// A stranger cannot escape the log by what he types.
func TestHostileTextIsRecorded(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	hostile := "\xff\x00" + strings.Repeat("x", 100_000)
	ctx := as(t.Context(), audit.Actor{ID: hostile, IP: hostile, Channel: hostile, RequestID: hostile})
	require.NoError(t, log.RecordApart(ctx, "login.failed", slog.String("row", hostile), slog.String("resource", "user"),
		slog.String("purpose", hostile), slog.String("result", hostile), slog.String("subject", hostile), slog.String("name", hostile)))
	e := oneEvent(t, log)
	require.Len(t, e.Actor.ID, 128)
	require.True(t, strings.HasPrefix(e.Actor.ID, "\uFFFD\uFFFDxxx"))
	require.Len(t, e.Purpose, 2048)
}

func TestOpenRefuses(t *testing.T) {
	signer, verifier := keys(t)
	_, other := keys(t)
	good := audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored}
	for _, c := range []struct {
		want  string
		spoil func(*audit.Config)
	}{
		{"Config.Store is nil; use gormstore.Open", func(c *audit.Config) { c.Store = nil }},
		{"Config.Signer is nil; make a key with GenerateKey", func(c *audit.Config) { c.Signer = nil }},
		{"Config.Verifier is nil", func(c *audit.Config) { c.Verifier = nil }},
		{"Config.Actor is nil", func(c *audit.Config) { c.Actor = nil }},
		{"Config.Anchor is nil; use fileanchor.Open, or Unanchored", func(c *audit.Config) { c.Anchor = nil }},
		{"does not belong to Config.Signer", func(c *audit.Config) { c.Verifier = other }},
		{"the signer is not deterministic; use an Ed25519 key", func(c *audit.Config) { c.Signer, c.Verifier = &fickle{signer, 0}, gullible{verifier} }},
		{"the signer does not sign: broken on purpose", func(c *audit.Config) { c.Signer = brokenSigner{signer} }},
		{"does not accept Config.Signer's signature", func(c *audit.Config) { c.Signer = &fickle{signer, 0} }},
	} {
		cfg := good
		c.spoil(&cfg)
		_, err := audit.Open(t.Context(), cfg)
		require.ErrorContains(t, err, c.want)
	}
	for _, name := range []string{"", "a b", "a+b", "a\n"} {
		_, _, err := audit.GenerateKey(name)
		require.ErrorIs(t, err, audit.ErrInvalid)
	}
}

type noteSigner interface {
	Name() string
	KeyHash() uint32
	Sign([]byte) ([]byte, error)
}

type noteVerifier interface {
	Name() string
	KeyHash() uint32
	Verify(msg, sig []byte) bool
}

type fickle struct {
	noteSigner
	n byte
}

func (f *fickle) Sign([]byte) ([]byte, error) { f.n++; return []byte{f.n}, nil }

type gullible struct{ noteVerifier }

func (gullible) Verify(_, _ []byte) bool { return true }

type brokenSigner struct{ noteSigner }

func (brokenSigner) Sign([]byte) ([]byte, error) { return nil, errTest }

// A moody store fails Enqueue while told so.
type moody struct {
	*audit.Memory
	mu   sync.Mutex
	fail error
	hold chan struct{} // when not nil, Enqueue waits for it
	here chan struct{} // when not nil, Enqueue tells that it was called
}

func (m *moody) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *moody) Enqueue(ctx context.Context, events []audit.Pending) error {
	return m.do(func() error { return m.Memory.Enqueue(ctx, events) })
}

func (m *moody) EnqueueOnce(ctx context.Context, events []audit.Pending) error {
	return m.do(func() error { return m.Memory.EnqueueOnce(ctx, events) })
}

func (m *moody) do(store func() error) error {
	if m.here != nil {
		select {
		case m.here <- struct{}{}:
		default:
		}
	}
	if m.hold != nil {
		<-m.hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	return store()
}

func TestWhenTheDatabaseIsAwayRecordFailsAndRecordApartWaits(t *testing.T) {
	store := &moody{Memory: audit.NewMemory(), fail: errTest}
	var logged bytes.Buffer
	log := memoryLog(t, store, func(c *audit.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	require.NoError(t, log.RecordApart(t.Context(), "login.failed"))
	require.ErrorIs(t, log.Record(t.Context(), "customer.reveal"), errTest)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := log.Flush(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, errTest, "Flush must say why")

	store.set(nil)
	e := oneEvent(t, log)
	require.Equal(t, "login.failed", e.Action)
	require.Equal(t, "failed", e.Result)
	require.Contains(t, logged.String(), "events are not written yet")
}

func TestAFullQueueIsAnError(t *testing.T) {
	store := &moody{Memory: audit.NewMemory(), hold: make(chan struct{})}
	log := memoryLog(t, store)
	var err error
	taken := 0
	for ; err == nil && taken < 20_000; taken++ {
		err = log.RecordApart(t.Context(), "login.failed")
	}
	require.ErrorIs(t, err, audit.ErrFull)
	require.ErrorContains(t, err, "8192 events wait")
	close(store.hold)
	require.Equal(t, map[string]int64{"login.failed": int64(taken - 1), "gap full should": 1}, tally(t, log), "a taken event was lost, or a refused one written")
}

func TestRecordGivesUpWithItsContext(t *testing.T) {
	store := &moody{Memory: audit.NewMemory(), hold: make(chan struct{}), here: make(chan struct{}, 1)}
	log := memoryLog(t, store)
	require.NoError(t, log.RecordApart(t.Context(), "blocks.the.queue"))
	<-store.here // its group is on the way: what comes now waits behind it
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, log.Record(ctx, "customer.reveal"), context.DeadlineExceeded)
	require.ErrorIs(t, log.Record(ctx, "customer.reveal"), context.DeadlineExceeded)
	close(store.hold)
	require.EqualValues(t, 1, audittest.CheckLog(t, log).Size, "a withdrawn event was recorded")
}

func TestClose(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	require.NoError(t, log.RecordApart(t.Context(), "login.failed"))
	require.NoError(t, log.Close())
	require.NoError(t, log.Close())
	require.ErrorIs(t, log.Record(t.Context(), "a"), audit.ErrClosed)
	require.ErrorIs(t, log.RecordApart(t.Context(), "a"), audit.ErrClosed)
	require.EqualValues(t, 1, audittest.CheckLog(t, log).Size)
}

func TestConcurrentRecords(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				if err := log.Record(t.Context(), "a.b"); err != nil {
					t.Error(err)
				}
				if _, err := log.Seal(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 800, audittest.CheckLog(t, log).Size)
}

func TestRunSealsAndReportsItsTroubleOnce(t *testing.T) {
	store := &flaky{Memory: audit.NewMemory(), fail: errTest}
	var logged safeBuffer
	log := memoryLog(t, store, func(c *audit.Config) {
		c.Interval = time.Millisecond
		c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	})
	require.NoError(t, log.Record(t.Context(), "a.b"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	require.Eventually(t, func() bool { return store.calls() > 5 }, 10*time.Second, time.Millisecond)
	store.heal()
	require.Eventually(t, func() bool {
		heads, err := store.Heads(t.Context(), "main")
		return err == nil && len(heads) == 1
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, log.RecordApart(t.Context(), "last.words"))
	cancel()
	require.NoError(t, <-done)
	r, err := log.Verify(t.Context(), audit.VerifyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 2, r.Size, "Run must seal what is there when it ends")
	require.Equal(t, 1, strings.Count(logged.String(), "sealing failed"))
}

// flaky fails to read pending events until it is healed.
type flaky struct {
	*audit.Memory
	mu   sync.Mutex
	fail error
	n    int
}

func (f *flaky) calls() int { f.mu.Lock(); defer f.mu.Unlock(); return f.n }
func (f *flaky) heal()      { f.mu.Lock(); defer f.mu.Unlock(); f.fail = nil }

func (f *flaky) Pending(ctx context.Context, after int64, limit int) ([]audit.Pending, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n++; f.fail != nil {
		return nil, f.fail
	}
	return f.Memory.Pending(ctx, after, limit)
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *safeBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }
