package spill

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = errors.New("locked by another process")

// sharingViolation is what Windows says of a file that another handle keeps to itself.
const sharingViolation = syscall.Errno(32)

// openLocked opens a file that nobody else may open as long as the handle lives.
func openLocked(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, syscall.FILE_SHARE_DELETE, nil, syscall.OPEN_EXISTING, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err == sharingViolation {
		return nil, errLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}
