package audit_test

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// headOf signs the head of a log of one entry, as the holder of the key can.
func headOf(t *testing.T, signer note.Signer, log string, leaf tlog.Hash) audit.Head {
	t.Helper()
	text := fmt.Sprintf("%s\n1\n%s\n", audit.OriginOf(signer.Name(), log), base64.StdEncoding.EncodeToString(leaf[:]))
	msg, err := note.Sign(&note.Note{Text: text}, signer)
	require.NoError(t, err)
	return audit.Head{Log: log, Size: 1, Tip: leaf[:], Edge: leaf[:], Note: msg}
}

// A log that does not begin with its own name is none, whoever signed it: it
// could be the beginning of another one.
func TestALogMustBeginWithItsOwnName(t *testing.T) {
	signer, verifier := keys(t)
	for _, right := range []bool{true, false} {
		store := audit.NewMemory()
		body, err := audit.EncodeEvent(audit.Event{ID: audit.VectorEvent().ID, Actor: audit.Actor{Tenant: "main"}, Action: "a.b"})
		require.NoError(t, err)
		beginning := "main"
		if !right {
			beginning = "acme"
		}
		data, leaf := audit.EncodeEntry(beginning, 1, 0, nil, body)
		main := headOf(t, signer, "main", leaf)
		topData, topLeaf := audit.EncodeEntry("", 2, 0, nil, main.Note)
		require.NoError(t, store.Commit(t.Context(), audit.Batch{Heads: []audit.Head{headOf(t, signer, "", topLeaf), main}, Entries: []audit.Stored{
			{Log: "main", Data: data, Hash: leaf[:], Index: audit.IndexOf(data)},
			{Log: "", Data: topData, Hash: topLeaf[:], Index: audit.IndexOf(topData)},
		}}))
		log, err := audit.Open(t.Context(), audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored})
		require.NoError(t, err)
		r, err := log.Verify(t.Context(), audit.VerifyOptions{})
		require.NoError(t, err)
		require.Equal(t, right, r.OK, "%s", r)
		if !right {
			require.Equal(t, "edited main#0: it does not begin this log", r.Breaks[0].String())
		}
	}
}

// Only a checkpoint of the whole is an anchor, not one of a single tenant.
func TestWhatIsNoCheckpointOfTheWholeAnchorsNothing(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite), func(c *audit.Config) { c.Anchor = audit.Unanchored })
	b.seed(t)
	heads, err := b.cfg.Store.Heads(b.ctx, "main")
	require.NoError(t, err)
	for _, msg := range [][]byte{heads[0].Note, []byte("garbage"), nil} {
		r, err := b.log.Verify(b.ctx, audit.VerifyOptions{Checkpoints: [][]byte{msg}})
		require.NoError(t, err)
		require.False(t, r.Anchored)
		require.Equal(t, []string{"bad-checkpoint (top) anchored checkpoint 0"}, found(r, nil), "%s", r)
	}
}

// A signature has one spelling: base64 would let its unused bits vary.
func TestASecondSpellingOfASignature(t *testing.T) {
	signer, verifier := keys(t)
	msg := headOf(t, signer, "", tlog.Hash{1}).Note
	_, err := audit.OpenCheckpoint(msg, verifier)
	require.NoError(t, err)
	last := len(msg) - len("X=\n") // X has two bits that mean nothing, and they are 0
	msg[last]++
	_, err = audit.OpenCheckpoint(msg, verifier)
	require.Error(t, err)
}

// An event that stands in another tenant's log proves nothing, whoever signed it.
func TestAnEventOfAnotherTenantIsNotProven(t *testing.T) {
	signer, verifier := keys(t)
	for _, log := range []string{"main", "acme"} {
		body, err := audit.EncodeEvent(audit.Event{ID: audit.VectorEvent().ID, Actor: audit.Actor{Tenant: "main"}, Action: "a.b"})
		require.NoError(t, err)
		data, leaf := audit.EncodeEntry(log, 1, 0, nil, body)
		p := audit.TLogProof{Extra: data, Checkpoint: headOf(t, signer, log, leaf).Note}
		_, _, err = p.OpenEvent(audit.KeysOf(verifier))
		if log == "main" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, `is not an event of log "acme"`)
	}
}
