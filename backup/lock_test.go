package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/retry"
	"github.com/confide-go/confide/internal/testdb"
)

const month = 30 * 24 * time.Hour

// A locker is a store with object lock and a clock of its own.
type locker struct {
	*watched
	mu    sync.Mutex
	now   time.Time
	until map[string]time.Time
	lies  func(key string) bool // acknowledges and does not retain
}

func newLocker() *locker {
	return &locker{watched: &watched{Store: backup.NewMemory()}, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), until: map[string]time.Time{}}
}

func (v *locker) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

func (v *locker) pass(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = v.now.Add(d)
}

func (v *locker) Delete(ctx context.Context, key string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.now.Before(v.until[key]) {
		return fmt.Errorf("locker: delete %s: %w", key, fs.ErrPermission)
	}
	return v.Store.Delete(ctx, key)
}

func (v *locker) Retain(ctx context.Context, key string, until time.Time) error {
	return v.do("retain", key, func() error {
		if _, err := v.Store.Stat(ctx, key); err != nil {
			return err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if until.Before(v.until[key]) {
			return fs.ErrPermission
		}
		if v.lies == nil || !v.lies(key) {
			v.until[key] = until
		}
		return nil
	})
}

func (v *locker) RetainedUntil(ctx context.Context, key string) (until time.Time, err error) {
	err = v.do("retained", key, func() error {
		if _, err := v.Store.Stat(ctx, key); err != nil {
			return err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		until = v.until[key]
		return nil
	})
	return until, err
}

// unlocked are the objects that are not retained for so long from now.
func (v *locker) unlocked(t testing.TB, d time.Duration) (keys []string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, key := range keysOf(t, v.Store, "") {
		if v.until[key].Before(v.now.Add(d)) {
			keys = append(keys, key)
		}
	}
	return keys
}

// attack deletes all that can be deleted.
func (v *locker) attack(t testing.TB) {
	t.Helper()
	for _, key := range keysOf(t, v.Store, "") {
		if err := v.Delete(t.Context(), key); err != nil {
			require.ErrorIs(t, err, fs.ErrPermission)
		}
	}
}

func (v *locker) config(kek tink.AEADWithContext, source backup.Source) backup.Config {
	return backup.Config{Source: source, Store: v, KEK: kek, DataSet: "crm", Record: backup.Discard, Now: v.Now, Retain: month}
}

func (v *locker) run(t testing.TB, kek tink.AEADWithContext, source backup.Source, kind backup.Kind) (backup.Snapshot, error) {
	r, err := backup.Open(t.Context(), v.config(kek, source))
	if err != nil {
		return backup.Snapshot{}, err
	}
	return r.Run(t.Context(), backup.RunOptions{Kind: kind})
}

func TestRetainIsRefusedWhereItCannotBe(t *testing.T) {
	good := newLocker().config(backuptest.NewKEK(t), nil)
	for text, change := range map[string]func(*backup.Config){
		"Config.Retain is set and Config.Store cannot retain objects; use a store that can, such as s3store on a bucket with object lock, or leave Retain zero": func(c *backup.Config) { c.Store = backup.NewMemory() },
		"Config.Retain must be zero or at least a minute":   func(c *backup.Config) { c.Retain = -1 },
		"Config.Retain must be zero or at least a minute\n": func(c *backup.Config) { c.Retain = 30 },
	} {
		cfg := good
		change(&cfg)
		_, err := backup.Open(t.Context(), cfg)
		require.EqualError(t, err, "backup: "+strings.TrimSuffix(text, "\n"))
	}
	good.Store = retry.New(good.Store, retry.Config{})
	_, err := backup.Open(t.Context(), good)
	require.NoError(t, err, "found below a decorator")
}

// What a later snapshot shares with the first must outlive the first one's lock.
func TestASharedChunkIsLockedForTheNewestSnapshot(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		manyChunks(t, db, 8000) // more than one chunk, whatever the key of their boundaries
		v, kek, source := newLocker(), backuptest.NewKEK(t), sourceOf(t, db)
		_, err := v.run(t, kek, source, backup.Full)
		require.NoError(t, err)
		require.Empty(t, v.unlocked(t, month))
		v.pass(20 * 24 * time.Hour)
		exec(t, poolOf(t, db), "UPDATE other SET id = 2")
		second, err := v.run(t, kek, source, backup.Incremental)
		require.NoError(t, err)
		require.Equal(t, backup.Incremental, second.Kind)
		require.Positive(t, second.Work.Reused)
		want := rowsOf(t, source)

		v.pass(month - time.Second) // the locks of the first have ended
		v.attack(t)
		require.Len(t, keysOf(t, v.Store, "chunk/"), int(second.Work.Chunks+second.Work.Reused), "all that the second needs, and nothing else")
		to := restored(t, v.Store, kek, second.ID, db.Engine)
		require.Equal(t, want, rowsOf(t, sourceOf(t, to)))
		v.pass(36 * time.Hour)
		v.attack(t)
		require.Empty(t, keysOf(t, v.Store, ""), "and not locked for ever")
	})
}

func TestAManifestPromisesOnlyWhatIsLocked(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 3000)
	v, kek := newLocker(), backuptest.NewKEK(t)
	manifests := 0
	v.before = func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, "manifest/") {
			manifests++
			require.Empty(t, v.unlocked(t, month), "before it is written")
		}
		return nil
	}
	for range 2 {
		_, err := v.run(t, kek, sourceOf(t, db), backup.Incremental)
		require.NoError(t, err)
		v.pass(10 * 24 * time.Hour)
	}
	require.Equal(t, 2, manifests)
}

func TestLocksThatAreLongEnoughAreLeftAlone(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 9000)
	v, kek := newLocker(), backuptest.NewKEK(t)
	extended := map[string]int{}
	v.before = func(op, key string) error {
		if op == "retain" {
			extended[key]++
		}
		return nil
	}
	_, err := v.run(t, kek, sourceOf(t, db), backup.Incremental)
	require.NoError(t, err)
	all := len(keysOf(t, v.Store, ""))
	require.Len(t, extended, all)
	clear(extended)
	v.pass(time.Minute)
	_, err = v.run(t, kek, sourceOf(t, db), backup.Incremental)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"manifest/00000000000000000002": 1}, extended, "within the step, what is new only")
	clear(extended)
	v.pass(24 * time.Hour)
	_, err = v.run(t, kek, sourceOf(t, db), backup.Incremental)
	require.NoError(t, err)
	require.Contains(t, extended, keysOf(t, v.Store, "chunk/")[0])
	require.Empty(t, v.unlocked(t, month-24*time.Hour-time.Minute), "the first manifest stays as it is, the rest is extended")
	for key, until := range v.until {
		require.LessOrEqual(t, until.Sub(v.now), month+24*time.Hour, key)
	}
}

func TestFailingLocks(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO a VALUES (1, 'one')")
	source := sourceOf(t, db)
	timeout := errors.New("timeout")
	for _, prefix := range []string{"keys/a", "keys/b", "datakey/", "chunk/", "manifest/00000000000000000001", "manifest/00000000000000000002"} {
		for fault, inject := range map[string]func(v *locker, hit func(op, key string) bool){
			"retain fails": func(v *locker, hit func(op, key string) bool) {
				v.before = func(op, key string) error { return when(op == "retain" && hit(op, key), timeout) }
			},
			"reading fails": func(v *locker, hit func(op, key string) bool) {
				v.before = func(op, key string) error { return when(op == "retained" && hit(op, key), timeout) }
			},
			"reading back fails": func(v *locker, hit func(op, key string) bool) {
				asked := map[string]int{}
				v.before = func(op, key string) error {
					asked[op+key]++
					return when(op == "retained" && asked[op+key] == 2 && hit(op, key), timeout)
				}
			},
			"persisted": func(v *locker, hit func(op, key string) bool) {
				v.after = func(op, key string) error { return when(op == "retain" && hit(op, key), timeout) }
			},
			"lies": func(v *locker, hit func(op, key string) bool) {
				v.lies = func(key string) bool { return hit("retain", key) }
			},
			"gone": func(v *locker, hit func(op, key string) bool) {
				v.before = func(op, key string) error {
					if op == "retained" && hit(op, key) {
						return v.Store.Delete(t.Context(), key)
					}
					return nil
				}
			},
		} {
			t.Run(fault+" "+prefix, func(t *testing.T) {
				v, kek := newLocker(), backuptest.NewKEK(t)
				_, err := v.run(t, kek, source, backup.Incremental)
				require.NoError(t, err)
				v.pass(5 * 24 * time.Hour)
				hits := 0
				inject(v, func(_, key string) bool {
					hit := strings.HasPrefix(key, prefix)
					if hit {
						hits++
					}
					return hit
				})
				s, err := v.run(t, kek, source, backup.Incremental)
				require.NotZero(t, hits)
				key := keysOf(t, newest(t, v, prefix), prefix)
				switch fault {
				case "persisted":
					require.NoError(t, err, "the store says that it is retained")
				case "lies":
					require.ErrorContains(t, err, "retain "+key[0]+": the store acknowledged and did not do it; run package probe")
				case "gone":
					require.ErrorIs(t, err, backup.ErrDamaged)
					require.ErrorContains(t, err, prefix)
					require.ErrorContains(t, err, ", which is to be retained, is missing")
				default:
					require.ErrorIs(t, err, timeout)
					require.ErrorContains(t, err, "retain "+key[0]+": timeout")
				}
				v.before, v.after, v.lies = nil, nil, nil
				own := strings.HasSuffix(prefix, "2")
				if own && err != nil {
					require.Equal(t, backup.ID(2), s.ID, "it exists, and is returned")
					require.ErrorContains(t, err, "backup: snapshot 2 exists, but its manifest is not retained until the next run has finished: ")
				}
				if !own && err != nil {
					require.Zero(t, s)
					require.Empty(t, keysOf(t, v.Store, "manifest/00000000000000000002"), "no manifest without its locks")
				}
				if fault == "gone" {
					return // nothing brings it back
				}
				requireWhole(t, v.Store, kek)
				_, err = v.run(t, kek, source, backup.Incremental)
				require.NoError(t, err)
				for _, key := range v.unlocked(t, month) {
					require.Equal(t, "manifest/00000000000000000001", key, "older than the one before")
				}
			})
		}
	}
}

// newest is the store, with what a fault has removed.
func newest(t testing.TB, v *locker, prefix string) backup.Store {
	t.Helper()
	if len(keysOf(t, v.Store, prefix)) > 0 {
		return v.Store
	}
	m := backup.NewMemory()
	require.NoError(t, m.Put(t.Context(), strings.TrimSuffix(prefix, "/"), nil))
	return m
}

func when(hit bool, err error) error {
	if hit {
		return err
	}
	return nil
}

func TestCrashAtEveryOperationOfARunThatLocks(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	chunksOf(t, db, 410, 1100)
	source := sourceOf(t, db)
	for _, persisted := range []bool{false, true} {
		for at := 1; ; at++ {
			v, kek := newLocker(), backuptest.NewKEK(t)
			_, err := v.run(t, kek, source, backup.Incremental)
			require.NoError(t, err)
			v.pass(5 * 24 * time.Hour)
			locked := maps.Clone(v.until)
			w, count := dying(nil, at, persisted)
			v.before, v.after = w.before, w.after
			_, err = v.run(t, kek, source, backup.Incremental)
			v.before, v.after = nil, nil
			name := fmt.Sprintf("operation %d, persisted %v", at, persisted)
			if err == nil {
				require.Greater(t, at, *count, name)
				require.Greater(t, at, 25, name)
				break
			}
			require.ErrorIs(t, err, errKilled, name)
			requireWhole(t, v.Store, kek)
			for key, until := range locked {
				require.False(t, v.until[key].Before(until), "%s: %s", name, key)
			}
			if len(keysOf(t, v.Store, "manifest/")) == 2 {
				for _, key := range v.unlocked(t, month) {
					require.Equal(t, "manifest/00000000000000000002", key, "%s: what a manifest names is locked", name)
				}
			}
			s, err := v.run(t, kek, source, backup.Incremental)
			require.NoError(t, err, name)
			for _, key := range v.unlocked(t, month) {
				require.Equal(t, s.ID-2, lastDigits(key), "%s: %s; the manifest before is locked by its successor", name, key)
			}
			requireWhole(t, v.Store, kek)
		}
	}
}

func lastDigits(key string) (id backup.ID) {
	fmt.Sscanf(key, "manifest/%d", &id)
	return id
}

func TestLocksAreSetSeveralAtOnceAndNotAllAtOnce(t *testing.T) {
	v, kek := newLocker(), backuptest.NewKEK(t)
	db := testdb.New(t, testdb.SQLite)
	for i := range 40 {
		exec(t, poolOf(t, db), fmt.Sprintf("CREATE TABLE t%d (id INTEGER PRIMARY KEY)", i), fmt.Sprintf("INSERT INTO t%d VALUES (%d)", i, i))
	}
	busy := &crowded{locker: v, full: make(chan struct{})}
	cfg := v.config(kek, sourceOf(t, db))
	cfg.Store = busy
	r, err := backup.Open(t.Context(), cfg)
	require.NoError(t, err)
	run(t, r)
	require.False(t, busy.over.Load())
	require.EqualValues(t, 16, busy.most.Load())
	require.Empty(t, v.unlocked(t, month))
}

// crowded lets nobody go before sixteen are there.
type crowded struct {
	*locker
	here, most atomic.Int64
	once       sync.Once
	full       chan struct{}
	over       atomic.Bool // more than sixteen
}

func (c *crowded) RetainedUntil(ctx context.Context, key string) (time.Time, error) {
	here := c.here.Add(1)
	defer c.here.Add(-1)
	for most := c.most.Load(); here > most && !c.most.CompareAndSwap(most, here); most = c.most.Load() {
	}
	switch here {
	case 16:
		c.once.Do(func() { time.AfterFunc(200*time.Millisecond, func() { close(c.full) }) }) // a 17th would come meanwhile
	case 17:
		c.over.Store(true)
	}
	select {
	case <-c.full:
	case <-ctx.Done():
	case <-time.After(20 * time.Second): // fewer at once: the test fails
		c.once.Do(func() { close(c.full) })
	}
	return c.locker.RetainedUntil(ctx, key)
}
