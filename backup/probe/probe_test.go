package probe_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/probe"
)

// bucket is a store with retention, and with lies.
type bucket struct {
	*backup.Memory
	mu    sync.Mutex
	until map[string]time.Time

	denies      bool // delete
	denyError   error
	swallows    bool // deletes are acknowledged and not done
	unlocked    bool // retention is acknowledged and ignored by deletes
	forgets     bool // retention is acknowledged and not kept
	shortens    bool
	overwrites  bool
	everyoneWon bool
	flips       bool
	staleList   bool
	wholeRange  bool
	missing     error
}

func newBucket() *bucket {
	return &bucket{Memory: backup.NewMemory(), until: map[string]time.Time{}}
}

func (b *bucket) Put(ctx context.Context, key string, data []byte) error {
	err := b.Memory.Put(ctx, key, data)
	switch {
	case b.overwrites && errors.Is(err, fs.ErrExist):
		b.Memory.Delete(ctx, key)
		return b.Memory.Put(ctx, key, data)
	case b.everyoneWon && len(data) > 6 && string(data[:6]) == "writer":
		return nil
	}
	return err
}

func (b *bucket) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if b.wholeRange {
		offset, length = 0, -1
	}
	data, err := b.Memory.Get(ctx, key, offset, length)
	if b.flips && len(data) > 100 {
		data[100] ^= 1
	}
	if errors.Is(err, fs.ErrNotExist) && b.missing != nil {
		err = b.missing
	}
	return data, err
}

func (b *bucket) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	if !b.staleList {
		return b.Memory.List(ctx, prefix, after)
	}
	return func(yield func(backup.Object, error) bool) {
		var all []backup.Object
		for o := range b.Memory.List(ctx, prefix, after) {
			all = append(all, o)
		}
		for _, o := range all[:max(0, len(all)-1)] {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.denyError != nil:
		return b.denyError
	case b.denies, !b.unlocked && time.Now().Before(b.until[key]):
		return fmt.Errorf("bucket: delete %s: %w", key, fs.ErrPermission)
	case b.swallows:
		return nil
	}
	return b.Memory.Delete(ctx, key)
}

func (b *bucket) Retain(_ context.Context, key string, until time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shortens && until.Before(b.until[key]) {
		return fs.ErrPermission
	}
	if !b.forgets {
		b.until[key] = until
	}
	return nil
}

func (b *bucket) RetainedUntil(_ context.Context, key string) (time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until[key], nil
}

func TestAnHonestBucketIsProven(t *testing.T) {
	b := newBucket()
	report, err := probe.Run(t.Context(), b, probe.Config{Lock: time.Hour})
	require.NoError(t, err)
	require.True(t, report.Safe())
	for _, f := range report.Findings {
		want := probe.Proven
		if f.Promise == probe.RefusesDelete {
			want = probe.Refuted // this one can delete
		}
		require.Equal(t, want, f.Verdict, "%s: %s", f.Promise, f.Detail)
	}
	require.Contains(t, report.String(), "proven      of racing writers one wins: 4 races of 16 writers, each with one winner\n")
	require.Len(t, names(t, b), 1, "all but the object under retention is deleted again")
}

func TestAStoreWithoutRetentionSaysSo(t *testing.T) {
	report, err := probe.Run(t.Context(), backup.NewMemory(), probe.Config{Lock: time.Hour})
	require.NoError(t, err)
	require.True(t, report.Safe())
	require.Equal(t, probe.NotTested, report.Of(probe.LockHolds))
	report, err = probe.Run(t.Context(), newBucket(), probe.Config{})
	require.NoError(t, err)
	require.Equal(t, probe.NotTested, report.Of(probe.LockGrows))
}

func TestCredentialsThatCannotDeleteAreProvenSo(t *testing.T) {
	b := newBucket()
	b.denies = true
	report, err := probe.Run(t.Context(), b, probe.Config{})
	require.NoError(t, err)
	require.True(t, report.Safe())
	require.Equal(t, probe.Proven, report.Of(probe.RefusesDelete))
	require.Equal(t, probe.Refuted, report.Of(probe.Deletes))
	left := names(t, b)
	require.NotEmpty(t, left)
	for _, key := range left {
		require.Contains(t, key, backup.ProbePrefix)
	}
}

func TestEveryLieIsRefuted(t *testing.T) {
	for _, c := range []struct {
		lie     string
		tell    func(b *bucket)
		refuted []probe.Promise
	}{
		{"overwrites", func(b *bucket) { b.overwrites = true }, []probe.Promise{probe.PutIfAbsent, probe.OneWinner, probe.LockHolds}},
		{"lets all racers win", func(b *bucket) { b.everyoneWon = true }, []probe.Promise{probe.OneWinner}},
		{"gives other bytes", func(b *bucket) { b.flips = true }, []probe.Promise{probe.ReadAfterWrite}},
		{"ignores ranges", func(b *bucket) { b.wholeRange = true }, []probe.Promise{probe.ReadAfterWrite}},
		{"lists late", func(b *bucket) { b.staleList = true }, []probe.Promise{probe.ListAfterWrite}},
		{"has another error for what is missing", func(b *bucket) { b.missing = errors.New("404") }, []probe.Promise{probe.Missing}},
		{"says forbidden of what is missing", func(b *bucket) { b.missing = fs.ErrPermission }, []probe.Promise{probe.Missing}},
		{"acknowledges deletes", func(b *bucket) { b.swallows = true }, []probe.Promise{probe.Deletes, probe.RefusesDelete}},
		{"fails to delete in some way", func(b *bucket) { b.denyError = errors.New("500") }, []probe.Promise{probe.Deletes, probe.RefusesDelete, probe.LockHolds}},
		{"takes a lock and deletes", func(b *bucket) { b.unlocked = true }, []probe.Promise{probe.LockHolds}},
		{"takes a lock and forgets it", func(b *bucket) { b.forgets = true }, []probe.Promise{probe.LockHolds, probe.LockGrows}},
		{"shortens a lock", func(b *bucket) { b.shortens = true }, []probe.Promise{probe.LockGrows}},
	} {
		t.Run(c.lie, func(t *testing.T) {
			b := newBucket()
			c.tell(b)
			report, err := probe.Run(t.Context(), b, probe.Config{Lock: time.Hour})
			require.NoError(t, err)
			for _, p := range c.refuted {
				require.Equal(t, probe.Refuted, report.Of(p), "%s\n%s", p, report)
			}
			if b.everyoneWon {
				require.Contains(t, report.String(), "16 of 16 racing writers were told that they won")
			}
			needed := slices.ContainsFunc(c.refuted, func(p probe.Promise) bool {
				return slices.Contains([]probe.Promise{probe.PutIfAbsent, probe.OneWinner, probe.ReadAfterWrite, probe.ListAfterWrite, probe.Missing}, p)
			})
			require.Equal(t, !needed, report.Safe())
			for _, f := range report.Findings {
				require.NotContains(t, f.Detail, "%!")
			}
		})
	}
}

func TestWhatCannotBeProbedIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := probe.Run(ctx, backup.NewMemory(), probe.Config{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "probe: nothing can be put")

	// Cut short, it does not take its own end for the store's fault.
	ctx, cancel = context.WithCancel(t.Context())
	b := &cutting{bucket: newBucket(), cancel: cancel}
	report, err := probe.Run(ctx, b, probe.Config{Lock: time.Hour})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, report.Safe())
	for _, f := range report.Findings[1:] {
		require.Equal(t, probe.NotTested, f.Verdict, "%s: %s", f.Promise, f.Detail)
	}
}

// cutting ends the probe's context at the first race.
type cutting struct {
	*bucket
	cancel context.CancelFunc
}

func (c *cutting) Put(ctx context.Context, key string, data []byte) error {
	if len(data) > 6 && string(data[:6]) == "writer" {
		c.cancel()
	}
	return c.bucket.Put(ctx, key, data)
}

func names(t *testing.T, s backup.Store) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(t.Context(), "", "") {
		require.NoError(t, err)
		keys = append(keys, o.Key)
	}
	return keys
}
