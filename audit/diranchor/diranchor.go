// Package diranchor keeps an audit log's checkpoints in a directory, one file each.
//
// A file is written once, under a name no other may have, and never changed: that
// is all that write-once storage (an object store's bucket that is mounted, a WORM share,
// a directory with chattr +a) has to allow. Every new checkpoint is on stable storage
// when Put returns. Name and content: FORMAT.md of package audit.
//
// The directory refuses a checkpoint that is smaller than one it has of the same
// origin, and another one of the same size: then the database is an older copy of
// itself or a fork. Two processes that offer different checkpoints of one size at the
// same moment race for one name, and one of them is refused.
package diranchor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/durable"
)

// An Anchor is one directory of checkpoints. Several processes may share it.
type Anchor struct{ dir string }

var (
	_ audit.Anchor       = (*Anchor)(nil)
	_ audit.AnchorReader = (*Anchor)(nil)
)

// Open makes the directory if it is not there.
func Open(dir string) (*Anchor, error) {
	if dir == "" {
		return nil, fmt.Errorf("%w: diranchor.Open needs a directory", audit.ErrInvalid)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("diranchor: %w", err)
	}
	return &Anchor{dir}, nil
}

const suffix = ".checkpoint"

// prefix begins the names of one origin's files.
func prefix(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:8]) + "-"
}

// Put implements audit.Anchor.
func (a *Anchor) Put(ctx context.Context, c audit.Checkpoint) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	largest, err := a.largest(prefix(c.Origin))
	if err != nil {
		return err
	}
	if c.Size < largest {
		return fmt.Errorf("%w: %s has a checkpoint of %d, the database offers %d: it was rolled back or replaced; run Verify, and declare it if a backup was restored", audit.ErrTampered, a.dir, largest, c.Size)
	}
	path := filepath.Join(a.dir, fmt.Sprintf("%s%019d%s", prefix(c.Origin), c.Size, suffix))
	err = durable.Create(path, c.Note, 0o400)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	have, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("diranchor: %w", err)
	}
	// Compare what is signed: a key's rotation may have added a signature.
	if text(have) != text(c.Note) {
		return fmt.Errorf("%w: %s has another checkpoint of %d than the database offers: it was rolled back or replaced; run Verify, and declare it if a backup was restored", audit.ErrTampered, a.dir, c.Size)
	}
	return nil
}

func text(note []byte) string {
	t, _, _ := bytes.Cut(note, []byte("\n\n"))
	return string(t)
}

// largest is the size of the largest checkpoint with this prefix. The names are in
// the order of the sizes.
func (a *Anchor) largest(prefix string) (size int64, err error) {
	names, err := a.names()
	for _, name := range names {
		if digits, ok := strings.CutPrefix(strings.TrimSuffix(name, suffix), prefix); ok {
			n, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%w: %s holds a file that is no checkpoint; use a directory of its own", audit.ErrInvalid, a.dir)
			}
			size = max(size, n)
		}
	}
	return size, err
}

func (a *Anchor) names() ([]string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, fmt.Errorf("diranchor: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) { // others are files a crash left unfinished
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Checkpoints implements audit.AnchorReader.
func (a *Anchor) Checkpoints(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		names, err := a.names()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			note, err := os.ReadFile(filepath.Join(a.dir, name))
			if err != nil {
				err = fmt.Errorf("diranchor: %w", err)
			}
			if !yield(note, err) {
				return
			}
		}
	}
}
