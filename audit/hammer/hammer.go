// Package hammer attacks an audit log where it runs: several processes record and seal
// on one database, each is killed with SIGKILL at a random moment and replaced, and in the end
// every row, event, hash and signature is looked at. Nothing that was committed may be
// missing, nothing that was rolled back may be there, and the log may not have forked.
//
//	result, err := hammer.Run(ctx, hammer.Config{Open: open, DSN: dsn, Command: command, Dir: dir, Time: time.Minute})
//
// No package of audit knows a database driver, so the program comes from you: Config.Open
// opens the database, and the processes are your own program, started by Config.Command,
// which call Worker. "crm audit hammer" of examples/crm is one.
//
// It takes an empty database: Run is refused where there are tables of an audit log
// already, for it would leave its own events in them. It drops no tables, so the database is to be
// thrown away afterwards. What it cannot show: a server that loses what it acknowledged when
// the machine fails. Pull the plug for that.
//
// What it finds is in the Result, as text; errors are for not being able to try.
package hammer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
)

// Config says what to attack. All but Workers are required.
type Config struct {
	Open    func(dsn string) (*gorm.DB, error)
	DSN     string                              // of an empty database; given to the processes through their standard input
	Command func(ctx context.Context) *exec.Cmd // makes a process that calls Worker
	Dir     string                              // an empty folder for the anchor
	Time    time.Duration
	Workers int // 0 is 3
}

// A Result says what happened and what is wrong.
type Result struct {
	Processes    int
	Transactions int // of which the processes told the end
	Report       audit.Report
	Late         int // times that a server was still committing for a dead client
	Faults       []string
	More         int // faults besides those
}

// A job is what a worker must know, the first line of its standard input.
type job struct{ DSN, Skey, Vkey, Anchor, Name string }

// The rows the transactions write. The plugin leaves out tables whose names begin like the log's.
type hammered struct {
	ID    string `gorm:"primaryKey;size:36"`
	Owner string
}

func (hammered) TableName() string { return "hammered_rows" }

// Run attacks for Config.Time and then verifies everything.
func Run(ctx context.Context, c Config) (Result, error) {
	if c.Open == nil || c.Command == nil || c.DSN == "" || c.Dir == "" || c.Time <= 0 {
		return Result{}, fmt.Errorf("%w: hammer.Config needs Open, DSN, Command, Dir and a positive Time", audit.ErrInvalid)
	}
	if c.Workers == 0 {
		c.Workers = 3
	}
	db, err := c.prepare(ctx)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = closeDB(db) }()
	a := &attack{Config: c, said: map[string]bool{}}
	if a.job.Skey, a.job.Vkey, err = audit.GenerateKey("hammer.example/audit"); err != nil {
		return Result{}, err
	}
	a.job.DSN, a.job.Anchor = c.DSN, c.Dir+"/anchor"
	if err := a.run(ctx); err != nil {
		return a.result, err
	}
	a.result.Transactions = len(a.said)
	return a.result, a.check(ctx, db)
}

// prepare opens the database and refuses one that is in use.
func (c Config) prepare(ctx context.Context) (*gorm.DB, error) {
	db, err := c.Open(c.DSN)
	if err != nil {
		return nil, err
	}
	names, err := db.WithContext(ctx).Migrator().GetTables()
	for _, name := range names {
		if name == "confide_audit_entries" || name == "confide_audit_pending" || name == "hammered_rows" {
			err = fmt.Errorf("%w: the database has the table %s already; hammer an empty database that is thrown away afterwards", audit.ErrInvalid, name)
		}
	}
	if err == nil {
		err = db.WithContext(ctx).AutoMigrate(&hammered{})
	}
	if err != nil {
		return nil, errors.Join(err, closeDB(db))
	}
	return db, nil
}

func closeDB(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

type attack struct {
	Config
	job    job
	said   map[string]bool // transactions: whether they were committed
	result Result
}

// run keeps the processes coming and going.
func (a *attack) run(ctx context.Context) (err error) {
	running := make([]*process, a.Workers)
	defer func() {
		for _, p := range running {
			if p != nil {
				err = errors.Join(err, a.stop(p))
			}
		}
	}()
	for i := range running {
		if running[i], err = a.start(ctx); err != nil {
			return err
		}
	}
	for end := time.Now().Add(a.Time); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(100+rand.IntN(400)) * time.Millisecond): // a random moment is the attack
		}
		i := rand.IntN(len(running))
		p := running[i]
		running[i] = nil
		if err := a.stop(p); err != nil {
			return err
		}
		if running[i], err = a.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *attack) start(ctx context.Context) (*process, error) {
	a.result.Processes++
	a.job.Name = fmt.Sprintf("w%d", a.result.Processes)
	text, err := json.Marshal(a.job)
	if err != nil {
		return nil, err
	}
	return startProcess(a.Command(ctx), a.job.Name, text)
}

// stop kills a process and takes what it said.
func (a *attack) stop(p *process) error {
	err := p.kill()
	for id, committed := range p.say {
		a.said[id] = committed
	}
	return err
}
