package backuptest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
)

// Access is one store through the credentials of each role.
type Access struct {
	Writer backup.Store // runs backups; may be unable to delete
	Reader backup.Store // verifies and restores; may be unable to put
	Pruner backup.Store // may delete; nil if nobody may
}

// RunRepository takes a repository through its life on a store, which is empty:
// two snapshots, verified and restored, and then pruned.
func RunRepository(t *testing.T, a Access, f Fixture) {
	kek := NewKEK(t)
	as := func(s backup.Store, source backup.Source) *backup.Repository {
		t.Helper()
		r, err := backup.Open(t.Context(), backup.Config{Source: source, Store: s, KEK: kek, DataSet: "crm", Record: backup.Discard})
		require.NoError(t, err)
		return r
	}
	verify := func(snapshots int) {
		t.Helper()
		report, err := as(a.Reader, nil).Verify(t.Context(), backup.Every, backup.VerifyOptions{})
		require.NoError(t, err)
		require.True(t, report.OK)
		require.Len(t, report.Snapshots, snapshots)
	}
	restore := func(s backup.Snapshot) {
		t.Helper()
		report, err := as(a.Reader, nil).Restore(t.Context(), s.ID, f.Target(t), backup.RestoreOptions{})
		require.NoError(t, err)
		require.True(t, report.OK)
		require.Equal(t, s.Rows, report.Rows)
	}
	first, err := as(a.Writer, f.Source).Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	f.Change(t)
	second, err := as(a.Writer, f.Source).Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	verify(2)
	restore(first)
	restore(second)
	if a.Pruner == nil {
		return
	}
	pruned, err := as(a.Pruner, nil).Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Equal(t, []backup.ID{first.ID}, pruned.Snapshots)
	verify(1)
	restore(second)
}
