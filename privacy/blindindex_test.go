package privacy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Indexed has an index of each kind.
type Indexed struct {
	ID      string         `gorm:"primaryKey;size:36"`
	Phone   privacy.String `privacy:"mask=phone"`
	ByPhone privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
	Last    privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone,match=last4"`
	Bucket  privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone,bits=12"`
	Born    privacy.Date   `privacy:"mask=birthdate"`
	ByBorn  privacy.Index  `gorm:"index" privacy:"of=Born,norm=exact"`
	Both    privacy.Index  `gorm:"index" privacy:"of=Phone+Born,norm=phone+exact"`
}

// TestBlindIndex: the cells are those that rows are stored with, under every key in use, and what cannot be
// compared is refused without repeating it.
func TestBlindIndex(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	h := openHouse(t, db, newKEK(t), nil)
	require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Indexed{}))
	cells := func(index, value string) [][]byte {
		got, err := h.vault.BlindIndex(h.ctx, db.DB, &Indexed{}, index, value)
		require.NoError(t, err)
		return got
	}
	require.Empty(t, cells("by_phone", "13800138000"), "the tenant has no keys, so nobody is stored")
	require.NoError(t, h.gorm().Create(&Indexed{ID: "1", Phone: privacy.New("138 0013 8000")}).Error)
	stored := h.stored(t, "indexeds", "by_phone", "1")
	require.Equal(t, [][]byte{stored}, cells("by_phone", "+86 138-0013-8000"))
	require.Equal(t, [][]byte{stored}, cells("BY_PHONE", "13800138000"))
	require.NotContains(t, cells("by_phone", "13800138001"), stored)
	require.NotEqual(t, cells("by_phone", "15147214711"), cells("by_phone", "+15147214711"))
	require.Len(t, cells("by_phone", "15147214711"), 1, "in China; a search would look in Montreal, too")
	for _, nothing := range []string{"", " ", "\u3000"} {
		require.Empty(t, cells("by_phone", nothing))
	}
	for want, index := range map[string]string{
		"is an index of a part, a bucket or several fields": "last", `indexed.both: is an index of a part`: "both", "which other values share": "bucket",
		"is compared with text": "by_born", `has no index column "phone"`: "phone",
	} {
		_, err := h.vault.BlindIndex(h.ctx, db.DB, &Indexed{}, index, "13800138000")
		require.ErrorIs(t, err, privacy.ErrRefused, index)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "8000")
	}
	for _, unknown := range []any{nil, 1, struct{}{}, &testdb.DB{}} {
		_, err := h.vault.BlindIndex(h.ctx, db.DB, unknown, "by_phone", "13800138000")
		require.ErrorContains(t, err, "the vault does not know it")
	}
}
