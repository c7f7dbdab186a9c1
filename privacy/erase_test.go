package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func TestErase(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create([]*Customer{customer("1", "Ana", "13800138000", "ana@example.com"), customer("11", "Bob", "13900139000", "bob@example.com")}).Error)
		require.NoError(t, h.gorm().Create(&Invoice{ID: "i1", CustomerID: "1", BillingName: privacy.New("Ana"), Total: 5}).Error)
		require.Equal(t, privacy.Live, state(t, h, "customer:1"))
		require.Equal(t, privacy.NeverSeen, state(t, h, "customer:nobody"))

		cert, err := h.vault.Erase(h.ctx, h.db.DB, "customer:1")
		require.NoError(t, err)
		require.Equal(t, privacy.Live, cert.Was)
		require.EqualValues(t, 1, cert.IndexCells)
		require.Equal(t, privacy.Erased, state(t, h, "customer:1"))
		require.Equal(t, "customer.erase", h.log.looks[len(h.log.looks)-1].action)

		var c Customer
		require.NoError(t, h.gorm().First(&c, "id = ?", "1").Error)
		require.True(t, c.Name.IsErased())
		require.False(t, c.Name.Valid())
		require.Equal(t, "[erased]", fmt.Sprint(c.Name))
		_, err = c.Name.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrErased)
		var i Invoice
		require.NoError(t, h.gorm().First(&i, "id = ?", "i1").Error)
		require.True(t, i.BillingName.IsErased())
		require.Nil(t, h.stored(t, "customers", "phone_index", "1"))
		require.Nil(t, h.stored(t, "customers", "email_index", "1"))

		// Nothing can be written for the person again, in any way.
		require.ErrorIs(t, h.gorm().Save(&c).Error, privacy.ErrErased)
		require.ErrorIs(t, h.gorm().Model(&c).Update("phone", privacy.New("1")).Error, privacy.ErrErased)
		require.ErrorIs(t, h.gorm().Create(&Invoice{ID: "i2", CustomerID: "1", BillingName: privacy.New("Ana")}).Error, privacy.ErrErased)
		require.NoError(t, h.gorm().Model(&c).Update("owner", "e9").Error, "plain columns stay usable")

		// Nobody finds the person; others are as they were.
		var list []Customer
		require.NoError(t, h.gorm().Where(&Customer{Phone: privacy.New("13800138000")}).Find(&list).Error)
		require.Empty(t, list)
		require.NoError(t, h.gorm().Where(&Customer{Phone: privacy.New("13900139000")}).Find(&list).Error)
		require.Equal(t, "Bob", reveal(t, list[0].Name))
		rows, err := h.vault.RevealRows(h.ctx, "page", []Customer{c, list[0]}, "Name")
		require.NoError(t, err)
		require.Equal(t, []map[string]string{{}, {"Name": "Bob"}}, rows)

		again, err := h.vault.Erase(h.ctx, h.db.DB, "customer:1")
		require.NoError(t, err)
		require.Equal(t, privacy.Erased, again.Was)
		require.Equal(t, cert.ErasedAt, again.ErasedAt)
		require.NotContains(t, string(cert.Bytes()), "Ana")
		require.NotEqual(t, cert.Bytes(), again.Bytes())
		findings, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
	})
}

func state(t testing.TB, h *house, subject string) privacy.State {
	t.Helper()
	s, err := h.vault.Subject(h.ctx, h.db.DB, subject)
	require.NoError(t, err)
	return s
}

func TestEraseSomebodyNeverSeen(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		cert, err := h.vault.Erase(h.ctx, h.db.DB, "customer:7")
		require.NoError(t, err)
		require.Equal(t, privacy.NeverSeen, cert.Was)
		require.ErrorIs(t, h.gorm().Create(customer("7", "x", "y", "z")).Error, privacy.ErrErased)
		_, err = h.vault.Erase(h.ctx, h.db.DB, "seven")
		require.ErrorContains(t, err, "kind:id")
	})
}

func TestEraseRollsBackWithItsTransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "2")).Error)
		boom := errors.New("boom")
		require.ErrorIs(t, h.gorm().Transaction(func(tx *gorm.DB) error {
			_, err := h.vault.Erase(h.ctx, tx, "customer:1")
			require.NoError(t, err)
			return boom
		}), boom)
		require.Equal(t, privacy.Live, state(t, h, "customer:1"))
		var c Customer
		require.NoError(t, h.gorm().Where(&Customer{Phone: privacy.New("1")}).First(&c).Error)
		require.Equal(t, "Ana", reveal(t, c.Name))
	})
}

func TestEraseThatCannotBeRecorded(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "2")).Error)
	h.log.fail = true
	_, err := h.vault.Erase(h.ctx, h.db.DB, "customer:1")
	require.ErrorContains(t, err, "nothing was done")
	require.Equal(t, privacy.Live, state(t, h, "customer:1"))
}

// With WithTx the record is written inside the erasure's own transaction.
func TestEraseGivesTheRecorderItsTransaction(t *testing.T) {
	type key struct{}
	h := openHouse(t, testdb.New(t, testdb.SQLite), newKEK(t), func(c *privacy.Config) {
		c.WithTx = func(ctx context.Context, tx *gorm.DB) context.Context { return context.WithValue(ctx, key{}, tx) }
		c.Record = recorderFunc(func(ctx context.Context) error {
			_, ok := ctx.Value(key{}).(*gorm.DB).Statement.ConnPool.(gorm.TxCommitter)
			if !ok {
				return errors.New("not in a transaction")
			}
			return errors.New("log is full")
		})
	})
	require.NoError(t, h.gorm().Create(customer("1", "Ana", "1", "2")).Error)
	_, err := h.vault.Erase(h.ctx, h.db.DB, "customer:1")
	require.ErrorContains(t, err, "log is full")
	require.Equal(t, privacy.Live, state(t, h, "customer:1"))
}

// Rows that come back from a backup bring their indexes back, until the erasures are replayed.
func TestReplayErasures(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create([]*Customer{customer("1", "Ana", "13800138000", "a@example.com"), customer("2", "Bob", "13900139000", "b@example.com")}).Error)
		backup := map[string][]byte{}
		for _, column := range []string{"phone", "phone_index"} {
			backup[column] = h.stored(t, "customers", column, "1")
		}
		_, err := h.vault.Erase(h.ctx, h.db.DB, "customer:1")
		require.NoError(t, err)
		for column, b := range backup {
			h.overwrite(t, "customers", column, "1", b)
		}
		findings, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Len(t, findings, 1)
		require.Equal(t, "erased index", findings[0].Kind)
		require.Contains(t, findings[0].String(), "customers.phone_index of row 1")

		n, err := h.vault.ReplayErasures(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Nil(t, h.stored(t, "customers", "phone_index", "1"))
		require.NotNil(t, h.stored(t, "customers", "phone_index", "2"))
		var c Customer
		require.NoError(t, h.gorm().First(&c, "id = ?", "1").Error)
		require.True(t, c.Phone.IsErased())
		n, err = h.vault.ReplayErasures(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// overwrite does what an administrator of the database can do.
func (h *house) overwrite(t testing.TB, table, column, id string, value []byte) {
	t.Helper()
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	text := "UPDATE " + table + " SET " + column + " = ? WHERE id = ?"
	if h.db.Engine == testdb.Postgres {
		text = strings.Replace(strings.Replace(text, "?", "$1", 1), "?", "$2", 1)
	}
	_, err = pool.Exec(text, value, id)
	require.NoError(t, err)
}
