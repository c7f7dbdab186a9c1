package backup_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/glebarez/sqlite"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"gorm.io/gorm"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/sqlsource"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	check(err)
	defer os.RemoveAll(dir)

	live := database(filepath.Join(dir, "live.db"))
	check(live.Exec("CREATE TABLE customer (id TEXT PRIMARY KEY, name TEXT)").Error)
	check(live.Exec("INSERT INTO customer VALUES ('1', 'Luís Gonçalves')").Error)
	store, err := dirstore.Open(ctx, filepath.Join(dir, "backups"))
	check(err)

	// An application takes the KEK from a KMS or a key file.
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	check(err)
	kek, err := aead.New(handle)
	check(err)

	repo, err := backup.Open(ctx, backup.Config{
		Source: source(live), Store: store, KEK: localKEK{kek}, DataSet: "crm", Record: backup.Discard,
	})
	check(err)
	snapshot, err := repo.Run(ctx, backup.RunOptions{})
	check(err)
	fmt.Println("snapshot", snapshot.ID, "of", snapshot.Rows, "rows")

	report, err := repo.Verify(ctx, backup.Every, backup.VerifyOptions{})
	check(err)
	fmt.Println("verified:", report.OK)

	fresh := database(filepath.Join(dir, "restored.db"))
	_, err = repo.Restore(ctx, backup.Newest, source(fresh), backup.RestoreOptions{})
	check(err)
	var name string
	check(fresh.Raw("SELECT name FROM customer").Scan(&name).Error)
	fmt.Println("restored:", name)
	// Output:
	// snapshot 1 of 1 rows
	// verified: true
	// restored: Luís Gonçalves
}

func database(path string) *gorm.DB {
	db, err := gorm.Open(sqlite.Open(path), &gorm.Config{})
	check(err)
	return db
}

func source(db *gorm.DB) *sqlsource.Database {
	pool, err := db.DB()
	check(err)
	d, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: db.Name()})
	check(err)
	return d
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
