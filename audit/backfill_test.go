package audit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// A log of a release that kept no nodes is proven as it is, slowly, and has the nodes
// of a younger one afterwards. Some of them may be there: of what was sealed since.
func TestBackfillNodes(t *testing.T) {
	long := func(t *testing.T, db testdb.DB) *bench {
		b := setUp(t, db)
		for range 2 {
			for range 300 {
				require.NoError(t, b.log.RecordApart(b.ctx, "a.b"))
			}
			b.seal(t)
		}
		return b
	}
	onVictims(t, testdb.Each, long, func(t *testing.T, v *victim) {
		proven := func(b *bench) (list [][]byte) {
			p, err := b.log.Prover(b.ctx, "main")
			require.NoError(t, err)
			for _, seq := range []int64{0, 255, 256, 599} {
				proof, err := p.Prove(b.ctx, seq)
				require.NoError(t, err)
				text, err := proof.MarshalText()
				require.NoError(t, err)
				list = append(list, text)
			}
			return list
		}
		want := proven(v.again(t))
		for name, forget := range map[string]string{"none": "1 = 1", "the later ones": "idx = 0"} {
			b := v.again(t)
			b.exec(t, "DELETE FROM confide_audit_nodes WHERE "+forget)
			require.Equal(t, want, proven(b), name)
			n, err := b.log.BackfillNodes(b.ctx)
			require.NoError(t, err)
			require.EqualValues(t, map[string]int{"none": 2, "the later ones": 1}[name], n)
			require.True(t, b.verify(t).OK, "the nodes are those that sealing makes: %s", b.verify(t))
			n, err = b.log.BackfillNodes(b.ctx)
			require.NoError(t, err)
			require.Zero(t, n)
			require.Equal(t, want, proven(b), name)
		}

		b := v.again(t)
		b.exec(t, "DELETE FROM confide_audit_nodes")
		set("hash", make([]byte, 32), "main", 7)(t, b)
		_, err := b.log.BackfillNodes(b.ctx)
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, `the hashes of log "main" are not those of its checkpoint; run Verify`)
		remove("seq = 7")(t, b)
		_, err = b.log.BackfillNodes(b.ctx)
		require.ErrorIs(t, err, audit.ErrTampered)
	})
}

// A log that the first release sealed: put into a store of today it is verified and proven.
func TestProveInALogOfTheFirstRelease(t *testing.T) {
	data, err := os.ReadFile("testdata/export-1.jsonl")
	require.NoError(t, err)
	key, export, _ := bytes.Cut(data, []byte("\n"))
	verifier := verifierOf(t, string(key))
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		var batch audit.Batch
		for _, line := range bytes.Split(bytes.TrimSpace(export), []byte("\n"))[1:] {
			var x struct {
				Log             string
				Seq, Size, End  int64
				Tip, Edge, Note []byte
				Data            []byte
			}
			require.NoError(t, json.Unmarshal(line, &x))
			switch {
			case x.End > 0:
			case x.Note != nil:
				batch.Heads = append(batch.Heads, audit.Head{Log: x.Log, Size: x.Size, Tip: x.Tip, Edge: x.Edge, Note: x.Note})
			default:
				index, err := audit.DeriveIndex(x.Log, x.Data)
				require.NoError(t, err)
				hash := tlog.RecordHash(x.Data)
				batch.Entries = append(batch.Entries, audit.Stored{Log: x.Log, Seq: x.Seq, Data: x.Data, Hash: hash[:], Index: index})
			}
		}
		require.NoError(t, b.cfg.Store.Commit(b.ctx, batch))
		b.cfg.Keys = append(b.cfg.Keys, audit.Key{Verifier: verifier})
		b.cfg.Anchor = audit.Unanchored
		log := b.restart(t)
		n, err := log.BackfillNodes(b.ctx)
		require.NoError(t, err)
		require.Zero(t, n, "too short for any")
		proved := 0
		for _, h := range batch.Heads[1:] {
			p, err := log.Prover(b.ctx, h.Log)
			require.NoError(t, err)
			for seq := range h.Size {
				proof, err := p.Prove(b.ctx, seq)
				require.NoError(t, err)
				_, _, err = proof.OpenEvent(audit.KeysOf(verifier))
				require.NoError(t, err)
				proved++
			}
		}
		require.Greater(t, proved, 10)
	})
}
