package attach_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/privacy/insecurekey"
)

func openExample() (*gorm.DB, *privacy.Vault, *attach.Files, func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	kek, err := insecurekey.New()
	if err != nil {
		log.Fatal(err)
	}
	vault, err := privacy.Open(ctx, privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard})
	if err != nil {
		log.Fatal(err)
	}
	db, err := gorm.Open(sqlite.Open(filepath.Join(dir, "example.db")), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(db.Use(vault), vault.Migrate(ctx, db, &Document{})); err != nil {
		log.Fatal(err)
	}
	store, err := attach.OpenDir(ctx, filepath.Join(dir, "files"))
	if err != nil {
		log.Fatal(err)
	}
	files, err := attach.New(attach.Config{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	return db, vault, files, func() {
		if pool, err := db.DB(); err == nil {
			pool.Close()
		}
		os.RemoveAll(dir)
	}
}

func Example() {
	db, vault, files, done := openExample()
	defer done()
	ctx := context.Background()

	// In: first the object, then its row.
	ref, err := files.Seal(ctx, `C:\scans\contract.pdf`, strings.NewReader("%PDF-1.7 signed by both"))
	if err != nil {
		log.Fatal(err)
	}
	db.Create(&Document{ID: "1", CustomerID: "7", Object: ref.ID(), File: ref.Sealed()})

	// Out: through the vault's gate and into its record.
	var d Document
	db.First(&d)
	fmt.Println(d.File)
	ref, err = d.File.Reveal(ctx, "check the signature")
	if err != nil {
		log.Fatal(err)
	}
	file, err := files.Open(ctx, ref)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	part, err := io.ReadAll(io.NewSectionReader(file, 9, 6))
	fmt.Println(ref.Name(), ref.ContentType(), string(part), err)

	// Forgotten with the person.
	if _, err := vault.Erase(ctx, db, "customer:7"); err != nil {
		log.Fatal(err)
	}
	db.First(&d)
	_, err = d.File.Reveal(ctx, "check the signature")
	fmt.Println(err)
	// Output:
	// [sealed]
	// contract.pdf application/pdf signed <nil>
	// privacy: person was erased
}

func ExampleFiles_Sweep() {
	db, _, files, done := openExample()
	defer done()
	ctx := context.Background()
	if _, err := files.Seal(ctx, "a.pdf", strings.NewReader("its row was never committed")); err != nil {
		log.Fatal(err)
	}
	swept, err := files.Sweep(ctx, attach.SweepConfig{Live: func(ctx context.Context, ids []string) (live []string, err error) {
		err = db.WithContext(ctx).Model(&Document{}).Where("object IN ?", ids).Pluck("object", &live).Error
		return live, err
	}})
	fmt.Println(swept.Young, swept.Removed, err)
	// Output:
	// 1 0 <nil>
}
