package attach

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// SweepConfig says what Sweep may remove. Live is required.
type SweepConfig struct {
	// Live returns those of at most 500 ids that rows still refer to, for example
	//
	//	err = db.Model(&Document{}).Where("object IN ?", ids).Pluck("object", &live).Error
	//
	// A database that answers for fewer rows than there are, such as a replica that lags or a session with
	// filtered rows, makes Sweep remove wanted files: ask the primary, and all tenants.
	Live func(ctx context.Context, ids []string) (live []string, err error)
	// Grace is how old an orphan must be; 0 means 24 hours. It must be longer than any request takes from Seal
	// to the commit of the row.
	Grace time.Duration
	// Max is how many objects one call may remove; more are an error and nothing is removed. 0 means 1000.
	Max int
	// DryRun counts only.
	DryRun bool
}

// Swept is what Sweep found.
type Swept struct {
	Live    int   // rows refer to them
	Young   int   // orphans, or parts of uploads, within the grace time
	Removed int   // orphans that were removed
	Partial int   // of those: uploads that never ended
	Bytes   int64 // of what was removed, as stored
}

const sweepBatch = 500

// Sweep removes the objects that no row refers to: uploads whose row was never committed, and files of rows that
// are gone. It first looks at everything and then removes, so that an error in between removes nothing.
func (f *Files) Sweep(ctx context.Context, cfg SweepConfig) (Swept, error) {
	if cfg.Live == nil {
		return Swept{}, fmt.Errorf("%w: SweepConfig.Live is missing; without it every file would be an orphan", ErrSweep)
	}
	if cfg.Grace < 0 || cfg.Max < 0 {
		return Swept{}, fmt.Errorf("%w: SweepConfig.Grace and Max may not be negative", ErrSweep)
	}
	if cfg.Grace == 0 {
		cfg.Grace = 24 * time.Hour
	}
	if cfg.Max == 0 {
		cfg.Max = 1000
	}
	swept, orphans, err := f.orphans(ctx, cfg)
	if err != nil {
		return Swept{}, err
	}
	for _, o := range orphans {
		if !cfg.DryRun {
			if err := f.cfg.Store.Delete(ctx, o.ID); err != nil {
				return swept, fmt.Errorf("attach: sweep: %w", err)
			}
		}
		swept.Removed++
		swept.Bytes += o.Size
		if o.Partial {
			swept.Partial++
		}
	}
	return swept, nil
}

func (f *Files) orphans(ctx context.Context, cfg SweepConfig) (Swept, []Object, error) {
	var swept Swept
	var orphans, batch []Object
	before := f.cfg.Now().Add(-cfg.Grace)
	ask := func() error {
		dead, live, err := f.ask(ctx, cfg, batch)
		swept.Live += live
		orphans, batch = append(orphans, dead...), batch[:0]
		if err == nil && len(orphans) > cfg.Max {
			err = fmt.Errorf("%w: more than %d objects have no row; if that is right, raise SweepConfig.Max, else see which database Live asks", ErrSweep, cfg.Max)
		}
		return err
	}
	for o, err := range f.cfg.Store.List(ctx) {
		if err != nil {
			return Swept{}, nil, fmt.Errorf("attach: sweep: %w", err)
		}
		if !o.Modified.Before(before) {
			swept.Young++
			continue
		}
		if o.Partial {
			orphans = append(orphans, o)
		} else {
			batch = append(batch, o)
		}
		if len(batch) == sweepBatch {
			if err := ask(); err != nil {
				return Swept{}, nil, err
			}
		}
	}
	if err := ask(); err != nil {
		return Swept{}, nil, err
	}
	return swept, orphans, nil
}

// ask splits a batch by what Live says.
func (f *Files) ask(ctx context.Context, cfg SweepConfig, batch []Object) (dead []Object, live int, err error) {
	if len(batch) == 0 {
		return nil, 0, nil
	}
	ids := make([]string, len(batch))
	for i, o := range batch {
		ids[i] = o.ID
	}
	wanted, err := cfg.Live(ctx, slices.Clone(ids))
	if err != nil {
		return nil, 0, fmt.Errorf("attach: sweep: which objects have rows: %w", err)
	}
	is := make(map[string]bool, len(wanted))
	for _, id := range wanted {
		if !slices.Contains(ids, id) {
			return nil, 0, fmt.Errorf("%w: Live returned an id that it was not asked about; return the ids as they are stored", ErrSweep)
		}
		is[id] = true
	}
	for _, o := range batch {
		if !is[o.ID] {
			dead = append(dead, o)
		}
	}
	return dead, len(is), nil
}
