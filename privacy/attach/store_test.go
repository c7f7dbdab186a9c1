package attach_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/privacy/attach/attachtest"
)

func TestDirectoryIsAStore(t *testing.T) {
	attachtest.TestStore(t, func(t *testing.T) attach.Store {
		d, err := attach.OpenDir(t.Context(), filepath.Join(t.TempDir(), "not", "there", "yet"))
		require.NoError(t, err)
		return d
	})
}

func TestMemoryIsAStore(t *testing.T) {
	attachtest.TestStore(t, func(*testing.T) attach.Store { return attachtest.NewMemory(nil) })
}

func TestDirectoryIsPrivateAndStaysInItself(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "files")
	d, err := attach.OpenDir(t.Context(), root)
	require.NoError(t, err)
	id := strings.Repeat("ab", 16)
	require.NoError(t, d.Put(t.Context(), id, strings.NewReader("x")))
	for path, want := range map[string]fs.FileMode{root: 0o700, filepath.Join(root, id): 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), path)
	}
	outside := filepath.Join(base, "outside")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	for _, name := range []string{"../outside", ".tmp-../outside", ".tmp-/../../outside", outside, ".tmp-1x"} {
		require.ErrorContains(t, d.Delete(t.Context(), name), "32 lower-case hexadecimal digits")
	}
	require.FileExists(t, outside)
}

// Who can write in the directory can put other things in the place of an object.
func TestDirectoryReadsRegularFilesOnly(t *testing.T) {
	root := t.TempDir()
	d, err := attach.OpenDir(t.Context(), root)
	require.NoError(t, err)
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	link, folder := strings.Repeat("1", 32), strings.Repeat("2", 32)
	require.NoError(t, os.Symlink(outside, filepath.Join(root, link)))
	require.NoError(t, os.Mkdir(filepath.Join(root, folder), 0o700))
	for _, id := range []string{link, folder} {
		_, err := d.Get(t.Context(), id, 0, 10)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, "not a regular file")
		require.ErrorIs(t, d.Put(t.Context(), id, bytes.NewReader(nil)), fs.ErrExist)
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "README"), nil, 0o600))
	for o := range d.List(t.Context()) {
		t.Errorf("%s is not an object", o.ID)
	}
	require.NoError(t, d.Delete(t.Context(), link))
	require.FileExists(t, outside, "Delete removed what a link points to")
}

func TestOpenDirRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := attach.OpenDir(t.Context(), path)
	require.ErrorContains(t, err, "is not a directory")
}
