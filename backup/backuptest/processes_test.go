package backuptest_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
)

func TestMain(m *testing.M) {
	backuptest.StoreWorker(openAs)
	os.Exit(m.Run())
}

// openAs opens a directory honestly, or as a store that breaks a rule which only
// several processes show.
func openAs(ctx context.Context, spec string) (backup.Store, error) {
	kind, dir, _ := strings.Cut(spec, " ")
	s, err := dirstore.Open(ctx, dir)
	switch {
	case err != nil:
		return nil, err
	case kind == "torn":
		return torn{s, dir}, nil
	case kind == "forgetful":
		return &forgetful{Store: s, known: map[string]bool{}}, nil
	}
	return s, nil
}

// torn writes files in place.
type torn struct {
	backup.Store
	dir string
}

func (s torn) Put(_ context.Context, key string, data []byte) error {
	path := filepath.Join(s.dir, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("%w", err)
	}
	for len(data) > 0 && err == nil {
		n := min(len(data), 1<<16)
		_, err = f.Write(data[:n])
		err = errors.Join(err, f.Sync())
		data = data[n:]
	}
	return errors.Join(err, f.Close())
}

// forgetful knows of an object only if it put it itself.
type forgetful struct {
	backup.Store
	known map[string]bool
}

func (s *forgetful) Put(ctx context.Context, key string, data []byte) error {
	if s.known[key] {
		return fs.ErrExist
	}
	s.known[key] = true
	if err := s.Store.Put(ctx, key, data); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func TestProcessesCatchWhatOneProcessDoesNotShow(t *testing.T) {
	const oneWins, killed = "of several processes that race, exactly one succeeds", "a process that is killed leaves whole objects only"
	for kind, rule := range map[string]string{"torn": killed, "forgetful": oneWins} {
		t.Run(kind, func(t *testing.T) {
			spec := kind + " " + t.TempDir()
			broken := backuptest.BrokenProcessRules(t.Context(), spec, func() backup.Store {
				s, err := openAs(t.Context(), spec)
				require.NoError(t, err)
				return s
			})
			require.Contains(t, broken, rule)
		})
	}
}
