package rbac

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Hint tells that the policy may have changed, so that Watch need not wait for its next poll. It saves
// time and nothing else: a hint that is lost costs one interval. Package gormpolicy/pglisten is one.
type Hint interface {
	// Wait returns nil when the policy may have changed since it was last called, and an error when it
	// cannot know. It returns at once when ctx is over.
	Wait(ctx context.Context) error
}

// Watch is how an Authorizer keeps up with changes that other instances make.
type Watch struct {
	Every time.Duration // between two looks at the version; 0 means a second
	Hint  Hint          // or nil
	// Failed is told the first error of an outage, and nil when it is over. Nil means nobody is told; then
	// set Config.MaxStale, so that somebody notices.
	Failed func(error)
}

// Watch reloads the policy when its version changes, until ctx is over. Run it in a goroutine of its own.
// While it fails the old policy decides, for Config.MaxStale at most.
func (a *Authorizer) Watch(ctx context.Context, w Watch) {
	if w.Every <= 0 {
		w.Every = time.Second
	}
	nudge := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	polls, hints := outage{tell: w.Failed}, outage{tell: w.Failed}
	if w.Hint != nil {
		wg.Go(func() { w.listen(ctx, &hints, nudge) })
	}
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		err := a.poll(ctx, w.Every)
		if ctx.Err() != nil {
			return
		}
		polls.note(err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-nudge:
		}
	}
}

// poll gives up on a database that does not answer: the next attempt may find another connection.
func (a *Authorizer) poll(ctx context.Context, every time.Duration) error {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, max(every, patience))
	defer cancel()
	return a.Reload(ctx)
}

func (w *Watch) listen(ctx context.Context, o *outage, nudge chan<- struct{}) {
	for ctx.Err() == nil {
		err := w.Hint.Wait(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			o.note(fmt.Errorf("rbac: hint of policy changes: %w", err))
			select {
			case <-ctx.Done():
			case <-time.After(w.Every):
			}
			continue
		}
		o.note(nil)
		select {
		case nudge <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// outage tells the beginning and the end of a run of errors.
type outage struct {
	tell func(error)
	down bool
}

func (o *outage) note(err error) {
	if was := o.down; was == (err != nil) {
		return
	}
	o.down = err != nil
	if o.tell != nil {
		o.tell(err)
	}
}
