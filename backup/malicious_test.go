package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// requireNamed checks that opening or verifying a repository names the object.
func requireNamed(t *testing.T, store backup.Store, kek tink.AEADWithContext, object, what string) backup.Report {
	t.Helper()
	r, err := backup.Open(t.Context(), backup.Config{Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard})
	if err != nil {
		require.ErrorIs(t, err, backup.ErrDamaged, what)
		require.ErrorContains(t, err, object, what)
		return backup.Report{}
	}
	report, err := r.Verify(t.Context(), backup.Every, backup.VerifyOptions{})
	require.ErrorIs(t, err, backup.ErrDamaged, what)
	require.False(t, report.OK, what)
	named := slices.ContainsFunc(report.Damage, func(d backup.Damage) bool { return d.Object == object })
	require.True(t, named, "%s: %s is not named in %v", what, object, report.Damage)
	return report
}

func TestMaliciousEveryFlippedByteIsFoundAndNamed(t *testing.T) {
	store, kek := small(t)
	_, err := open(t, store, kek, nil).Prune(t.Context(), backup.PruneOptions{Keep: 1}) // for a prune record
	require.NoError(t, err)
	requireWhole(t, store, kek)
	flips := 0
	for _, key := range keysOf(t, store, "") {
		good := content(t, store, key)
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			replace(t, store, key, bad)
			requireNamed(t, store, kek, key, fmt.Sprintf("%s with byte %d flipped", key, i))
			flips++
		}
		replace(t, store, key, good)
	}
	requireWhole(t, store, kek)
	require.Greater(t, flips, 2000)
}

func TestMaliciousTruncatedMissingAndForeignObjectsAreNamed(t *testing.T) {
	store, kek := small(t)
	for _, key := range keysOf(t, store, "") {
		good := content(t, store, key)
		for what, bad := range map[string][]byte{
			"empty": {}, "without its last byte": good[:len(good)-1], "half": good[:len(good)/2], "one byte": good[:1],
			"with a byte more": append(bytes.Clone(good), 0),
		} {
			replace(t, store, key, bad)
			requireNamed(t, store, kek, key, key+" "+what)
		}
		require.NoError(t, store.Delete(t.Context(), key))
		if key == "manifest/00000000000000000002" {
			// Without its manifest the newest generation looks like that of a killed
			// run: only what was recorded elsewhere tells. See the test of Heads.
			require.Equal(t, 3, requireWhole(t, store, kek).Leftover, "two chunks and their data key")
		} else {
			report := requireNamed(t, store, kek, key, key+" missing")
			require.Equal(t, "missing", report.Damage[0].Kind, "%v", report.Damage)
		}
		require.NoError(t, store.Put(t.Context(), key, good))
	}
	for _, key := range []string{"readme", "chunk/x", "manifest/7", "keys/c", "datakey/1/x", "datakey/00000000000000000001/" + strings.Repeat("0", 32), "chunk/00000000000000000001/" + strings.Repeat("0", 64), "chunk/00000000000000000001/" + strings.Repeat("A", 64), "manifest/00000000000000000009", "manifest/18446744073709551614", "prune/00000000000000000001"} {
		require.NoError(t, store.Put(t.Context(), key, []byte("foreign")))
		requireNamed(t, store, kek, key, "foreign "+key)
		require.NoError(t, store.Delete(t.Context(), key))
	}
	requireWhole(t, store, kek)
}

func TestMaliciousSwappedObjectsAreNamed(t *testing.T) {
	store, kek := small(t)
	keys := keysOf(t, store, "")
	pairs := 0
	for i, a := range keys {
		for _, b := range keys[i+1:] {
			x, y := content(t, store, a), content(t, store, b)
			if bytes.Equal(x, y) {
				require.Equal(t, []string{"keys/a", "keys/b"}, []string{a, b})
				continue
			}
			replace(t, store, a, y)
			replace(t, store, b, x)
			requireNamed(t, store, kek, a, "swapped "+a+" and "+b)
			if !strings.HasPrefix(a+b, "keys/") && !strings.HasPrefix(b, "keys/") {
				requireNamed(t, store, kek, b, "swapped "+a+" and "+b)
			}
			replace(t, store, a, x)
			replace(t, store, b, y)
			pairs++
		}
	}
	require.Greater(t, pairs, 20)
	requireWhole(t, store, kek)
}

func TestMaliciousObjectsOfAnotherRepositoryAreForeign(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO a VALUES (1, 'one')")
	kek := backuptest.NewKEK(t) // the same for both
	mine, other := backup.NewMemory(), backup.NewMemory()
	run(t, open(t, mine, kek, sourceOf(t, db)))
	run(t, open(t, other, kek, sourceOf(t, db)))
	for _, key := range keysOf(t, mine, "") {
		if strings.HasPrefix(key, "chunk/") || strings.HasPrefix(key, "datakey/") {
			continue // there the names differ, as they are random or a keyed hash
		}
		good := content(t, mine, key)
		replace(t, mine, key, content(t, other, key))
		requireNamed(t, mine, kek, key, "foreign "+key)
		replace(t, mine, key, good)
	}
	a, b := keysOf(t, mine, "chunk/"), keysOf(t, other, "chunk/")
	require.NotEqual(t, a, b, "nobody can tell from names that two repositories hold the same")
	require.NoError(t, mine.Put(t.Context(), b[0], content(t, other, b[0])))
	requireNamed(t, mine, kek, b[0], "foreign chunk")
}

func TestMaliciousReplayedAndHiddenManifests(t *testing.T) {
	store, kek := small(t)
	list, err := open(t, store, kek, nil).List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	first, second := "manifest/00000000000000000001", "manifest/00000000000000000002"
	heads := []backup.Head{{ID: 1, Hash: list[0].Hash}, {ID: 2, Hash: list[1].Hash}}

	t.Run("an old manifest under a new number", func(t *testing.T) {
		s := clone(t, store)
		replace(t, s, second, content(t, store, first))
		report := requireNamed(t, s, kek, second, "replay")
		require.Contains(t, report.Damage[0].Detail, "is the manifest of snapshot 1")
		_, err := open(t, s, kek, nil).Restore(t.Context(), backup.Newest, nil, backup.RestoreOptions{})
		require.ErrorIs(t, err, backup.ErrDamaged)
		require.ErrorContains(t, err, second)
	})
	t.Run("an older one hidden", func(t *testing.T) {
		s := clone(t, store)
		require.NoError(t, s.Delete(t.Context(), first))
		requireNamed(t, s, kek, first, "hidden")
		list, err := open(t, s, kek, nil).List(t.Context())
		require.ErrorContains(t, err, first+" is missing")
		require.Len(t, list, 1, "what is good is still listed")
		_, err = open(t, s, kek, struct{ backup.Source }{}).Run(t.Context(), backup.RunOptions{})
		require.ErrorContains(t, err, first+" is missing", "and no run covers it up")
	})
	t.Run("the whole tail hidden", func(t *testing.T) {
		s := clone(t, store)
		require.NoError(t, s.Delete(t.Context(), second))
		for _, key := range keysOf(t, s, "chunk/00000000000000000002/") {
			require.NoError(t, s.Delete(t.Context(), key))
		}
		requireWhole(t, s, kek) // a complete older state: nothing inside can tell
		report, err := open(t, s, kek, nil).Verify(t.Context(), backup.Newest, backup.VerifyOptions{Heads: heads})
		require.ErrorIs(t, err, backup.ErrDamaged)
		require.Equal(t, []backup.Damage{{Object: second, Kind: "missing", Detail: "snapshot 2 was recorded; the store shows an older state"}}, report.Damage)
	})
	t.Run("a fork", func(t *testing.T) {
		s := clone(t, store)
		require.NoError(t, s.Delete(t.Context(), second))
		db := testdb.New(t, testdb.SQLite)
		exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)")
		run(t, open(t, s, kek, sourceOf(t, db)))
		requireWhole(t, s, kek)
		report, err := open(t, s, kek, nil).Verify(t.Context(), backup.Newest, backup.VerifyOptions{Heads: heads})
		require.ErrorIs(t, err, backup.ErrDamaged)
		require.Equal(t, "rolled back", report.Damage[0].Kind)
		require.Equal(t, second, report.Damage[0].Object)
	})
	t.Run("two manifests hidden", func(t *testing.T) {
		s := clone(t, store)
		require.NoError(t, s.Delete(t.Context(), first))
		require.NoError(t, s.Delete(t.Context(), second))
		requireNamed(t, s, kek, first, "chunks of generation 2 give it away")
		_, err := open(t, s, kek, struct{ backup.Source }{}).Run(t.Context(), backup.RunOptions{})
		require.ErrorContains(t, err, first+" is missing: there is chunk/00000000000000000002/")
	})
	t.Run("a fork that the chain shows", func(t *testing.T) {
		s := clone(t, store)
		require.NoError(t, s.Delete(t.Context(), first))
		require.NoError(t, s.Delete(t.Context(), second))
		for _, key := range keysOf(t, s, "chunk/") {
			require.NoError(t, s.Delete(t.Context(), key))
		}
		db := testdb.New(t, testdb.SQLite)
		exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)")
		run(t, open(t, s, kek, sourceOf(t, db)))
		for _, key := range append(keysOf(t, store, "chunk/00000000000000000002/"), second) {
			require.NoError(t, s.Put(t.Context(), key, content(t, store, key)))
		}
		report := requireNamed(t, s, kek, second, "old 2 after new 1")
		require.Equal(t, "rolled back", report.Damage[0].Kind)
	})
	report, err := open(t, store, kek, nil).Verify(t.Context(), backup.Newest, backup.VerifyOptions{Heads: heads})
	require.NoError(t, err)
	require.True(t, report.OK)
}

func TestMaliciousOneLostOrForeignCopyOfTheKeysIsNotTheEnd(t *testing.T) {
	store, kek := small(t)
	other, _ := small(t)
	db := testdb.New(t, testdb.SQLite)
	for _, key := range []string{"keys/a", "keys/b"} {
		s := clone(t, store)
		require.NoError(t, s.Delete(t.Context(), key))
		list, err := open(t, s, kek, nil).List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		exec(t, poolOf(t, db), "CREATE TABLE IF NOT EXISTS a (id INTEGER PRIMARY KEY)")
		run(t, open(t, s, kek, sourceOf(t, db)))
		requireWhole(t, s, kek) // the run completed the pair
		replace(t, s, key, content(t, other, key))
		requireNamed(t, s, kek, key, "keys sealed by another KEK")
	}
	require.NoError(t, store.Delete(t.Context(), "keys/a"))
	require.NoError(t, store.Delete(t.Context(), "keys/b"))
	_, err := backup.Open(t.Context(), backup.Config{Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard})
	require.ErrorIs(t, err, backup.ErrDamaged)
	require.ErrorContains(t, err, "keys/a and keys/b are missing, but there is chunk/", "a repository without keys is not a new one")
}

func TestMaliciousWrongKEK(t *testing.T) {
	store, _ := small(t)
	_, err := backup.Open(t.Context(), backup.Config{Store: store, KEK: backuptest.NewKEK(t), DataSet: "crm", Record: backup.Discard})
	require.ErrorIs(t, err, backup.ErrWrongKEK)
	require.ErrorContains(t, err, "keys/a: backup: the key encryption key does not open this repository")
}

func TestMaliciousDamagedChunkIsNotRestored(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		exec(t, poolOf(t, db), "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(20))", "CREATE TABLE z (id INT PRIMARY KEY, v VARCHAR(20))",
			"INSERT INTO a VALUES (1, 'one'), (2, 'two')", "INSERT INTO z VALUES (1, 'one')")
		store, kek := backup.NewMemory(), backuptest.NewKEK(t)
		run(t, open(t, store, kek, sourceOf(t, db)))
		for _, key := range keysOf(t, store, "chunk/") {
			good := content(t, store, key)
			bad := bytes.Clone(good)
			bad[len(bad)-1] ^= 1
			replace(t, store, key, bad)
			to := testdb.New(t, db.Engine)
			_, err := open(t, store, kek, nil).Restore(t.Context(), backup.Newest, sourceOf(t, to), backup.RestoreOptions{})
			require.ErrorIs(t, err, backup.ErrDamaged)
			require.ErrorContains(t, err, key)
			require.Empty(t, rowsOf(t, sourceOf(t, to)), "the target is as empty as before")
			replace(t, store, key, good)
		}
	})
}

func TestMaliciousSampleReadsLessAndStillCountsAll(t *testing.T) {
	store, kek := small(t)
	reads := 0
	w := &watched{Store: store, before: func(op, key string) error {
		if op == "get" && strings.HasPrefix(key, "chunk/") {
			reads++
		}
		return nil
	}}
	r := open(t, w, kek, nil)
	report, err := r.Verify(t.Context(), backup.Every, backup.VerifyOptions{Sample: 1e-12})
	require.NoError(t, err)
	require.True(t, report.OK)
	require.Zero(t, reads)
	require.NoError(t, store.Delete(t.Context(), keysOf(t, store, "chunk/")[0]))
	_, err = r.Verify(t.Context(), backup.Every, backup.VerifyOptions{Sample: 1e-12})
	require.ErrorIs(t, err, backup.ErrDamaged)
}

func TestMaliciousUnreachableIsNotDamaged(t *testing.T) {
	store, kek := small(t)
	for _, op := range []string{"get", "list"} {
		down := false
		w := &watched{Store: store, before: func(o, key string) error {
			if down && o == op {
				return errors.New("the network is down")
			}
			return nil
		}}
		r := open(t, w, kek, nil)
		down = true
		report, err := r.Verify(t.Context(), backup.Every, backup.VerifyOptions{})
		require.ErrorContains(t, err, "the network is down")
		require.NotErrorIs(t, err, backup.ErrDamaged)
		require.False(t, report.OK, "not looked at is not good")
	}
}
