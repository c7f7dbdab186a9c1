package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/probe"
)

// checkStores probes the places where backups lie, if there are any yet, and
// prints what one of them does not keep of a store's promises.
func (a *app) checkStores(ctx context.Context, c *command) (ok bool, err error) {
	ok = true
	for _, set := range []string{"data", "keys"} {
		dir := filepath.Join(a.places.backups, set)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		store, err := dirstore.Open(ctx, dir)
		if err != nil {
			return false, err
		}
		report, err := probe.Run(ctx, store, probe.Config{})
		if err != nil {
			return false, fmt.Errorf("probe %s: %w", dir, err)
		}
		if !report.Safe() {
			fmt.Fprintf(c.stdout, "%s:\n%s", dir, report)
			ok = false
		}
	}
	return ok, nil
}
