package audit_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/fileanchor"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

// hammerEnv makes the test binary a worker process: its value says on what.
const hammerEnv = "CONFIDE_AUDIT_HAMMER"

type hammerJob struct {
	Engine, DSN, Skey, Vkey, Anchor, Name string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(hammerEnv); text != "" {
		go func() { // a worker must not outlive the test that started it
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
		if err := hammerWorker(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if text := os.Getenv(spillerEnv); text != "" {
		if err := spillerWorker(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if text := os.Getenv(faultEnv); text != "" {
		if err := faultWorker(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hammerWorker writes and seals until it is killed. For each transaction it
// prints "+ id" after the commit and "- id" after a rollback, so that the parent
// knows what must be in the log and what must not.
func hammerWorker(text string) error {
	var job hammerJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	db, err := gorm.Open(testdb.Dialector(job.Engine, job.DSN), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	ctx := context.Background()
	log, err := openHammerLog(ctx, db, job)
	if err != nil {
		return err
	}
	if err := db.Use(log); err != nil {
		return err
	}
	go log.Run(ctx)
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", job.Name, i)
		err := hammerTx(ctx, db, log, id, i)
		switch {
		case err == nil:
			fmt.Println("+", id)
		case errors.Is(err, errTest):
			fmt.Println("-", id)
		}
	}
}

func hammerTx(ctx context.Context, db *gorm.DB, log *audit.Log, id string, i int) error {
	ctx = as(ctx, audit.Actor{ID: "u", Tenant: []string{"a", "b"}[i%2]})
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&customer{ID: id}).Error; err != nil {
			return err
		}
		if err := tx.Model(&customer{ID: id}).Update("owner", "u").Error; err != nil {
			return err
		}
		if err := log.Record(audit.WithTx(ctx, tx), "customer.reveal", slog.String("resource", "customer"), slog.String("row", id)); err != nil {
			return err
		}
		if i%5 == 4 {
			return errTest
		}
		return nil
	})
}

func openHammerLog(ctx context.Context, db *gorm.DB, job hammerJob) (*audit.Log, error) {
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
	anchor, err := fileanchor.Open(job.Anchor)
	if err != nil {
		return nil, err
	}
	return audit.Open(ctx, audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: anchor,
		Interval: 5 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// worker is one killable process.
type worker struct {
	cmd  *exec.Cmd
	done chan struct{}
	say  map[string]bool // id: committed or rolled back
}

func startWorker(t *testing.T, job hammerJob) *worker {
	text, err := json.Marshal(job)
	require.NoError(t, err)
	w := &worker{cmd: exec.Command(os.Args[0]), done: make(chan struct{}), say: map[string]bool{}}
	w.cmd.Env = append(os.Environ(), hammerEnv+"="+string(text))
	var stderr strings.Builder
	w.cmd.Stderr = &stderr
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	_, err = w.cmd.StdinPipe() // it ends with this process, however that ends
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	go func() {
		defer close(w.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if sign, id, ok := strings.Cut(lines.Text(), " "); ok && id != "" {
				w.say[id] = sign == "+"
			}
		}
	}()
	t.Cleanup(func() {
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("worker %s: %s", job.Name, stderr.String())
		}
	})
	return w
}

// kill ends the process without a chance to say goodbye.
func (w *worker) kill(t *testing.T) {
	require.NoError(t, w.cmd.Process.Kill())
	<-w.done
	err := w.cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, -1, exit.ExitCode(), "the worker ended by itself")
}

// hammerTime is how long each database is hammered: short in the ordinary run,
// CONFIDE_HAMMER=10m for the long one.
func hammerTime(t *testing.T) time.Duration {
	if s := os.Getenv("CONFIDE_HAMMER"); s != "" {
		d, err := time.ParseDuration(s)
		require.NoError(t, err)
		return d
	}
	return 4 * time.Second
}

func TestHammer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&customer{}))
		skey, vkey, err := audit.GenerateKey("crm.example/audit")
		require.NoError(t, err)
		job := hammerJob{Engine: db.Engine, DSN: db.DSN, Skey: skey, Vkey: vkey, Anchor: t.TempDir() + "/anchor"}

		said := map[string]bool{}
		const workers = 3
		running := make([]*worker, workers)
		started := 0
		start := func(i int) {
			started++
			job.Name = fmt.Sprintf("w%d", started)
			running[i] = startWorker(t, job)
		}
		stop := func(i int) {
			running[i].kill(t)
			for id, committed := range running[i].say {
				said[id] = committed
			}
		}
		for i := range workers {
			start(i)
		}
		for end := time.Now().Add(hammerTime(t)); time.Now().Before(end); {
			time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond) // a random moment is the test
			i := rand.IntN(workers)
			stop(i)
			start(i)
		}
		for i := range workers {
			stop(i)
		}
		checkHammered(t, db, job, said, started)
	})
}

// checkHammered compares the log with the business rows. A database server may
// finish the commit of a client that is dead already, so it looks until nothing
// changes any more: rows and events of the same moment must then agree exactly.
func checkHammered(t *testing.T, db testdb.DB, job hammerJob, said map[string]bool, started int) {
	log, err := openHammerLog(t.Context(), db.DB, job)
	require.NoError(t, err)
	settle(t, db, log)
	var report audit.Report
	var seen map[string]string
	before, late := storedCustomers(t, db), 0
	for {
		report = audittest.CheckLog(t, log)
		seen = seenCustomers(t, log)
		after := storedCustomers(t, db)
		if len(before) == len(after) {
			break
		}
		before, late = after, late+1
	}
	require.True(t, report.Anchored)
	for id, committed := range said {
		require.Equal(t, committed, before[id], "the business row %s", id)
	}
	for id := range before {
		require.Equal(t, "create1 update2 reveal0 ", seen[id], "the events of %s", id)
	}
	for id := range seen {
		require.True(t, before[id], "%s has events and no committed row", id)
	}
	require.EqualValues(t, 3*len(before), report.Size)
	require.Greater(t, len(before), 30, "hardly anything happened")
	t.Logf("%d processes, %d transactions, %d events, %d checkpoints, %d late commits", started, len(said), report.Size, report.Checkpoints, late)
}

// settle seals until the server has finished what clients left to it that are
// dead by now: nothing waits and no row comes for some rounds in a row.
func settle(t *testing.T, db testdb.DB, log *audit.Log) {
	for quiet := 0; quiet < 8; {
		before := len(storedCustomers(t, db))
		_, err := log.Seal(t.Context())
		require.NoError(t, err)
		var waiting int64
		require.NoError(t, db.Table("confide_audit_pending").Count(&waiting).Error)
		quiet++
		if waiting > 0 || before != len(storedCustomers(t, db)) {
			quiet = 0
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func storedCustomers(t *testing.T, db testdb.DB) map[string]bool {
	var ids []string
	require.NoError(t, db.Model(&customer{}).Pluck("id", &ids).Error)
	stored := make(map[string]bool, len(ids))
	for _, id := range ids {
		stored[id] = true
	}
	return stored
}

// seenCustomers gives the events of each customer in the order of the log.
func seenCustomers(t *testing.T, log *audit.Log) map[string]string {
	seen := map[string]string{}
	for _, tenant := range []string{"a", "b"} {
		for e, err := range log.Events(t.Context(), audit.Query{Tenant: tenant, OldestFirst: true}) {
			require.NoError(t, err)
			seen[e.Rows[0].ID] += fmt.Sprintf("%s%d ", e.Action[len("customer."):], e.Rows[0].Rev)
		}
	}
	return seen
}
