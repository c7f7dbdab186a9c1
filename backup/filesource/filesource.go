// Package filesource copies a folder of files, such as the attachments of an
// application, as a data set of its own.
//
// A snapshot links every file into a folder beside it, so that a file that is
// replaced or deleted while the backup runs is copied as it was. Files must
// therefore be written the usual safe way, under another name and renamed; one
// that is changed in place while it is read ends the run with an error. The links
// are made one after the other: each file is whole, and a file that is added or
// deleted meanwhile may be in the snapshot or not. Delete attachments only some
// time after the rows that refer to them, back the database up first, and every
// file that a row in the backup refers to is in the backup of the files.
//
// Regular files with their permissions and times are copied. Symbolic links and
// devices are named in Snapshot.Omitted; empty folders are not kept.
package filesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/confide-go/confide/backup"
)

// Engine is what snapshots of files say they are of.
const Engine = "files"

// Config says which folder.
type Config struct {
	Dir string // required
	// Staging is where the links of a snapshot are made, on the file system of Dir
	// and not in it; empty: a folder beside Dir. What a killed run left there
	// is removed by the next.
	Staging string
}

// A Folder is a backup.Source and a backup.Target.
type Folder struct{ cfg Config }

var (
	_ backup.Source = (*Folder)(nil)
	_ backup.Target = (*Folder)(nil)
)

// New returns a folder. It need not exist.
func New(cfg Config) (*Folder, error) {
	if cfg.Dir == "" {
		return nil, errors.New("filesource: Config.Dir is empty")
	}
	cfg.Dir = filepath.Clean(cfg.Dir)
	if cfg.Staging == "" {
		cfg.Staging = cfg.Dir + ".snapshots"
	}
	if inside, err := filepath.Rel(cfg.Dir, cfg.Staging); err == nil && filepath.IsLocal(inside) {
		return nil, errors.New("filesource: Config.Staging lies in Config.Dir; its links would be copied too")
	}
	return &Folder{cfg: cfg}, nil
}

// schema describes the two tables.
func schema(omitted []backup.Omission) backup.Schema {
	path := backup.Column{Name: "path", Type: "text"}
	return backup.Schema{Engine: Engine, Omitted: omitted, Tables: []backup.Table{
		{Name: "file", Key: []int{0}, Create: []string{"a file for each row"},
			Columns: []backup.Column{path, {Name: "mode", Type: "permissions"}, {Name: "modified", Type: "instant"}}},
		{Name: "part", Key: []int{0, 1}, Create: []string{"the content of the files, 1 MiB a row"},
			Columns: []backup.Column{path, {Name: "number", Type: "integer"}, {Name: "content", Type: "bytes"}}},
	}}
}

// A file is one regular file, as it was when it was found.
type file struct {
	path     string // slashes, relative to the folder
	at       string // where it can be read
	mode     fs.FileMode
	modified time.Time
	size     int64
}

// walk lists the regular files below a folder, in the order of their paths.
func walk(ctx context.Context, root string) (files []file, omitted []backup.Omission, err error) {
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if !utf8.ValidString(name) {
			return fmt.Errorf("%w: the name of a file in %q is not valid UTF-8; rename it", backup.ErrUnsupported, strings.ToValidUTF8(filepath.Dir(name), "?"))
		}
		if !d.Type().IsRegular() {
			omitted = append(omitted, backup.Omission{Kind: kindOf(d.Type()), Name: name, Reason: "only regular files are copied"})
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			files = append(files, file{path: name, at: at, mode: info.Mode().Perm(), modified: info.ModTime(), size: info.Size()})
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("filesource: %w", err)
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return files, omitted, nil
}

func kindOf(mode fs.FileMode) string {
	if mode&fs.ModeSymlink != 0 {
		return "symbolic link"
	}
	return "special file"
}

// Snapshot implements backup.Source.
func (f *Folder) Snapshot(ctx context.Context) (backup.View, error) {
	files, omitted, err := walk(ctx, f.cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.cfg.Staging, 0o700); err != nil {
		return nil, fmt.Errorf("filesource: make Config.Staging: %w", err)
	}
	if err := removeOld(f.cfg.Staging); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(f.cfg.Staging, prefix())
	if err != nil {
		return nil, fmt.Errorf("filesource: make a folder in Config.Staging: %w", err)
	}
	v := &view{staging: f.cfg.Staging, dir: dir, omitted: omitted}
	for _, found := range files {
		if err := v.add(ctx, found); err != nil {
			return nil, errors.Join(err, v.Close())
		}
	}
	return v, nil
}

// prefix begins the names of a living process's folders.
func prefix() string { return "pid-" + strconv.Itoa(os.Getpid()) + "-" }

// removeOld removes what processes left that are no more.
func removeOld(staging string) error {
	entries, err := os.ReadDir(staging)
	if err != nil {
		return fmt.Errorf("filesource: list Config.Staging: %w", err)
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), "pid-")
		pid, _, _ := strings.Cut(rest, "-")
		if n, err := strconv.Atoi(pid); !ok || err != nil || n == os.Getpid() || alive(n) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(staging, e.Name())); err != nil {
			return fmt.Errorf("filesource: remove what a killed run left: %w", err)
		}
	}
	return nil
}
