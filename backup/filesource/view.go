package filesource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// partSize is the most content that one row holds.
const partSize = 1 << 20

// A view is the linked files of one snapshot.
type view struct {
	staging, dir string
	files        []file
	omitted      []backup.Omission
}

// add links a file. What it says of the file is read from the link, so that
// whatever replaces the file meanwhile is not mistaken for it.
func (v *view) add(ctx context.Context, f file) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("filesource: %w", err)
	}
	link := filepath.Join(v.dir, strconv.Itoa(len(v.files)))
	err := os.Link(f.at, link)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return fmt.Errorf("filesource: link %q: %w; Config.Staging must be on the file system of Config.Dir", f.path, bare(err))
	}
	info, err := os.Lstat(link)
	if err != nil {
		return fmt.Errorf("filesource: read the link to %q: %w", f.path, bare(err))
	}
	if !info.Mode().IsRegular() {
		v.omitted = append(v.omitted, backup.Omission{Kind: kindOf(info.Mode()), Name: f.path, Reason: "only regular files are copied"})
		return nil
	}
	f.at, f.mode, f.modified, f.size = link, info.Mode().Perm(), info.ModTime(), info.Size()
	v.files = append(v.files, f)
	return nil
}

// bare drops the path that the error repeats.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

func (v *view) Schema() backup.Schema {
	s := schema(v.omitted)
	s.Tables[0].Estimate = int64(len(v.files))
	for _, f := range v.files {
		s.Tables[1].Estimate += (f.size + partSize - 1) / partSize
	}
	return s
}

func (v *view) Rows(ctx context.Context, table string) iter.Seq2[backup.Row, error] {
	return rows(ctx, table, v.files)
}

func (v *view) Close() error {
	if err := os.RemoveAll(v.dir); err != nil {
		return fmt.Errorf("filesource: remove the links of a snapshot: %w", err)
	}
	_ = os.Remove(v.staging) // if it is empty
	return nil
}

// rows yields one of the two tables.
func rows(ctx context.Context, table string, files []file) iter.Seq2[backup.Row, error] {
	return func(yield func(backup.Row, error) bool) {
		var one func(f file) (more bool, err error)
		buf := make([]byte, partSize)
		switch table {
		case "file":
			one = func(f file) (bool, error) { return yield(fileRow(f), ctx.Err()), nil }
		case "part":
			one = func(f file) (bool, error) { return parts(ctx, f, buf, yield) }
		default:
			yield(nil, fmt.Errorf("filesource: there is no table %q", table))
			return
		}
		for _, f := range files {
			if ctx.Err() != nil {
				yield(nil, fmt.Errorf("filesource: %w", ctx.Err()))
				return
			}
			more, err := one(f)
			if err != nil {
				yield(nil, fmt.Errorf("filesource: read %q: %w", f.path, bare(err)))
				return
			}
			if !more {
				return
			}
		}
	}
}

func fileRow(f file) backup.Row {
	row := cell.AppendRaw(nil, cell.Text, f.path)
	row = cell.AppendInt(row, int64(f.mode))
	return cell.AppendInstant(row, f.modified.Unix(), uint32(f.modified.Nanosecond()))
}

func parts(ctx context.Context, f file, buf []byte, yield func(backup.Row, error) bool) (more bool, err error) {
	in, err := os.Open(f.at)
	if err != nil {
		return false, err
	}
	defer in.Close()
	var row []byte
	var total int64
	for number := int64(0); ; number++ {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := io.ReadFull(in, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
		total += int64(n)
		row = cell.AppendRaw(row[:0], cell.Text, f.path)
		row = cell.AppendInt(row, number)
		row = cell.AppendRaw(row, cell.Bytes, buf[:n])
		if !yield(row, nil) {
			return false, nil
		}
	}
	info, err := in.Stat()
	if err != nil {
		return false, err
	}
	if total != f.size || info.Size() != f.size || !info.ModTime().Equal(f.modified) {
		return false, errors.New("it was changed in place while it was copied; write a new file and rename it, and run again")
	}
	return true, nil
}

// parseFile reads a row of the table of files.
func parseFile(row backup.Row) (f file, err error) {
	values, err := cells(row, cell.Text, cell.Int, cell.Instant)
	if err != nil {
		return f, err
	}
	f = file{path: string(values[0].Raw), mode: fs.FileMode(values[1].Int), modified: time.Unix(values[2].Int, int64(values[2].Nanos))}
	if f.mode&^fs.ModePerm != 0 || !filepath.IsLocal(filepath.FromSlash(f.path)) || f.path == "." {
		return f, errors.New("filesource: a row is no file inside the folder")
	}
	return f, nil
}

func cells(row backup.Row, kinds ...cell.Kind) ([]cell.Value, error) {
	var out []cell.Value
	rest := []byte(row)
	for _, kind := range kinds {
		v, after, err := cell.Next(rest)
		if err != nil {
			return nil, fmt.Errorf("filesource: %w", err)
		}
		if v.Kind != kind {
			return nil, fmt.Errorf("filesource: a cell of kind %d where one of kind %d belongs", v.Kind, kind)
		}
		v.Raw = bytes.Clone(v.Raw)
		out, rest = append(out, v), after
	}
	return out, nil
}
