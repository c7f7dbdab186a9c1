package dirstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/internal/durable"
)

// List implements backup.Store. It holds one directory's names at a time.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		l := &listing{ctx: ctx, root: s.root, prefix: prefix, after: after, yield: yield}
		if err := l.dir(""); err != nil && !errors.Is(err, errStopped) {
			yield(backup.Object{}, fmt.Errorf("dirstore: list: %w", err))
		}
	}
}

var errStopped = errors.New("dirstore: the reader has stopped")

type listing struct {
	ctx                 context.Context
	root, prefix, after string
	yield               func(backup.Object, error) bool
}

// dir lists what is below a directory, whose key ends with a slash.
func (l *listing) dir(key string) error {
	entries, err := os.ReadDir(filepath.Join(l.root, filepath.FromSlash(key)))
	if absent(err) && key != "" {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), durable.TempPrefix): // an unfinished write
		case e.IsDir():
			// With its slash a directory sorts where the keys below it belong:
			// "a/b" comes after "a-b".
			if below := key + e.Name() + "/"; l.wants(below) {
				names = append(names, e.Name()+"/")
			}
		default:
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := l.entry(key + name); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether keys below a directory can be asked for.
func (l *listing) wants(dir string) bool {
	return (strings.HasPrefix(dir, l.prefix) || strings.HasPrefix(l.prefix, dir)) &&
		(dir > l.after || strings.HasPrefix(l.after, dir))
}

func (l *listing) entry(key string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if strings.HasSuffix(key, "/") {
		return l.dir(key)
	}
	if !strings.HasPrefix(key, l.prefix) || key <= l.after {
		return nil
	}
	info, err := os.Lstat(filepath.Join(l.root, filepath.FromSlash(key)))
	if absent(err) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	if !l.yield(backup.Object{Key: key, Size: info.Size()}, nil) {
		return errStopped
	}
	return nil
}
