package audit

import (
	"context"
	"time"
)

// Run seals every Config.Interval until ctx ends, then once more, and returns
// the error of that last pass. Failures in between go to Config.Logger.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(l.cfg.Interval)
	defer tick.Stop()
	reported := ""
	for {
		select {
		case <-ctx.Done():
			return l.lastPass(context.WithoutCancel(ctx))
		case <-tick.C:
		}
		_, err := l.Seal(ctx)
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
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		return err
	}
	_, err := l.Seal(ctx)
	return err
}
