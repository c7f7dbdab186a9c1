package audit_test

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

type customer struct {
	ID        string `gorm:"primaryKey;size:36"`
	Name      string
	Phone     string
	Owner     string
	DeletedAt gorm.DeletedAt
}

type actorKey struct{}

// as returns a context in which this user acts.
func as(ctx context.Context, a audit.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

func actorOf(ctx context.Context) audit.Actor {
	a, _ := ctx.Value(actorKey{}).(audit.Actor)
	return a
}

// keys makes a signing key of its own for a test.
func keys(t testing.TB) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	return signerOf(t, skey), verifierOf(t, vkey)
}

func signerOf(t testing.TB, skey string) note.Signer {
	t.Helper()
	s, err := note.NewSigner(skey)
	require.NoError(t, err)
	return s
}

func verifierOf(t testing.TB, vkey string) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	return v
}

// A memoryAnchor is outside the database and inside the test.
type memoryAnchor struct {
	mu    sync.Mutex
	notes [][]byte
	fail  error
}

func (a *memoryAnchor) Put(_ context.Context, c audit.Checkpoint) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return a.fail
	}
	a.notes = append(a.notes, c.Note)
	return nil
}

func (a *memoryAnchor) Checkpoints(context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, n := range a.notes {
			if !yield(n, nil) {
				return
			}
		}
	}
}

// ticking is a clock that moves one second a call, so that times are known.
func ticking() func() time.Time {
	var mu sync.Mutex
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

// A bench is a database with a log on it and the plugin in place.
type bench struct {
	testdb.DB
	log    *audit.Log
	cfg    audit.Config
	anchor *memoryAnchor
	ctx    context.Context
	since  *audit.Verified // how far it was verified before it grew
}

func setUp(t *testing.T, db testdb.DB, change ...func(*audit.Config)) *bench {
	t.Helper()
	ctx := as(t.Context(), audit.Actor{ID: "u3", IP: "10.0.0.7", Channel: "web", RequestID: "r-1"})
	require.NoError(t, db.AutoMigrate(&customer{}))
	store, err := gormstore.Open(ctx, db.DB)
	require.NoError(t, err)
	b := &bench{DB: db, anchor: &memoryAnchor{}, ctx: ctx}
	signer, verifier := keys(t)
	b.cfg = audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: b.anchor,
		Now: ticking(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&b.cfg)
	}
	b.log, err = audit.Open(ctx, b.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.log.Close()) })
	require.NoError(t, b.Use(b.log))
	return b
}

func (b *bench) seal(t *testing.T) int {
	t.Helper()
	require.NoError(t, b.log.Flush(b.ctx))
	n, err := b.log.Seal(b.ctx)
	require.NoError(t, err)
	return n
}

func (b *bench) verify(t *testing.T) audit.Report {
	t.Helper()
	r, err := b.log.Verify(b.ctx, audit.VerifyOptions{})
	require.NoError(t, err)
	return r
}

func (b *bench) events(t *testing.T, q audit.Query) []audit.Event {
	t.Helper()
	var list []audit.Event
	for e, err := range b.log.Events(b.ctx, q) {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

func (b *bench) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	pool, err := b.DB.DB.DB()
	require.NoError(t, err)
	_, err = pool.ExecContext(b.ctx, b.rebind(statement), args...)
	require.NoError(t, err)
}

// rebind writes the parameters of a statement the way the engine wants them.
func (b *bench) rebind(statement string) string {
	if b.Engine != testdb.Postgres {
		return statement
	}
	parts := strings.Split(statement, "?")
	for i := range parts[:len(parts)-1] {
		parts[i] += "$" + string(rune('1'+i))
	}
	return strings.Join(parts, "")
}

func actions(events []audit.Event) []string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = e.Action
	}
	return list
}

// dropPendingIndex takes the constraint away that keeps an event from waiting twice,
// until the test ends.
func (b *bench) dropPendingIndex(t *testing.T) {
	t.Helper()
	on := ""
	if b.Engine == testdb.MySQL {
		on = " ON confide_audit_pending"
	}
	b.exec(t, "DROP INDEX confide_audit_pending_event"+on)
	t.Cleanup(func() {
		b.exec(t, "DELETE FROM confide_audit_pending")
		_, err := gormstore.Open(b.ctx, b.DB.DB)
		require.NoError(t, err)
	})
}
