package backuptest

import (
	"context"

	"github.com/confide-go/confide/backup"
)

// BrokenProcessRules is BrokenRules for RunStoreProcesses.
func BrokenProcessRules(ctx context.Context, spec string, open func() backup.Store) map[string]string {
	return brokenRules(ctx, processRules(spec), open)
}

// BrokenRule is BrokenRules for one rule.
func BrokenRule(ctx context.Context, name string, open func() backup.Store) map[string]string {
	var rules []rule
	for _, r := range append(writeRules(), deleteRules()...) {
		if r.name == name {
			rules = append(rules, r)
		}
	}
	return brokenRules(ctx, rules, open)
}
