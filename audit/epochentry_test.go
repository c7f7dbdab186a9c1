package audit_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// noteOf signs a checkpoint of any log, as the holder of the key can.
func noteOf(t *testing.T, signer note.Signer, origin string, size int64, root byte) []byte {
	t.Helper()
	hash := tlog.Hash{root}
	msg, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(hash[:]))}, signer)
	require.NoError(t, err)
	return msg
}

func TestWhatIsNoEpoch(t *testing.T) {
	signer, verifier := keys(t)
	strange, _ := keys(t)
	name := signer.Name()
	abandoned := func(msg []byte) audit.Checkpoint { return audit.Checkpoint{Note: msg} }
	good := noteOf(t, signer, name, 5, 1)
	for what, c := range map[string]struct {
		epoch audit.Epoch
		ok    bool
	}{
		"one":                     {audit.Epoch{Common: 3, Abandoned: abandoned(good)}, true},
		"nothing in common":       {audit.Epoch{Common: 0, Abandoned: abandoned(good)}, true},
		"all in common":           {audit.Epoch{Common: 4, Abandoned: abandoned(good)}, true},
		"less than nothing":       {audit.Epoch{Common: -1, Abandoned: abandoned(good)}, false},
		"more than there is":      {audit.Epoch{Common: 5, Abandoned: abandoned(noteOf(t, signer, name, 9, 1))}, false},
		"nothing abandoned":       {audit.Epoch{Common: 3, Abandoned: abandoned(noteOf(t, signer, name, 3, 1))}, false},
		"a tenant's checkpoint":   {audit.Epoch{Common: 3, Abandoned: abandoned(noteOf(t, signer, name+"/main", 5, 1))}, false},
		"another key's":           {audit.Epoch{Common: 3, Abandoned: abandoned(noteOf(t, strange, name, 5, 1))}, false},
		"a later epoch's is read": {audit.Epoch{Common: 3, Abandoned: abandoned(noteOf(t, signer, name+"/;epoch=4", 5, 1))}, true},
	} {
		data := audit.EncodeEpoch(c.epoch)
		e, err := audit.DecodeEpoch(data, 4, audit.KeysOf(verifier))
		require.Equal(t, c.ok, err == nil, "%s: %v", what, err)
		if c.ok {
			require.Equal(t, c.epoch.Common, e.Common)
			_, err = audit.DecodeEpoch(append(data, 0), 4, audit.KeysOf(verifier))
			require.Error(t, err, "%s, and more", what)
		}
		_, err = audit.DecodeEpoch(data[:len(data)-1], 4, audit.KeysOf(verifier))
		require.Error(t, err, "%s, cut off", what)
	}
}

// An epoch that skips one is none, whoever signed it.
func TestEpochsAreCounted(t *testing.T) {
	for epoch, ok := range map[string]bool{"": true, "/;epoch=1": false} { // of the abandoned checkpoint
		signer, verifier := keys(t)
		name, store := signer.Name(), audit.NewMemory()
		body, err := audit.EncodeEvent(audit.Event{ID: audit.VectorEvent().ID, Actor: audit.Actor{Tenant: "main"}, Action: "a.b"})
		require.NoError(t, err)
		data, leaf := audit.EncodeEntry("main", 1, 0, nil, body)
		main := headOf(t, signer, "main", leaf)
		top0, leaf0 := audit.EncodeEntry("", 2, 0, nil, main.Note)
		top1, leaf1 := audit.EncodeEntry("", 3, 1, &leaf0, audit.EncodeEpoch(audit.Epoch{Common: 0, Reason: "x", Abandoned: audit.Checkpoint{Note: noteOf(t, signer, name+epoch, 5, 1)}}))
		head := headOfTwo(t, signer, "", name+"/;epoch=1", leaf0, leaf1)
		head.Was = 0
		index := audit.IndexOf(top0)
		index.Event, index.Action = leaf1[:16], "audit.epoch"
		require.NoError(t, store.Commit(t.Context(), audit.Batch{Heads: []audit.Head{head, main}, Entries: []audit.Stored{
			{Log: "main", Data: data, Hash: leaf[:], Index: audit.IndexOf(data)}, {Log: "", Data: top0, Hash: leaf0[:], Index: audit.IndexOf(top0)},
			{Log: "", Seq: 1, Data: top1, Hash: leaf1[:], Index: index},
		}}))
		log, err := audit.Open(t.Context(), audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored})
		require.NoError(t, err)
		r, err := log.Verify(t.Context(), audit.VerifyOptions{})
		require.NoError(t, err)
		require.Equal(t, !ok, slices.Contains(found(r, nil), "bad-epoch (top)#1"), "%s", r)
		require.Len(t, r.Epochs, map[bool]int{true: 1, false: 0}[ok])
	}
}

// A declared restore excuses what was abandoned and nothing else that the key has signed.
func TestWhatAnEpochDoesNotExcuse(t *testing.T) {
	b, log := restored(t, testdb.New(t, testdb.SQLite))
	_, err := log.DeclareRestore(b.ctx, "disk failed")
	require.NoError(t, err)
	for range 4 {
		require.NoError(t, log.Record(b.ctx, "goes.on"))
		_, err = log.Seal(b.ctx)
		require.NoError(t, err)
	}
	for what, c := range map[string]struct {
		note []byte
		ok   bool
	}{
		"between the two":                 {noteOf(t, b.cfg.Signer, "crm.example/audit", 4, 7), true},
		"in common":                       {noteOf(t, b.cfg.Signer, "crm.example/audit", 3, 7), false},
		"before":                          {noteOf(t, b.cfg.Signer, "crm.example/audit", 2, 7), false},
		"of the abandoned size":           {noteOf(t, b.cfg.Signer, "crm.example/audit", 5, 7), false},
		"longer than what was abandoned":  {noteOf(t, b.cfg.Signer, "crm.example/audit", 6, 7), false},
		"of the epoch that was declared":  {noteOf(t, b.cfg.Signer, "crm.example/audit/;epoch=1", 4, 7), false},
		"of an epoch nobody has declared": {noteOf(t, b.cfg.Signer, "crm.example/audit/;epoch=2", 4, 7), false},
	} {
		r, err := log.Verify(b.ctx, audit.VerifyOptions{Checkpoints: [][]byte{c.note}})
		require.NoError(t, err)
		require.Equal(t, c.ok, r.OK, "%s: %s", what, r)
	}
}
