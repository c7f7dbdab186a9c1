package backup_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mrand "math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/internal/testdb"
)

// dated is a repository with a clock.
type dated struct {
	*backup.Repository
	db    testdb.DB
	store *backup.Memory
	kek   tink.AEADWithContext
	now   time.Time
}

func newDated(t testing.TB) *dated {
	d := &dated{db: testdb.New(t, testdb.SQLite), store: backup.NewMemory(), kek: backuptest.NewKEK(t), now: time.Date(2024, 1, 1, 3, 0, 0, 0, time.UTC)}
	exec(t, poolOf(t, d.db), "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO a VALUES (1, 'one')")
	var err error
	d.Repository, err = backup.Open(t.Context(), backup.Config{Source: sourceOf(t, d.db), Store: d.store, KEK: d.kek, DataSet: "crm", Record: backup.Discard, Now: func() time.Time { return d.now }})
	require.NoError(t, err)
	return d
}

// daily makes a snapshot a day.
func (d *dated) daily(t testing.TB, days int, kind backup.Kind) {
	for range days {
		exec(t, poolOf(t, d.db), fmt.Sprintf("INSERT INTO a VALUES (%d, 'day')", d.now.Unix()))
		_, err := d.Run(t.Context(), backup.RunOptions{Kind: kind})
		require.NoError(t, err)
		d.now = d.now.AddDate(0, 0, 1)
	}
}

func (d *dated) ids(t testing.TB) (ids []backup.ID) {
	list, err := d.List(t.Context())
	require.NoError(t, err)
	for _, s := range list {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestGrandfatherFatherSon(t *testing.T) {
	d := newDated(t)
	d.daily(t, 70, backup.Incremental) // 1 January (Monday) to 10 March 2024
	pruned, err := d.Prune(t.Context(), backup.PruneOptions{Daily: 3, Weekly: 3, Monthly: 12, Yearly: 5})
	require.NoError(t, err)
	// Three days; the Sundays 25 February, 3 and 10 March; 31 January and 29 February.
	want := []backup.ID{31, 56, 60, 63, 68, 69, 70}
	require.Equal(t, want, d.ids(t))
	require.Len(t, pruned.Snapshots, 63)
	require.Empty(t, pruned.Denied)
	requireWhole(t, d.store, d.kek)
	for _, id := range want {
		restored(t, d.store, d.kek, id, testdb.SQLite)
	}
	_, err = d.Restore(t.Context(), 59, nil, backup.RestoreOptions{})
	require.ErrorIs(t, err, backup.ErrNoSnapshot)
	require.Len(t, keysOf(t, d.store, "manifest/"), len(want))
	require.Len(t, keysOf(t, d.store, "prune/"), 1)

	// The day of a snapshot depends on where one is.
	d = newDated(t)
	for _, hour := range []int{20, 25, 30} { // 20:00, 01:00 and 06:00 the next day
		d.now = time.Date(2024, 1, 1, hour, 0, 0, 0, time.UTC)
		_, err := d.Run(t.Context(), backup.RunOptions{})
		require.NoError(t, err)
	}
	other := clone(t, d.store)
	_, err = open(t, other, d.kek, nil).Prune(t.Context(), backup.PruneOptions{Daily: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"manifest/00000000000000000001", "manifest/00000000000000000003"}, keysOf(t, other, "manifest/"))
	_, err = d.Prune(t.Context(), backup.PruneOptions{Daily: 2, Location: time.FixedZone("", 5*3600)})
	require.NoError(t, err)
	require.Equal(t, []backup.ID{3}, d.ids(t), "east of there it is one day")

	// Again and again, with holes and a growing beginning.
	d = newDated(t)
	for range 12 {
		d.daily(t, 6, backup.Incremental)
		_, err := d.Prune(t.Context(), backup.PruneOptions{Keep: 2, Weekly: 2, Monthly: 1})
		require.NoError(t, err)
		requireWhole(t, d.store, d.kek)
	}
	require.LessOrEqual(t, len(d.ids(t)), 5)
}

func TestPruneKeepsWhatADrillHasProven(t *testing.T) {
	d := newDated(t)
	d.daily(t, 2, backup.Full)
	open := 0
	_, err := d.Drill(t.Context(), backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &open), Promotion: backup.Promotion{Erasures: backup.NobodyErased}})
	require.NoError(t, err)
	d.daily(t, 3, backup.Full)
	bad := backup.Promotion{Erasures: backup.NobodyErased, Checks: []backup.Check{{Name: "no", Run: people().Checks[0].Run}}}
	_, err = d.Drill(t.Context(), backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &open), Promotion: bad})
	require.Error(t, err)
	d.daily(t, 1, backup.Full)
	_, err = d.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Equal(t, []backup.ID{2, 6}, d.ids(t), "5 was drilled and failed")
	requireWhole(t, d.store, d.kek)
}

func TestGraceKeepsObjectsUntilItIsOver(t *testing.T) {
	d := newDated(t)
	d.daily(t, 4, backup.Full)
	before := keysOf(t, d.store, "chunk/")
	opts := backup.PruneOptions{Keep: 1, Grace: 36 * time.Hour}
	pruned, err := d.Prune(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, []backup.ID{1, 2, 3}, pruned.Snapshots)
	require.Equal(t, []backup.ID{1, 2, 3}, pruned.Pending)
	require.Equal(t, before, keysOf(t, d.store, "chunk/"))
	require.Equal(t, []backup.ID{4}, d.ids(t), "they count no more")
	requireWhole(t, d.store, d.kek)
	d.now = d.now.Add(35 * time.Hour)
	pruned, err = d.Prune(t.Context(), opts)
	require.NoError(t, err)
	require.Zero(t, pruned.Objects)
	require.Equal(t, before, keysOf(t, d.store, "chunk/"))
	d.now = d.now.Add(time.Hour)
	pruned, err = d.Prune(t.Context(), opts)
	require.NoError(t, err)
	require.Empty(t, pruned.Pending)
	require.Len(t, keysOf(t, d.store, "chunk/"), len(before)/4)
	require.Equal(t, []string{"manifest/00000000000000000004"}, keysOf(t, d.store, "manifest/"))
	requireWhole(t, d.store, d.kek)
	d.daily(t, 2, backup.Incremental)
	require.Equal(t, []backup.ID{4, 5, 6}, d.ids(t))
}

func TestPruneOfAStoreThatDeniesDeletes(t *testing.T) {
	d := newDated(t)
	d.daily(t, 3, backup.Full)
	locked := true
	w := &watched{Store: d.store, before: func(op, key string) error {
		if op == "delete" && locked && !strings.HasPrefix(key, "manifest/") {
			return fmt.Errorf("object lock: %w", fs.ErrPermission)
		}
		return nil
	}}
	r := open(t, w, d.kek, nil)
	pruned, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Len(t, pruned.Denied, 4, "two chunks and two data keys")
	requireWhole(t, d.store, d.kek)
	require.Equal(t, []backup.ID{3}, d.ids(t))
	locked = false
	pruned, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Empty(t, pruned.Denied)
	require.Equal(t, 4, pruned.Objects)
	require.Zero(t, requireWhole(t, d.store, d.kek).Leftover)
}

func TestMaliciousStoreHidesSnapshotsAmongPrunedOnes(t *testing.T) {
	d := newDated(t)
	d.daily(t, 15, backup.Full)
	_, err := d.Prune(t.Context(), backup.PruneOptions{Weekly: 3})
	require.NoError(t, err)
	require.Equal(t, []backup.ID{7, 14, 15}, d.ids(t))
	requireWhole(t, d.store, d.kek)
	for _, key := range keysOf(t, d.store, "manifest/") {
		s := clone(t, d.store)
		require.NoError(t, s.Delete(t.Context(), key))
		requireNamed(t, s, d.kek, key, "hidden")
		_, err := open(t, s, d.kek, nil).Prune(t.Context(), backup.PruneOptions{Keep: 1})
		require.ErrorIs(t, err, backup.ErrDamaged)
	}
	// Without the record, all that it removed is missing.
	s := clone(t, d.store)
	require.NoError(t, s.Delete(t.Context(), keysOf(t, s, "prune/")[0]))
	report := requireNamed(t, s, d.kek, "manifest/00000000000000000001", "the record hidden")
	require.Greater(t, len(report.Damage), 10)
	// A head that is known from elsewhere may be one that was pruned.
	report, err = open(t, d.store, d.kek, nil).Verify(t.Context(), backup.Newest, backup.VerifyOptions{Heads: []backup.Head{{ID: 9, Hash: strings.Repeat("ab", 32)}}})
	require.ErrorIs(t, err, backup.ErrDamaged)
	require.Equal(t, "rolled back", report.Damage[0].Kind)
	// Every byte of the record.
	record := keysOf(t, d.store, "prune/")[0]
	good := content(t, d.store, record)
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 1 << (i % 8)
		replace(t, d.store, record, bad)
		requireNamed(t, d.store, d.kek, record, fmt.Sprintf("byte %d of the record", i))
	}
	replace(t, d.store, record, good)
	requireWhole(t, d.store, d.kek)
}

func TestCrashOfAPruneWithHolesAndGrace(t *testing.T) {
	d := newDated(t)
	d.daily(t, 9, backup.Incremental)
	_, err := d.Prune(t.Context(), backup.PruneOptions{Keep: 6, Grace: 24 * time.Hour})
	require.NoError(t, err)
	d.daily(t, 3, backup.Incremental)
	opts := backup.PruneOptions{Keep: 1, Weekly: 2, Grace: time.Hour}
	for _, persisted := range []bool{false, true} {
		for at := 1; ; at++ {
			store := clone(t, d.store)
			w, _ := dying(store, at, persisted)
			r, err := backup.Open(t.Context(), backup.Config{Store: w, KEK: d.kek, DataSet: "crm", Record: backup.Discard, Now: func() time.Time { return d.now }})
			if err == nil {
				_, err = r.Prune(t.Context(), opts)
			}
			if err == nil {
				require.Greater(t, at, 20)
				break
			}
			require.ErrorIs(t, err, errKilled)
			requireWhole(t, store, d.kek)
			later, err := backup.Open(t.Context(), backup.Config{Store: store, KEK: d.kek, DataSet: "crm", Record: backup.Discard, Now: func() time.Time { return d.now.Add(2 * time.Hour) }})
			require.NoError(t, err)
			_, err = later.Prune(t.Context(), opts)
			require.NoError(t, err)
			if pruned, err := later.Prune(t.Context(), backup.PruneOptions{Keep: 1, Weekly: 2}); err != nil || pruned.Objects > 0 {
				// the grace of the second one, which began after the crash
				require.NoError(t, err)
			}
			report := requireWhole(t, store, d.kek)
			require.Equal(t, []backup.ID{7, 12}, report.Snapshots)
		}
	}
}

// TestPruneBesideRunsThatReuseChunks races prunes of every kind with incremental
// and differential runs, some of which are killed half way.
func TestPruneBesideRunsThatReuseChunks(t *testing.T) {
	t.Parallel()
	db, store, kek := testdb.New(t, testdb.SQLite), backup.NewMemory(), backuptest.NewKEK(t)
	manyChunks(t, db, 6000)
	pool := poolOf(t, db)
	run(t, open(t, store, kek, sourceOf(t, db)))
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	var work sync.WaitGroup
	var mu sync.Mutex
	made, killed, pruned := 0, 0, 0
	for range 2 {
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := pool.Exec(fmt.Sprintf("UPDATE big SET body = '%d' WHERE id = %d", mrand.Int(), mrand.IntN(6000))); err != nil {
					t.Errorf("update: %v", err)
				}
				w, _ := dying(store, 5+mrand.IntN(60), mrand.IntN(2) == 0)
				r, err := backup.Open(t.Context(), backup.Config{Source: sourceOf(t, db), Store: w, KEK: kek, DataSet: "crm", Record: backup.Discard})
				if err == nil {
					_, err = r.Run(t.Context(), backup.RunOptions{Kind: []backup.Kind{backup.Incremental, backup.Differential, backup.Full}[mrand.IntN(3)]})
				}
				mu.Lock()
				switch {
				case err == nil:
					made++
				case errors.Is(err, errKilled):
					killed++
				case !errors.Is(err, fs.ErrExist) && !errors.Is(err, backup.ErrDamaged) && !strings.Contains(err.Error(), "run again"):
					t.Errorf("run: %v", err)
				}
				mu.Unlock()
			}
		})
	}
	work.Go(func() {
		for ctx.Err() == nil {
			w, _ := dying(store, 5+mrand.IntN(200), mrand.IntN(2) == 0)
			r, err := backup.Open(t.Context(), backup.Config{Store: w, KEK: kek, DataSet: "crm", Record: backup.Discard})
			if err == nil {
				_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1 + mrand.IntN(2), Daily: mrand.IntN(2), Grace: time.Duration(mrand.IntN(2)) * time.Nanosecond, Limits: backup.Limits{Changed: 2, Gone: 2, Encrypted: 2}})
			}
			if err == nil {
				pruned++
			}
		}
	})
	work.Wait()
	require.Positive(t, made)
	require.Positive(t, killed)
	require.Positive(t, pruned)
	requireWhole(t, store, kek)
	want := rowsOf(t, sourceOf(t, db))
	s := run(t, open(t, store, kek, sourceOf(t, db)))
	require.Equal(t, want, rowsOf(t, sourceOf(t, restored(t, store, kek, s.ID, testdb.SQLite))))
	t.Logf("%d snapshots made, %d runs killed, %d prunes done", made, killed, pruned)
}

func TestCrashOfAProcessDuringPrune(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 3000)
	kek, cleartext := sharedKEK(t)
	dir := filepath.Join(t.TempDir(), "repository")
	store, err := dirstore.Open(t.Context(), dir)
	require.NoError(t, err)
	for range 4 {
		run(t, open(t, store, kek, sourceOf(t, db)))
	}
	kills := 0
	for at := 1; spawn(t, child{Keyset: cleartext, Dir: dir, Engine: db.Engine, DSN: db.DSN, Do: "prune", At: at, After: at%2 == 0}); at++ {
		kills++
		requireWhole(t, store, kek)
	}
	require.Greater(t, kills, 8)
	require.Equal(t, []backup.ID{3, 4}, requireWhole(t, store, kek).Snapshots)
	require.Zero(t, requireWhole(t, store, kek).Leftover)
}

func TestSignalsFreezeTheRetention(t *testing.T) {
	for what, c := range map[string]struct {
		change []string
		kind   string
		column string
	}{
		"everything encrypted": {nil, "encryption", "name"},
		"half is deleted":      {[]string{"DELETE FROM person WHERE id > 100"}, "mass deletion", ""},
		"everything changed":   {[]string{"UPDATE person SET name = 'the same for all of them'"}, "mass change", ""},
		"the table is gone":    {[]string{"DROP TABLE person"}, "mass deletion", ""},
	} {
		t.Run(what, func(t *testing.T) {
			db, store, kek := testdb.New(t, testdb.SQLite), backup.NewMemory(), backuptest.NewKEK(t)
			pool := poolOf(t, db)
			exec(t, pool, "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, sealed BLOB)", "CREATE TABLE small (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO small VALUES (1, 'x'), (2, 'y')")
			for id := range 200 {
				secret := make([]byte, 60)
				_, err := rand.Read(secret)
				require.NoError(t, err)
				_, err = pool.Exec("INSERT INTO person VALUES (?, ?, ?)", id, fmt.Sprintf("Person number %d of a long list of people, in Weiterstadt", id), secret)
				require.NoError(t, err)
			}
			r := open(t, store, kek, sourceOf(t, db))
			run(t, r)
			exec(t, pool, "UPDATE person SET name = name || '!' WHERE id < 50", "DELETE FROM person WHERE id > 180", "DELETE FROM small", "INSERT INTO person (id, name) SELECT id + 1000, name FROM person")
			run(t, r) // a lively day
			_, err := r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
			require.NoError(t, err)
			exec(t, pool, c.change...)
			for id := 0; c.change == nil && id < 2000; id++ {
				secret := make([]byte, 40)
				_, err := rand.Read(secret)
				require.NoError(t, err)
				_, err = pool.Exec("UPDATE person SET name = ? WHERE id = ?", secret, id)
				require.NoError(t, err)
			}
			s := run(t, r)
			_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
			var frozen *backup.FrozenError
			require.ErrorAs(t, err, &frozen)
			require.Contains(t, err.Error(), "snapshot 3: "+c.kind)
			found := false
			for _, signal := range frozen.Signals {
				require.Equal(t, "person", signal.Table)
				found = found || signal.Kind == c.kind && signal.Column == c.column
			}
			require.True(t, found, "%v", frozen.Signals)
			require.Len(t, keysOf(t, store, "manifest/"), 2)
			run(t, r)
			_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
			require.ErrorAs(t, err, &frozen, "it stays frozen when newer snapshots come")
			_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1, Accept: s.ID})
			require.NoError(t, err)
			require.Len(t, keysOf(t, store, "manifest/"), 1)
			requireWhole(t, store, kek)
		})
	}
}

func TestSignalsWithoutTheKeyOfTheRows(t *testing.T) {
	db, store, kek := testdb.New(t, testdb.SQLite), backup.NewMemory(), backuptest.NewKEK(t)
	to, _ := recipient(t, "safe")
	pool := poolOf(t, db)
	manyChunks(t, db, 500)
	r, err := backup.Open(t.Context(), backup.Config{Source: sourceOf(t, db), Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard, Recipients: []backup.Recipient{to}})
	require.NoError(t, err)
	run(t, r)
	exec(t, pool, "UPDATE big SET body = hex(randomblob(70))")
	run(t, r)
	_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.ErrorContains(t, err, `snapshot 2: encryption of`)
	exec(t, pool, "DELETE FROM big WHERE id < 250")
	run(t, r)
	signals, err := r.Signals(t.Context(), 2, 3, backup.Limits{})
	require.NoError(t, err)
	require.Equal(t, []backup.Signal{{Snapshot: 3, Table: "big", Kind: "mass deletion", Share: 0.5}}, signals)
}

func TestMaliciousForkBeforeAPrunedSnapshotIsNamed(t *testing.T) {
	d := newDated(t)
	d.daily(t, 6, backup.Full)
	fork := clone(t, d.store) // an older state, on which the application is made to go on
	run(t, open(t, fork, d.kek, sourceOf(t, d.db)))
	d.daily(t, 9, backup.Full)
	_, err := d.Prune(t.Context(), backup.PruneOptions{Weekly: 3})
	require.NoError(t, err)
	require.Equal(t, []backup.ID{7, 14, 15}, d.ids(t))
	for _, key := range append(keysOf(t, d.store, "chunk/00000000000000000007/"), keysOf(t, d.store, "datakey/00000000000000000007/")...) {
		require.NoError(t, d.store.Delete(t.Context(), key))
	}
	for _, key := range append(keysOf(t, fork, "chunk/00000000000000000007/"), keysOf(t, fork, "datakey/00000000000000000007/")...) {
		require.NoError(t, d.store.Put(t.Context(), key, content(t, fork, key)))
	}
	replace(t, d.store, "manifest/00000000000000000007", content(t, fork, "manifest/00000000000000000007"))
	report := requireNamed(t, d.store, d.kek, keysOf(t, d.store, "prune/")[0], "a fork under the pruned ones")
	require.Equal(t, "says that snapshot 8 followed another one", report.Damage[0].Detail)
}
