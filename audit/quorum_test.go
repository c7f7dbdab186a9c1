package audit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
)

var errAway = errors.New("away")

// scripted is an anchor that does as it is told.
type scripted struct{ put, read error }

func (a scripted) Put(context.Context, audit.Checkpoint) error { return a.put }

func (a scripted) Checkpoints(context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if yield([]byte("note"), nil) && a.read != nil {
			yield(nil, a.read)
		}
	}
}

// proving is one that wants a proof.
type proving struct {
	scripted
	proved *bool
}

func (a proving) PutConsistent(ctx context.Context, _ audit.Checkpoint, prove func(context.Context, int64) ([]tlog.Hash, error)) error {
	_, err := prove(ctx, 1)
	*a.proved = err == nil
	return err
}

func TestQuorumOfAnchors(t *testing.T) {
	tampered := fmt.Errorf("%w: another log", audit.ErrTampered)
	for name, c := range map[string]struct {
		need  int
		fails []error
		want  error
		text  string
	}{
		"all":               {2, []error{nil, nil, nil}, nil, ""},
		"one is away":       {2, []error{nil, errAway, nil}, nil, ""},
		"two are away":      {2, []error{errAway, nil, errAway}, errAway, "1 of 3 anchors have the checkpoint, 2 are needed"},
		"one of one":        {1, []error{errAway, nil}, nil, ""},
		"none":              {1, []error{errAway, errAway}, errAway, "0 of 2 anchors"},
		"one says tampered": {2, []error{nil, nil, tampered}, audit.ErrTampered, ""},
		"away and tampered": {2, []error{nil, errAway, tampered}, audit.ErrTampered, "1 of 3 anchors"},
		"need none":         {0, []error{nil}, audit.ErrInvalid, "QuorumAnchor.Need is 0 of 1 anchors"},
		"need too many":     {2, []error{nil}, audit.ErrInvalid, "QuorumAnchor.Need is 2 of 1 anchors"},
	} {
		q := audit.QuorumAnchor{Need: c.need}
		for _, err := range c.fails {
			q.Anchors = append(q.Anchors, scripted{put: err})
		}
		err := q.Put(t.Context(), audit.Checkpoint{})
		require.ErrorIs(t, err, c.want, name)
		require.Equal(t, c.want == nil, err == nil, name)
		if c.text != "" {
			require.ErrorContains(t, err, c.text, name)
		}
	}
}

func TestReadingAQuorum(t *testing.T) {
	for broken, fails := range []bool{false, false, true, true} {
		q := audit.QuorumAnchor{Need: 2}
		for i := range 3 {
			a := scripted{}
			if i < broken {
				a.read = errAway
			}
			q.Anchors = append(q.Anchors, a)
		}
		notes, failed := 0, false
		for _, err := range q.Checkpoints(t.Context()) {
			if failed = err != nil; !failed {
				notes++
			}
		}
		require.Equal(t, fails, failed, "%d of three cannot be read to the end", broken)
		require.Equal(t, 3, notes)
	}
}

func TestAQuorumPassesProofsOn(t *testing.T) {
	proved := false
	q := audit.QuorumAnchor{Need: 2, Anchors: []audit.Anchor{proving{proved: &proved}, scripted{}}}
	require.NoError(t, q.PutConsistent(t.Context(), audit.Checkpoint{}, func(context.Context, int64) ([]tlog.Hash, error) { return nil, nil }))
	require.True(t, proved)
}
