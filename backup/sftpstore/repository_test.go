package sftpstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/filesource"
)

// A repository through its whole life over SSH, each role with a connection of its
// own.
func TestARepositoryLivesOnAnotherMachine(t *testing.T) {
	l := startServer(t)
	files := filepath.Join(t.TempDir(), "files")
	require.NoError(t, os.Mkdir(files, 0o755))
	write := func(name string, content []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(files, name), content, 0o640))
	}
	folder := func(dir string) *filesource.Folder {
		f, err := filesource.New(filesource.Config{Dir: dir})
		require.NoError(t, err)
		return f
	}
	write("contract.pdf", bytes.Repeat([]byte("contract "), 300_000)) // of three parts
	write("photo.jpg", []byte("photo"))
	backuptest.RunRepository(t, backuptest.Access{Writer: l.open(t), Reader: l.open(t), Pruner: l.open(t)}, backuptest.Fixture{
		Source: folder(files),
		Change: func(t *testing.T) {
			write("contract.pdf.new", []byte("shorter"))
			require.NoError(t, os.Rename(filepath.Join(files, "contract.pdf.new"), filepath.Join(files, "contract.pdf")))
			write("new.txt", []byte("new"))
			require.NoError(t, os.Remove(filepath.Join(files, "photo.jpg")))
		},
		Target: func(t *testing.T) backup.Target { return folder(filepath.Join(t.TempDir(), "restored")) },
	})
}
