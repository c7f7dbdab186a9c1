package audit_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

// longLog is how many events TestProofsOfALongLog makes: few in the ordinary run,
// CONFIDE_AUDIT_LONG=10000000 for the figures in PERFORMANCE.md.
func longLog(t *testing.T) int {
	if s := os.Getenv("CONFIDE_AUDIT_LONG"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	return 3000
}

// longEvent is event i of the long log: ten of each customer, far apart.
func longEvent(i, n int) audit.Event {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	customers := n / 10
	return audit.Event{ID: hex.EncodeToString(id[:]), Time: at, Action: "customer.update", Resource: "customer", Result: "ok",
		Actor: audit.Actor{ID: fmt.Sprint("u", i%50), Tenant: "main"}, Fields: []string{"phone"},
		Rows:  []audit.Row{{ID: fmt.Sprint(i % customers), Rev: int64(i/customers) + 1}},
		Attrs: []slog.Attr{slog.String("policy", "sales-staff/17")}}
}

// A proof grows with the logarithm of the log, and so does the making of it.
func TestProofsOfALongLog(t *testing.T) {
	n, batch := longLog(t), 20_000
	db := testdb.New(t, testdb.SQLite)
	pool, err := db.DB.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(1) // the settings below are one connection's
	for _, pragma := range []string{"synchronous = OFF", "cache_size = -1000000"} {
		_, err = pool.ExecContext(t.Context(), "PRAGMA "+pragma)
		require.NoError(t, err)
	}
	store, err := gormstore.Open(t.Context(), db.DB)
	require.NoError(t, err)
	signer, verifier := keys(t)
	log := memoryLog(t, store, func(c *audit.Config) { c.Signer, c.Verifier = signer, verifier })
	start := time.Now()
	var older []byte // the checkpoint half way
	for first := 0; first < n; first += batch {
		events := make([]audit.Event, 0, batch)
		for i := first; i < min(first+batch, n); i++ {
			events = append(events, longEvent(i, n))
		}
		require.NoError(t, audit.SealAll(t.Context(), log, events))
		if older == nil && first+batch >= n/2 {
			heads, err := store.Heads(t.Context(), "main")
			require.NoError(t, err)
			older = heads[0].Note
		}
	}
	t.Logf("%d events sealed in %v", n, time.Since(start))

	most := bits.Len(uint(n))
	var took, open []time.Duration
	var size []int
	for range 200 {
		start := time.Now()
		p, err := log.Prover(t.Context(), "main") // a new one: nothing is remembered
		require.NoError(t, err)
		proof, err := p.Prove(t.Context(), rand.Int64N(int64(n)))
		require.NoError(t, err)
		took = append(took, time.Since(start))
		require.LessOrEqual(t, len(proof.Hashes), most)
		text, err := proof.MarshalText()
		require.NoError(t, err)
		size = append(size, len(text))
		start = time.Now()
		_, _, err = proof.OpenEvent(audit.KeysOf(verifier))
		require.NoError(t, err)
		open = append(open, time.Since(start))
	}
	slices.Sort(took)
	slices.Sort(open)
	t.Logf("one event: %d bytes at most, made in %v (median) %v (99th of 100), checked in %v", slices.Max(size), took[100], took[198], open[100])

	start = time.Now()
	h, err := log.ProveHistory(t.Context(), audit.Query{Tenant: "main", Resource: "customer", Row: "7"})
	require.NoError(t, err)
	made := time.Since(start)
	var out bytes.Buffer
	_, err = h.WriteTo(&out)
	require.NoError(t, err)
	start = time.Now()
	proven, err := h.Check(audit.KeysOf(verifier))
	require.NoError(t, err)
	require.Len(t, proven.Events, 10)
	require.Len(t, proven.Complete, 1)
	t.Logf("history of 10 events: %d bytes, made in %v, checked in %v", out.Len(), made, time.Since(start))

	start = time.Now()
	c, err := log.ProveConsistency(t.Context(), older, nil)
	require.NoError(t, err)
	made = time.Since(start)
	require.LessOrEqual(t, len(c.Hashes), most)
	text, err := c.MarshalText()
	require.NoError(t, err)
	_, err = c.Check(older, audit.KeysOf(verifier))
	require.NoError(t, err)
	t.Logf("consistency with half the log: %d bytes, made in %v", len(text), made)
}
