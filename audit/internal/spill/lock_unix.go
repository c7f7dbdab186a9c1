//go:build !windows

package spill

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = errors.New("locked by another process")

// openLocked opens a file and locks it as long as the handle lives; it fails at
// once with errLocked if another handle has it, in whatever process.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, err
	}
	return f, nil
}
