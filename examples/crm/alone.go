package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/confide-go/confide/internal/durable"
)

// alone does what must not meet another process at the same backups: a rehearsal while
// old copies of the keys go, two copies of the files at once. The operating system lets
// go of the lock of a process that dies. Where it does not lock, on some network disks,
// repositories stay whole all the same, and one of the two fails and says so.
func (a *app) alone(ctx context.Context, work func() error) error {
	if err := durable.MkdirAll(a.places.backups, 0o700); err != nil {
		return err
	}
	path := filepath.Join(a.places.backups, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600) // lockedfile would let others read it
	if err != nil {
		return fmt.Errorf("lock the backups: %w", err)
	}
	file.Close()
	type locked struct {
		unlock func()
		err    error
	}
	got := make(chan locked, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(path).Lock()
		got <- locked{unlock, err}
	}()
	select {
	case l := <-got:
		if l.err != nil {
			return fmt.Errorf("lock the backups: %w", l.err)
		}
		defer l.unlock()
		return work()
	case <-ctx.Done():
		go func() {
			if l := <-got; l.err == nil {
				l.unlock()
			}
		}()
		return context.Cause(ctx)
	}
}
