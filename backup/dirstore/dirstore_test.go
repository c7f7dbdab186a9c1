package dirstore_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
)

func TestDirectoryIsAStore(t *testing.T) {
	backuptest.RunStore(t, func(t *testing.T) backup.Store {
		s, err := dirstore.Open(t.Context(), filepath.Join(t.TempDir(), "not", "there", "yet"))
		require.NoError(t, err)
		return s
	})
}

func TestMain(m *testing.M) {
	backuptest.StoreWorker(open)
	os.Exit(m.Run())
}

func open(ctx context.Context, dir string) (backup.Store, error) { return dirstore.Open(ctx, dir) }

func TestSeveralProcessesShareADirectory(t *testing.T) {
	backuptest.RunStoreProcesses(t, t.TempDir(), open)
}

func TestKeysStayInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "outside"), []byte("x"), 0o600))
	s, err := dirstore.Open(t.Context(), filepath.Join(dir, "inside"))
	require.NoError(t, err)
	for _, key := range []string{"../outside", "a/../../outside", "/etc/passwd", "", "a//b", "a/", ".tmp-1", "a/.hidden", "A", "a b", `a\b`, "a\x00", "é", string(make([]byte, 201))} {
		require.ErrorContains(t, s.Put(t.Context(), key, nil), "dirstore: invalid argument: a ", "%q", key)
		_, err := s.Get(t.Context(), key, 0, -1)
		require.ErrorContains(t, err, "dirstore: invalid argument: a ", "%q", key)
		_, err = s.Stat(t.Context(), key)
		require.ErrorContains(t, err, "dirstore: invalid argument: a ", "%q", key)
		require.ErrorContains(t, s.Delete(t.Context(), key), "dirstore: invalid argument: a ", "%q", key)
	}
}

func TestFilesArePrivateAndUnfinishedWritesInvisible(t *testing.T) {
	dir := t.TempDir()
	s, err := dirstore.Open(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, s.Put(t.Context(), "sub/object", []byte("x")))
	info, err := os.Stat(filepath.Join(dir, "sub", "object"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(dir, "sub"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", ".tmp-123"), []byte("torn"), 0o600))
	var keys []string
	for o, err := range s.List(t.Context(), "", "") {
		require.NoError(t, err)
		keys = append(keys, o.Key)
	}
	require.Equal(t, []string{"sub/object"}, keys)
}

func TestOpenRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := dirstore.Open(t.Context(), path)
	require.ErrorContains(t, err, "is not a directory")
}
