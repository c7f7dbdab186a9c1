package backup_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

// scratch makes throw-away databases and counts how many are still there.
func scratch(t testing.TB, engine string, open *int) func(context.Context) (backup.Scratch, error) {
	return func(context.Context) (backup.Scratch, error) {
		db := testdb.New(t, engine)
		*open++
		return backup.Scratch{DB: poolOf(t, db), Target: sourceOf(t, db), Engine: engine, Drop: func() error { *open--; return nil }}, nil
	}
}

// people is a promotion of a database whose customers can be erased.
func people(erased ...string) backup.Promotion {
	return backup.Promotion{
		Erasures: gone(erased),
		Erase: func(ctx context.Context, db *sql.DB, subject string) error {
			_, err := db.ExecContext(ctx, "UPDATE customer SET name = NULL, email = NULL WHERE id = "+subject)
			return err
		},
		Readable: func(ctx context.Context, db *sql.DB, subject string) (bool, error) {
			var n int
			err := db.QueryRowContext(ctx, "SELECT count(*) FROM customer WHERE (name IS NOT NULL OR email IS NOT NULL) AND id = "+subject).Scan(&n)
			return n > 0, err
		},
		Checks: []backup.Check{{Name: "invoices", Run: func(ctx context.Context, db *sql.DB) error {
			var n int
			err := db.QueryRowContext(ctx, "SELECT count(*) FROM invoice").Scan(&n)
			if err == nil && n != 60 {
				err = fmt.Errorf("there are %d invoices", n)
			}
			return err
		}}},
	}
}

func TestDrillProvesARestoreAndForgetsTheErased(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			_, store, kek, _ := shopped(t, engine)
			rec := &recorder{}
			r, err := backup.Open(t.Context(), backup.Config{Store: store, KEK: kek, DataSet: "crm", Record: rec})
			require.NoError(t, err)
			open := 0
			d, err := r.Drill(t.Context(), backup.DrillOptions{Scratch: scratch(t, engine, &open), Promotion: people("7", "9")})
			require.NoError(t, err)
			require.Zero(t, open, "the scratch database is dropped")
			require.True(t, d.OK)
			require.Equal(t, int64(2+20+60+120+20+1), d.Rows)
			require.Positive(t, d.RTO)
			require.Positive(t, d.RPO)
			require.Equal(t, "kek", d.Key)
			var names []string
			for _, s := range d.Steps {
				require.True(t, s.OK)
				names = append(names, s.Name)
			}
			require.Equal(t, []string{"chain", "scratch database", "restore", "erasure ledger", "canary", "check invoices", "recovery time", "recovery point"}, names)
			require.Equal(t, "backup.drill", rec.events[len(rec.events)-1])
			drills, err := r.Drills(t.Context())
			require.NoError(t, err)
			require.Equal(t, []backup.Drill{d}, drills)
			requireWhole(t, store, kek)
		})
	}
}

func TestDrillOfABrokenBackupFails(t *testing.T) {
	_, origin, kek, _ := shopped(t, testdb.SQLite)
	for what, c := range map[string]struct {
		harm func(t *testing.T, store *backup.Memory, o *backup.DrillOptions)
		step string
		text string
	}{
		"a chunk is gone": {func(t *testing.T, s *backup.Memory, _ *backup.DrillOptions) {
			require.NoError(t, s.Delete(t.Context(), keysOf(t, s, "chunk/")[0]))
		}, "chain", "missing: a chunk of a snapshot"},
		"a chunk is changed": {func(t *testing.T, s *backup.Memory, _ *backup.DrillOptions) {
			key := keysOf(t, s, "chunk/")[0]
			bad := content(t, s, key)
			bad[len(bad)/2] ^= 1
			replace(t, s, key, bad)
		}, "restore", "backup: repository is damaged"},
		"the store is rolled back": {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) {
			o.Heads = []backup.Head{{ID: 2, Hash: strings.Repeat("0", 64)}}
		}, "chain", "the store shows an older state"},
		"an erased person comes back": {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) {
			o.Promotion.Erase = func(context.Context, *sql.DB, string) error { return nil }
		}, "canary", "the person of entry 1 of the ledger can be read"},
		"the ledger is an old one": {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) {
			o.Promotion.AtLeast = 2
		}, "erasure ledger", "it has 1 entries and is known to have 2"},
		"there is no ledger": {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) { o.Promotion.Erasures = nil }, "", "the promotion has no erasure ledger"},
		"a check fails": {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) {
			o.Promotion.Checks[0].Run = func(context.Context, *sql.DB) error { return errors.New("no money") }
		}, "check invoices", "no money"},
		"it takes too long": {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) { o.RTO = 1 }, "recovery time", "restoring took"},
		"it is too old":     {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) { o.RPO = 1 }, "recovery point", "the newest snapshot has an age of"},
		"no database": {func(t *testing.T, s *backup.Memory, o *backup.DrillOptions) {
			o.Scratch = func(context.Context) (backup.Scratch, error) { return backup.Scratch{}, errors.New("no room") }
		}, "scratch database", "no room"},
	} {
		t.Run(what, func(t *testing.T) {
			store, open := clone(t, origin), 0
			opts := backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &open), Promotion: people("7")}
			c.harm(t, store, &opts)
			r, err := backup.Open(t.Context(), backup.Config{Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard})
			require.NoError(t, err)
			d, err := r.Drill(t.Context(), opts)
			require.ErrorContains(t, err, c.text)
			require.ErrorContains(t, err, "drill of snapshot 1 failed: "+c.step)
			require.False(t, d.OK)
			require.Zero(t, open)
			if c.step != "" {
				last := d.Steps[len(d.Steps)-1]
				require.Equal(t, c.step, last.Name)
				require.False(t, last.OK)
			}
			drills, err := r.Drills(t.Context())
			require.NoError(t, err)
			require.Equal(t, []backup.Drill{d}, drills, "failures are kept too")
		})
	}
}

func TestDrillUsesTheRecoveryKey(t *testing.T) {
	db, store, kek := testdb.New(t, testdb.SQLite), backup.NewMemory(), backuptest.NewKEK(t)
	shop(t, db)
	to, private := recipient(t, "safe")
	cfg := backup.Config{Source: sourceOf(t, db), Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard, Recipients: []backup.Recipient{to}}
	r, err := backup.Open(t.Context(), cfg)
	require.NoError(t, err)
	run(t, r)
	open := 0
	opts := backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &open), Promotion: people()}
	_, err = r.Drill(t.Context(), opts)
	require.ErrorContains(t, err, "set Config.Recovery to the private key", "the writer cannot read")
	cfg.Recovery = private
	r, err = backup.Open(t.Context(), cfg)
	require.NoError(t, err)
	d, err := r.Drill(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, "recovery", d.Key)
	require.Equal(t, backup.ID(2), d.Number)
}

func TestMaliciousDrillReportsAreNamed(t *testing.T) {
	_, store, kek, _ := shopped(t, testdb.SQLite)
	r, open := openRepository(t, store, kek), 0
	for range 3 {
		_, err := r.Drill(t.Context(), backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &open), Promotion: people()})
		require.NoError(t, err)
	}
	requireWhole(t, store, kek)
	keys := keysOf(t, store, "drill/")
	require.Len(t, keys, 3)
	good := content(t, store, keys[1])
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 1 << (i % 8)
		replace(t, store, keys[1], bad)
		requireNamed(t, store, kek, keys[1], fmt.Sprintf("byte %d of a drill report", i))
		if i%50 == 0 {
			_, err := r.Drills(t.Context())
			require.ErrorIs(t, err, backup.ErrDamaged)
			_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 1})
			require.ErrorIs(t, err, backup.ErrDamaged, "nothing is pruned while it is not known what was proven")
		}
	}
	require.NoError(t, store.Delete(t.Context(), keys[1]))
	requireNamed(t, store, kek, keys[1], "a hidden report")
	replace(t, store, keys[1], content(t, store, keys[0]))
	requireNamed(t, store, kek, keys[1], "an older report in its place")
	replace(t, store, keys[1], good)
	requireWhole(t, store, kek)
	// What was drilled does not show.
	for _, key := range keys {
		require.NotContains(t, string(content(t, store, key)), "invoices")
	}
}

func TestRestoredDatabaseStaysInQuarantineUntilItIsPromoted(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			_, store, kek, _ := shopped(t, engine)
			to := testdb.New(t, engine)
			target, err := sqlsource.New(sqlsource.Config{DB: poolOf(t, to), Engine: engine, Quarantine: true})
			require.NoError(t, err)
			_, err = openRepository(t, store, kek).Restore(t.Context(), 1, target, backup.RestoreOptions{})
			require.NoError(t, err)
			in, err := target.Quarantined(t.Context())
			require.NoError(t, err)
			require.True(t, in)
			_, err = sourceOf(t, to).Snapshot(t.Context())
			require.ErrorContains(t, err, "the database is in quarantine after a restore")

			broken := people("7")
			broken.Erasures = gone{"7", "broken"}
			still := people("7")
			still.Erase = func(context.Context, *sql.DB, string) error { return nil }
			blind := people("7")
			blind.Readable = nil
			helpless := people("7")
			helpless.Erase = nil
			old := people("7")
			old.AtLeast = 2
			for text, p := range map[string]backup.Promotion{
				"the ledger does not open": broken, "can be read": still, "Promotion.Readable is nil": blind, "Promotion.Erase is nil": helpless,
				"it has 1 entries and is known to have 2": old, "has no erasure ledger": {},
			} {
				_, err := backup.Promote(t.Context(), poolOf(t, to), target, backup.Discard, p)
				require.ErrorContains(t, err, "backup: not promoted: ")
				require.ErrorContains(t, err, text)
				in, err = target.Quarantined(t.Context())
				require.NoError(t, err)
				require.True(t, in, text)
			}
			_, err = backup.Promote(t.Context(), poolOf(t, to), target, &recorder{fail: true}, people("7"))
			require.ErrorContains(t, err, "log is full")
			rec := &recorder{}
			steps, err := backup.Promote(t.Context(), poolOf(t, to), target, rec, people("7"))
			require.NoError(t, err)
			require.Len(t, steps, 3)
			require.Equal(t, []string{"backup.promote"}, rec.events)
			in, err = target.Quarantined(t.Context())
			require.NoError(t, err)
			require.False(t, in)
			require.Equal(t, "0", one(t, to, "SELECT count(*) FROM customer WHERE id = 7 AND name IS NOT NULL"))
			_, err = backup.Promote(t.Context(), poolOf(t, to), target, rec, people("7"))
			require.ErrorContains(t, err, "is not in quarantine")
		})
	}
}

func openRepository(t testing.TB, store backup.Store, kek tink.AEADWithContext) *backup.Repository {
	return open(t, store, kek, nil)
}
