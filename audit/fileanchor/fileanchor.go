// Package fileanchor keeps an audit log's checkpoints in an append-only file.
//
// Open a file on a disk, share or mount that the administrators of the database
// cannot write, and give it to audit.Config.Anchor. Each line is one signed
// checkpoint as a JSON string, so the file can be read, copied and mailed. Every
// new checkpoint is on stable storage when Put returns.
//
// The file refuses a checkpoint smaller than its last one, and another one of
// the same size: then the database is an older copy of itself or a fork. It
// does not protect against somebody who can write the file and the database;
// keep copies of it elsewhere for that, and give them to audit.VerifyOptions.
package fileanchor

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/durable"
)

// An Anchor is one file of checkpoints. Several processes may share it.
type Anchor struct {
	path string

	mu     sync.Mutex
	length int64                 // of the file when last was read
	last   map[string]checkpoint // the largest one of each origin
}

// The zero value of a checkpoint is none.
type checkpoint struct {
	origin string
	size   int64
	root   string
}

var (
	_ audit.Anchor       = (*Anchor)(nil)
	_ audit.AnchorReader = (*Anchor)(nil)
)

// Open names the file; the first Put creates it. A file that exists must be one
// of checkpoints.
func Open(path string) (*Anchor, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: fileanchor.Open needs a path", audit.ErrInvalid)
	}
	a := &Anchor{path: path, last: map[string]checkpoint{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a, a.refresh()
}

// Put implements audit.Anchor.
func (a *Anchor) Put(ctx context.Context, c audit.Checkpoint) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refresh(); err != nil {
		return err
	}
	root, last := base64.StdEncoding.EncodeToString(c.Root[:]), a.last[c.Origin]
	switch {
	case c.Size == last.size && root == last.root:
		return nil
	case c.Size <= last.size:
		return fmt.Errorf("%w: %s has a checkpoint of %d, the database offers %d: it was rolled back or replaced; run Verify, and declare it if a backup was restored", audit.ErrTampered, a.path, last.size, c.Size)
	}
	line, err := json.Marshal(string(c.Note))
	if err != nil {
		return fmt.Errorf("fileanchor: encode: %w", err)
	}
	if err := durable.Append(a.path, append(line, '\n'), 0o600); err != nil {
		return err
	}
	a.last[c.Origin] = checkpoint{c.Origin, c.Size, root}
	a.length += int64(len(line) + 1)
	return nil
}

// refresh reads the file if another process has written it, and removes what a
// crash left of a last line: it was never acknowledged.
func (a *Anchor) refresh() error {
	info, err := os.Stat(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		if a.length > 0 {
			return fmt.Errorf("%w: %s was deleted while it was in use; put a copy of it back", audit.ErrTampered, a.path)
		}
		return nil
	}
	if err == nil && info.Size() == a.length {
		return nil
	}
	notes, whole, err := read(a.path)
	if err != nil {
		return err
	}
	for i, n := range notes {
		c, err := parse(n)
		if err != nil {
			return fmt.Errorf("%w: %s: line %d is not a checkpoint; put a copy of the file back, or name another file", audit.ErrInvalid, a.path, i+1)
		}
		if c.size >= a.last[c.origin].size {
			a.last[c.origin] = c
		}
	}
	a.length = int64(len(whole))
	if info, err := os.Stat(a.path); err == nil && info.Size() > a.length {
		return durable.WriteFile(a.path, whole, 0o600)
	}
	return nil
}

// read returns the checkpoints of the file and its bytes up to the last whole line.
func read(path string) (notes []string, whole []byte, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("fileanchor: %w", err)
	}
	whole = data[:bytes.LastIndexByte(data, '\n')+1]
	number := 0
	for line := range bytes.Lines(whole) {
		number++
		var n string
		if err := json.Unmarshal(line, &n); err != nil {
			return nil, nil, fmt.Errorf("%w: %s: line %d is not a checkpoint; put a copy of the file back, or name another file", audit.ErrInvalid, path, number)
		}
		notes = append(notes, n)
	}
	return notes, whole, nil
}

// parse reads size and root of a checkpoint. Whether it is signed is for Verify to say.
func parse(note string) (c checkpoint, err error) {
	lines := strings.SplitN(note, "\n", 4)
	if len(lines) < 4 {
		return c, strconv.ErrSyntax
	}
	c.origin, c.root = lines[0], lines[2]
	c.size, err = strconv.ParseInt(lines[1], 10, 64)
	return c, err
}

// Checkpoints implements audit.AnchorReader.
func (a *Anchor) Checkpoints(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		notes, _, err := read(a.path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for _, n := range notes {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield([]byte(n), nil) {
				return
			}
		}
	}
}
