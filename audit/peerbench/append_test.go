package peerbench_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

const (
	writers   = 16
	eventSize = 400
)

// openConfide opens a log on a fresh database, its sealer running as in production.
// The event travels as attributes, so it is validated, encoded and protected by a MAC.
func openConfide(tb testing.TB, engine string) (appender, *audit.Log) {
	db := testdb.New(tb, engine)
	pool, err := db.DB.DB()
	require.NoError(tb, err)
	pool.SetMaxOpenConns(writers + 4)
	pool.SetMaxIdleConns(writers + 4)
	store, err := gormstore.Open(tb.Context(), db.DB)
	require.NoError(tb, err)
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(tb, err)
	signer, err := note.NewSigner(skey)
	require.NoError(tb, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(tb, err)
	log, err := audit.Open(tb.Context(), audit.Config{
		Store: store, Signer: signer, Verifier: verifier, Anchor: audit.Unanchored,
		Actor:  func(context.Context) audit.Actor { return audit.Actor{ID: "u3", IP: "10.0.0.7", Channel: "web"} },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		assert.NoError(tb, <-done)
		assert.NoError(tb, log.Close())
	})
	return func(ctx context.Context, event []byte) error {
		return log.Record(ctx, "customer.reveal", slog.String("resource", "customer"), slog.String("row", "4711"), slog.String("note", string(event)))
	}, log
}

// event is a distinct text of eventSize bytes.
func event(i int64) []byte {
	b := make([]byte, eventSize)
	for j := range b {
		b[j] = byte('a' + j%26)
	}
	copy(b, fmt.Sprintf("%016x", binary.BigEndian.AppendUint64(nil, uint64(i))))
	return b
}

// share appends n events from all writers at once and returns the time and each event's latency.
func share(tb testing.TB, serial *atomic.Int64, n int, add appender) (time.Duration, []time.Duration) {
	var next atomic.Int64
	var mu sync.Mutex
	var latencies []time.Duration
	var wg sync.WaitGroup
	start := time.Now()
	for range writers {
		wg.Go(func() {
			var own []time.Duration
			for next.Add(1) <= int64(n) {
				began := time.Now()
				if err := add(context.Background(), event(serial.Add(1))); err != nil {
					tb.Error(err)
					return
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
		})
	}
	wg.Wait()
	return time.Since(start), latencies
}

// BenchmarkAppend: 16 writers, each waiting until its event is durable. All
// sides take turns in the same run.
func BenchmarkAppend(b *testing.B) {
	for _, engine := range testdb.Engines() {
		b.Run(engine, func(b *testing.B) {
			sides := map[string]appender{}
			sides["confide"], _ = openConfide(b, engine)
			sides["immudb"], _ = openImmudb(b)
			for _, s := range tesseraSettings {
				sides[s.name], _ = openTessera(b, s)
			}
			took := map[string]time.Duration{}
			count := map[string]int{}
			latencies := map[string][]time.Duration{}
			var serial atomic.Int64
			for b.Loop() {
				for name, add := range sides {
					n := 200 * writers
					if name == "tessera-default" {
						n = 4 * writers // a quarter of a second each
					}
					d, l := share(b, &serial, n, add)
					took[name] += d
					count[name] += n
					latencies[name] = append(latencies[name], l...)
				}
			}
			rate := func(name string) float64 { return float64(count[name]) / took[name].Seconds() }
			for name := range sides {
				slices.Sort(latencies[name])
				b.ReportMetric(rate(name), name+"/s")
				b.ReportMetric(float64(latencies[name][len(latencies[name])*99/100].Microseconds())/1000, name+"-p99-ms")
				if name != "confide" {
					b.ReportMetric(rate("confide")/rate(name), "x/"+name)
				}
			}
		})
	}
}

// TestAppendersKeepWhatTheyTake shows that every side really stores the events
// it is measured on.
func TestAppendersKeepWhatTheyTake(t *testing.T) {
	const n = 2 * writers
	var serial atomic.Int64
	t.Run("immudb", func(t *testing.T) {
		add, store := openImmudb(t)
		share(t, &serial, n, add)
		assert.EqualValues(t, n, store.LastCommittedTxID())
	})
	t.Run("tessera", func(t *testing.T) {
		add, reader := openTessera(t, tesseraSettings[1])
		share(t, &serial, n, add)
		next, err := reader.NextIndex(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, n, next)
	})
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			add, log := openConfide(t, engine)
			share(t, &serial, n, add)
			_, err := log.Seal(t.Context())
			require.NoError(t, err)
			report, err := log.Verify(t.Context(), audit.VerifyOptions{})
			require.NoError(t, err)
			assert.True(t, report.OK, report.String())
			assert.EqualValues(t, n, report.Size)
		})
	}
}
