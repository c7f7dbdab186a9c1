package audit

import (
	"context"
	"errors"
	"time"
)

// adoptEvery is how often Run looks for what dead processes left in the spill directory.
const adoptEvery = time.Minute

// Run seals every Config.Interval until ctx ends, then once more, and returns
// the error of that last pass. Failures in between go to Config.Logger.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(l.cfg.Interval)
	defer tick.Stop()
	reported := ""
	adopt := time.NewTicker(adoptEvery)
	defer adopt.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.lastPass(context.WithoutCancel(ctx))
		case <-adopt.C:
			l.adopt(l.queue)
			continue
		case <-tick.C:
		}
		if l.cfg.SeenWindow > 0 {
			if err := l.keepAll(ctx, l.sights.over(l.cfg.Now())); err != nil {
				l.cfg.Logger.ErrorContext(ctx, "audit: repeated readings are not recorded", "error", err)
			}
		}
		err := l.pass(ctx)
		switch {
		case err == nil:
			reported = ""
		case ctx.Err() == nil && err.Error() != reported:
			reported = err.Error() // say it once, not four times a second
			l.cfg.Logger.ErrorContext(ctx, "audit: sealing failed", "error", err)
		}
	}
}

func (l *Log) lastPass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.CloseWait)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		return err
	}
	return l.pass(ctx)
}

// pass collects what triggers saw, and seals.
func (l *Log) pass(ctx context.Context) error {
	var collected error
	if l.cfg.Triggers {
		_, collected = l.CollectOutside(ctx)
	}
	_, err := l.Seal(ctx)
	return errors.Join(collected, err)
}
