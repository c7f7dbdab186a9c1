package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/hammer"
)

func hammerFlags(fs *flag.FlagSet, s *settings) {
	fs.DurationVar(&s.lasts, "time", 30*time.Second, "how long to attack")
	fs.BoolVar(&s.worker, "worker", false, "be one of the processes that are killed; for the attack itself")
}

// auditHammer is the verb `audit hammer`. Without -db the database is a file that
// is thrown away; the data folder is not touched.
func auditHammer(ctx context.Context, c *command) error {
	if len(c.args) > 0 || c.lasts <= 0 {
		return fmt.Errorf("%w: audit hammer takes no arguments, and a positive -time", errUsage)
	}
	if c.worker {
		return hammer.Worker(ctx, openHammered, os.Stdin, c.stdout)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "crm-hammer-")
	if err != nil {
		return fmt.Errorf("make a folder for the attack: %w", err)
	}
	defer os.RemoveAll(dir)
	dsn := c.db
	if dsn == "" {
		dsn = "sqlite://" + sqliteDSN(filepath.Join(dir, "hammer.db"))
	}
	r, err := hammer.Run(ctx, hammer.Config{Open: openHammered, DSN: dsn, Dir: dir, Time: c.lasts,
		Command: func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, self, "audit", "hammer", "-worker")
		}})
	switch {
	case errors.Is(err, audit.ErrTampered):
		return fmt.Errorf("%w: %w", errFound, err)
	case errors.Is(err, audit.ErrInvalid):
		return fmt.Errorf("%w: %w", errUsage, err)
	case err != nil:
		return err
	}
	for _, fault := range r.Faults {
		fmt.Fprintln(c.stdout, fault)
	}
	fmt.Fprintf(c.stdout, "%d processes killed, %d transactions, %d events, %d checkpoints\n", r.Processes, r.Transactions, r.Report.Size, r.Report.Checkpoints)
	if len(r.Faults) > 0 {
		return fmt.Errorf("%w: %d faults", errFound, len(r.Faults)+r.More)
	}
	fmt.Fprintln(c.stdout, "nothing committed is lost, nothing is forked, everything verifies")
	return nil
}

// openHammered opens a database without the program's own tables and logging.
func openHammered(dsn string) (*gorm.DB, error) {
	dialector, err := dialectorOf(settings{db: dsn}, "")
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}
