package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/confide-go/confide/internal/durable"
)

// Dir is a Store in a directory: one file for each object, fsync'd with its directory before Put returns, never
// replaced, readable by its owner only. Several processes may use one directory.
type Dir struct{ root string }

var _ Store = (*Dir)(nil)

// OpenDir returns the store in a directory, which it makes, with mode 0700, if it is missing.
func OpenDir(_ context.Context, dir string) (*Dir, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("attach: open %s: %w", dir, err)
	}
	if err := durable.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("attach: open: %w", err)
	}
	return &Dir{root: root}, nil
}

// path returns the file of an object, whatever it is asked never one outside of the directory.
func (d *Dir) path(ctx context.Context, id string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !validID(id) {
		return "", errors.New("attach: an object id is 32 lower-case hexadecimal digits")
	}
	return filepath.Join(d.root, id), nil
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, id string, r io.Reader) error {
	path, err := d.path(ctx, id)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil { // spares reading what would be refused
		return fmt.Errorf("attach: put %s: %w", id, fs.ErrExist)
	}
	if err := durable.CreateFrom(path, r, 0o600); err != nil {
		return fmt.Errorf("attach: put %s: %w", id, err)
	}
	return nil
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, id string, offset, length int64) ([]byte, error) {
	path, err := d.path(ctx, id)
	if err != nil {
		return nil, err
	}
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("attach: get %s: negative offset or length", id)
	}
	// Whoever can write here could put a link or a pipe in the place of an object.
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("attach: get %s: %w", id, errors.Join(err, notRegular(err)))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("attach: get %s: %w", id, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("attach: get %s: %w", id, err)
	}
	data := make([]byte, min(length, max(0, info.Size()-offset)))
	n, err := f.ReadAt(data, offset)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("attach: get %s: %w", id, err)
	}
	return data[:n], nil
}

func notRegular(err error) error {
	if err != nil {
		return nil
	}
	return fmt.Errorf("it is not a regular file: %w", fs.ErrNotExist)
}

// Delete implements Store.
func (d *Dir) Delete(ctx context.Context, id string) error {
	path, err := d.path(ctx, id)
	if isPart(id) && ctx.Err() == nil {
		path, err = filepath.Join(d.root, id), nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("attach: delete %s: %w", id, err)
	}
	return nil
}

// isPart reports whether name is what a Put leaves when its process dies.
func isPart(name string) bool {
	rest, ok := strings.CutPrefix(name, durable.TempPrefix)
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}

// List implements Store. Files that are neither objects nor parts of some are left alone.
func (d *Dir) List(ctx context.Context) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		entries, err := os.ReadDir(d.root)
		if err != nil {
			yield(Object{}, fmt.Errorf("attach: list: %w", err))
			return
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				yield(Object{}, err)
				return
			}
			part := isPart(e.Name())
			if !part && !validID(e.Name()) || !e.Type().IsRegular() {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				yield(Object{}, fmt.Errorf("attach: list: %w", err))
				return
			}
			if !yield(Object{ID: e.Name(), Size: info.Size(), Modified: info.ModTime(), Partial: part}, nil) {
				return
			}
		}
	}
}
