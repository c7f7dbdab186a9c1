package backup_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
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
