package privacy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// A ciphertext opens where it was sealed and nowhere else.
func TestMovedCiphertextDoesNotOpen(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create([]*Customer{customer("1", "Ana", "1", "a@example.com"), customer("2", "Bob", "2", "b@example.com")}).Error)
		require.NoError(t, h.gorm().Create([]*Invoice{
			{ID: "i1", CustomerID: "1", BillingName: privacy.New("Ana")}, {ID: "i2", CustomerID: "1", BillingName: privacy.New("Ana")},
			{ID: "i3", CustomerID: "2", BillingName: privacy.New("Bob")},
		}).Error)
		type cell struct{ table, column, id string }
		name1 := cell{"customers", "name", "1"}
		for what, move := range map[string]struct{ from, to cell }{
			"another person's row":           {cell{"customers", "name", "2"}, name1},
			"another field of the row":       {cell{"customers", "email", "1"}, name1},
			"another table, same person":     {cell{"invoices", "billing_name", "i1"}, name1},
			"another row of the same person": {cell{"invoices", "billing_name", "i2"}, cell{"invoices", "billing_name", "i1"}},
			"another person, same table":     {cell{"invoices", "billing_name", "i3"}, cell{"invoices", "billing_name", "i1"}},
		} {
			t.Run(what, func(t *testing.T) {
				old := h.stored(t, move.to.table, move.to.column, move.to.id)
				h.overwrite(t, move.to.table, move.to.column, move.to.id, h.stored(t, move.from.table, move.from.column, move.from.id))
				defer h.overwrite(t, move.to.table, move.to.column, move.to.id, old)
				var s privacy.String
				var save any
				if move.to.table == "customers" {
					var c Customer
					require.NoError(t, h.gorm().First(&c, "id = ?", move.to.id).Error)
					s, save = c.Name, &c
				} else {
					var i Invoice
					require.NoError(t, h.gorm().First(&i, "id = ?", move.to.id).Error)
					s, save = i.BillingName, &i
				}
				require.Equal(t, "[unreadable]", s.String())
				_, err := s.Reveal(h.ctx, "test")
				require.ErrorIs(t, err, privacy.ErrUnreadable)
				require.ErrorContains(t, err, "of row "+move.to.id)
				require.ErrorIs(t, h.gorm().Save(save).Error, privacy.ErrUnreadable, "a value that does not open was saved back")
				findings, err := h.vault.Doctor(h.ctx, h.db.DB)
				require.NoError(t, err)
				require.Len(t, findings, 1)
				require.Equal(t, "unreadable", findings[0].Kind)
				require.Equal(t, move.to.id, findings[0].Row)
			})
		}
		// An invoice that is given to another person takes nothing along.
		h.overwrite(t, "invoices", "customer_id", "i1", []byte("2"))
		var i Invoice
		require.NoError(t, h.gorm().First(&i, "id = ?", "i1").Error)
		_, err := i.BillingName.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnreadable)
	})
}

// No changed byte goes unnoticed, and one bad cell does not take the row's other cells along.
func TestChangedByteDoesNotOpen(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "a@example.com")).Error)
	good := h.stored(t, "customers", "name", "1")
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	_, err = pool.Exec("PRAGMA ignore_check_constraints = ON")
	require.NoError(t, err)
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		h.overwrite(t, "customers", "name", "1", bad)
		var c Customer
		require.NoError(t, h.gorm().First(&c).Error)
		_, err := c.Name.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnreadable, "byte %d", i)
		require.Equal(t, "a@example.com", reveal(t, c.Email))
		require.ErrorIs(t, h.gorm().Save(&c).Error, privacy.ErrUnreadable)
		require.NoError(t, h.gorm().Model(&c).Update("owner", "e9").Error)
	}
	for _, cut := range []int{0, 1, 2, 3, 10, len(good) - 1} {
		h.overwrite(t, "customers", "name", "1", good[:cut])
		var c Customer
		require.NoError(t, h.gorm().First(&c).Error)
		_, err := c.Name.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnreadable, "cut at %d", cut)
	}
}

func TestDoctorFinds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create([]*Customer{customer("1", "Ana", "1", "a@example.com"), customer("2", "Bob", "2", "b@example.com")}).Error)
		check := func(kind, place string) {
			t.Helper()
			findings, err := h.vault.Doctor(h.ctx, h.db.DB)
			require.NoError(t, err)
			require.Len(t, findings, 1)
			require.Equal(t, kind, findings[0].Kind)
			require.Contains(t, findings[0].String(), place)
			require.NotContains(t, findings[0].String(), "Ana")
		}
		// An index that belongs to another value hides the row from every search.
		old := h.stored(t, "customers", "phone_index", "1")
		h.overwrite(t, "customers", "phone_index", "1", h.stored(t, "customers", "phone_index", "2"))
		check("index", "customers.phone_index of row 1")
		h.overwrite(t, "customers", "phone_index", "1", old)

		pool, err := h.db.DB.DB()
		require.NoError(t, err)
		if db.Engine == testdb.SQLite {
			pool.SetMaxOpenConns(1)
			_, err = pool.Exec("PRAGMA ignore_check_constraints = ON")
			require.NoError(t, err)
			h.overwrite(t, "customers", "name", "1", []byte("Ana"))
			check("plaintext", "customers.name of row 1")
			return
		}
		_, err = pool.Exec("ALTER TABLE customers DROP CONSTRAINT sealed_customers_name")
		require.NoError(t, err)
		check("check", "customers.name")
		v, err := privacy.Open(t.Context(), privacy.Config{KEK: h.kek, Gate: privacy.AllowAll, Record: privacy.Discard})
		require.NoError(t, err)
		again := db.Reopen(t)
		require.NoError(t, again.Use(v))
		require.ErrorContains(t, v.Register(t.Context(), again.DB, &Customer{}), "lacks the CHECK constraint")
		require.NoError(t, v.Migrate(t.Context(), again.DB, &Customer{}))
		findings, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Empty(t, findings, "Migrate puts a lost constraint back")
	})
}
