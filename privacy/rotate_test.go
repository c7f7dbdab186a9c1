package privacy_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// wait is how long a key must be announced with the defaults.
const wait = 2*5*time.Minute + time.Minute + time.Second

func openAt(t testing.TB, db testdb.DB, kek *countingKEK, c *clock) *house {
	return openHouse(t, db, kek, func(cfg *privacy.Config) { cfg.Now = c.Now })
}

// fill makes n customers with two invoices each.
func fill(t testing.TB, h *house, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprint(i)
		require.NoError(t, h.gorm().Create(customer(id, "Name "+id, "1380013"+fmt.Sprintf("%04d", i), id+"@example.com")).Error)
		require.NoError(t, h.gorm().Create(&[]Invoice{
			{ID: "a" + id, CustomerID: id, BillingName: privacy.New("Name " + id)}, {ID: "b" + id, CustomerID: id, BillingName: privacy.New("Name " + id)},
		}).Error)
	}
}

// whole checks that every value opens, every phone is found, and Doctor finds nothing.
func whole(t testing.TB, h *house, n int) {
	t.Helper()
	for i := range n {
		c, err := h.find("1380013" + fmt.Sprintf("%04d", i))
		require.NoError(t, err, "customer %d", i)
		require.Equal(t, fmt.Sprintf("Name %d", i), reveal(t, c.Name))
	}
	var invoices []Invoice
	require.NoError(t, h.gorm().Find(&invoices).Error)
	for _, v := range invoices {
		if state(t, h, "customer:"+v.CustomerID) == privacy.Erased {
			continue
		}
		require.Equal(t, "Name "+v.CustomerID, reveal(t, v.BillingName))
	}
	findings, err := h.vault.Doctor(h.ctx, h.db.DB)
	require.NoError(t, err)
	require.Empty(t, findings)
}

func (h *house) rotate(t testing.TB, kind privacy.KeyKind) privacy.Rotation {
	t.Helper()
	r, err := h.vault.Rotate(h.ctx, h.db.DB, kind, privacy.RotateOptions{Batch: 3})
	require.NoError(t, err)
	require.Empty(t, r.Failed)
	return r
}

func (h *house) retire(kind privacy.KeyKind) (privacy.Rotation, error) {
	return h.vault.Retire(h.ctx, h.db.DB, kind, privacy.RotateOptions{Batch: 3})
}

// states lists the states of a kind's keys, in their order.
func (h *house) states(t testing.TB, kind privacy.KeyKind) []string {
	t.Helper()
	list, err := h.vault.KeyStatus(h.ctx, h.db.DB)
	require.NoError(t, err)
	var out []string
	for _, s := range list {
		if s.Kind == kind {
			out = append(out, s.State)
		}
	}
	return out
}

// Another process with the keys of before in its cache finds, opens and writes through every step.
func TestRotateTenantKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			t.Run(string(kind), func(t *testing.T) {
				db, c, kek := db, newClock(), newKEK(t)
				if kind == privacy.IndexKey {
					db = testdb.New(t, db.Engine)
				}
				h, other := openAt(t, db, kek, c), openAt(t, db.Reopen(t), kek, c)
				const n = 8
				fill(t, h, n)
				whole(t, other, n)

				dry, err := h.vault.Rotate(h.ctx, db.DB, kind, privacy.RotateOptions{DryRun: true})
				require.NoError(t, err)
				require.Positive(t, dry.Left)
				require.Zero(t, dry.Changed)
				require.Equal(t, []string{"primary"}, h.states(t, kind), "a dry run changes nothing")

				r := h.rotate(t, kind)
				require.Equal(t, privacy.Announced, r.Phase)
				require.Equal(t, []string{"primary", "announced"}, h.states(t, kind))
				r = h.rotate(t, kind)
				require.Equal(t, privacy.Announced, r.Phase, "not before every process knows the key")
				_, err = h.retire(kind)
				require.ErrorIs(t, err, privacy.ErrRefused)
				require.NoError(t, h.gorm().Create(customer("w1", "Name w1", "13900000001", "w@example.com")).Error)
				_, err = other.find("13900000001")
				require.NoError(t, err, "found by a process that has not heard of the new key")

				c.pass(wait / 2)
				_, err = other.find("13900000001")
				require.NoError(t, err)
				require.Equal(t, privacy.Announced, h.rotate(t, kind).Phase)
				c.pass(wait/2 + time.Second)
				r = h.rotate(t, kind)
				require.Equal(t, privacy.Done, r.Phase)
				require.EqualValues(t, dry.Left+map[privacy.KeyKind]int64{privacy.DataKey: 1, privacy.IndexKey: 2}[kind], r.Changed)
				require.Equal(t, []string{"former", "primary"}, h.states(t, kind))
				whole(t, h, n)
				whole(t, other, n)

				// Its cache may say that the former key is the primary one: what is stored counts.
				require.NoError(t, other.gorm().Create(customer("w2", "Name w2", "13900000002", "v@example.com")).Error)
				_, err = h.find("13900000002")
				require.NoError(t, err)
				require.Zero(t, h.rotate(t, kind).Changed, "nothing was written under the former key")

				_, err = h.retire(kind)
				require.ErrorIs(t, err, privacy.ErrRefused, "a reader may still have only the former key")
				c.pass(wait)
				_, err = h.retire(kind)
				require.NoError(t, err)
				require.Equal(t, []string{"primary"}, h.states(t, kind))
				whole(t, h, n)
				whole(t, other, n)
				whole(t, openAt(t, db.Reopen(t), kek, c), n)
			})
		}
	})
}

func TestRotateSubjectKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c, kek := newClock(), newKEK(t)
		h, other := openAt(t, db, kek, c), openAt(t, db.Reopen(t), kek, c)
		const n = 7
		fill(t, h, n)
		_, err := h.vault.Erase(h.ctx, db.DB, "customer:6")
		require.NoError(t, err)
		var held Customer // read by a program before, saved after
		require.NoError(t, other.gorm().First(&held, "id = ?", "0").Error)
		box, invoice := h.stored(t, "customers", "phone", "0"), h.stored(t, "invoices", "billing_name", "a3")

		dry, err := h.vault.Rotate(h.ctx, db.DB, privacy.SubjectKeys, privacy.RotateOptions{DryRun: true})
		require.NoError(t, err)
		require.EqualValues(t, 6*5, dry.Left, "three cells of a customer and two of its invoices")
		r := h.rotate(t, privacy.SubjectKeys)
		require.Equal(t, privacy.Done, r.Phase)
		require.EqualValues(t, 6+6*5, r.Changed)
		require.NotEqual(t, box, h.stored(t, "customers", "phone", "0"))
		require.NotEqual(t, invoice, h.stored(t, "invoices", "billing_name", "a3"))
		whole(t, other, n-1)
		require.Zero(t, h.rotate(t, privacy.SubjectKeys).Changed, "once")

		require.Equal(t, "Name 0", reveal(t, held.Name), "what was read before still opens")
		require.NoError(t, other.gorm().Save(&held).Error)
		_, err = h.retire(privacy.SubjectKeys)
		require.ErrorContains(t, err, "call Retire again after")
		c.pass(wait)
		if bytes.Equal(box, h.stored(t, "customers", "phone", "0")) {
			_, err = h.retire(privacy.SubjectKeys)
			require.ErrorIs(t, err, privacy.ErrRefused, "the cell that was saved back is under the former key")
			require.ErrorContains(t, err, "still need the former key")
			require.EqualValues(t, 3, h.rotate(t, privacy.SubjectKeys).Changed)
		}
		_, err = h.retire(privacy.SubjectKeys)
		require.NoError(t, err)
		require.Equal(t, []string{"primary"}, h.states(t, privacy.SubjectKeys))
		whole(t, h, n-1)
		whole(t, other, n-1)
		require.NoError(t, other.gorm().Save(&held).Error, "a value that was read long ago is sealed again")
		whole(t, h, n-1)
		require.Equal(t, privacy.Erased, state(t, h, "customer:6"))
	})
}

// A person's former key that a cell needs is not dropped, even if the scan before did not see the cell.
func TestRetireLooksUnderTheLock(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c, kek := newClock(), newKEK(t)
		h := openAt(t, db, kek, c)
		fill(t, h, 3)
		box := h.stored(t, "invoices", "billing_name", "b2")
		h.rotate(t, privacy.SubjectKeys)
		c.pass(wait)
		pool, err := db.DB.DB()
		require.NoError(t, err)
		put := "UPDATE invoices SET billing_name = ? WHERE id = 'b2'"
		if db.Engine == testdb.Postgres {
			put = "UPDATE invoices SET billing_name = $1 WHERE id = 'b2'"
		}
		pages := 0
		_, err = h.vault.Retire(h.ctx, db.DB, privacy.SubjectKeys, privacy.RotateOptions{Progress: func(privacy.Rotation) {
			if pages++; pages == 2 { // both tables were looked at; somebody puts a cell of before back
				_, err := pool.Exec(put, box)
				require.NoError(t, err)
			}
		}})
		require.ErrorIs(t, err, privacy.ErrRefused)
		require.EqualValues(t, 1, h.rotate(t, privacy.SubjectKeys).Changed)
		_, err = h.retire(privacy.SubjectKeys)
		require.NoError(t, err)
		whole(t, h, 3)
	})
}

// Rows that came back from a backup are under the former keys.
func TestRetireRefusesWhileSomethingNeedsTheKey(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c, kek := newClock(), newKEK(t)
		h := openAt(t, db, kek, c)
		fill(t, h, 3)
		index := h.stored(t, "customers", "phone_index", "1")
		var wrapped []byte
		read := func(tx *gorm.DB) error {
			return tx.Raw("SELECT wrapped FROM confide_subject_keys WHERE subject = 'customer:1'").Row().Scan(&wrapped)
		}
		require.NoError(t, read(h.gorm()))
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			h.rotate(t, kind)
			c.pass(wait)
			h.rotate(t, kind)
			c.pass(wait)
		}
		pool, err := db.DB.DB()
		require.NoError(t, err)
		one, two := "?", "?"
		if db.Engine == testdb.Postgres {
			one, two = "$1", "$2"
		}
		_, err = pool.Exec("UPDATE confide_subject_keys SET wrapped = "+one+" WHERE subject = "+two, wrapped, "customer:1")
		require.NoError(t, err)
		_, err = pool.Exec("UPDATE customers SET phone_index = "+one+" WHERE id = "+two, index, "1")
		require.NoError(t, err)
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			r, err := h.retire(kind)
			require.ErrorIs(t, err, privacy.ErrRefused, kind)
			require.ErrorContains(t, err, "1 of ")
			require.EqualValues(t, 1, r.Left)
			require.EqualValues(t, 1, h.rotate(t, kind).Changed)
			_, err = h.retire(kind)
			require.NoError(t, err)
		}
		whole(t, h, 3)
	})
}

func TestRotateKEK(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		old, next, c := newKEK(t), newKEK(t), newClock()
		h := openAt(t, db, old, c)
		fill(t, h, 3)
		// First every process may open with both; then one after the other wraps with the new one.
		both := func(main, other *countingKEK) *house {
			return openHouse(t, db.Reopen(t), main, func(cfg *privacy.Config) {
				cfg.Now, cfg.OtherKEKs = c.Now, append(cfg.OtherKEKs, other)
			})
		}
		before, after := both(old, next), both(next, old)
		whole(t, before, 3)
		_, err := after.retire(privacy.KEKKeys)
		require.ErrorIs(t, err, privacy.ErrRefused)
		require.Equal(t, []string{"primary", "former"}, after.states(t, privacy.KEKKeys))
		r := after.rotate(t, privacy.KEKKeys)
		require.Equal(t, privacy.Done, r.Phase)
		require.EqualValues(t, 2, r.Changed, "the tenant's keyset and the check value")
		require.Zero(t, after.rotate(t, privacy.KEKKeys).Changed)
		require.NoError(t, before.gorm().Create(customer("w", "Ana", "13900000001", "w@example.com")).Error)
		whole(t, before, 3)
		whole(t, after, 3)
		_, err = after.retire(privacy.KEKKeys)
		require.NoError(t, err)
		whole(t, openAt(t, db.Reopen(t), next, c), 3)

		v, err := privacy.Open(t.Context(), privacy.Config{KEK: old, Gate: privacy.AllowAll, Record: privacy.Discard})
		require.NoError(t, err)
		again := db.Reopen(t)
		require.NoError(t, again.Use(v))
		require.ErrorIs(t, v.Migrate(t.Context(), again.DB, &Customer{}), privacy.ErrKey, "the former KEK alone")
	})
}

func TestRotateRefuses(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	_, err := h.vault.Rotate(h.ctx, h.db.DB, "master", privacy.RotateOptions{})
	require.ErrorIs(t, err, privacy.ErrRefused)
	require.ErrorContains(t, err, "use kek, data, index or subject")
	require.NoError(t, h.gorm().Transaction(func(tx *gorm.DB) error {
		_, err := h.vault.Rotate(h.ctx, tx, privacy.DataKey, privacy.RotateOptions{})
		require.ErrorIs(t, err, privacy.ErrRefused)
		require.ErrorContains(t, err, "call it outside of one")
		return nil
	}))
	for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey, privacy.SubjectKeys, privacy.KEKKeys} {
		_, err := h.retire(kind)
		require.NoError(t, err, "nothing to retire: %s", kind)
	}
}

// Guest is found by the words of the name, by the end of the phone and by a truncated index.
type Guest struct {
	ID        string         `gorm:"primaryKey;size:36" privacy:"subject=guest"`
	Name      privacy.String `privacy:"mask=name,search=name"`
	Phone     privacy.String `privacy:"mask=phone"`
	PhoneTail privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone,match=last4"`
	City      privacy.String
	CityIndex privacy.Index `gorm:"index" privacy:"of=City,norm=text,bits=12"`
}

func TestRotateEveryKindOfIndex(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c := newClock()
		h := openAt(t, db, newKEK(t), c)
		require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Guest{}))
		for i, name := range []string{"Luís Gonçalves", "王小明", "Leonie Köhler", "Erased Person"} {
			require.NoError(t, h.gorm().Create(&Guest{ID: fmt.Sprint(i), Name: privacy.New(name), Phone: privacy.New(fmt.Sprintf("1380013%04d", 8000+i)), City: privacy.New("City " + fmt.Sprint(i))}).Error)
		}
		_, err := h.vault.Erase(h.ctx, db.DB, "guest:3")
		require.NoError(t, err)
		found := func() {
			t.Helper()
			for i, where := range []*Guest{{Name: privacy.Match("gonçalves")}, {Phone: privacy.EndsWith("8001")}, {City: privacy.New("city 2")}} {
				var g []Guest
				require.NoError(t, h.gorm().Where(where).Find(&g).Error)
				require.Len(t, g, 1)
				require.Equal(t, fmt.Sprint(i), g[0].ID)
			}
		}
		found()
		h.rotate(t, privacy.IndexKey)
		c.pass(wait)
		dry, err := h.vault.Rotate(h.ctx, db.DB, privacy.IndexKey, privacy.RotateOptions{DryRun: true})
		require.NoError(t, err)
		require.GreaterOrEqual(t, dry.Left, int64(3*2+3), "two indexes of each live guest, and the tokens")
		r := h.rotate(t, privacy.IndexKey)
		require.Equal(t, privacy.Done, r.Phase)
		require.GreaterOrEqual(t, r.Changed, int64(3+3), "a truncated index may be the same by chance")
		found()
		c.pass(wait)
		_, err = h.retire(privacy.IndexKey)
		require.NoError(t, err)
		found()
		findings, err := h.vault.Doctor(h.ctx, db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
	})
}

// What a process remembers for too long, because its clock stands still, does no harm to what it writes, and
// none to what it opens.
func TestAProcessThatRemembersForTooLong(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c, kek := newClock(), newKEK(t)
		h, stuck := openAt(t, db, kek, c), openAt(t, db.Reopen(t), kek, newClock())
		fill(t, h, 2)
		whole(t, stuck, 2)
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			h.rotate(t, kind)
			c.pass(wait)
			require.Equal(t, privacy.Done, h.rotate(t, kind).Phase)
		}
		require.NoError(t, h.gorm().Create(customer("n", "New", "13900000001", "n@example.com")).Error)
		var n Customer
		require.NoError(t, stuck.gorm().First(&n, "id = ?", "n").Error)
		require.Equal(t, "New", reveal(t, n.Name), "the key of the new person is under a key that it had not heard of")

		third := openAt(t, db.Reopen(t), kek, newClock())
		require.NoError(t, third.gorm().First(&n, "id = ?", "n").Error)
		h.rotate(t, privacy.DataKey)
		require.NoError(t, stuck.gorm().Create(customer("m", "More", "13900000002", "m@example.com")).Error)
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			require.Zero(t, h.rotate(t, kind).Changed, "it wrote with the keys of now")
		}
		_, err := h.find("13900000002")
		require.NoError(t, err)
	})
}

func TestAWriterThatRemembersForTooLong(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c, kek := newClock(), newKEK(t)
		h, stuck := openAt(t, db, kek, c), openAt(t, db.Reopen(t), kek, newClock())
		fill(t, h, 2)
		whole(t, stuck, 2)
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			h.rotate(t, kind)
			c.pass(wait)
			h.rotate(t, kind)
		}
		require.NoError(t, stuck.gorm().Create(customer("m", "More", "13900000002", "m@example.com")).Error)
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			require.Zero(t, h.rotate(t, kind).Changed, "it wrote with the keys of now")
		}
		c.pass(wait)
		for _, kind := range []privacy.KeyKind{privacy.DataKey, privacy.IndexKey} {
			_, err := h.retire(kind)
			require.NoError(t, err)
		}
		_, err := h.find("13900000002")
		require.NoError(t, err)
	})
}
