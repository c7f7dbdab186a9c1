package audit_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
)

const golden = "testdata/golden"

// freezeGolden writes files of a small log once; they are never written again.
func freezeGolden(t *testing.T) {
	require.NoError(t, os.MkdirAll(golden, 0o755))
	put := func(name string, data []byte, err error) {
		require.NoError(t, err)
		path := filepath.Join(golden, name)
		if _, err := os.Stat(path); err != nil {
			require.NoError(t, os.WriteFile(path, data, 0o644))
		}
	}
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	anchor := &memoryAnchor{}
	store := audit.NewMemory()
	log, err := audit.Open(t.Context(), audit.Config{Store: store, Signer: signerOf(t, skey), Verifier: verifierOf(t, vkey), Actor: actorOf,
		Anchor: anchor, Now: ticking(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	for i := range 23 {
		ctx := as(t.Context(), audit.Actor{ID: "u3", Tenant: []string{"main", "a/b 王"}[i%4/3], IP: "10.0.0.7"})
		require.NoError(t, log.Record(ctx, "customer.reveal", slog.String("resource", "customer"), slog.Int("row", i%3), slog.String("purpose", "回电 ticket 7")))
		if i%5 == 4 || i == 22 {
			_, err := log.Seal(t.Context())
			require.NoError(t, err)
		}
	}
	p, err := log.Prover(t.Context(), "main")
	require.NoError(t, err)
	event, err := p.Prove(t.Context(), 11)
	require.NoError(t, err)
	text, err := event.MarshalText()
	put("event.tlog-proof", text, err)
	text, err = p.Link().MarshalText()
	put("link.tlog-proof", text, err)
	h, err := log.ProveHistory(t.Context(), audit.Query{Tenant: "main", Resource: "customer", Row: "1"})
	require.NoError(t, err)
	var out bytes.Buffer
	_, err = h.WriteTo(&out)
	put("history.json", bytes.Clone(out.Bytes()), err)
	c, err := log.ProveConsistency(t.Context(), anchor.notes[1], nil)
	require.NoError(t, err)
	text, err = c.MarshalText()
	put("consistency", text, err)
	put("older.checkpoint", anchor.notes[1], nil)
	put("checkpoint", anchor.notes[len(anchor.notes)-1], nil)
	out.Reset()
	err = log.Export(t.Context(), &out)
	put("export-3", out.Bytes(), err)
	put("key", []byte(vkey+"\n"), nil)
}

func frozen(t *testing.T, name string) []byte {
	data, err := os.ReadFile(filepath.Join(golden, name))
	require.NoError(t, err)
	return data
}

// freezeEpoch writes an export of a log with a declared restore, under a
// key of its own.
func freezeEpoch(t *testing.T) {
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	cfg := audit.Config{Store: audit.NewMemory(), Signer: signerOf(t, skey), Verifier: verifierOf(t, vkey), Actor: actorOf,
		Anchor: audit.Unanchored, Now: ticking(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	newest := &memoryAnchor{}
	lost := cfg
	lost.Store, lost.Anchor = audit.NewMemory(), newest
	log, err := audit.Open(t.Context(), lost)
	require.NoError(t, err)
	fillLog(t, log, 20, 5)
	log, err = audit.Open(t.Context(), cfg)
	require.NoError(t, err)
	fillLog(t, log, 10, 5)
	_, err = log.DeclareRestore(t.Context(), "硬盘坏了 backup of Tuesday", newest.notes[3])
	require.NoError(t, err)
	fillLog(t, log, 14, 7)
	heads, err := cfg.Store.Heads(t.Context(), "")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, log.Export(t.Context(), &out))
	for name, data := range map[string][]byte{"export-3-epoch": out.Bytes(), "epoch.key": []byte(vkey + "\n"), "epoch.checkpoint": heads[0].Note} {
		require.NoError(t, os.WriteFile(filepath.Join(golden, name), data, 0o644))
	}
}

func TestGoldenEpoch(t *testing.T) {
	if _, err := os.Stat(filepath.Join(golden, "epoch.key")); err != nil && *freeze {
		freezeEpoch(t)
	}
	key := verifierOf(t, string(bytes.TrimSpace(frozen(t, "epoch.key"))))
	r, err := audit.VerifyExport(t.Context(), bytes.NewReader(frozen(t, "export-3-epoch")), key, audit.VerifyOptions{Checkpoints: [][]byte{frozen(t, "epoch.checkpoint")}})
	require.NoError(t, err)
	require.True(t, r.OK && r.Anchored && r.Size == 24 && len(r.Epochs) == 1, "%s", r)
	require.Equal(t, "硬盘坏了 backup of Tuesday", r.Epochs[0].Reason)
}

// The files stay readable for ever; testdata/read_log.py reads the same ones.
func TestGoldenFiles(t *testing.T) {
	if _, err := os.Stat(golden); err != nil && *freeze {
		freezeGolden(t)
	}
	key := verifierOf(t, string(bytes.TrimSpace(frozen(t, "key"))))
	keys := audit.KeysOf(key)
	top, err := audit.OpenCheckpoint(frozen(t, "checkpoint"), key)
	require.NoError(t, err)
	require.EqualValues(t, 9, top.Size)

	var event, link audit.TLogProof
	require.NoError(t, event.UnmarshalText(frozen(t, "event.tlog-proof")))
	e, main, err := event.OpenEvent(keys)
	require.NoError(t, err)
	require.Equal(t, "回电 ticket 7", e.Purpose)
	require.EqualValues(t, 11, e.Seq)
	require.NoError(t, link.UnmarshalText(frozen(t, "link.tlog-proof")))
	c, err := link.OpenLink(main.Note, keys)
	require.NoError(t, err)
	require.Equal(t, top, c)

	h, err := audit.ReadHistory(bytes.NewReader(frozen(t, "history.json")))
	require.NoError(t, err)
	p, err := h.Check(keys)
	require.NoError(t, err)
	require.Len(t, p.Events, 6)
	require.Equal(t, top, p.Checkpoint)

	var consistency audit.ConsistencyProof
	require.NoError(t, consistency.UnmarshalText(frozen(t, "consistency")))
	c, err = consistency.Check(frozen(t, "older.checkpoint"), keys)
	require.NoError(t, err)
	require.Equal(t, top, c)

	r, err := audit.VerifyExport(t.Context(), bytes.NewReader(frozen(t, "export-3")), key, audit.VerifyOptions{Checkpoints: [][]byte{top.Note}})
	require.NoError(t, err)
	require.True(t, r.OK && r.Anchored && r.Size == 23, "%s", r)
}
