package audit_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/fileanchor"
	"github.com/confide-go/confide/internal/testdb"
)

var ownTables = []string{"pending", "entries", "rows", "heads", "nodes", "revisions"}

// save copies the log's tables, as somebody does who plans to put them back.
func (b *bench) save(t *testing.T) {
	for _, table := range ownTables {
		b.exec(t, "CREATE TABLE saved_"+table+" AS SELECT * FROM confide_audit_"+table)
	}
}

// putBack restores the rows that meet the condition, which each table must know.
func (b *bench) putBack(t *testing.T, condition string, tables ...string) {
	for _, table := range tables {
		b.exec(t, "DELETE FROM confide_audit_"+table+" WHERE "+condition)
		b.exec(t, "INSERT INTO confide_audit_"+table+" SELECT * FROM saved_"+table+" WHERE "+condition)
	}
}

// restart opens another log on the same store, as a new process would.
func (b *bench) restart(t *testing.T) *audit.Log {
	log, err := audit.Open(b.ctx, b.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	return log
}

func TestReplayOfOneTenantsOldHead(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		b.save(t)
		require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "late"}).Error)
		b.seal(t)
		b.putBack(t, "log_id = 'main'", "entries", "rows", "heads", "revisions")
		r := b.verify(t)
		require.Equal(t, []string{"rolled-back main#10"}, found(r, nil), "%s", r)
	})
}

func TestRollbackOfTheWholeDatabase(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		b.save(t)
		require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "late"}).Error)
		b.seal(t)
		b.putBack(t, "1 = 1", ownTables...)

		r := b.verify(t)
		require.Equal(t, []string{"rolled-back (top)#3"}, found(r, nil), "%s", r)
		require.EqualValues(t, 3, r.AnchoredTo)

		b.cfg.Anchor = audit.Unanchored
		r, err := b.restart(t).Verify(b.ctx, audit.VerifyOptions{})
		require.NoError(t, err)
		require.True(t, r.OK, "%s", r)
		require.False(t, r.Anchored)
		require.Contains(t, r.String(), "UNANCHORED")

		kept := b.anchor.notes[len(b.anchor.notes)-1]
		r, err = b.restart(t).Verify(b.ctx, audit.VerifyOptions{Checkpoints: [][]byte{kept}})
		require.NoError(t, err)
		require.True(t, r.Anchored)
		require.Equal(t, []string{"rolled-back (top)#3"}, found(r, nil), "%s", r)

		require.NoError(t, b.log.Record(b.ctx, "one.more"))
		_, err = b.log.Seal(b.ctx)
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, "went back from 4 to 3")
	})
}

func TestForkAfterRollback(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "anchor")
		file, err := fileanchor.Open(path)
		require.NoError(t, err)
		b := setUp(t, db, func(c *audit.Config) { c.Anchor = file })
		b.seed(t)
		b.save(t)
		require.NoError(t, b.log.Record(b.ctx, "the.truth"))
		b.seal(t)
		b.putBack(t, "1 = 1", ownTables...)

		log := b.restart(t)
		require.NoError(t, log.Record(b.ctx, "a.lie"))
		_, err = log.Seal(b.ctx)
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, "was rolled back or replaced")
		r := b.verify(t)
		require.Equal(t, []string{"forked (top)#3"}, found(r, nil), "%s", r)

		require.NoError(t, log.Record(b.ctx, "another.lie"))
		_, err = log.Seal(b.ctx)
		require.NoError(t, err, "the anchor cannot know that the longer log is another one")
		r = b.verify(t)
		require.Equal(t, []string{"forked (top)#3"}, found(r, nil), "%s", r)
	})
}

func TestAnotherKeyProvesNothing(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	b.cfg.Signer, b.cfg.Verifier = keys(t)
	log := b.restart(t)
	r, err := log.Verify(b.ctx, audit.VerifyOptions{})
	require.NoError(t, err)
	require.False(t, r.OK)
	require.False(t, r.Anchored, "checkpoints of another key anchor nothing")
	require.Contains(t, r.String(), "bad-checkpoint (top): the head's checkpoint is not signed")

	require.NoError(t, log.Record(b.ctx, "one.more"))
	_, err = log.Seal(b.ctx)
	require.ErrorIs(t, err, audit.ErrTampered)
}

func TestAnchorFailureIsReportedAndRepeated(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.anchor.fail = errTest
	require.NoError(t, b.log.Record(b.ctx, "a.b"))
	n, err := b.log.Seal(b.ctx)
	require.ErrorIs(t, err, errTest)
	require.ErrorContains(t, err, "anchor the checkpoint at 1")
	require.Equal(t, 1, n)
	b.anchor.fail = nil
	n, err = b.log.Seal(b.ctx)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Len(t, b.anchor.notes, 1)
}
