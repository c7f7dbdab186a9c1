package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

func TestSampleFindsDamageAsOftenAsItSays(t *testing.T) {
	store, kek := backup.NewMemory(), backuptest.NewKEK(t)
	db := testdb.New(t, testdb.SQLite)
	for n := range 20 { // twenty chunks, one a table
		exec(t, poolOf(t, db), fmt.Sprintf("CREATE TABLE t%d (id INTEGER PRIMARY KEY)", n), fmt.Sprintf("INSERT INTO t%d VALUES (%d)", n, n))
	}
	run(t, open(t, store, kek, sourceOf(t, db)))
	keys := keysOf(t, store, "chunk/")
	require.Len(t, keys, 20)
	for _, key := range keys[:3] {
		bad := bytes.Clone(content(t, store, key))
		bad[len(bad)/2] ^= 1
		replace(t, store, key, bad)
	}
	r := open(t, store, kek, nil)
	found, said := 0, 0.0
	const rounds = 400
	for range rounds {
		report, err := r.Verify(t.Context(), backup.Newest, backup.VerifyOptions{Sample: 0.2})
		if err != nil {
			require.ErrorIs(t, err, backup.ErrDamaged)
			found++
		}
		require.Equal(t, 20, report.Chunks)
		said += report.Detects(3)
	}
	// The share found is that of a coin with the stated probability: five standard
	// deviations of 400 throws are at most 0.125.
	require.InDelta(t, said/rounds, float64(found)/rounds, 0.125)
	require.InDelta(t, 0.488, said/rounds, 0.1, "1 - 0.8^3")

	report := backup.Report{Chunks: 10, Read: 10}
	require.Equal(t, 1.0, report.Detects(1))
	require.Equal(t, 0.0, backup.Report{Chunks: 10}.Detects(10))
	require.InDelta(t, 0.5, backup.Report{Chunks: 10, Read: 5}.Detects(1), 1e-9)
	require.InDelta(t, 1-5.0/10*4/9, backup.Report{Chunks: 10, Read: 5}.Detects(2), 1e-9)
	require.Equal(t, 1.0, backup.Report{Chunks: 10, Read: 5}.Detects(6))
}

func TestAllPartsTogetherReadEveryChunk(t *testing.T) {
	db, store, kek := testdb.New(t, testdb.SQLite), backup.NewMemory(), backuptest.NewKEK(t)
	manyChunks(t, db, 6000)
	r := open(t, store, kek, sourceOf(t, db))
	run(t, r)
	_, err := r.Run(t.Context(), backup.RunOptions{Kind: backup.Incremental})
	require.NoError(t, err)
	read := map[string]int{}
	w := &watched{Store: store, before: func(op, key string) error {
		if op == "get" && strings.HasPrefix(key, "chunk/") {
			read[key]++
		}
		return nil
	}}
	total := 0
	for part := 1; part <= 5; part++ {
		before := len(read)
		report, err := open(t, w, kek, nil).Verify(t.Context(), backup.Newest, backup.VerifyOptions{Part: part, Parts: 5})
		require.NoError(t, err)
		require.Equal(t, report.Read, len(read)-before, "no part reads what another one reads")
		total += report.Read
	}
	require.Len(t, keysOf(t, store, "chunk/"), total)
	for key, n := range read {
		require.Equal(t, 1, n, key)
	}
	// A killed part is done again; damage in it is found in it.
	bad := keysOf(t, store, "chunk/")[0]
	object := bytes.Clone(content(t, store, bad))
	object[len(object)/2] ^= 1
	replace(t, store, bad, object)
	named := 0
	for part := 1; part <= 5; part++ {
		if _, err := r.Verify(t.Context(), backup.Newest, backup.VerifyOptions{Part: part, Parts: 5}); errors.Is(err, backup.ErrDamaged) {
			require.ErrorContains(t, err, bad)
			named++
		}
	}
	require.Equal(t, 1, named)
	for _, o := range []backup.VerifyOptions{{Part: 6, Parts: 5}, {Part: 0, Parts: 5}, {Parts: -1}} {
		_, err := r.Verify(t.Context(), backup.Newest, o)
		require.ErrorContains(t, err, "VerifyOptions.Part must be from 1 to Parts")
	}
}
