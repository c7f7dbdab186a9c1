package privacy_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func saved(t *testing.T) (*house, *Customer) {
	t.Helper()
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	require.NoError(t, h.gorm().Create(customer("1", "Ana", "13800138000", "ana@example.com")).Error)
	var c Customer
	require.NoError(t, h.gorm().First(&c).Error)
	return h, &c
}

func TestRevealAsksAndRecords(t *testing.T) {
	h, c := saved(t)
	phone, err := c.Phone.Reveal(h.ctx, "call back about ticket 7")
	require.NoError(t, err)
	require.Equal(t, "13800138000", phone)
	require.Equal(t, []string{"customer 1 phone"}, h.gate.asked)
	require.Equal(t, []look{{"customer.reveal", map[string]string{
		"resource": "customer", "row": "1", "fields": "phone", "subject": "customer:1", "purpose": "call back about ticket 7", "result": "ok",
	}}}, h.log.looks)
}

func TestRevealWithoutPurpose(t *testing.T) {
	h, c := saved(t)
	_, err := c.Phone.Reveal(h.ctx, " \t")
	require.ErrorContains(t, err, "say why")
	require.Empty(t, h.log.looks)
	require.Empty(t, h.gate.asked)
}

func TestDeniedIsNotShown(t *testing.T) {
	h, c := saved(t)
	h.gate.deny = true
	phone, err := c.Phone.Reveal(h.ctx, "curious")
	require.ErrorContains(t, err, "not allowed")
	require.Empty(t, phone)
	require.Empty(t, h.log.looks)
}

func TestUnrecordedIsNotShown(t *testing.T) {
	h, c := saved(t)
	h.log.fail = true
	phone, err := c.Phone.Reveal(h.ctx, "call")
	require.ErrorContains(t, err, "could not be recorded")
	require.ErrorContains(t, err, "disk full")
	require.Empty(t, phone)
	rows, err := h.vault.RevealRows(h.ctx, "call", c)
	require.Error(t, err)
	require.Nil(t, rows)
}

func TestRevealRowsIsOneQuestionAndOneRecord(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create([]*Customer{
			customer("1", "Ana", "1380013", "a@example.com"), {ID: "2", Name: privacy.New("Bob")},
		}).Error)
		var list []Customer
		require.NoError(t, h.gorm().Order("id").Find(&list).Error)
		rows, err := h.vault.RevealRows(h.ctx, "export 12", &list, "Name", "Phone")
		require.NoError(t, err)
		require.Equal(t, []map[string]string{{"Name": "Ana", "Phone": "1380013"}, {"Name": "Bob"}}, rows)
		require.Equal(t, []string{"customer 1,2 name,phone"}, h.gate.asked)
		require.Len(t, h.log.looks, 1)
		require.Equal(t, "1,2", h.log.looks[0].attrs["rows"])
		require.Equal(t, "customer:1,customer:2", h.log.looks[0].attrs["subject"])

		rows, err = h.vault.RevealRows(h.ctx, "export 13", list)
		require.NoError(t, err)
		require.Equal(t, "a@example.com", rows[0]["Email"])

		_, err = h.vault.RevealRows(h.ctx, "export", list, "Nome")
		require.ErrorIs(t, err, privacy.ErrRefused)
		require.ErrorContains(t, err, `"Nome"`)
		_, err = h.vault.RevealRows(h.ctx, "export", []Plain{{}})
		require.ErrorIs(t, err, privacy.ErrRefused)
		_, err = h.vault.RevealRows(h.ctx, "export", 7)
		require.ErrorContains(t, err, "pass a model")
		_, err = h.vault.RevealRows(h.ctx, "export", []*Customer{customer("9", "X", "1", "2")})
		require.ErrorIs(t, err, privacy.ErrUnbound)
		rows, err = h.vault.RevealRows(h.ctx, "", []Customer{})
		require.NoError(t, err)
		require.Empty(t, rows)
	})
}

func TestUnsavedIsNotRevealed(t *testing.T) {
	_, err := privacy.New("x").Reveal(t.Context(), "test")
	require.ErrorIs(t, err, privacy.ErrUnbound)
	require.ErrorContains(t, err, "not saved yet")
	_, err = privacy.New("x").Value()
	require.ErrorIs(t, err, privacy.ErrUnbound)
	require.NotContains(t, err.Error(), "x\"")
}

// A value may be looked at in its tenant's context only.
func TestRevealInAnotherTenant(t *testing.T) {
	h := tenantHouse(t, testdb.New(t, testdb.SQLite))
	a := withTenant("a")
	require.NoError(t, h.db.DB.WithContext(a).Create(customer("1", "Ana", "1", "2")).Error)
	var c Customer
	require.NoError(t, h.db.DB.WithContext(a).First(&c).Error)
	_, err := c.Name.Reveal(withTenant("b"), "test")
	require.ErrorContains(t, err, "another tenant")
	_, err = c.Name.Reveal(context.Background(), "test")
	require.ErrorContains(t, err, "no tenant here")
}

func tenantHouse(t testing.TB, db testdb.DB) *house {
	return openHouse(t, db, newKEK(t), func(c *privacy.Config) {
		c.Tenant = func(ctx context.Context) (string, error) {
			if s, ok := ctx.Value(tenantKey{}).(string); ok {
				return s, nil
			}
			return "", errors.New("no tenant here")
		}
	})
}

func TestTenantsCannotReadOrFindEachOther(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := tenantHouse(t, db)
		in := func(tenant string) *house { c := *h; c.ctx = withTenant(tenant); return &c }
		a, b := in("a"), in("b")
		require.NoError(t, a.gorm().Create(customer("1", "Ana", "13800138000", "ana@example.com")).Error)
		require.NoError(t, b.gorm().Create(customer("2", "Ana", "13800138000", "ana@example.com")).Error)
		require.NotEqual(t, h.stored(t, "customers", "phone_index", "1"), h.stored(t, "customers", "phone_index", "2"))

		var list []Customer
		require.NoError(t, a.gorm().Where(&Customer{Phone: privacy.New("13800138000")}).Find(&list).Error)
		require.Len(t, list, 1)
		require.Equal(t, "1", list[0].ID)

		// The other tenant's row, which nothing but rbac hides, does not open.
		var other Customer
		require.NoError(t, a.gorm().First(&other, "id = ?", "2").Error)
		require.Equal(t, "[unreadable]", other.Name.String())
		_, err := other.Name.Reveal(a.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnreadable)
		require.ErrorIs(t, a.gorm().Save(&other).Error, privacy.ErrUnreadable)

		// Without a tenant nothing is read, searched or written.
		none := *h
		none.ctx = context.Background()
		require.ErrorContains(t, none.gorm().Find(&list).Error, "no tenant here")
		require.ErrorContains(t, none.gorm().Create(customer("3", "x", "y", "z")).Error, "no tenant here")
		require.ErrorContains(t, none.gorm().Where(&Customer{Phone: privacy.New("1")}).Find(&list).Error, "no tenant here")
		var ids []string
		require.NoError(t, none.gorm().Model(&Customer{}).Pluck("id", &ids).Error, "nothing sealed is touched")
	})
}
