package privacy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func TestEqualShowsNothingAndRecordsNothing(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	in := customer("1", "Ana", "1", "2")
	in.Prefs = privacy.NewValue(Prefs{Diet: "vegan"})
	require.NoError(t, h.gorm().Create(in).Error)
	var c Customer
	require.NoError(t, h.gorm().First(&c).Error)

	require.True(t, c.Name.Equal(privacy.New("Ana")))
	require.True(t, privacy.New("Ana").Equal(c.Name))
	require.False(t, c.Name.Equal(privacy.New("Anna")))
	require.True(t, c.Prefs.Equal(privacy.NewValue(Prefs{Diet: "vegan"})))
	require.False(t, c.Prefs.Equal(privacy.NewValue(Prefs{})))
	require.True(t, privacy.Null().Equal(privacy.Null()))
	require.True(t, privacy.String{}.Equal(privacy.String{}))
	require.False(t, privacy.Null().Equal(privacy.String{}))
	require.False(t, privacy.Null().Equal(privacy.New("")))
	require.Empty(t, h.gate.asked)
	require.Empty(t, h.log.looks)

	_, err := h.vault.Erase(h.ctx, h.db.DB, "customer:1")
	require.NoError(t, err)
	var erased Customer
	require.NoError(t, h.gorm().First(&erased).Error)
	require.False(t, erased.Name.Equal(erased.Name))
	require.False(t, erased.Name.Equal(privacy.New("Ana")))
}
