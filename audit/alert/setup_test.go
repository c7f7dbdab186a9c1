package alert_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/alert"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

var errTest = errors.New("broken on purpose")

const canary = "canary-13800138000"

// tape remembers what was delivered.
type tape struct {
	mu     sync.Mutex
	alerts []alert.Alert
	fail   int // so many deliveries fail
}

func (d *tape) Deliver(_ context.Context, a alert.Alert) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail > 0 {
		d.fail--
		return errTest
	}
	d.alerts = append(d.alerts, a)
	return nil
}

// take returns the rules of what came since, and forgets it.
func (d *tape) take() (rules []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.alerts {
		rules = append(rules, a.Rule+" "+a.Actor)
	}
	d.alerts = nil
	return rules
}

// world is a log with a clock that the test moves.
type world struct {
	db    testdb.DB
	store *gormstore.Store
	log   *audit.Log
	mu    sync.Mutex
	now   time.Time
	tape  *tape
}

type actorKey struct{}

func newWorld(t *testing.T, db testdb.DB) *world {
	t.Helper()
	w := &world{db: db, now: time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC), tape: &tape{}} // a Monday
	var err error
	w.store, err = gormstore.Open(t.Context(), db.DB)
	require.NoError(t, err)
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	w.log, err = audit.Open(t.Context(), audit.Config{Store: w.store, Signer: signer, Verifier: verifier, Anchor: audit.Unanchored, Now: w.clock, Logger: slog.New(slog.DiscardHandler),
		Actor: func(ctx context.Context) audit.Actor { a, _ := ctx.Value(actorKey{}).(audit.Actor); return a }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.log.Close()) })
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) watcher(t *testing.T, change ...func(*alert.Config)) *alert.Watcher {
	t.Helper()
	cfg := alert.Config{Log: w.log, Store: w.store, Key: []byte("sixteen bytes or more"), Rules: alert.Usual(time.UTC), Deliver: w.tape, Now: w.clock}
	for _, f := range change {
		f(&cfg)
	}
	watcher, err := alert.Open(cfg)
	require.NoError(t, err)
	return watcher
}

// act records n events of a user, with values that no alert may hold.
func (w *world) act(t *testing.T, user, action string, n int, attrs ...slog.Attr) {
	t.Helper()
	ctx := context.WithValue(t.Context(), actorKey{}, audit.Actor{ID: user, Tenant: "main"})
	attrs = append([]slog.Attr{slog.String("purpose", canary), slog.String("subject", canary), slog.String("resource", "customer"), slog.String("row", canary), slog.String("note", canary)}, attrs...)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := w.log.Record(ctx, action, attrs...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err := w.log.Seal(t.Context())
	require.NoError(t, err)
}
