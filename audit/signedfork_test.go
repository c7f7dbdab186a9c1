package audit_test

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
)

// A twoSteps is a log of two events made by hand with the real key, as a program
// with a fault or a thief of the key can: first one is sealed, then the other.
type twoSteps struct {
	followsTop, follows bool   // the second entries follow the first
	swapped             bool   // the top log has the larger checkpoint first
	origin              string // of the top log's second head
}

func headOfTwo(t *testing.T, signer note.Signer, log, origin string, first, second tlog.Hash) audit.Head {
	t.Helper()
	root := tlog.NodeHash(first, second)
	msg, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n2\n%s\n", origin, base64.StdEncoding.EncodeToString(root[:]))}, signer)
	require.NoError(t, err)
	return audit.Head{Log: log, Was: 1, Size: 2, Tip: second[:], Edge: root[:], Note: msg}
}

// verify returns what a whole verification finds, and one that goes on from the first step.
func (s twoSteps) verify(t *testing.T) (whole, since audit.Report) {
	signer, verifier := keys(t)
	store := audit.NewMemory()
	log, err := audit.Open(t.Context(), audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored})
	require.NoError(t, err)
	stored := func(log string, seq int64, data []byte, leaf tlog.Hash) audit.Stored {
		return audit.Stored{Log: log, Seq: seq, Data: data, Hash: leaf[:], Index: audit.IndexOf(data)}
	}
	event := func(id string, seq int64, prev *tlog.Hash) ([]byte, tlog.Hash) {
		body, err := audit.EncodeEvent(audit.Event{ID: id, Actor: audit.Actor{Tenant: "main"}, Action: "a.b"})
		require.NoError(t, err)
		return audit.EncodeEntry("main", 1, seq, prev, body)
	}
	prev := func(follows bool, leaf tlog.Hash) *tlog.Hash {
		if !follows {
			leaf = tlog.Hash{7}
		}
		return &leaf
	}
	id := audit.VectorEvent().ID
	data0, leaf0 := event(id, 0, nil)
	data1, leaf1 := event("ff"+id[2:], 1, prev(s.follows, leaf0))
	one := headOf(t, signer, "main", leaf0)
	two := headOfTwo(t, signer, "main", audit.OriginOf(signer.Name(), "main"), leaf0, leaf1)
	notes := [2][]byte{one.Note, two.Note}
	if s.swapped {
		notes[0], notes[1] = notes[1], notes[0]
	}
	top0, topLeaf0 := audit.EncodeEntry("", 2, 0, nil, notes[0])
	top1, topLeaf1 := audit.EncodeEntry("", 2, 1, prev(s.followsTop, topLeaf0), notes[1])
	require.NoError(t, store.Commit(t.Context(), audit.Batch{Heads: []audit.Head{headOf(t, signer, "", topLeaf0), one},
		Entries: []audit.Stored{stored("main", 0, data0, leaf0), stored("", 0, top0, topLeaf0)}}))
	first, err := log.Verify(t.Context(), audit.VerifyOptions{})
	require.NoError(t, err)
	require.NoError(t, store.Commit(t.Context(), audit.Batch{Heads: []audit.Head{headOfTwo(t, signer, "", s.origin, topLeaf0, topLeaf1), two},
		Entries: []audit.Stored{stored("main", 1, data1, leaf1), stored("", 1, top1, topLeaf1)}}))
	whole, err = log.Verify(t.Context(), audit.VerifyOptions{})
	require.NoError(t, err)
	if first.OK {
		since, err = log.Verify(t.Context(), audit.VerifyOptions{Since: &first.Verified})
		require.NoError(t, err)
	}
	return whole, since
}

// A signature makes no log right that contradicts itself.
func TestWhatTheKeySignedMustStillBeALog(t *testing.T) {
	const name = "crm.example/audit"
	for _, c := range []struct {
		name         string
		steps        twoSteps
		whole, since []string
	}{
		{"nothing", twoSteps{true, true, false, name}, nil, nil},
		{"a tenant's log shrinks", twoSteps{true, true, true, name}, []string{"forked (top)#1"}, nil},
		{"the head is of an epoch nobody declared", twoSteps{true, true, false, name + "/;epoch=1"}, []string{"head-edited (top)"}, []string{"head-edited (top)"}},
		{"an event does not follow the one before", twoSteps{true, false, false, name}, []string{"edited main#0"}, []string{"forked main#1"}},
		{"a checkpoint does not follow the one before", twoSteps{false, true, false, name}, []string{"edited (top)#0"}, []string{"forked (top)#1"}},
	} {
		whole, since := c.steps.verify(t)
		require.Subset(t, found(whole, nil), c.whole, "%s: %s", c.name, whole)
		require.Equal(t, len(c.whole) == 0, whole.OK, "%s: %s", c.name, whole)
		require.Equal(t, c.since, found(since, nil), "%s: %s", c.name, since)
	}
}
