package attach_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy/attach"
)

const crashDir = "CONFIDE_ATTACH_CRASH_DIR"

// TestMain runs the child of TestKillInTheMiddleOfPut when it is asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		sealUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// sealUntilKilled seals whole files and says so, then begins one that never ends.
func sealUntilKilled(dir string) {
	ctx := context.Background()
	store, err := attach.OpenDir(ctx, dir)
	if err != nil {
		panic(err)
	}
	files, err := attach.New(attach.Config{Store: store, Segment: smallest})
	if err != nil {
		panic(err)
	}
	for i := range 3 {
		ref, err := files.Seal(ctx, "x", strings.NewReader(strings.Repeat("x", i*smallest)))
		if err != nil {
			panic(err)
		}
		fmt.Println(ref.ID())
	}
	read := 0
	_, err = files.Seal(ctx, "x", readerFunc(func(p []byte) (int, error) {
		if read > 20*smallest {
			fmt.Println("half")
			select {} // killed here
		}
		read += len(p)
		return len(p), nil
	}))
	panic(err)
}

// A process killed in the middle of Put leaves whole files whole, no half file under its name, and a part that
// Sweep finds.
func TestKillInTheMiddleOfPut(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	want := map[string]int64{}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "half"; {
		n := int64(len(want))
		want[lines.Text()] = attach.HeaderSize + n*smallest + max(1, n)*attach.Overhead
	}
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	require.Len(t, want, 3)

	store, err := attach.OpenDir(t.Context(), dir)
	require.NoError(t, err)
	later := &clock{at: time.Now().Add(25 * time.Hour)}
	files, err := attach.New(attach.Config{Store: store, Now: later.now})
	require.NoError(t, err)
	have, parts := map[string]int64{}, 0
	for o, err := range store.List(t.Context()) {
		require.NoError(t, err)
		if o.Partial {
			parts++
			require.Positive(t, o.Size)
		} else {
			have[o.ID] = o.Size
		}
	}
	require.Equal(t, want, have)
	require.Equal(t, 1, parts)

	swept, err := files.Sweep(t.Context(), attach.SweepConfig{Live: func(_ context.Context, ids []string) ([]string, error) { return ids, nil }})
	require.NoError(t, err)
	require.Equal(t, 3, swept.Live)
	require.Equal(t, 1, swept.Removed)
	require.Equal(t, 1, swept.Partial)
	require.Equal(t, 3, count(store))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3)
}
