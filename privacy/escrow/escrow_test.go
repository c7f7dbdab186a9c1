package escrow_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/escrow"
)

func TestALostKEKIsRecovered(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		path := filepath.Join(t.TempDir(), "crm.escrow")
		require.NoError(t, h.seal(t, 2).Write(path))
		e, err := escrow.Read(path)
		require.NoError(t, err)

		// The KMS is gone: no vault opens the database any more.
		fresh := newKEK(t)
		lost := db.Reopen(t)
		require.ErrorIs(t, start(t, lost, fresh), privacy.ErrKey)

		target := escrow.Database{DB: lost.DB, Record: h.log}
		before := keyTable(t, lost.DB)
		report, err := escrow.Drill(t.Context(), target, e, h.people[2], h.people[0])
		require.NoError(t, err)
		require.True(t, report.Covers())
		require.Equal(t, 2, report.Tenants)
		require.EqualValues(t, 4, report.Persons)
		require.Equal(t, []string{h.people[0].String(), h.people[2].String()}, report.By)
		require.Equal(t, before, keyTable(t, lost.DB), "a drill writes nothing")

		report, err = escrow.Recover(t.Context(), target, e, escrow.Recovery{KEK: fresh}, h.people[1], h.people[2])
		require.NoError(t, err)
		require.Equal(t, 3, report.Changed, "two tenants and the check value")

		again := db.Reopen(t)
		require.NoError(t, start(t, again, fresh))
		for _, tenant := range []string{"north", "south"} {
			name, err := find(t, again, tenant)
			require.NoError(t, err)
			require.Equal(t, "王小明", name)
			add(t, again, tenant, "3")
		}
		require.ErrorIs(t, start(t, db.Reopen(t), h.kek), privacy.ErrKey, "the old KEK opens nothing any more")
		require.Len(t, h.log.lines, 3)
		for i, want := range []string{"escrow.seal", "escrow.drill", "escrow.recover"} {
			require.Contains(t, h.log.lines[i], want)
			require.Contains(t, h.log.lines[i], e.Digest())
		}
	})
}

func TestEveryThresholdOpensWithEverySubset(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	for k := 1; k <= 3; k++ {
		e := h.seal(t, k)
		for mask := range 1 << 3 {
			var some []*escrow.Identity
			for i, p := range h.people {
				if mask>>i&1 == 1 {
					some = append(some, p)
				}
			}
			_, err := escrow.Drill(t.Context(), h.target, e, some...)
			if len(some) >= k {
				require.NoError(t, err, "%d of %b", k, mask)
			} else {
				require.ErrorIs(t, err, escrow.ErrRecipients, "%d of %b", k, mask)
			}
		}
	}
}

func TestEightRecipients(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	h.people = identities(t, "a", "b", "c", "d", "e", "f", "g", "h")
	e := h.seal(t, 4)
	require.Equal(t, 70, strings.Count(string(e.Text()), "\nbox: "))
	require.Less(t, len(e.Text()), 1<<20)
	_, err := escrow.Drill(t.Context(), h.target, e, h.people[7], h.people[2], h.people[5], h.people[0])
	require.NoError(t, err)
	h.people = identities(t, "a", "b", "c", "d", "e", "f", "g", "h", "i")
	_, err = escrow.Seal(t.Context(), h.target, h.kek, h.plan(4))
	require.ErrorContains(t, err, "9 recipients; there must be 1 to 8")
}

func TestWrongAndTooFewRecipients(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 2)
	stranger := identities(t, "ana")[0]
	for name, who := range map[string][]*escrow.Identity{
		"nobody":                  nil,
		"one of two":              {h.people[0]},
		"the same one twice":      {h.people[0], h.people[0]},
		"one and a stranger":      {h.people[0], stranger},
		"a stranger of that name": {stranger, stranger},
		"enough and a stranger":   {h.people[0], h.people[1], stranger},
	} {
		_, err := escrow.Drill(t.Context(), h.target, e, who...)
		require.ErrorIs(t, err, escrow.ErrRecipients, name)
		require.ErrorContains(t, err, h.people[2].Recipient().Fingerprint(), "it says to whom the escrow was sealed")
		_, err = escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: newKEK(t), AcceptLoss: true}, who...)
		require.ErrorIs(t, err, escrow.ErrRecipients, name)
	}
}

func TestPlansThatAreRefused(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	ana, ben := h.people[0].Recipient(), h.people[1].Recipient()
	same, err := escrow.ParseRecipient(strings.Replace(ana.String(), " ana ", " anna ", 1))
	require.NoError(t, err)
	for want, p := range map[string]escrow.Plan{
		"0 recipients":            {Threshold: 1},
		"threshold 0":             {Recipients: []escrow.Recipient{ana}},
		"threshold 3":             {Recipients: []escrow.Recipient{ana, ben}, Threshold: 3},
		"named ana":               {Recipients: []escrow.Recipient{ana, ana}, Threshold: 1},
		"would count twice":       {Recipients: []escrow.Recipient{ana, same}, Threshold: 2},
		"a recipient has no key;": {Recipients: []escrow.Recipient{{}}, Threshold: 1},
	} {
		_, err := escrow.Seal(t.Context(), h.target, h.kek, p)
		require.ErrorContains(t, err, want)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	seal := func(d escrow.Database, kek tink.AEADWithContext) error {
		_, err := escrow.Seal(t.Context(), d, kek, h.plan(1))
		return err
	}
	require.ErrorContains(t, seal(escrow.Database{Record: h.log}, h.kek), "Database.DB is missing")
	require.ErrorContains(t, seal(escrow.Database{DB: h.db.DB}, h.kek), "privacy.Discard")
	require.ErrorContains(t, seal(h.target, nil), "the KEK is missing")
	require.ErrorIs(t, seal(h.target, newKEK(t)), privacy.ErrKey)
	h.log.fail = true
	require.ErrorContains(t, seal(h.target, h.kek), "not handed out")
	h.log.fail = false
	e := h.seal(t, 1)
	_, err := escrow.Recover(t.Context(), h.target, e, escrow.Recovery{}, h.people[0])
	require.ErrorContains(t, err, "Recovery.KEK is missing")
	before := keyTable(t, h.db.DB)
	h.log.fail = true
	_, err = escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: newKEK(t)}, h.people[0])
	require.ErrorContains(t, err, "nothing was changed")
	_, err = escrow.Drill(t.Context(), h.target, e, h.people[0])
	require.ErrorContains(t, err, "could not be recorded")
	require.Equal(t, before, keyTable(t, h.db.DB))
}

func TestAStaleEscrowIsNoticed(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 1)
	report, err := escrow.Status(t.Context(), h.target, e)
	require.NoError(t, err)
	require.True(t, report.Covers())
	require.Equal(t, 2, report.Tenants)
	add(t, h.db, "north", "9") // a person's key is under the tenant's: that is covered
	add(t, h.db, "west", "1")
	want := []escrow.Gap{{Tenant: "west", Why: escrow.NotSealed}}
	report, err = escrow.Status(t.Context(), h.target, e)
	require.NoError(t, err)
	require.Equal(t, want, report.Gaps)
	require.Contains(t, report.String(), `tenant "west": made after the escrow was sealed`)
	before := keyTable(t, h.db.DB)
	report, err = escrow.Drill(t.Context(), h.target, e, h.people[0])
	require.ErrorIs(t, err, escrow.ErrNotCovered)
	require.Equal(t, want, report.Gaps)
	require.EqualValues(t, 5, report.Persons)
	_, err = escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: newKEK(t)}, h.people[0])
	require.ErrorIs(t, err, escrow.ErrNotCovered)
	require.Equal(t, before, keyTable(t, h.db.DB), "no half recovery")

	fresh := newKEK(t)
	report, err = escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: fresh, AcceptLoss: true}, h.people[0])
	require.NoError(t, err)
	require.Equal(t, 3, report.Changed)
	again := h.db.Reopen(t)
	require.NoError(t, start(t, again, fresh))
	_, err = find(t, again, "north")
	require.NoError(t, err)
	_, err = find(t, again, "west")
	require.ErrorIs(t, err, privacy.ErrKey)

	report, err = escrow.Status(t.Context(), escrow.Database{DB: again.DB, Record: h.log}, e)
	require.NoError(t, err)
	require.Contains(t, report.Gaps, escrow.Gap{Tenant: "north", Why: escrow.Changed})
}

// Two databases with tenants of the same name: the keys of one do not open the other, and never get in.
func TestSwappedDatabases(t *testing.T) {
	a, b := newHouse(t, testdb.New(t, testdb.SQLite)), newHouse(t, testdb.New(t, testdb.SQLite))
	e := a.seal(t, 1)
	before := keyTable(t, b.db.DB)
	report, err := escrow.Drill(t.Context(), b.target, e, a.people[0])
	require.ErrorIs(t, err, escrow.ErrNotCovered)
	require.Equal(t, []escrow.Gap{{Tenant: "north", Why: escrow.OtherKeys}, {Tenant: "south", Why: escrow.OtherKeys}}, report.Gaps)
	_, err = escrow.Recover(t.Context(), b.target, e, escrow.Recovery{KEK: newKEK(t), AcceptLoss: true}, a.people[0])
	require.ErrorIs(t, err, escrow.ErrNotCovered, "not even with the loss accepted: it would lose everything")
	require.Equal(t, before, keyTable(t, b.db.DB))
}

// A person's key that was put there by somebody else does not open under the tenant's, and is counted.
func TestPersonsThatDoNotOpenAreCounted(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 1)
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	_, err = pool.Exec("UPDATE confide_subject_keys SET wrapped = (SELECT wrapped FROM confide_subject_keys WHERE tenant = 'south' AND subject = 'customer:south1') WHERE subject = 'customer:north1'")
	require.NoError(t, err)
	report, err := escrow.Drill(t.Context(), h.target, e, h.people[0])
	require.ErrorIs(t, err, escrow.ErrNotCovered)
	require.Equal(t, []escrow.Gap{{Tenant: "north", Why: escrow.NewPersons, Persons: 1}}, report.Gaps)
	require.EqualValues(t, 3, report.Persons)
	require.Contains(t, report.String(), "1 persons whose keys")
}

func TestAnOlderDatabaseIsRecoveredAndSaysSo(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 1)
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	for _, table := range []string{"confide_tenant_keys", "confide_subject_keys"} {
		_, err = pool.Exec("DELETE FROM " + table + " WHERE tenant = 'south'")
		require.NoError(t, err)
	}
	report, err := escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: newKEK(t)}, h.people[0])
	require.NoError(t, err)
	require.Equal(t, []escrow.Gap{{Tenant: "south", Why: escrow.Gone}}, report.Gaps)
	require.Equal(t, 2, report.Changed)
}

// A data key that was rotated is not in an escrow of before: while it is announced nothing is under it, and when
// it is in use the escrow does not open the tenant any more and must not be recovered from.
func TestARotatedDataKeyMakesTheEscrowStale(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 1)
	clock := time.Now()
	db := h.db.Reopen(t)
	v, err := startAt(t, db, h.kek, func() time.Time { return clock })
	require.NoError(t, err)
	rotation, err := v.Rotate(in("north"), db.DB, privacy.DataKey, privacy.RotateOptions{})
	require.NoError(t, err)
	require.Equal(t, privacy.Announced, rotation.Phase)

	report, err := escrow.Status(t.Context(), h.target, e)
	require.NoError(t, err)
	require.Equal(t, []escrow.Gap{{Tenant: "north", Why: escrow.Changed}}, report.Gaps)
	_, err = escrow.Drill(t.Context(), h.target, e, h.people[0])
	require.NoError(t, err, "nothing is under the announced key yet")

	clock = rotation.NotBefore.Add(time.Second)
	for rotation.Phase != privacy.Done {
		rotation, err = v.Rotate(in("north"), db.DB, privacy.DataKey, privacy.RotateOptions{})
		require.NoError(t, err)
	}
	report, err = escrow.Drill(t.Context(), h.target, e, h.people[0])
	require.ErrorIs(t, err, escrow.ErrNotCovered)
	require.Equal(t, []escrow.Gap{{Tenant: "north", Why: escrow.OtherKeys}}, report.Gaps)
	before := keyTable(t, h.db.DB)
	_, err = escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: newKEK(t)}, h.people[0])
	require.ErrorIs(t, err, escrow.ErrNotCovered)
	require.Equal(t, before, keyTable(t, h.db.DB))

	fresh := h.seal(t, 1)
	report, err = escrow.Drill(t.Context(), h.target, fresh, h.people[0])
	require.NoError(t, err)
	require.Equal(t, 2, report.Tenants)
}

// The KEK's own rotation changes what is stored, not what the escrow opens.
func TestARotatedKEKLeavesTheEscrowGood(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 1)
	kek := newKEK(t)
	_, err := escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: kek}, h.people[0])
	require.NoError(t, err)
	report, err := escrow.Drill(t.Context(), h.target, e, h.people[1])
	require.NoError(t, err)
	require.True(t, report.Covers())
	report, err = escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: newKEK(t)}, h.people[2])
	require.NoError(t, err, "and once more, when that KEK is lost too")
	require.Equal(t, 3, report.Changed)
}

// brokenKEK takes keys and does not give them back.
type brokenKEK struct{ tink.AEADWithContext }

func (brokenKEK) DecryptWithContext(context.Context, []byte, []byte) ([]byte, error) {
	return nil, errors.New("no answer")
}

func TestANewKEKThatDoesNotWorkChangesNothing(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 1)
	before := keyTable(t, h.db.DB)
	_, err := escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: brokenKEK{newKEK(t)}}, h.people[0])
	require.ErrorIs(t, err, privacy.ErrKey)
	require.Equal(t, before, keyTable(t, h.db.DB))
}

// racing changes a tenant's key between the proof and the change.
type racing struct {
	privacy.KeyRotator
	calls int
}

func (r *racing) Replace(ctx context.Context, db *gorm.DB, old privacy.StoredKey, wrapped []byte) (bool, error) {
	if r.calls++; r.calls == 2 {
		old.Wrapped = []byte("what it was a moment ago")
	}
	return r.KeyRotator.Replace(ctx, db, old, wrapped)
}

func TestRecoveryIsAllOrNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		e := h.seal(t, 1)
		before := keyTable(t, h.db.DB)
		h.target.Keys = &racing{KeyRotator: privacy.TableKeys().(privacy.KeyRotator)}
		_, err := escrow.Recover(t.Context(), h.target, e, escrow.Recovery{KEK: newKEK(t)}, h.people[0])
		require.ErrorContains(t, err, "it was changed meanwhile")
		require.Equal(t, before, keyTable(t, h.db.DB))
	})
}

// What does not open today must not go into an escrow as if it did.
func TestSealRefusesATenantWhoseKeysDoNotFit(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	_, err = pool.Exec("UPDATE confide_tenant_keys SET wrapped = (SELECT wrapped FROM confide_tenant_keys WHERE tenant = 'south' AND purpose = 'index') WHERE tenant = 'north' AND purpose = 'index'")
	require.NoError(t, err)
	_, err = escrow.Seal(t.Context(), h.target, h.kek, h.plan(1))
	require.ErrorIs(t, err, privacy.ErrKey)
	require.ErrorContains(t, err, `the index keyset of tenant "north" does not open`)
}
