package audit_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/audit/hammer"
	"github.com/confide-go/confide/internal/testdb"
)

// spillerEnv makes the test binary a process that records apart until it is killed.
const spillerEnv = "CONFIDE_AUDIT_SPILLER"

type spillerJob struct {
	Engine, DSN, Skey, Vkey, Spill, Name string
}

// An uncertain store fails every so often, before or after it has stored.
type uncertain struct {
	*gormstore.Store
}

func (f uncertain) Enqueue(ctx context.Context, events []audit.Pending) error {
	return uncertainly(func() error { return f.Store.Enqueue(ctx, events) })
}

func (f uncertain) EnqueueOnce(ctx context.Context, events []audit.Pending) error {
	return uncertainly(func() error { return f.Store.EnqueueOnce(ctx, events) })
}

func uncertainly(do func() error) error {
	switch rand.IntN(4) {
	case 0:
		return errTest
	case 1:
		if err := do(); err != nil {
			return err
		}
		return errTest
	}
	return do()
}

func openSpiller(ctx context.Context, job spillerJob, wrap func(*gormstore.Store) audit.Store) (*audit.Log, error) {
	db, err := gorm.Open(testdb.Dialector(job.Engine, job.DSN), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, err
	}
	store, err := gormstore.Open(ctx, db)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(job.Skey)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(job.Vkey)
	if err != nil {
		return nil, err
	}
	return audit.Open(ctx, audit.Config{Store: wrap(store), Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored,
		Spill: job.Spill, Interval: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
}

// spillerWorker prints the number of every event that RecordApart has taken.
func spillerWorker(text string) error {
	go func() { // a worker must not outlive the test that started it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var job spillerJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	ctx := context.Background()
	log, err := openSpiller(ctx, job, func(s *gormstore.Store) audit.Store { return uncertain{s} })
	if err != nil {
		return err
	}
	go log.Run(ctx)
	var out sync.Mutex
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", job.Name, g, i)
				if err := log.RecordApart(ctx, "login.failed", slog.String("id", id)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println(id)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// What RecordApart has taken is in the log exactly once, whenever the process is
// killed, whatever the database answered, with two processes on one directory.
func TestKilledProcessesLoseNothingThatRecordApartTook(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		skey, vkey, err := audit.GenerateKey("crm.example/audit")
		require.NoError(t, err)
		job := spillerJob{Engine: db.Engine, DSN: db.DSN, Skey: skey, Vkey: vkey, Spill: filepath.Join(t.TempDir(), "spill")}
		rounds := 3
		if hammerTime(t) > time.Minute {
			rounds = 60
		}
		said := map[string]bool{}
		for round := range rounds {
			var pair []*spiller
			for _, name := range []string{"a", "b"} {
				job.Name = fmt.Sprint(name, round)
				pair = append(pair, startSpiller(t, job))
			}
			for _, w := range pair {
				<-w.first // it has begun
			}
			time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond) // a random moment is the test
			for _, w := range pair {
				w.kill(t)
				for _, id := range w.said {
					said[id] = true
				}
			}
		}
		log, err := openSpiller(t.Context(), job, func(s *gormstore.Store) audit.Store { return s })
		require.NoError(t, err)
		require.NoError(t, log.Flush(t.Context()))
		require.NoError(t, hammer.Settle(t.Context(), log))
		audittest.CheckLog(t, log)
		seen, gaps := map[string]int{}, 0
		for e, err := range log.Events(t.Context(), audit.Query{}) {
			require.NoError(t, err)
			if e.Action == audit.GapAction {
				require.Equal(t, "killed", e.Attrs[0].Value.String(), "%v", e.Attrs)
				gaps++
				continue
			}
			seen[e.Attrs[0].Value.String()]++
		}
		for id := range said {
			require.Equal(t, 1, seen[id], "event %s", id)
		}
		for id, n := range seen {
			require.Equal(t, 1, n, "event %s", id)
		}
		require.Equal(t, 2*rounds, gaps, "each killed process left word that it was killed")
		require.NoError(t, log.Close())
		left, err := filepath.Glob(filepath.Join(job.Spill, "*"))
		require.NoError(t, err)
		require.Empty(t, left)
		t.Logf("%d processes were killed, %d events taken, %d in the log", 2*rounds, len(said), len(seen))
	})
}

type spiller struct {
	cmd   *exec.Cmd
	first chan struct{}
	done  chan struct{}
	said  []string
	err   strings.Builder
}

func startSpiller(t *testing.T, job spillerJob) *spiller {
	text, err := json.Marshal(job)
	require.NoError(t, err)
	w := &spiller{cmd: exec.Command(os.Args[0]), first: make(chan struct{}), done: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), spillerEnv+"="+string(text))
	w.cmd.Stderr = &w.err
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	_, err = w.cmd.StdinPipe() // it ends with this process, however that ends
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	go func() {
		defer close(w.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if len(w.said) == 0 {
				close(w.first)
			}
			w.said = append(w.said, lines.Text())
		}
		if len(w.said) == 0 {
			close(w.first)
		}
	}()
	return w
}

func (w *spiller) kill(t *testing.T) {
	_ = w.cmd.Process.Kill()
	<-w.done
	err := w.cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, -1, exit.ExitCode(), "the worker ended by itself: %s", w.err.String())
	if n := len(w.said); n > 0 && strings.Count(w.said[n-1], "-") != 2 {
		w.said = w.said[:n-1] // a line that was cut off
	}
	require.NotEmpty(t, w.said)
}
