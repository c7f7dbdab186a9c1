package audit_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// process opens a log of its own on the bench's store with these keys.
func (b *bench) process(t *testing.T, current audit.Key, others ...audit.Key) *audit.Log {
	t.Helper()
	b.cfg.Signer, b.cfg.Verifier, b.cfg.Keys = current.Signer, current.Verifier, others
	b.log = b.restart(t)
	return b.log
}

func pair(t *testing.T) audit.Key {
	s, v := keys(t)
	return audit.Key{Signer: s, Verifier: v}
}

func verifyOnly(k audit.Key, until int64) audit.Key {
	return audit.Key{Verifier: k.Verifier, Until: until}
}

func (b *bench) record(t *testing.T, log *audit.Log, action string) {
	t.Helper()
	require.NoError(t, log.Record(b.ctx, action))
}

// The steps of a rotation, each with processes of the step before still running.
func TestRotationWithOverlap(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		older, newer := pair(t), pair(t)
		step0 := b.process(t, older)
		b.record(t, step0, "step.0")
		b.seal(t)
		step1 := b.process(t, older, newer) // announced: both sign, events still under the old one
		b.record(t, step1, "step.1")
		b.seal(t)
		require.True(t, signedBy(t, b, older.Verifier) && signedBy(t, b, newer.Verifier), "both sign in the overlap")
		step2 := b.process(t, newer, older) // switched
		b.record(t, step2, "step.2")
		b.record(t, step1, "step.1.still")
		_, err := step1.Seal(b.ctx)
		require.NoError(t, err, "a process of step 1 seals events of step 2")
		b.record(t, step1, "step.1.again")
		b.seal(t)
		require.True(t, b.verify(t).OK)

		// The old signer is destroyed, its verifier stays.
		size := b.verify(t).Checkpoints
		step3 := b.process(t, newer, verifyOnly(older, size))
		b.record(t, step3, "step.3")
		b.seal(t)
		require.False(t, signedBy(t, b, older.Verifier))
		r := b.verify(t)
		require.True(t, r.OK, "%s", r)
		require.EqualValues(t, 6, r.Size)

		x := b.export(t)
		r, err = audit.VerifyExport(b.ctx, bytes.NewReader(x), newer.Verifier, audit.VerifyOptions{Keys: audit.Keys{verifyOnly(older, size)}})
		require.NoError(t, err)
		require.True(t, r.OK, "%s", r)
		r, err = audit.VerifyExport(b.ctx, bytes.NewReader(x), newer.Verifier, audit.VerifyOptions{})
		require.NoError(t, err)
		require.Contains(t, r.String(), "bad-checkpoint (top)#0: the checkpoint in this entry is not signed by", "what only the old key signed needs the old key")

		h, err := step3.ProveHistory(b.ctx, audit.Query{})
		require.NoError(t, err)
		_, err = h.Check(audit.KeysOf(newer.Verifier))
		require.NoError(t, err, "a proof of today needs today's key only")
		_, err = h.Check(audit.KeysOf(older.Verifier))
		require.ErrorIs(t, err, audit.ErrTampered)
	})
}

func signedBy(t *testing.T, b *bench, v note.Verifier) bool {
	heads, err := b.cfg.Store.Heads(b.ctx, "", "main")
	require.NoError(t, err)
	require.Len(t, heads, 2)
	_, top := audit.OpenCheckpoint(heads[0].Note, v)
	_, main := audit.OpenCheckpoint(heads[1].Note, v)
	require.Equal(t, top == nil, main == nil)
	return top == nil
}

// Events that wait when the old signer is taken away too early are not lost and
// not sealed: they are named until the signer is given again.
func TestEventsWaitForTheKeyTheyWereRecordedUnder(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	older, newer := pair(t), pair(t)
	b.record(t, b.process(t, older), "waits")
	early := b.process(t, newer, verifyOnly(older, 0))
	_, err := early.Seal(b.ctx)
	require.ErrorIs(t, err, audit.ErrTampered)
	require.Contains(t, b.verify(t).String(), "pending-edited (top) pending row 1")
	b.process(t, newer, older)
	require.Equal(t, 1, b.seal(t))
	require.True(t, b.verify(t).OK)
}

// Whoever has stolen a revoked key can sign nothing that is believed.
func TestARevokedKey(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		stolen, newer := pair(t), pair(t)
		b.process(t, stolen)
		for range 3 {
			b.record(t, b.log, "a.b")
			b.seal(t)
		}
		b.process(t, newer, verifyOnly(stolen, 3))
		b.record(t, b.log, "first.of.new")
		b.seal(t)
		require.True(t, b.verify(t).OK)

		thief := b.process(t, stolen, verifyOnly(newer, 0))
		b.record(t, thief, "a.forgery")
		_, err := thief.Seal(b.ctx)
		require.NoError(t, err)

		owner := b.process(t, newer, verifyOnly(stolen, 3))
		r := b.verify(t)
		require.Contains(t, unique(found(r, nil)), "bad-checkpoint (top)", "%s", r)
		require.Contains(t, unique(found(r, nil)), "bad-checkpoint (top)#4", "%s", r)
		b.record(t, owner, "not.on.top.of.it")
		_, err = owner.Seal(b.ctx)
		require.ErrorIs(t, err, audit.ErrTampered)
		_, err = owner.Prover(b.ctx, "main")
		require.ErrorIs(t, err, audit.ErrTampered)

		// A proof made with the stolen key behind the bound proves nothing.
		h, err := thief.ProveHistory(b.ctx, audit.Query{})
		require.NoError(t, err)
		_, err = h.Check(audit.KeysOf(stolen.Verifier))
		require.NoError(t, err, "to those who still trust it")
		_, err = h.Check(audit.Keys{verifyOnly(newer, 0), verifyOnly(stolen, 3)})
		require.ErrorIs(t, err, audit.ErrTampered)
	})
}

func TestKeysThatDoNotBelongTogether(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	a, c := pair(t), pair(t)
	skey, vkey, err := audit.GenerateKey("other.example/audit")
	require.NoError(t, err)
	foreign := audit.Key{Signer: signerOf(t, skey), Verifier: verifierOf(t, vkey)}
	for want, k := range map[string]audit.Key{
		"has no Verifier":                 {Signer: a.Signer},
		"has another name than the first": foreign,
		"does not belong to its Verifier": {Signer: c.Signer, Verifier: a.Verifier},
		"has a negative Until":            {Verifier: a.Verifier, Until: -1},
		"is given twice":                  {Verifier: b.cfg.Verifier},
		"key 1 is given twice":            {Verifier: b.cfg.Verifier, Until: 7},
	} {
		cfg := b.cfg
		cfg.Keys = audit.Keys{k}
		_, err := audit.Open(b.ctx, cfg)
		require.ErrorIs(t, err, audit.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
}
