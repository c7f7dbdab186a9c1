package backuptest

import (
	"context"

	"github.com/confide-go/confide/backup"
)

// BrokenProcessRules is BrokenRules for RunStoreProcesses.
func BrokenProcessRules(ctx context.Context, spec string, open func() backup.Store) map[string]string {
	return brokenRules(ctx, processRules(spec), open)
}
