package testdb_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

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

func TestASQLiteFileIsWhereItsNameSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "50% #1?.db")
	db, err := gorm.Open(testdb.Dialector(testdb.SQLite, testdb.SQLiteDSN(path)), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	require.NoError(t, db.AutoMigrate(&note{}))
	pool, err := db.DB()
	require.NoError(t, err)
	require.NoError(t, pool.Close())
	require.FileExists(t, path)
}

type bytesAndNulls struct {
	N *int64
	B []byte
}

func TestASnapshotGivesTheRowsBack(t *testing.T) {
	type empty struct{ ID int }
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&note{}, &empty{}))
		require.NoError(t, db.AutoMigrate(&bytesAndNulls{}))
		require.NoError(t, db.Create([]bytesAndNulls{{N: new(int64), B: []byte("\x00\xff'")}, {B: []byte{}}, {}}).Error)
		require.NoError(t, db.Create([]note{{"1", "a"}, {"2", "王小明"}}).Error)
		was := db.Snapshot(t)

		require.NoError(t, db.Exec("UPDATE notes SET text = 'x'").Error)
		require.NoError(t, db.Exec("DELETE FROM notes WHERE id = '2'").Error)
		require.NoError(t, db.Exec("DELETE FROM bytes_and_nulls").Error)
		require.NoError(t, db.Create(&empty{ID: 7}).Error)
		require.NotEqual(t, was, db.Snapshot(t))
		was.Restore(t)
		require.Equal(t, was, db.Snapshot(t))
	})
}
