package filesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// Begin implements backup.Target. Files are restored beside the folder, which
// takes its name when all of them are proven.
func (f *Folder) Begin(ctx context.Context, s backup.Schema) (backup.Loading, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("filesource: %w", err)
	}
	if s.Engine != Engine {
		return nil, fmt.Errorf("%w: the snapshot is of engine %q and the target is a folder of files", backup.ErrUnsupported, s.Engine)
	}
	entries, err := os.ReadDir(f.cfg.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("filesource: list the target: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%w: the folder has files; restore into one that has none", backup.ErrNotEmpty)
	}
	partial := f.cfg.Dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return nil, fmt.Errorf("filesource: remove what an earlier restore left: %w", err)
	}
	if err := os.MkdirAll(partial, 0o700); err != nil {
		return nil, fmt.Errorf("filesource: make folder: %w", err)
	}
	root, err := os.OpenRoot(partial) // nothing is written outside of it, whatever a path says
	if err != nil {
		return nil, fmt.Errorf("filesource: open folder: %w", err)
	}
	return &loading{dir: f.cfg.Dir, partial: partial, root: root}, nil
}

type loading struct {
	dir, partial string
	root         *os.Root
	files        []file
	committed    bool
}

func (l *loading) Load(ctx context.Context, table string, rows iter.Seq2[backup.Row, error]) error {
	load := map[string]func(backup.Row) error{"file": l.file}[table]
	var writer *partWriter
	switch {
	case table == "part":
		writer = &partWriter{root: l.root}
		load = writer.write
	case load == nil:
		return fmt.Errorf("filesource: there is no table %q", table)
	}
	for row, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = load(row)
		}
		if err != nil {
			return errors.Join(err, writer.close())
		}
	}
	return writer.close()
}

// file makes an empty file.
func (l *loading) file(row backup.Row) error {
	f, err := parseFile(row)
	if err != nil {
		return err
	}
	if err := l.root.MkdirAll(path.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("filesource: make the folder of %q: %w", f.path, bare(err))
	}
	out, err := l.root.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("filesource: make %q: %w", f.path, bare(err))
	}
	l.files = append(l.files, f)
	return nil
}

// A partWriter fills files, one after the other.
type partWriter struct {
	root *os.Root
	path string
	next int64
	out  *os.File
}

func (w *partWriter) write(row backup.Row) error {
	values, err := cells(row, cell.Text, cell.Int, cell.Bytes)
	if err != nil {
		return err
	}
	if name := string(values[0].Raw); w.out == nil || name != w.path {
		if err := w.close(); err != nil {
			return err
		}
		w.path, w.next = name, 0
		if w.out, err = w.root.OpenFile(name, os.O_WRONLY, 0); err != nil {
			return fmt.Errorf("filesource: open %q: %w", name, bare(err))
		}
	}
	if values[1].Int != w.next {
		return fmt.Errorf("filesource: part %d of %q where part %d belongs", values[1].Int, w.path, w.next)
	}
	w.next++
	if _, err := w.out.Write(values[2].Raw); err != nil {
		return fmt.Errorf("filesource: write %q: %w", w.path, bare(err))
	}
	return nil
}

func (w *partWriter) close() error {
	if w == nil || w.out == nil {
		return nil
	}
	err := errors.Join(w.out.Sync(), w.out.Close())
	w.out = nil
	if err != nil {
		return fmt.Errorf("filesource: write %q: %w", w.path, err)
	}
	return nil
}

// Finish sets times and permissions, which writing would have changed.
func (l *loading) Finish(ctx context.Context) error {
	for _, f := range l.files {
		err := ctx.Err()
		if err == nil {
			err = errors.Join(l.root.Chtimes(f.path, f.modified, f.modified), l.root.Chmod(f.path, f.mode))
		}
		if err != nil {
			return fmt.Errorf("filesource: finish %q: %w", f.path, err)
		}
	}
	return nil
}

func (l *loading) Rows(ctx context.Context, table string) iter.Seq2[backup.Row, error] {
	files, omitted, err := walk(ctx, l.partial)
	if err == nil && len(omitted) > 0 {
		err = errors.New("filesource: the target has things that were not restored")
	}
	if err != nil {
		return func(yield func(backup.Row, error) bool) { yield(nil, err) }
	}
	return rows(ctx, table, files)
}

func (l *loading) Commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("filesource: %w", err)
	}
	if err := syncFolders(l.partial, l.files); err != nil {
		return err
	}
	if err := os.Remove(l.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("filesource: the target is in the way: %w", err)
	}
	if err := os.Rename(l.partial, l.dir); err != nil {
		return fmt.Errorf("filesource: rename the restored folder: %w", err)
	}
	l.committed = true
	return errors.Join(syncFolder(filepath.Dir(l.dir)), l.Close())
}

func (l *loading) Close() error {
	err := l.root.Close()
	if l.committed {
		return err
	}
	if removed := os.RemoveAll(l.partial); removed != nil {
		return fmt.Errorf("filesource: remove an unfinished restore: %w", removed)
	}
	return err
}

// syncFolders makes the names of the files durable.
func syncFolders(root string, files []file) error {
	dirs := map[string]bool{root: true}
	for _, f := range files {
		for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
			dirs[filepath.Join(root, filepath.FromSlash(dir))] = true
		}
	}
	var names []string
	for dir := range dirs {
		names = append(names, dir)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) }) // the deepest first
	for _, dir := range names {
		if err := syncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("filesource: sync folder: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("filesource: sync folder: %w", err)
	}
	return nil
}
