package audit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// atTheEdge puts a page full of entries where numbers end.
func atTheEdge(log string, seq func(i int64) int64) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		var rows []string
		var args []any
		data := b.dataOf(t, "main", 3)
		for i := range int64(1000) {
			id := make([]byte, 16)
			binary.BigEndian.PutUint64(id, uint64(i))
			rows = append(rows, "(?, ?, ?, 1, 'u3', 'x', 'x', 'ok', ?, ?)")
			args = append(args, log, seq(i), id, make([]byte, 32), data)
		}
		for len(rows) > 0 {
			b.execMany(t, "INSERT INTO confide_audit_entries (log_id, seq, event, at, actor, action, resource, result, hash, data) VALUES "+strings.Join(rows[:100], ", "), args[:500])
			rows, args = rows[100:], args[500:]
		}
	}
}

func (b *bench) execMany(t *testing.T, statement string, args []any) {
	t.Helper()
	pool, err := b.DB.DB.DB()
	require.NoError(t, err)
	_, err = pool.ExecContext(b.ctx, statement, args...)
	require.NoError(t, err)
}

// patience bounds how often a store may be asked: what the database holds must not
// make anybody ask for ever.
type patience struct {
	audit.Store
	left atomic.Int64
}

var errTooOften = errors.New("it asks again and again")

func (p *patience) Entries(ctx context.Context, s audit.Selection) ([]audit.Stored, error) {
	if p.left.Add(-1) < 0 {
		return nil, errTooOften
	}
	return p.Store.Entries(ctx, s)
}

// Whoever can write to the database cannot keep its readers busy for ever.
func TestGarbageAtTheEdgeOfNumbers(t *testing.T) {
	onVictims(t, onSQLite, seeded, func(t *testing.T, v *victim) {
		for name, do := range map[string]func(*testing.T, *bench){
			"the largest":                atTheEdge("main", func(i int64) int64 { return math.MaxInt64 - i }),
			"the smallest":               atTheEdge("main", func(i int64) int64 { return math.MinInt64 + i }),
			"the largest of a new log":   atTheEdge("evil", func(i int64) int64 { return math.MaxInt64 - i }),
			"the smallest of a new log":  atTheEdge("evil", func(i int64) int64 { return math.MinInt64 + i }),
			"the largest of the top log": atTheEdge("", func(i int64) int64 { return math.MaxInt64 - i }),
			"a head of the largest size": statement("UPDATE confide_audit_heads SET size = ?", int64(math.MaxInt64)),
			"a head of a negative size":  statement("UPDATE confide_audit_heads SET size = ?", int64(math.MinInt64)),
		} {
			b := v.again(t)
			do(t, b)
			cfg := b.cfg
			store := &patience{Store: b.cfg.Store}
			store.left.Store(100)
			cfg.Store = store
			log, err := audit.Open(b.ctx, cfg)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, log.Close()) })
			r, err := log.Verify(b.ctx, audit.VerifyOptions{})
			require.NoError(t, err, name)
			require.False(t, r.OK, name)
			for _, oldest := range []bool{true, false} {
				store.left.Store(100)
				for _, err := range log.Events(b.ctx, audit.Query{OldestFirst: oldest}) {
					require.NotErrorIs(t, err, errTooOften, name)
				}
			}
			store.left.Store(100)
			require.NotErrorIs(t, log.Export(b.ctx, io.Discard), errTooOften, name)
			_, _ = log.Prover(b.ctx, "main")
			_, _ = log.BackfillNodes(b.ctx)
		}
	})
}

// An export that claims to be longer than it is costs no memory and says where it ends.
func TestForgedLengths(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	export := b.export(t)
	at := bytes.IndexByte(export, '\n') + 1 + 1
	for _, length := range []uint32{1 << 20, 1<<20 + 1, 1 << 31, math.MaxUint32} {
		forged := bytes.Clone(export)
		binary.BigEndian.PutUint32(forged[at:], length)
		allocated := testing.AllocsPerRun(1, func() {
			_, err := b.verifyExport(t, forged, audit.VerifyOptions{})
			require.ErrorIs(t, err, audit.ErrInvalid)
		})
		require.Less(t, allocated, 1000.0)
	}
}
