package durable_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/durable"
)

func TestWriteFileReplacesContentAndPermission(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, durable.WriteFile(path, []byte("old"), 0o644))
	require.NoError(t, durable.WriteFile(path, []byte("new"), 0o600))

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(data))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	onlyFile(t, path)
}

func TestCreateRefusesAnExistingFileAndLeavesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, durable.Create(path, []byte("first"), 0o600))

	err := durable.Create(path, []byte("second"), 0o600)
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, fmt.Sprintf("durable: create %s: file exists", path), err.Error())

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "first", string(data))
	onlyFile(t, path)
}

func TestCreateHasOneWinner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var winners atomic.Int32
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			content := bytes.Repeat([]byte{byte('a' + i)}, 4096)
			if durable.Create(path, content, 0o600) == nil {
				winners.Add(1)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, winners.Load())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, data, 4096)
	require.Equal(t, bytes.Repeat(data[:1], 4096), data, "content of two writers is mixed")
}

func TestAppendKeepsOrderAcrossWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchors")
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			assert.NoError(t, durable.Append(path, bytes.Repeat([]byte{byte('a' + i)}, 99), 0o600))
			assert.NoError(t, durable.Append(path, append(bytes.Repeat([]byte{byte('a' + i)}, 99), '\n'), 0o600))
		})
	}
	group.Wait()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, data, 16*(99+100))
}

func TestMkdirAllMakesParents(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "a", "b", "c")
	require.NoError(t, durable.MkdirAll(path, 0o700))
	require.NoError(t, durable.MkdirAll(path, 0o700))
	require.DirExists(t, path)

	file := filepath.Join(root, "file")
	require.NoError(t, durable.WriteFile(file, nil, 0o600))
	err := durable.MkdirAll(file, 0o700)
	require.ErrorIs(t, err, fs.ErrExist)
	require.EqualError(t, err, fmt.Sprintf("durable: %s is not a directory: file already exists", file))
}

func TestErrorsNameTheFileAndLeaveNothing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "key")
	for name, write := range map[string]func(string, []byte, fs.FileMode) error{
		"write": durable.WriteFile, "create": durable.Create,
	} {
		err := write(missing, []byte("secret"), 0o600)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
		require.EqualError(t, err, fmt.Sprintf("durable: write %s: no such file or directory", missing), name)
	}
	err := durable.Append(missing, []byte("secret"), 0o600)
	require.EqualError(t, err, fmt.Sprintf("durable: append to %s: no such file or directory", missing))

	// Replacing a directory fails after the temporary file was written.
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.ErrorContains(t, durable.WriteFile(dir, []byte("secret"), 0o600), "durable: replace "+dir)
	require.ErrorContains(t, durable.Create(dir, []byte("secret"), 0o600), "durable: create "+dir)
	onlyFile(t, dir)
}

// onlyFile fails if a temporary file was left beside path.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestCreateFromStreamsOrLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "object")
	broken := io.MultiReader(bytes.NewReader(make([]byte, 100_000)), iotest.ErrReader(io.ErrUnexpectedEOF))
	err := durable.CreateFrom(path, broken, 0o600)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, entries)

	content := bytes.Repeat([]byte("0123456789"), 50_000)
	require.NoError(t, durable.CreateFrom(path, iotest.HalfReader(bytes.NewReader(content)), 0o600))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, data))
	require.ErrorIs(t, durable.CreateFrom(path, bytes.NewReader(nil), 0o600), fs.ErrExist)
	onlyFile(t, path)
}

func TestRemoveDeletesOnceAndOnlyWhatItNames(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	require.NoError(t, durable.Create(path, []byte("a"), 0o600))
	require.NoError(t, durable.Create(filepath.Join(dir, "b"), []byte("b"), 0o600))
	require.NoError(t, durable.Remove(path))
	require.ErrorIs(t, durable.Remove(path), fs.ErrNotExist)
	onlyFile(t, filepath.Join(dir, "b"))
}
