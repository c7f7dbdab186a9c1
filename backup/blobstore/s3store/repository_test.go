package s3store_test

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite" // the driver that the source reads with
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/keyepoch"
	"github.com/confide-go/confide/backup/probe"
	"github.com/confide-go/confide/backup/sqlsource"
)

func database(t *testing.T, statements ...string) (*sql.DB, *sqlsource.Database) {
	t.Helper()
	pool, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "crm.db"))
	require.NoError(t, err)
	t.Cleanup(func() { pool.Close() })
	change(t, pool, statements...)
	d, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: "sqlite"})
	require.NoError(t, err)
	return pool, d
}

func change(t *testing.T, pool *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := pool.Exec(s)
		require.NoError(t, err, s)
	}
}

func fixture(t *testing.T) backuptest.Fixture {
	pool, source := database(t, "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT)",
		"INSERT INTO a VALUES (1, 'one'), (2, 'two')", "INSERT INTO b VALUES (1, 'one'), (2, 'two')")
	return backuptest.Fixture{
		Source: source,
		Change: func(t *testing.T) {
			change(t, pool, "INSERT INTO a VALUES (3, 'three')", "UPDATE a SET v = 'eins' WHERE id = 1", "DELETE FROM b WHERE id = 1")
		},
		Target: func(t *testing.T) backup.Target { _, d := database(t); return d },
	}
}

// Each role works with the credentials that the generated policy gives it.
func TestARepositoryLivesOnTheRightsOfThePolicy(t *testing.T) {
	g := startGateway(t)
	owner := g.bucket(t, true)
	owner.Prefix = "crm/"
	writer, restorer, pruner := roles(t, g, owner)
	backuptest.RunRepository(t, backuptest.Access{Writer: writer.open(t), Reader: restorer.open(t), Pruner: pruner.open(t)}, fixture(t))
}

// TestWhatIsUnderALockIsForgottenAllTheSame: backups of people's keys lie in
// compliance mode in a bucket that was probed, nobody can delete them, and when
// their key epoch is destroyed an erased person is in none of them.
func TestWhatIsUnderALockIsForgottenAllTheSame(t *testing.T) {
	const day = 24 * time.Hour
	g := startGateway(t)
	owner := g.bucket(t, true)
	owner.Retain = 365 * day
	_, restorer, pruner := roles(t, g, owner)
	report, err := probe.Run(t.Context(), owner.open(t), probe.Config{Lock: time.Minute})
	require.NoError(t, err)
	require.Equal(t, probe.Proven, report.Of(probe.LockHolds), report.String())

	keys, source := database(t, "CREATE TABLE subject_keys (id TEXT PRIMARY KEY, wrapped TEXT)",
		"INSERT INTO subject_keys VALUES ('anna', 'key of anna'), ('ben', 'key of ben')")
	kek, now := backuptest.NewKEK(t), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Truncate(30*day).Add(time.Hour)
	epochs, err := keyepoch.Open(keyepoch.Config{Dir: filepath.Join(t.TempDir(), "epochs"), KEK: kek, Use: 30 * day, Keep: 30 * day})
	require.NoError(t, err)
	as := func(l login) *backup.Repository {
		t.Helper()
		r, err := backup.Open(t.Context(), backup.Config{Source: source, Store: l.open(t), KEK: kek, DataSet: "keys",
			Record: backup.Discard, Epochs: epochs, Now: func() time.Time { return now }})
		require.NoError(t, err)
		return r
	}
	people := func(id backup.ID) (found string, err error) {
		t.Helper()
		pool, target := database(t)
		if _, err := as(restorer).Restore(t.Context(), id, target, backup.RestoreOptions{}); err != nil {
			return "", err
		}
		return found, pool.QueryRow("SELECT group_concat(id) FROM (SELECT id FROM subject_keys ORDER BY id)").Scan(&found)
	}
	objects := func() (list []backup.Object) {
		t.Helper()
		for o, err := range restorer.open(t).List(t.Context(), "", "") {
			require.NoError(t, err)
			list = append(list, o)
		}
		return list
	}

	_, err = as(owner).Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	change(t, keys, "DELETE FROM subject_keys WHERE id = 'anna'") // erased
	erased := now
	now = now.Add(31 * day)
	_, err = as(owner).Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	until, err := as(restorer).Forgotten(t.Context(), erased)
	require.NoError(t, err)
	require.False(t, until.IsZero())
	found, err := people(1)
	require.NoError(t, err)
	require.Equal(t, "anna,ben", found, "until that day she is in the backup")

	// The owner of the bucket, the pruner and a plain S3 client all fail to delete.
	before := objects()
	for _, l := range []login{owner, pruner} {
		for _, o := range before {
			require.ErrorIs(t, l.open(t).Delete(t.Context(), o.Key), fs.ErrPermission, o.Key)
		}
	}
	now = until
	destroyed, err := as(restorer).DestroyExpired(t.Context())
	require.NoError(t, err)
	require.Len(t, destroyed, 1)
	require.Equal(t, before, objects(), "nothing was deleted")
	_, err = people(1)
	require.ErrorContains(t, err, "has been destroyed")
	found, err = people(2)
	require.NoError(t, err)
	require.Equal(t, "ben", found)
	verified, err := as(restorer).Verify(t.Context(), backup.Every, backup.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, verified.OK)
	require.Positive(t, verified.Unopened)
}
