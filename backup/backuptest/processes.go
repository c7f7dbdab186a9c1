package backuptest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
)

// workerEnv tells a test binary to be a worker, and of which store.
const workerEnv = "CONFIDE_BACKUPTEST_WORKER"

// An OpenStore opens an existing store from any process; spec says which, in the
// form its author chose, e.g. a directory.
type OpenStore func(ctx context.Context, spec string) (backup.Store, error)

// StoreWorker belongs at the beginning of TestMain of a test that calls
// RunStoreProcesses, which starts the test's own binary again. In such a process
// it does what it is told on standard input and never returns.
func StoreWorker(open OpenStore) {
	spec, ok := os.LookupEnv(workerEnv)
	if !ok {
		return
	}
	ctx := context.Background()
	store, err := open(ctx, spec)
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var key string
		var seed uint64
		var size int
		if _, err := fmt.Sscan(in.Text(), &key, &seed, &size); err != nil {
			fmt.Println("command:", err)
			os.Exit(1)
		}
		switch err := store.Put(ctx, key, noise(seed, size)); {
		case err == nil:
			fmt.Println("stored")
		case errors.Is(err, fs.ErrExist):
			fmt.Println("exists")
		default:
			fmt.Println("error:", err)
		}
	}
	os.Exit(0)
}

// RunStoreProcesses checks what the contract says of several processes on one
// store, which is empty: only one of them wins a key, and one that is killed with
// SIGKILL leaves whole objects only.
func RunStoreProcesses(t *testing.T, spec string, open OpenStore) {
	for _, r := range processRules(spec) {
		t.Run(r.name, func(t *testing.T) {
			s, err := open(t.Context(), spec)
			require.NoError(t, err)
			r.check(t, s)
		})
	}
}

func processRules(spec string) []rule {
	return []rule{
		{"of several processes that race, exactly one succeeds", func(t T, s backup.Store) { processesRace(t, s, spec) }},
		{"a process that is killed leaves whole objects only", func(t T, s backup.Store) { processesKilled(t, s, spec) }},
	}
}

type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startWorker(t T, spec string) *worker {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	w := &worker{cmd: exec.Command(self, "-test.run=^$")}
	w.cmd.Env = append(os.Environ(), workerEnv+"="+spec)
	w.cmd.Stderr = os.Stderr
	w.in, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	w.out = bufio.NewReader(out)
	require.NoError(t, w.cmd.Start())
	require.Equal(t, "ready", w.answer(), "does TestMain call backuptest.StoreWorker?")
	return w
}

func (w *worker) put(key string, seed uint64, size int) error {
	_, err := fmt.Fprintln(w.in, key, seed, size)
	return err
}

// answer is the next line, or what went wrong; empty when the process is dead.
func (w *worker) answer() string {
	line, _ := w.out.ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}

func (w *worker) kill() {
	w.cmd.Process.Kill() // SIGKILL: nothing in the process gets to clean up
	w.cmd.Wait()
}

func processesRace(t T, s backup.Store, spec string) {
	const processes = 4
	var workers []*worker
	defer func() {
		for _, w := range workers {
			w.kill()
		}
	}()
	for range processes {
		workers = append(workers, startWorker(t, spec))
	}
	for round := range 12 {
		key, size := fmt.Sprintf("processes/%02d", round), 10+round%2*(3<<20)
		for i, w := range workers {
			require.NoError(t, w.put(key, uint64(i), size))
		}
		var answers []string
		for _, w := range workers {
			answers = append(answers, w.answer())
		}
		winner := slices.Index(answers, "stored")
		require.GreaterOrEqual(t, winner, 0, "nobody won %s: %q", key, answers)
		others := slices.Delete(slices.Clone(answers), winner, winner+1)
		require.Equal(t, slices.Repeat([]string{"exists"}, processes-1), others, "the others' answers for %s", key)
		got, err := s.Get(t.Context(), key, 0, -1)
		require.NoError(t, err)
		requireBytes(t, noise(uint64(winner), size), got, "the object of the process that won")
	}
}

// processesKilled kills workers at random instants of their n-th put, then looks
// at what is there, and lets another process put what is missing.
func processesKilled(t T, s backup.Store, spec string) {
	const rounds, size = 8, 6 << 20
	interrupted := 0
	for round := range rounds {
		key := func(i int) string { return fmt.Sprintf("killed/%d/%d", round, i) }
		w := startWorker(t, spec)
		defer w.kill()
		require.NoError(t, w.put(key(0), 0, size))
		begin := time.Now()
		require.Equal(t, "stored", w.answer())
		took := time.Since(begin)
		require.NoError(t, w.put(key(1), 1, size))
		// The instant of the kill, not a wait for something: earlier in the first rounds.
		time.Sleep(rand.N(took * time.Duration(round+1) / rounds))
		w.kill()

		acknowledged := w.answer() == "stored"
		got, err := s.Get(t.Context(), key(0), 0, -1)
		require.NoError(t, err, "an object whose put was acknowledged")
		requireBytes(t, noise(0, size), got, "an object whose put was acknowledged")
		got, err = s.Get(t.Context(), key(1), 0, -1)
		stored := err == nil
		if stored {
			requireBytes(t, noise(1, size), got, "an object whose process was killed")
		} else {
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.False(t, acknowledged, "an acknowledged object is missing")
			interrupted++
		}
		if listsBoth(t, s, fmt.Sprintf("killed/%d/", round), stored, size) && !stored {
			// The server finished what the killed process had sent, after the look above.
			got, err := s.Get(t.Context(), key(1), 0, -1)
			require.NoError(t, err, "an object that is listed")
			requireBytes(t, noise(1, size), got, "an object whose process was killed")
			stored = true
		}
		putAgain(t, s, spec, key(1), stored, size)
	}
	require.NotZero(t, interrupted, "no kill of %d came before the end of a put", rounds)
}

// listsBoth reports whether the second object is in the list beside the first,
// where it must be if it was seen before.
func listsBoth(t T, s backup.Store, prefix string, seen bool, size int64) bool {
	t.Helper()
	var got []backup.Object
	for o, err := range s.List(t.Context(), prefix, "") {
		require.NoError(t, err)
		got = append(got, o)
	}
	want := []backup.Object{{Key: prefix + "0", Size: size}}
	if seen || len(got) > 1 {
		want = append(want, backup.Object{Key: prefix + "1", Size: size})
	}
	require.Equal(t, want, got, "the list after a kill")
	return len(got) > 1
}

// putAgain lets another process put what a killed one did or did not.
func putAgain(t T, s backup.Store, spec, key string, stored bool, size int) {
	t.Helper()
	w := startWorker(t, spec)
	defer w.kill()
	require.NoError(t, w.put(key, 2, size))
	want, seed := "stored", uint64(2)
	// A server may finish what the killed process had sent, a moment later.
	answer := w.answer()
	if stored || answer == "exists" {
		want, seed = "exists", 1
	}
	require.Equal(t, want, answer, "a put of the same key by another process")
	got, err := s.Get(t.Context(), key, 0, -1)
	require.NoError(t, err)
	if !bytes.Equal(got, noise(seed, size)) {
		requireBytes(t, noise(seed, size), got, "an object that was put again")
	}
}
