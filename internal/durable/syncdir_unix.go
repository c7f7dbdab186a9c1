//go:build !windows

package durable

import (
	"fmt"
	"os"
)

// syncDir makes a new name in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("durable: open directory %s: %w", path, cause(err))
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("durable: fsync directory %s: %w", path, cause(err))
	}
	return nil
}
