// Package dirstore keeps a backup repository in a directory: one file for each
// object, written durably (content and directory are fsync'd) and never
// replaced. Files are readable by their owner only.
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
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
		return nil, fmt.Errorf("dirstore: get %s: negative offset", key)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("dirstore: get %s: %w", key, err)
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
		return backup.Object{}, fmt.Errorf("dirstore: stat %s: %w", key, err)
	}
	return backup.Object{Key: key, Size: info.Size()}, nil
}

// List implements backup.Store.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		objects, err := s.walk(ctx, prefix, after)
		if err != nil {
			yield(backup.Object{}, fmt.Errorf("dirstore: list: %w", err))
			return
		}
		for _, o := range objects {
			if err := ctx.Err(); err != nil {
				yield(backup.Object{}, err)
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

// walk collects and sorts, because the order of directories differs from that
// of keys: "a/b" comes after "a-b".
func (s *Store) walk(ctx context.Context, prefix, after string) ([]backup.Object, error) {
	var objects []backup.Object
	err := filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && path != s.root {
				return nil // deleted meanwhile
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(s.root, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if entry.IsDir() {
			if key != "." && !related(key+"/", prefix) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasPrefix(entry.Name(), ".tmp-") || !strings.HasPrefix(key, prefix) || key <= after {
			return nil // an unfinished write, or not asked for
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		objects = append(objects, backup.Object{Key: key, Size: info.Size()})
		return nil
	})
	slices.SortFunc(objects, func(a, b backup.Object) int { return strings.Compare(a.Key, b.Key) })
	return objects, err
}

// related reports whether keys below dir can begin with prefix.
func related(dir, prefix string) bool {
	return strings.HasPrefix(dir, prefix) || strings.HasPrefix(prefix, dir)
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
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("dirstore: delete %s: %w", key, err)
	}
	return nil
}
