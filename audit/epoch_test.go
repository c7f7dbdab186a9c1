package audit_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/diranchor"
	"github.com/confide-go/confide/audit/fileanchor"
	"github.com/confide-go/confide/internal/testdb"
)

// restored seeds a log, backs it up, goes on, and puts the backup back: the anchor
// has 5 checkpoints, the database 3.
func restored(t *testing.T, db testdb.DB, change ...func(*audit.Config)) (*bench, *audit.Log) {
	t.Helper()
	b := setUp(t, db, change...)
	b.seed(t)
	b.save(t)
	for _, action := range []string{"after.1", "after.2"} {
		require.NoError(t, b.log.Record(b.ctx, action))
		b.seal(t)
	}
	b.putBack(t, "1 = 1", ownTables...)
	return b, b.restart(t)
}

func TestADeclaredRestoreIsNoFork(t *testing.T) {
	for _, kind := range []string{"file", "directory"} {
		t.Run(kind, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, db testdb.DB) {
				t.Parallel()
				b, log := restored(t, db, func(c *audit.Config) {
					var err error
					if c.Anchor, err = fileanchor.Open(t.TempDir() + "/anchor"); kind == "directory" {
						c.Anchor, err = diranchor.Open(t.TempDir())
					}
					require.NoError(t, err)
				})
				r, err := log.Verify(b.ctx, audit.VerifyOptions{})
				require.NoError(t, err)
				require.Equal(t, []string{"rolled-back (top)#3-4"}, found(r, nil), "before it is declared: %s", r)

				e, err := log.DeclareRestore(b.ctx, "disk failed, backup of Tuesday")
				require.NoError(t, err)
				require.EqualValues(t, []int64{1, 3, 3, 5}, []int64{e.Number, e.Seq, e.Common, e.Abandoned.Size})
				for range 4 { // over the length that was abandoned
					require.NoError(t, log.Record(b.ctx, "goes.on"))
					_, err = log.Seal(b.ctx)
					require.NoError(t, err)
				}
				r, err = log.Verify(b.ctx, audit.VerifyOptions{})
				require.NoError(t, err)
				require.True(t, r.OK && r.Anchored, "%s", r)
				require.EqualValues(t, 2, r.Abandoned)
				require.EqualValues(t, 8, r.AnchoredTo)
				require.Equal(t, []audit.Epoch{e}, r.Epochs)
				require.Contains(t, r.String(), `"u3" declared on`)
				require.Contains(t, r.String(), "(disk failed, backup of Tuesday); checkpoints from 4 to 5 were abandoned")

				h, err := log.ProveHistory(b.ctx, audit.Query{Tenant: "main"})
				require.NoError(t, err)
				p, err := h.Check(b.keys())
				require.NoError(t, err)
				require.Equal(t, "crm.example/audit/;epoch=1", p.Checkpoint.Origin)

				var out bytes.Buffer
				require.NoError(t, log.Export(b.ctx, &out))
				offline, err := b.verifyExport(t, out.Bytes(), audit.VerifyOptions{Checkpoints: [][]byte{e.Abandoned.Note}})
				require.NoError(t, err)
				require.True(t, offline.OK && offline.Abandoned == 1, "%s", offline)
				next, err := log.Verify(b.ctx, audit.VerifyOptions{Since: &r.Verified})
				require.NoError(t, err)
				require.True(t, next.OK, "%s", next)
			})
		})
	}
}

func TestTwoRestores(t *testing.T) {
	b, log := restored(t, testdb.New(t, testdb.SQLite))
	_, err := log.DeclareRestore(b.ctx, "first")
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, log.Record(b.ctx, "goes.on"))
		_, err = log.Seal(b.ctx)
		require.NoError(t, err)
	}
	b.putBack(t, "1 = 1", ownTables...) // the same old backup again
	log = b.restart(t)
	r, err := log.Verify(b.ctx, audit.VerifyOptions{})
	require.NoError(t, err)
	require.False(t, r.OK, "the first declaration is gone with what it declared")
	e, err := log.DeclareRestore(b.ctx, "second")
	require.NoError(t, err)
	require.EqualValues(t, 1, e.Number, "the backup does not know of the first")
	r, err = log.Verify(b.ctx, audit.VerifyOptions{})
	require.NoError(t, err)
	require.Contains(t, r.String(), "forked", "what was anchored in the other epoch 1 is not explained: %s", r)
}

func TestWhatIsNotDeclared(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	_, err := b.log.DeclareRestore(b.ctx, "empty")
	require.ErrorContains(t, err, "the log is empty")
	b.seed(t)
	_, err = b.log.DeclareRestore(b.ctx, "nothing happened")
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "there is no restore to declare")
	_, err = b.log.DeclareRestore(b.ctx, "")
	require.ErrorContains(t, err, "needs a reason")
	b.exec(t, "UPDATE confide_audit_heads SET edge = ?", make([]byte, 64))
	_, err = b.log.DeclareRestore(b.ctx, "tampered")
	require.ErrorIs(t, err, audit.ErrTampered)
}

// A process that lived through the restore does not go on by itself, and a log that
// went on undeclared can be declared later.
func TestARestoreThatWasDeclaredLate(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b, log := restored(t, db)
		require.NoError(t, b.log.Record(b.ctx, "one.more"))
		_, err := b.log.Seal(b.ctx)
		require.ErrorContains(t, err, "declare it with DeclareRestore")
		for range 4 {
			require.NoError(t, log.Record(b.ctx, "goes.on"))
			_, _ = log.Seal(b.ctx) // a real anchor refuses the first two
		}
		r, err := log.Verify(b.ctx, audit.VerifyOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"forked (top)#3"}, found(r, nil), "%s", r)
		e, err := log.DeclareRestore(b.ctx, "late")
		require.NoError(t, err)
		require.EqualValues(t, 5, e.Abandoned.Size)
		r, err = log.Verify(b.ctx, audit.VerifyOptions{})
		require.NoError(t, err)
		require.True(t, r.OK, "%s", r)
		require.EqualValues(t, 2, r.Abandoned)
	})
}

// What the administrator of the database can do about epochs without the key, and what
// a declared restore does not excuse.
func TestTamperEpoch(t *testing.T) {
	undeclared := func(t *testing.T, db testdb.DB) *bench {
		b, _ := restored(t, db)
		return b
	}
	declare := func(t *testing.T, b *bench, log *audit.Log) {
		_, err := log.DeclareRestore(b.ctx, "disk failed")
		require.NoError(t, err)
		require.NoError(t, log.Record(b.ctx, "goes.on"))
		_, err = log.Seal(b.ctx)
		require.NoError(t, err)
	}
	declared := func(t *testing.T, db testdb.DB) *bench {
		b, log := restored(t, db)
		declare(t, b, log)
		return b
	}
	check := func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		r := b.verify(t)
		require.Equal(t, len(a.want) == 0, r.OK, "%s", r)
		if len(a.want) > 0 {
			require.Contains(t, found(r, nil), a.want[0], "%s", r)
			require.Subset(t, a.want, unique(found(r, nil)), "%s", r)
		}
	}
	eachAttack(t, []attack{
		{"undeclared", all(), []string{"rolled-back (top)#3-4"}},
		{"forge an epoch", func(t *testing.T, b *bench) {
			abandoned, err := audit.OpenCheckpoint(b.anchor.notes[4], b.cfg.Verifier)
			require.NoError(t, err)
			data, hash := audit.EncodeEntry("", 3, 3, nil, audit.EncodeEpoch(audit.Epoch{Reason: "x", Common: 3, Abandoned: abandoned}))
			b.exec(t, "INSERT INTO confide_audit_entries (log_id, seq, event, at, actor, action, resource, result, hash, data) VALUES ('', 3, ?, 0, '', 'audit.epoch', '', '', ?, ?)", hash[:16], hash[:], data)
		}, []string{"inserted (top)#3", "rolled-back (top)#3-4"}},
	}, undeclared, check)
	eachAttack(t, []attack{
		{"nothing", all(), nil},
		{"delete the epoch", remove("log_id = '' AND seq = 3"), []string{"deleted (top)#3", "forked (top)#3", "head-edited (top)"}},
		{"edit its reason", rewrite("", 3, true, func(d []byte) []byte { return bytes.Replace(d, []byte("disk"), []byte("dish"), 1) }), []string{"edited (top)#3", "forked (top)#3", "head-edited (top)"}},
		{"edit its common size", rewrite("", 3, true, flip(42+1+8+4+2+4+11+7)), []string{"edited (top)#3", "forked (top)#3", "head-edited (top)"}},
		{"put the head of the epoch before", func(t *testing.T, b *bench) {
			b.exec(t, "UPDATE confide_audit_heads SET note = ? WHERE log_id = ''", b.anchor.notes[4])
		}, []string{"head-edited (top)", "rewritten (top)#4"}},
	}, declared, check)

	// The holder of an older anchor than the declaration knew of is not excused.
	b, log := restored(t, testdb.New(t, testdb.SQLite))
	newest := b.anchor.notes[4]
	b.anchor.notes = b.anchor.notes[:4]
	declare(t, b, log)
	r, err := log.Verify(b.ctx, audit.VerifyOptions{Checkpoints: [][]byte{newest}})
	require.NoError(t, err)
	require.Equal(t, []string{"forked (top)#4"}, found(r, nil), "what was abandoned without being named is a fork: %s", r)
}
