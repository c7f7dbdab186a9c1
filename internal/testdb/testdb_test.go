package testdb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
)

type note struct {
	ID   string `gorm:"primaryKey;size:36"`
	Text string
}

func TestEachDatabaseIsEmptyAndItsOwn(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&note{}))
		require.NoError(t, db.Create(&note{ID: "1", Text: "Gonçalves 王小明 👨‍👩‍👧"}).Error)

		var again note
		require.NoError(t, db.Reopen(t).First(&again, "id = ?", "1").Error)
		require.Equal(t, "Gonçalves 王小明 👨‍👩‍👧", again.Text)

		other := testdb.New(t, db.Engine)
		require.False(t, other.Migrator().HasTable(&note{}), "a second database sees the first one's tables")
	})
}
