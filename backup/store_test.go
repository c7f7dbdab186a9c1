package backup_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/limit"
	"github.com/confide-go/confide/backup/quorum"
	"github.com/confide-go/confide/backup/retry"
	"github.com/confide-go/confide/internal/testdb"
)

func TestMemoryIsAStore(t *testing.T) {
	backuptest.RunStore(t, func(t *testing.T) backup.Store { return backup.NewMemory() })
}

func TestKeysAreFileNamesEverywhere(t *testing.T) {
	for _, key := range []string{"a", "a/b", "a-b_c.d/0", "com", "com10", "con1", "lpt", "nul-1", strings.Repeat("k", 200)} {
		require.NoError(t, backup.CheckKey(key), "%q", key)
	}
	for _, key := range []string{
		"", "/", "a/", "/a", "a//b", ".", "..", "a/../b", ".a", "a/.b", "a.", "a./b", "A", "a b", `a\b`, "a\x00", "é", "a:b", "a*", "a%2f",
		"con", "a/nul", "aux.txt", "prn/a", "com1", "lpt9.x", strings.Repeat("k", 201),
	} {
		require.ErrorIs(t, backup.CheckKey(key), fs.ErrInvalid, "%q", key)
	}
}

// What a probe had to leave in a write-once store neither makes a new store look
// like a repository without keys, nor a repository look tampered with.
func TestARepositoryTakesNoNoticeOfProbes(t *testing.T) {
	store := backup.NewMemory()
	require.NoError(t, store.Put(t.Context(), backup.ProbePrefix+"1/race", []byte("x")))
	db, kek := testdb.New(t, testdb.SQLite), backuptest.NewKEK(t)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO a VALUES (1, 'one')")
	run(t, open(t, store, kek, sourceOf(t, db)))
	require.Zero(t, requireWhole(t, store, kek).Leftover)
}

// appendOnly is a store through credentials that can put, get and list.
type appendOnly struct{ backup.Store }

func (appendOnly) Delete(context.Context, string) error { return fs.ErrPermission }

func TestARepositoryLivesOnEveryStore(t *testing.T) {
	memory := func(*testing.T) backup.Store { return backup.NewMemory() }
	directory := func(t *testing.T) backup.Store {
		s, err := dirstore.Open(t.Context(), t.TempDir())
		require.NoError(t, err)
		return s
	}
	for name, open := range map[string]func(t *testing.T) backup.Store{
		"memory":    memory,
		"directory": directory,
		"retry":     func(t *testing.T) backup.Store { return retry.New(memory(t), retry.Config{}) },
		"limit": func(t *testing.T) backup.Store {
			return limit.New(memory(t), limit.Config{Concurrent: 1, Timeout: time.Minute})
		},
		"quorum": func(t *testing.T) backup.Store {
			s, err := quorum.New(quorum.Config{Stores: []backup.Store{memory(t), directory(t), memory(t)}})
			require.NoError(t, err)
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			db := testdb.New(t, testdb.SQLite)
			exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO a VALUES (1, 'one'), (2, 'two')")
			backuptest.RunRepository(t, backuptest.Access{Writer: appendOnly{store}, Reader: appendOnly{store}, Pruner: store}, backuptest.Fixture{
				Source: sourceOf(t, db),
				Change: func(t *testing.T) {
					exec(t, poolOf(t, db), "INSERT INTO a VALUES (3, 'three')", "DELETE FROM a WHERE id = 1")
				},
				Target: func(t *testing.T) backup.Target { return sourceOf(t, testdb.New(t, testdb.SQLite)) },
			})
		})
	}
}

// A quorum outlives the loss of a whole store, also in the middle of a repository's life.
func TestARepositoryOutlivesTheLossOfAStore(t *testing.T) {
	stores := []backup.Store{backup.NewMemory(), backup.NewMemory(), backup.NewMemory()}
	over := func() backup.Store {
		s, err := quorum.New(quorum.Config{Stores: stores})
		require.NoError(t, err)
		return s
	}
	db, kek := testdb.New(t, testdb.SQLite), backuptest.NewKEK(t)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO a VALUES (1, 'one')")
	run(t, open(t, over(), kek, sourceOf(t, db)))
	for i := range stores {
		stores[i] = backup.NewMemory() // lost, and replaced by a new one
		requireWhole(t, over(), kek)
		exec(t, poolOf(t, db), fmt.Sprintf("INSERT INTO a VALUES (%d, 'more')", i+2))
		run(t, open(t, over(), kek, sourceOf(t, db)))
		s, err := quorum.New(quorum.Config{Stores: stores})
		require.NoError(t, err)
		_, err = s.Repair(t.Context())
		require.NoError(t, err)
	}
	for _, s := range stores {
		requireWhole(t, s, kek) // each alone has it all
	}
}
