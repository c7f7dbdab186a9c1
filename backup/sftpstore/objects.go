package sftpstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"iter"

	"github.com/pkg/sftp"

	"github.com/confide-go/confide/backup"
)

// tempPrefix begins the names of files that are not finished.
const tempPrefix = ".tmp-"

// begin checks a key and returns the connection and the key's file.
func (s *Store) begin(ctx context.Context, key string) (*sftp.Client, string, error) {
	if err := backup.CheckKey(key); err != nil {
		return nil, "", fmt.Errorf("sftpstore: %w", err)
	}
	c, err := s.connect(ctx)
	return c, path.Join(s.cfg.Dir, key), err
}

// Put implements backup.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	c, file, err := s.begin(ctx, key)
	if err != nil {
		return err
	}
	if _, err := c.Lstat(file); err == nil { // spares sending what would be refused
		return fmt.Errorf("sftpstore: put %s: %w", key, fs.ErrExist)
	}
	if err := create(ctx, c, file, data); err != nil {
		return fmt.Errorf("sftpstore: put %s: %w", key, err)
	}
	return nil
}

func create(ctx context.Context, c *sftp.Client, file string, data []byte) error {
	dir := path.Dir(file)
	if err := makeDir(c, dir); err != nil {
		return err
	}
	temp := path.Join(dir, tempPrefix+rand.Text())
	if err := write(ctx, c, temp, data); err != nil {
		c.Remove(temp)
		return err
	}
	// A link, unlike a rename, never replaces, and unlike O_EXCL it shows the name
	// only with its whole content.
	err := c.Link(temp, file)
	c.Remove(temp)
	if err != nil {
		if _, statErr := c.Lstat(file); statErr == nil {
			return fs.ErrExist // the protocol has no word for it
		}
		return err
	}
	return syncDir(c, dir)
}

func write(ctx context.Context, c *sftp.Client, temp string, data []byte) error {
	const piece = 256 << 10
	f, err := c.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil { // while it is empty
		return err
	}
	for part := range slices.Chunk(data, piece) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return ctx.Err()
}

// makeDir makes a directory and its missing parents, durably.
func makeDir(c *sftp.Client, dir string) error {
	info, err := c.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory: %w", dir, fs.ErrExist)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := path.Dir(dir)
	if parent != dir {
		if err := makeDir(c, parent); err != nil {
			return err
		}
	}
	if err := c.Mkdir(dir); err != nil {
		if info, statErr := c.Stat(dir); statErr == nil && info.IsDir() {
			return nil // another process was first
		}
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	if err := c.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	return syncDir(c, parent)
}

// syncDir makes the names in a directory survive a crash of the server.
func syncDir(c *sftp.Client, dir string) error {
	f, err := c.Open(dir)
	if err == nil {
		err = f.Sync()
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("fsync directory %s: %w", dir, err)
	}
	return nil
}

// Get implements backup.Store.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	c, file, err := s.begin(ctx, key)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("sftpstore: get %s: %w: negative offset", key, fs.ErrInvalid)
	}
	data, err := read(c, file, offset, length)
	if err != nil {
		return nil, fmt.Errorf("sftpstore: get %s: %w", key, err)
	}
	return data, ctx.Err()
}

func read(c *sftp.Client, file string, offset, length int64) ([]byte, error) {
	f, err := c.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	rest := max(0, info.Size()-offset)
	if length < 0 || length > rest {
		length = rest
	}
	data := make([]byte, length)
	if n, err := f.ReadAt(data, offset); int64(n) < length {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return data, nil
}

// Stat implements backup.Store.
func (s *Store) Stat(ctx context.Context, key string) (backup.Object, error) {
	c, file, err := s.begin(ctx, key)
	if err != nil {
		return backup.Object{}, err
	}
	info, err := c.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return backup.Object{}, fmt.Errorf("sftpstore: stat %s: %w", key, err)
	}
	return backup.Object{Key: key, Size: info.Size()}, nil
}

// Delete implements backup.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	c, file, err := s.begin(ctx, key)
	if err != nil {
		return err
	}
	info, err := c.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = c.Remove(file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process was first
	}
	if err == nil {
		err = syncDir(c, path.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("sftpstore: delete %s: %w", key, err)
	}
	return nil
}

// List implements backup.Store. It holds one directory at a time.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		c, err := s.connect(ctx)
		if err != nil {
			yield(backup.Object{}, err)
			return
		}
		l := &listing{ctx: ctx, client: c, root: s.cfg.Dir, prefix: prefix, after: after, yield: yield}
		if err := l.dir(""); err != nil && !errors.Is(err, errStopped) {
			yield(backup.Object{}, fmt.Errorf("sftpstore: list %s: %w", prefix, err))
		}
	}
}

var errStopped = errors.New("sftpstore: the reader has stopped")

type listing struct {
	ctx                 context.Context
	client              *sftp.Client
	root, prefix, after string
	yield               func(backup.Object, error) bool
}

// dir lists what is below a directory, whose key ends with a slash.
func (l *listing) dir(key string) error {
	entries, err := l.client.ReadDirContext(l.ctx, path.Join(l.root, key))
	if errors.Is(err, fs.ErrNotExist) && key != "" {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	// With its slash a directory sorts where the keys below it belong: "a/b" comes
	// after "a-b".
	sorted := func(e fs.FileInfo) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return strings.Compare(sorted(a), sorted(b)) })
	for _, e := range entries {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if err := l.entry(key+sorted(e), e); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) entry(key string, e fs.FileInfo) error {
	switch {
	case e.IsDir():
		related := strings.HasPrefix(key, l.prefix) || strings.HasPrefix(l.prefix, key)
		if related && (key > l.after || strings.HasPrefix(l.after, key)) {
			return l.dir(key)
		}
	case !e.Mode().IsRegular(), strings.HasPrefix(e.Name(), tempPrefix):
	case strings.HasPrefix(key, l.prefix) && key > l.after:
		if !l.yield(backup.Object{Key: key, Size: e.Size()}, nil) {
			return errStopped
		}
	}
	return nil
}
