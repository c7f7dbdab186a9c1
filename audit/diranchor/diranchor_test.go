package diranchor_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/diranchor"
)

func TestAnchor(t *testing.T) {
	audittest.RunAnchor(t, func(t *testing.T, _ note.Verifier) func() audit.Anchor {
		dir := filepath.Join(t.TempDir(), "a", "b")
		return func() audit.Anchor {
			a, err := diranchor.Open(dir)
			require.NoError(t, err)
			return a
		}
	})
}

// Two of three, one of which is away, are an anchor like any other.
func TestQuorum(t *testing.T) {
	audittest.RunAnchor(t, func(t *testing.T, _ note.Verifier) func() audit.Anchor {
		dir := t.TempDir()
		return func() audit.Anchor {
			q := audit.QuorumAnchor{Need: 2, Anchors: []audit.Anchor{away{}}}
			for _, name := range []string{"a", "b"} {
				a, err := diranchor.Open(filepath.Join(dir, name))
				require.NoError(t, err)
				q.Anchors = append(q.Anchors, a)
			}
			return q
		}
	})
	for _, need := range []int{0, 2} {
		err := audit.QuorumAnchor{Need: need, Anchors: []audit.Anchor{away{}}}.Put(t.Context(), audit.Checkpoint{})
		require.ErrorIs(t, err, audit.ErrInvalid)
	}
}

type away struct{}

func (away) Put(context.Context, audit.Checkpoint) error { return errors.New("away") }

func TestAFileIsWrittenOnceAndOthersAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	a, err := diranchor.Open(dir)
	require.NoError(t, err)
	c := audit.Checkpoint{Origin: "crm", Size: 17, Note: []byte("crm\n17\nroot\n\n— crm AAAA\n")}
	require.NoError(t, a.Put(t.Context(), c))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, "9261ceef0b969e70-0000000000000000017.checkpoint", files[0].Name(), "FORMAT.md says how files are named")
	info, err := files[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o400), info.Mode().Perm())

	c.Note = append(c.Note, "— crm BBBB\n"...)
	require.NoError(t, a.Put(t.Context(), c), "another signature is no other checkpoint")
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".tmp-1"), nil, 0o600))
	require.NoError(t, a.Put(t.Context(), audit.Checkpoint{Origin: "other", Size: 1, Note: []byte("other\n1\nroot\n\n")}), "another origin begins anew")
	n := 0
	for _, err := range a.Checkpoints(t.Context()) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 2, n)
}

func TestErrors(t *testing.T) {
	_, err := diranchor.Open("")
	require.ErrorContains(t, err, "diranchor.Open needs a directory")
	file := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = diranchor.Open(file)
	require.ErrorContains(t, err, "is not a directory")

	dir := t.TempDir()
	a, err := diranchor.Open(dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "9261ceef0b969e70-x.checkpoint"), nil, 0o600))
	err = a.Put(t.Context(), audit.Checkpoint{Origin: "crm", Size: 1})
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "holds a file that is no checkpoint; use a directory of its own")
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, a.Put(t.Context(), audit.Checkpoint{Origin: "crm", Size: 1}))
	for _, err := range a.Checkpoints(t.Context()) {
		require.Error(t, err)
	}
}
