package audit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/hammer"
	"github.com/confide-go/confide/internal/testdb"
)

// hammerEnv makes the test binary a worker process: its value is the engine.
const hammerEnv = "CONFIDE_AUDIT_HAMMER"

func TestMain(m *testing.M) {
	workers := map[string]func(string) error{hammerEnv: hammerWorker, spillerEnv: spillerWorker, faultEnv: faultWorker}
	for env, work := range workers {
		if text := os.Getenv(env); text != "" {
			if err := work(text); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}

func hammerWorker(engine string) error {
	return hammer.Worker(context.Background(), openEngine(engine), os.Stdin, os.Stdout)
}

func openEngine(engine string) func(string) (*gorm.DB, error) {
	return func(dsn string) (*gorm.DB, error) {
		return gorm.Open(testdb.Dialector(engine, dsn), &gorm.Config{Logger: logger.Discard})
	}
}

// hammerTime is how long each database is hammered: short in the ordinary run,
// CONFIDE_HAMMER=10m for the long one.
func hammerTime(t *testing.T) time.Duration {
	if s := os.Getenv("CONFIDE_HAMMER"); s != "" {
		d, err := time.ParseDuration(s)
		require.NoError(t, err)
		return d
	}
	return 3 * time.Second
}

func TestHammer(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		c := hammer.Config{Open: openEngine(db.Engine), DSN: db.DSN, Dir: t.TempDir(), Time: hammerTime(t),
			Command: func(ctx context.Context) *exec.Cmd {
				cmd := exec.CommandContext(ctx, os.Args[0])
				cmd.Env = append(os.Environ(), hammerEnv+"="+db.Engine)
				return cmd
			}}
		r, err := hammer.Run(t.Context(), c)
		require.NoError(t, err)
		require.Empty(t, r.Faults)
		require.True(t, r.Report.OK && r.Report.Anchored, "%s", r.Report)
		require.Greater(t, r.Report.Size, int64(90), "hardly anything happened")
		t.Logf("%d processes, %d transactions, %d events, %d checkpoints, %d late commits", r.Processes, r.Transactions, r.Report.Size, r.Report.Checkpoints, r.Late)

		_, err = hammer.Run(t.Context(), c)
		require.ErrorIs(t, err, audit.ErrInvalid, "a database in use")
		require.ErrorContains(t, err, "already; hammer an empty database that is thrown away afterwards")
	})
}
