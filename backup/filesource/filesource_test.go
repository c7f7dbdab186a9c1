package filesource_test

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/cell"
	"github.com/confide-go/confide/backup/filesource"
)

func folder(t *testing.T, dir string) *filesource.Folder {
	t.Helper()
	f, err := filesource.New(filesource.Config{Dir: dir})
	require.NoError(t, err)
	return f
}

// write replaces a file as an application should.
func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path+".new", content, 0o640))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestFolderIsASource(t *testing.T) {
	backuptest.RunSource(t, func(t *testing.T) backuptest.Fixture {
		dir := filepath.Join(t.TempDir(), "files")
		write(t, dir, "a/contract.pdf", bytes.Repeat([]byte("contract "), 300_000)) // of three parts
		write(t, dir, "a-b.txt", []byte("sorts between a and a/"))
		write(t, dir, "客户/照片.jpg", []byte("photo"))
		write(t, dir, "empty", nil)
		changes := 0
		return backuptest.Fixture{
			Source: folder(t, dir),
			Change: func(t *testing.T) {
				changes++
				write(t, dir, "new"+strings.Repeat("x", changes), []byte("inserted"))
				write(t, dir, "a-b.txt", []byte("updated "+strings.Repeat("y", changes)))
				if changes == 1 {
					require.NoError(t, os.Remove(filepath.Join(dir, "客户/照片.jpg")))
				}
			},
			Target: func(t *testing.T) backup.Target { return folder(t, filepath.Join(t.TempDir(), "restored")) },
		}
	})
}

// tree is everything about the files below a folder that a backup promises to keep.
func tree(t *testing.T, dir string) map[string][3]any {
	t.Helper()
	out := map[string][3]any{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if d.IsDir() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		out[name] = [3]any{sha256.Sum256(content), info.Mode(), info.ModTime().UTC()}
		return nil
	}))
	return out
}

func repository(t *testing.T, source backup.Source) *backup.Repository {
	t.Helper()
	r, err := backup.Open(t.Context(), backup.Config{Source: source, Store: backup.NewMemory(), KEK: backuptest.NewKEK(t), DataSet: "files", Record: backup.Discard})
	require.NoError(t, err)
	return r
}

func TestFilesComeBackAsTheyWere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	write(t, dir, "deep/er/x", bytes.Repeat([]byte{7}, 2<<20))
	write(t, dir, "exactly one part", bytes.Repeat([]byte{8}, 1<<20))
	write(t, dir, "empty", nil)
	require.NoError(t, os.Chmod(filepath.Join(dir, "empty"), 0o400))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "empty"), time.Time{}, time.Date(1969, 12, 31, 23, 59, 59, 5000, time.UTC)))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	r := repository(t, folder(t, dir))
	first, err := r.Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	require.Equal(t, []backup.Omission{{Kind: "symbolic link", Name: "link", Reason: "only regular files are copied"}}, first.Omitted)
	write(t, dir, "another", []byte("one"))
	s, err := r.Run(t.Context(), backup.RunOptions{Kind: backup.Incremental})
	require.NoError(t, err)
	require.Equal(t, backup.Incremental, s.Kind)
	require.Positive(t, s.Work.Reused, "content that is there already is not stored again")
	require.NoError(t, os.Remove(filepath.Join(dir, "link")))

	to := filepath.Join(t.TempDir(), "restored")
	require.NoError(t, os.Mkdir(to, 0o755), "an empty folder may be there")
	_, err = r.Restore(t.Context(), backup.Newest, folder(t, to), backup.RestoreOptions{})
	require.NoError(t, err)
	require.Equal(t, tree(t, dir), tree(t, to))
	for _, left := range []string{dir + ".snapshots", to + ".partial"} {
		_, err := os.Stat(left)
		require.ErrorIs(t, err, fs.ErrNotExist, "nothing is left behind")
	}
}

func TestAFileThatIsChangedInPlaceEndsTheRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	write(t, dir, "log", []byte("one line\n"))
	view, err := folder(t, dir).Snapshot(t.Context())
	require.NoError(t, err)
	defer view.Close()
	f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("a secret line\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	var failed error
	for _, err := range view.Rows(t.Context(), "part") {
		failed = err
	}
	require.ErrorContains(t, failed, `read "log": it was changed in place while it was copied`)
	require.NotContains(t, failed.Error(), "secret")
}

func TestWhatAKilledRunLeftIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	write(t, dir, "a", []byte("a"))
	dead := filepath.Join(dir+".snapshots", "pid-99999999-x")
	require.NoError(t, os.MkdirAll(dead, 0o700))
	alive, err := folder(t, dir).Snapshot(t.Context())
	require.NoError(t, err)
	_, err = os.Stat(dead)
	require.ErrorIs(t, err, fs.ErrNotExist)
	other, err := folder(t, dir).Snapshot(t.Context())
	require.NoError(t, err)
	require.NoError(t, other.Close())
	for _, err := range alive.Rows(t.Context(), "part") {
		require.NoError(t, err, "a snapshot of a process that lives is left alone")
	}
	require.NoError(t, alive.Close())
}

// hostile is a row that names a file outside of the folder.
func TestARestoreStaysInItsFolder(t *testing.T) {
	for _, path := range []string{"../outside", "/etc/outside", "a/../../outside", ".", ""} {
		dir := filepath.Join(t.TempDir(), "x", "files")
		source := folder(t, dir)
		s := schemaOf(t)
		l, err := source.Begin(t.Context(), s)
		require.NoError(t, err)
		row := cell.AppendInstant(cell.AppendInt(cell.AppendRaw(nil, cell.Text, path), 0o600), 0, 0)
		err = l.Load(t.Context(), "file", func(yield func(backup.Row, error) bool) { yield(row, nil) })
		require.ErrorContains(t, err, "no file inside the folder", path)
		part := cell.AppendRaw(cell.AppendInt(cell.AppendRaw(nil, cell.Text, path), 0), cell.Bytes, []byte("x"))
		err = l.Load(t.Context(), "part", func(yield func(backup.Row, error) bool) { yield(part, nil) })
		require.Error(t, err, path)
		require.NoError(t, l.Close())
		_, err = os.Stat(filepath.Join(filepath.Dir(dir), "outside"))
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

func schemaOf(t *testing.T) backup.Schema {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	write(t, dir, "a", nil)
	view, err := folder(t, dir).Snapshot(t.Context())
	require.NoError(t, err)
	defer view.Close()
	return view.Schema()
}

func TestConfigIsChecked(t *testing.T) {
	_, err := filesource.New(filesource.Config{})
	require.ErrorContains(t, err, "Config.Dir is empty")
	_, err = filesource.New(filesource.Config{Dir: "/x/files", Staging: "/x/files/links"})
	require.ErrorContains(t, err, "Config.Staging lies in Config.Dir")
	_, err = folder(t, filepath.Join(t.TempDir(), "missing")).Snapshot(t.Context())
	require.NoError(t, err, "a folder that nobody has put a file into yet")
}
