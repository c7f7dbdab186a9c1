package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Scratch is an empty database to restore into for a while. Never the live one.
type Scratch struct {
	DB     *sql.DB
	Target Target
	Engine string       // e.g. "sqlite"
	Drop   func() error // removes it, with everything in it
}

// DrillOptions says what a drill must show.
type DrillOptions struct {
	// Scratch makes the database; required.
	Scratch func(ctx context.Context) (Scratch, error)
	// Snapshot is the one to restore; Newest if zero.
	Snapshot ID
	// Heads are snapshots known from elsewhere; see VerifyOptions.
	Heads []Head
	// Promotion is what must hold of the restored database.
	Promotion Promotion
	// RPO and RTO are the goals: how much work may be lost, and how long it may take
	// until the restored database could be used. Zero: no goal.
	RPO, RTO time.Duration
	Progress func(Progress) // may be nil
}

// A Drill is the report of one. Its JSON names are part of the format.
type Drill struct {
	Number   ID        `json:"number"`
	DataSet  string    `json:"data_set"`
	Snapshot ID        `json:"snapshot"`
	Hash     string    `json:"hash"` // of the snapshot's manifest
	Time     time.Time `json:"time"` // of the beginning
	Engine   string    `json:"engine"`
	Key      string    `json:"key"` // what opened the rows: "kek" or "recovery"

	RPO time.Duration `json:"rpo"` // age of the newest snapshot at the beginning, nanoseconds
	RTO time.Duration `json:"rto"` // from the beginning until the last check had passed, nanoseconds

	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // read from the store
	Steps []Step `json:"steps"`
	OK    bool   `json:"ok"`
}

// Drill restores a snapshot into a scratch database, erases everybody in the
// ledger again, looks that none of them can be read, runs the checks, measures
// how long that took and how old the snapshot was, and drops the database. The
// signed report is kept in the repository; Prune never removes the newest snapshot
// that a drill has proven.
//
// A drill should use the key that would be used after a disaster: open the
// repository with Config.Recovery for it. The error says what failed, as does the
// report; if the report could not be stored, only the error tells.
func (r *Repository) Drill(ctx context.Context, opts DrillOptions) (Drill, error) {
	if opts.Scratch == nil {
		return Drill{}, errors.New("backup: DrillOptions.Scratch is nil; a drill needs a database to restore into")
	}
	ring, err := r.ring(ctx)
	if err != nil {
		return Drill{}, err
	}
	newest, err := r.find(ctx, ring, Newest)
	if err != nil {
		return Drill{}, err
	}
	from := newest
	if opts.Snapshot != Newest {
		if from, err = r.find(ctx, ring, opts.Snapshot); err != nil {
			return Drill{}, err
		}
	}
	d := Drill{DataSet: r.cfg.DataSet, Snapshot: from.id, Hash: from.hash.String(), Time: r.cfg.Now().UTC().Round(0), Key: "kek"}
	if r.cfg.Recovery != nil {
		d.Key = "recovery"
	}
	d.RPO = d.Time.Sub(newest.Time)
	failed := r.rehearse(ctx, &d, opts)
	d.OK = failed == nil
	if failed != nil {
		failed = fmt.Errorf("backup: drill of snapshot %d failed: %w", d.Snapshot, failed)
	}
	// Also when the caller's time is over: a drill that failed must be known.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return d, errors.Join(failed, r.keepDrill(keep, ring, &d))
}

// rehearse does the drill.
func (r *Repository) rehearse(ctx context.Context, d *Drill, opts DrillOptions) (failed error) {
	begun := time.Now()
	do := func(name string, f func() error) {
		if failed != nil {
			return
		}
		step := Step{Name: name}
		start := time.Now()
		if err := f(); err != nil {
			step.Detail, failed = err.Error(), fmt.Errorf("%s: %w", name, err)
		}
		step.OK, step.Took = failed == nil, time.Since(start)
		d.Steps = append(d.Steps, step)
	}
	do("chain", func() error {
		const none = 1e-12 // the restore reads the chunks
		_, err := r.Verify(ctx, d.Snapshot, VerifyOptions{Heads: opts.Heads, Sample: none})
		return err
	})
	var scratch Scratch
	do("scratch database", func() (err error) {
		scratch, err = opts.Scratch(ctx)
		d.Engine = scratch.Engine
		return err
	})
	if scratch.Drop != nil {
		defer func() {
			if err := scratch.Drop(); err != nil {
				failed = errors.Join(failed, fmt.Errorf("drop the scratch database: %w", err))
			}
		}()
	}
	do("restore", func() error {
		report, err := r.Restore(ctx, d.Snapshot, scratch.Target, RestoreOptions{Progress: opts.Progress})
		d.Rows, d.Bytes = report.Rows, report.Bytes
		return err
	})
	if failed == nil {
		var steps []Step
		steps, _, failed = opts.Promotion.run(ctx, scratch.DB)
		d.Steps = append(d.Steps, steps...)
	}
	d.RTO = time.Since(begun)
	do("recovery time", func() error { return within(d.RTO, opts.RTO, "restoring took") })
	do("recovery point", func() error { return within(d.RPO, opts.RPO, "the newest snapshot has an age of") })
	return failed
}

func within(is, goal time.Duration, what string) error {
	if goal > 0 && is > goal {
		return fmt.Errorf("%s %s, more than %s", what, is.Round(time.Millisecond), goal)
	}
	return nil
}

// keepDrill stores the report under the next number and tells the recorder.
func (r *Repository) keepDrill(ctx context.Context, ring *keyring, d *Drill) error {
	hash, err := r.storeDrill(ctx, ring, d)
	if err != nil {
		return err
	}
	err = r.cfg.Record.Record(ctx, "backup.drill", slog.String("dataset", d.DataSet), slog.Uint64("snapshot", uint64(d.Snapshot)),
		slog.Uint64("drill", uint64(d.Number)), slog.String("hash", hash.String()), slog.Bool("ok", d.OK))
	if err != nil {
		return fmt.Errorf("backup: record backup.drill: %w", err)
	}
	return nil
}
