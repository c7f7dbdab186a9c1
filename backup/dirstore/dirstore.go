// Package dirstore keeps a backup repository in a directory: one file for each
// object, written durably (content and directory are fsync'd) and never
// replaced. Files are readable by their owner only. Several processes may use
// one directory at once.
//
// The file system must have hard links, by which a name is made only if there is
// none and only with its whole content; on one that has not, every Put fails. A
// process that is killed while it writes leaves a file whose name begins with
// ".tmp-", which no method shows; it may be deleted whenever no backup runs.
//
// Not protected: whoever may write in the directory may delete it. Copy it to
// a place where the application has no such right.
package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/internal/durable"
)

// Store is a backup.Store in a directory. Several processes may use it at once.
type Store struct{ root string }

var _ backup.Store = (*Store)(nil)

// Open returns the store in a directory, which it makes if it is missing.
func Open(_ context.Context, dir string) (*Store, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("dirstore: %s: %w", dir, err)
	}
	if err := durable.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("dirstore: %w", err)
	}
	return &Store{root: root}, nil
}

// path returns the file of a key. Keys come from the repository, but a store
// must not leave its directory whatever it is asked.
func (s *Store) path(key string) (string, error) {
	if err := backup.CheckKey(key); err != nil {
		return "", fmt.Errorf("dirstore: %w", err)
	}
	return filepath.Join(s.root, filepath.FromSlash(key)), nil
}

// Put implements backup.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil { // spares writing what would be refused
		return fmt.Errorf("dirstore: put %s: %w", key, fs.ErrExist)
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("dirstore: put %s: %w", key, err)
	}
	if err := durable.Create(path, data, 0o600); err != nil {
		return fmt.Errorf("dirstore: put %s: %w", key, err)
	}
	return nil
}

// Get implements backup.Store.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("dirstore: get %s: %w: negative offset", key, fs.ErrInvalid)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dirstore: get %s: %w", key, missing(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("is not an object: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("dirstore: get %s: %w", key, err)
	}
	rest := max(0, info.Size()-offset)
	if length < 0 || length > rest {
		length = rest
	}
	data := make([]byte, length)
	n, err := f.ReadAt(data, offset)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("dirstore: get %s: %w", key, err)
	}
	return data[:n], nil
}

// Stat implements backup.Store.
func (s *Store) Stat(ctx context.Context, key string) (backup.Object, error) {
	path, err := s.path(key)
	if err != nil {
		return backup.Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return backup.Object{}, err
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return backup.Object{}, fmt.Errorf("dirstore: stat %s: %w", key, missing(err))
	}
	return backup.Object{Key: key, Size: info.Size()}, nil
}

// Delete implements backup.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if absent(err) || err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = durable.Remove(path)
	}
	if err != nil && !absent(err) {
		return fmt.Errorf("dirstore: delete %s: %w", key, err)
	}
	return nil
}

// absent reports whether an error says that a file is missing: also that a part
// of its path is another object.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// missing gives an error that says so the form which callers look for.
func missing(err error) error {
	if absent(err) {
		return fs.ErrNotExist
	}
	return err
}
