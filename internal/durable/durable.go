// Package durable writes small files so that they survive a crash: after a call
// has returned nil the content is on stable storage under its name, and a crash
// at any earlier moment leaves either the old content or none, never a part.
//
// The sequence is the one the literature agrees on: write a temporary file in
// the same directory, fsync it, rename or link it into place, fsync the
// directory (https://lwn.net/Articles/457667/). Errors of fsync are final: the
// kernel may have dropped the dirty pages, so a retry of the same descriptor
// proves nothing (https://wiki.postgresql.org/wiki/Fsync_Errors).
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path by data, atomically and durably.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, bytes.NewReader(data), perm)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("durable: replace %s: %w", path, cause(err))
	}
	return syncDir(filepath.Dir(path))
}

// Create makes the file at path with data, durably, or fails with an error that
// wraps fs.ErrExist and changes nothing if there is a file of that name already.
// Of several processes that race, exactly one succeeds.
func Create(path string, data []byte, perm fs.FileMode) error {
	return CreateFrom(path, bytes.NewReader(data), perm)
}

// CreateFrom is Create for content that is read from r to its end. An error of r
// makes no file and is returned wrapped. A process that dies meanwhile leaves a
// file whose name begins with TempPrefix in the same directory.
func CreateFrom(path string, r io.Reader, perm fs.FileMode) error {
	tmp, err := writeTemp(path, r, perm)
	if err != nil {
		return err
	}
	// A link, unlike a rename, refuses to replace; unlike O_EXCL it shows the
	// name only with its whole content.
	err = os.Link(tmp, path)
	os.Remove(tmp)
	if err != nil {
		return fmt.Errorf("durable: create %s: %w", path, cause(err))
	}
	return syncDir(filepath.Dir(path))
}

// Append adds data to the end of the file at path, creating it if needed, and
// returns when it is on stable storage. A crash may leave a part of data at the
// end of the file: the caller's format must let a reader recognise that.
func Append(path string, data []byte, perm fs.FileMode) (err error) {
	_, statErr := os.Stat(path)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, perm)
	if err != nil {
		return fmt.Errorf("durable: append to %s: %w", path, cause(err))
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("durable: close %s: %w", path, cause(cerr))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("durable: append to %s: %w", path, cause(err))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("durable: fsync %s: %w", path, cause(err))
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

// Remove deletes the file at path; after a crash it does not come back.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("durable: remove %s: %w", path, cause(err))
	}
	return syncDir(filepath.Dir(path))
}

// MkdirAll creates the directory and its missing parents, durably.
func MkdirAll(path string, perm fs.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("durable: %s is not a directory: %w", path, fs.ErrExist)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("durable: make directory %s: %w", path, cause(err))
	}
	return syncDir(parent)
}

// TempPrefix begins the names of files that are not finished.
const TempPrefix = ".tmp-"

func writeTemp(path string, r io.Reader, perm fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), TempPrefix+"*")
	if err != nil {
		return "", fmt.Errorf("durable: write %s: %w", path, cause(err))
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := fill(f, r, perm); err != nil {
		f.Close()
		return "", fmt.Errorf("durable: write %s: %w", path, cause(err))
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("durable: close %s: %w", path, cause(err))
	}
	return f.Name(), nil
}

func fill(f *os.File, r io.Reader, perm fs.FileMode) error {
	// CreateTemp made the file 0600, so content is never readable by more people
	// than the caller wants, not even for a moment.
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	return f.Sync()
}

// cause drops the path that os errors carry, which here may be the temporary one.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return linkErr.Err
	}
	return err
}
