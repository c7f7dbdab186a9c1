package backup_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/keyepoch"
	"github.com/confide-go/confide/internal/testdb"
)

// writeOnce is a store that keeps everything for ever.
type writeOnce struct{ backup.Store }

func (writeOnce) Delete(context.Context, string) error { return errors.New("object is locked") }

// vault is a database of people's keys with its repository, under a clock.
type vault struct {
	*testing.T
	db     testdb.DB
	store  writeOnce
	kek    tink.AEADWithContext
	epochs *keyepoch.Folder
	now    time.Time
	cfg    backup.Config
}

const day = 24 * time.Hour

func newVault(t *testing.T) *vault {
	v := &vault{T: t, db: testdb.New(t, testdb.SQLite), store: writeOnce{backup.NewMemory()}, kek: backuptest.NewKEK(t)}
	exec(t, poolOf(t, v.db), "CREATE TABLE subject_keys (id TEXT PRIMARY KEY, wrapped TEXT)", "INSERT INTO subject_keys VALUES ('anna', 'key of anna'), ('ben', 'key of ben')")
	track(t, v.db)
	var err error
	v.epochs, err = keyepoch.Open(keyepoch.Config{Dir: filepath.Join(t.TempDir(), "epochs"), KEK: v.kek, Use: 30 * day, Keep: 30 * day})
	require.NoError(t, err)
	v.now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Truncate(30 * day).Add(time.Hour) // an epoch has begun
	v.cfg = backup.Config{Source: sourceOf(t, v.db), Store: v.store, KEK: v.kek, Epochs: v.epochs, Now: func() time.Time { return v.now }}
	return v
}

func (v *vault) repo() *backup.Repository { v.Helper(); return openWith(v.T, v.cfg) }

// people restores a snapshot and says who is in it.
func (v *vault) people(id backup.ID) (string, error) {
	v.Helper()
	to := testdb.New(v.T, testdb.SQLite)
	if _, err := v.repo().Restore(v.Context(), id, sourceOf(v.T, to), backup.RestoreOptions{}); err != nil {
		return "", err
	}
	return one(v.T, to, "SELECT group_concat(id || ': ' || wrapped, ', ') FROM (SELECT * FROM subject_keys ORDER BY id)"), nil
}

func TestBackupsForgetByADateThatIsKnown(t *testing.T) {
	v := newVault(t)
	start := v.now
	run(t, v.repo())
	v.now = v.now.Add(10 * day)
	exec(t, poolOf(t, v.db), "DELETE FROM subject_keys WHERE id = 'anna'") // erased
	erased := v.now
	v.now = v.now.Add(day)
	require.Equal(t, backup.Incremental, runKind(t, v.repo(), backup.Incremental).Kind)

	until := start.Truncate(30 * day).Add(60 * day)
	got, err := v.repo().Forgotten(t.Context(), erased)
	require.NoError(t, err)
	require.Equal(t, until, got, "thirty days of use and thirty more")
	later, err := v.repo().Forgotten(t.Context(), v.now.Add(40*day))
	require.NoError(t, err)
	require.Equal(t, until, later, "who is erased later is in the same snapshots")

	v.now = v.now.Add(30 * day)
	require.Equal(t, backup.Full, runKind(t, v.repo(), backup.Incremental).Kind, "a new epoch shares nothing with the one before")
	got, err = v.repo().Forgotten(t.Context(), erased)
	require.NoError(t, err)
	require.Equal(t, until, got, "snapshots made after the erasure do not put it off")
	later, err = v.repo().Forgotten(t.Context(), v.now)
	require.NoError(t, err)
	require.Equal(t, until.Add(30*day), later)

	v.now = until.Add(-time.Second)
	destroyed, err := v.repo().DestroyExpired(t.Context())
	require.NoError(t, err)
	require.Empty(t, destroyed)
	people, err := v.people(1)
	require.NoError(t, err)
	require.Equal(t, "anna: key of anna, ben: key of ben", people)

	v.now = until
	open := v.repo() // has the keys open, and must not remember them
	_, err = open.Verify(t.Context(), backup.Every, backup.VerifyOptions{})
	require.NoError(t, err)
	_, err = open.Forgotten(t.Context(), erased)
	require.ErrorContains(t, err, "was to be destroyed by "+until.Format(time.RFC3339)+" and is not; call DestroyExpired")
	objects := keysOf(t, v.store, "")
	destroyed, err = open.DestroyExpired(t.Context())
	require.NoError(t, err)
	require.Len(t, destroyed, 1)
	require.Equal(t, objects, keysOf(t, v.store, ""), "the backups are still there")
	for _, id := range []backup.ID{1, 2} {
		_, err = v.people(id)
		require.ErrorContains(t, err, "has been destroyed", "snapshot %d", id)
		require.NotErrorIs(t, err, backup.ErrDamaged)
		_, err = open.Restore(t.Context(), id, sourceOf(t, testdb.New(t, testdb.SQLite)), backup.RestoreOptions{})
		require.ErrorContains(t, err, "has been destroyed", "snapshot %d", id)
	}
	people, err = v.people(3)
	require.NoError(t, err)
	require.Equal(t, "ben: key of ben", people)
	report, err := v.repo().Verify(t.Context(), backup.Every, backup.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, report.OK)
	require.Positive(t, report.Unopened)
	got, err = v.repo().Forgotten(t.Context(), erased)
	require.NoError(t, err)
	require.Zero(t, got, "it is so")
}

func TestTheNewestSnapshotIsNotForgotten(t *testing.T) {
	v := newVault(t)
	run(t, v.repo())
	v.now = v.now.Add(100 * day) // no run in the meantime
	destroyed, err := v.repo().DestroyExpired(t.Context())
	require.ErrorContains(t, err, "the newest snapshot, 1, needs it; run again first")
	require.Empty(t, destroyed)
	run(t, v.repo())
	destroyed, err = v.repo().DestroyExpired(t.Context())
	require.NoError(t, err)
	require.Len(t, destroyed, 1)
	people, err := v.people(2)
	require.NoError(t, err)
	require.Equal(t, "anna: key of anna, ben: key of ben", people)
}

func TestChunksOfAKilledRunInAnOlderEpochAreNotUsed(t *testing.T) {
	v := newVault(t)
	v.cfg.Store = &watched{Store: v.store, before: func(op, key string) error {
		if op == "put" && key == "manifest/00000000000000000001" {
			return errKilled
		}
		return nil
	}}
	_, err := v.repo().Run(t.Context(), backup.RunOptions{})
	require.ErrorIs(t, err, errKilled)
	v.cfg.Store = v.store
	killed := v.now
	v.now = v.now.Add(30 * day)
	require.Zero(t, run(t, v.repo()).Work.Reused)
	until, err := v.repo().Forgotten(t.Context(), killed)
	require.NoError(t, err)
	require.Equal(t, killed.Truncate(30*day).Add(60*day), until, "what the killed run left counts")
	v.now = until
	_, err = v.repo().DestroyExpired(t.Context())
	require.NoError(t, err)
	people, err := v.people(1)
	require.NoError(t, err)
	require.Equal(t, "anna: key of anna, ben: key of ben", people)
}

func TestForgottenSaysWhatItCannotPromise(t *testing.T) {
	v := newVault(t)
	epochs := v.cfg.Epochs
	v.cfg.Epochs = nil
	run(t, v.repo())
	_, err := v.repo().Forgotten(t.Context(), v.now)
	require.ErrorContains(t, err, "is sealed under no key epoch")
	_, err = v.repo().DestroyExpired(t.Context())
	require.ErrorContains(t, err, "Config.Epochs is nil")
	v.cfg.Epochs = epochs
	require.Equal(t, backup.Full, runKind(t, v.repo(), backup.Incremental).Kind)
	v.cfg.Epochs = nil
	_, err = v.people(2)
	require.ErrorContains(t, err, "set Config.Epochs")
}

func TestNoPrimaryKeyOutlivesAnEpoch(t *testing.T) {
	// A manifest is sealed by the KEK alone. With epochs it must not hold keys of rows.
	v := newVault(t)
	run(t, v.repo())
	s, err := v.repo().Run(t.Context(), backup.RunOptions{Kind: backup.Incremental, Scrub: 1 << 30})
	require.NoError(t, err)
	require.Equal(t, int64(2), s.Work.Read, "without the keys of its chunks a table is read whole, though nothing changed")
	require.Zero(t, s.Work.Chunks)
}

func TestEpochAndRecipientsBothHaveToBeThere(t *testing.T) {
	v := newVault(t)
	anna, annas := recipient(t, "anna")
	v.cfg.Recipients = []backup.Recipient{anna}
	run(t, v.repo())
	_, err := v.people(1)
	require.ErrorContains(t, err, "is sealed to anna")
	v.cfg.Recovery = annas
	_, err = v.people(1)
	require.NoError(t, err)
	v.now = v.now.Add(60 * day)
	run(t, v.repo())
	_, err = v.repo().DestroyExpired(t.Context())
	require.NoError(t, err)
	_, err = v.people(1)
	require.ErrorContains(t, err, "has been destroyed", "the recovery key does not undo it")
}

// What was pruned may still lie in a copy of the store, which only the destruction of
// the epoch's key reaches.
func TestEpochsOfPrunedSnapshotsAreDestroyedToo(t *testing.T) {
	v := newVault(t)
	store := backup.NewMemory()
	v.cfg.Store = store
	run(t, v.repo())
	elsewhere := copyOf(t, store)
	v.now = v.now.Add(31 * day)
	run(t, v.repo())
	_, err := v.repo().Prune(t.Context(), backup.PruneOptions{Keep: 1, Accept: 2})
	require.NoError(t, err)

	until := v.epochs.Expires(v.now.Add(-31 * day))
	v.now = until.Add(-time.Second)
	destroyed, err := v.repo().DestroyExpired(t.Context())
	require.NoError(t, err)
	require.Empty(t, destroyed)
	v.now = until
	destroyed, err = v.repo().DestroyExpired(t.Context())
	require.NoError(t, err)
	require.Len(t, destroyed, 1)

	v.cfg.Store = elsewhere
	_, err = v.people(1)
	require.ErrorContains(t, err, "has been destroyed")
	v.cfg.Store = store
	people, err := v.people(2)
	require.NoError(t, err)
	require.Equal(t, "anna: key of anna, ben: key of ben", people)
}

// copyOf is what somebody carries away.
func copyOf(t *testing.T, store backup.Store) backup.Store {
	t.Helper()
	c := backup.NewMemory()
	for _, key := range keysOf(t, store, "") {
		data, err := store.Get(t.Context(), key, 0, -1)
		require.NoError(t, err)
		require.NoError(t, c.Put(t.Context(), key, data))
	}
	return c
}
