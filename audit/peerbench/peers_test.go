package peerbench_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/codenotary/immudb/embedded/logger"
	immudb "github.com/codenotary/immudb/embedded/store"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// An appender makes one event durable and returns.
type appender func(ctx context.Context, event []byte) error

// openImmudb opens immudb's embedded store as its own stress tool does, with
// synced commits. One event is one transaction; the store forms groups of them.
func openImmudb(tb testing.TB) (appender, *immudb.ImmuStore) {
	options := immudb.DefaultOptions().WithSynced(true).WithLogger(logger.NewMemoryLogger())
	store, err := immudb.Open(tb.TempDir(), options)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, store.Close()) })
	return func(ctx context.Context, event []byte) error {
		tx, err := store.NewWriteOnlyTx(ctx)
		if err != nil {
			return err
		}
		key := sha256.Sum256(event)
		if err := tx.Set(key[:16], nil, event); err != nil {
			return err
		}
		_, err = tx.AsyncCommit(ctx) // durable, but does not wait for the index
		return err
	}, store
}

// A tesseraSetting is how many entries Tessera gathers, and for how long at the most.
type tesseraSetting struct {
	name string
	size uint
	age  time.Duration
}

var tesseraSettings = []tesseraSetting{
	{"tessera-default", tessera.DefaultBatchMaxSize, tessera.DefaultBatchMaxAge},
	{"tessera-tuned", writers, 5 * time.Millisecond},
}

// openTessera opens Tessera on POSIX files. An event counts as durable when its
// sequence number is known, before it is integrated: the cheapest reading.
func openTessera(tb testing.TB, s tesseraSetting) (appender, tessera.LogReader) {
	skey, _, err := note.GenerateKey(rand.Reader, "peer.example/log")
	require.NoError(tb, err)
	signer, err := note.NewSigner(skey)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	driver, err := posix.New(ctx, posix.Config{Path: tb.TempDir()})
	require.NoError(tb, err)
	log, shutdown, reader, err := tessera.NewAppender(ctx, driver,
		tessera.NewAppendOptions().WithCheckpointSigner(signer).WithBatching(s.size, s.age).WithCheckpointInterval(time.Second))
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, shutdown(ctx))
		cancel()
	})
	return func(ctx context.Context, event []byte) error {
		_, err := log.Add(ctx, tessera.NewEntry(event))()
		return err
	}, reader
}
