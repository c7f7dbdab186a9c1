package fileanchor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/fileanchor"
)

func checkpoint(size int64, root byte) audit.Checkpoint {
	c := audit.Checkpoint{Origin: "crm", Size: size, Root: [32]byte{root}}
	c.Note = fmt.Appendf(nil, "crm\n%d\n%s\n\n— crm sig\n", size, rootText[root])
	return c
}

var rootText = map[byte]string{
	0: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	1: "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}

func all(t *testing.T, a *fileanchor.Anchor) []string {
	t.Helper()
	var list []string
	for n, err := range a.Checkpoints(t.Context()) {
		require.NoError(t, err)
		list = append(list, strings.SplitN(string(n), "\n", 3)[1])
	}
	return list
}

func TestAnchor(t *testing.T) {
	audittest.RunAnchor(t, func(t *testing.T, _ note.Verifier) func() audit.Anchor {
		path := filepath.Join(t.TempDir(), "anchor")
		return func() audit.Anchor {
			a, err := fileanchor.Open(path)
			require.NoError(t, err)
			return a
		}
	})
}

func TestAnchorKeepsCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	a, err := fileanchor.Open(path)
	require.NoError(t, err)
	require.Empty(t, all(t, a))
	require.NoError(t, a.Put(t.Context(), checkpoint(1, 0)))
	require.NoError(t, a.Put(t.Context(), checkpoint(1, 0)), "the same again is no news")
	require.NoError(t, a.Put(t.Context(), checkpoint(3, 0)))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	a, err = fileanchor.Open(path)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "3"}, all(t, a))
	for _, c := range []audit.Checkpoint{checkpoint(2, 0), checkpoint(3, 1)} {
		err = a.Put(t.Context(), c)
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, "has a checkpoint of 3, the database offers "+fmt.Sprint(c.Size))
	}
	require.Equal(t, []string{"1", "3"}, all(t, a))
}

func TestTwoProcessesShareAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	a, err := fileanchor.Open(path)
	require.NoError(t, err)
	b, err := fileanchor.Open(path)
	require.NoError(t, err)
	require.NoError(t, a.Put(t.Context(), checkpoint(5, 0)))
	require.ErrorIs(t, b.Put(t.Context(), checkpoint(4, 0)), audit.ErrTampered, "b did not look")
	require.NoError(t, b.Put(t.Context(), checkpoint(6, 0)))
	require.Equal(t, []string{"5", "6"}, all(t, a))
}

func TestConcurrentPuts(t *testing.T) {
	a, err := fileanchor.Open(filepath.Join(t.TempDir(), "anchor"))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range int64(20) {
		wg.Go(func() { _ = a.Put(t.Context(), checkpoint(i+1, 0)) }) // smaller ones may be refused
	}
	wg.Wait()
	list := all(t, a)
	require.Equal(t, "20", list[len(list)-1])
}

func TestATornLineIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	a, err := fileanchor.Open(path)
	require.NoError(t, err)
	require.NoError(t, a.Put(t.Context(), checkpoint(1, 0)))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for cut := 1; cut < len(whole); cut += 7 {
		require.NoError(t, os.WriteFile(path, append(append([]byte{}, whole...), whole[:cut]...), 0o600))
		a, err := fileanchor.Open(path)
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, all(t, a))
		require.NoError(t, a.Put(t.Context(), checkpoint(2, 0)))
		require.Equal(t, []string{"1", "2"}, all(t, a))
	}
}

func TestWhatIsNoAnchorFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	_, err := fileanchor.Open("")
	require.ErrorContains(t, err, "needs a path")
	_, err = fileanchor.Open(dir)
	require.Error(t, err)
	for _, text := range []string{"hello\n", "\"one line\"\n", "\"a\\nx\\nb\\n\"\n", "\n"} {
		path := filepath.Join(dir, "x")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := fileanchor.Open(path)
		require.ErrorIs(t, err, audit.ErrInvalid)
		require.ErrorContains(t, err, "line 1 is not a checkpoint; put a copy of the file back")
	}
}

func TestADeletedFileIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchor")
	a, err := fileanchor.Open(path)
	require.NoError(t, err)
	require.NoError(t, a.Put(t.Context(), checkpoint(1, 0)))
	require.NoError(t, os.Remove(path))
	err = a.Put(t.Context(), checkpoint(2, 0))
	require.ErrorIs(t, err, audit.ErrTampered)
	require.ErrorContains(t, err, "was deleted while it was in use")
}

func TestCancelled(t *testing.T) {
	a, err := fileanchor.Open(filepath.Join(t.TempDir(), "anchor"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, a.Put(ctx, checkpoint(1, 0)), context.Canceled)
}
