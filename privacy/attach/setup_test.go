package attach_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/privacy/attach/attachtest"
	"github.com/confide-go/confide/privacy/insecurekey"
)

const smallest = 4096

// newFiles returns files of small segments in memory.
func newFiles(t testing.TB) (*attach.Files, *attachtest.Memory) {
	t.Helper()
	store := attachtest.NewMemory(nil)
	return filesIn(t, store), store
}

func filesIn(t testing.TB, store attach.Store) *attach.Files {
	t.Helper()
	files, err := attach.New(attach.Config{Store: store, Segment: smallest})
	require.NoError(t, err)
	return files
}

func random(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func seal(t testing.TB, files *attach.Files, data []byte) attach.Ref {
	t.Helper()
	ref, err := files.Seal(context.Background(), "contract.pdf", bytes.NewReader(data))
	require.NoError(t, err)
	return ref
}

func open(t testing.TB, files *attach.Files, ref attach.Ref) *attach.Reader {
	t.Helper()
	r, err := files.Open(context.Background(), ref)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func readAll(files *attach.Files, ref attach.Ref) ([]byte, error) {
	r, err := files.Open(context.Background(), ref)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Document is a row with a file of a customer.
type Document struct {
	ID         string `gorm:"primaryKey;size:36"`
	CustomerID string `gorm:"size:36" privacy:"subject=customer"`
	Object     string `gorm:"size:32"`
	File       privacy.Value[attach.Ref]
}

type gate struct{ deny bool }

func (g *gate) MayReveal(context.Context, string, []string, []string) error {
	if g.deny {
		return errors.New("not allowed")
	}
	return nil
}

type recorder struct {
	mu    sync.Mutex
	looks []string
}

func (r *recorder) Record(_ context.Context, action string, attrs ...slog.Attr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range attrs {
		action += " " + a.String()
	}
	r.looks = append(r.looks, action)
	return nil
}

func newVault(t testing.TB, db testdb.DB, g privacy.Gate, log privacy.Recorder) *privacy.Vault {
	t.Helper()
	kek, err := insecurekey.New()
	require.NoError(t, err)
	vault, err := privacy.Open(context.Background(), privacy.Config{KEK: kek, Gate: g, Record: log})
	require.NoError(t, err)
	require.NoError(t, db.Use(vault))
	require.NoError(t, vault.Migrate(context.Background(), db.DB, &Document{}))
	return vault
}

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }
