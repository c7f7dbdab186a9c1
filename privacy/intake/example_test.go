package intake_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/insecurekey"
	"github.com/confide-go/confide/privacy/intake"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := gorm.Open(sqlite.Open(filepath.Join(dir, "example.db")), &gorm.Config{Logger: logger.Discard})
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

	// The back office makes the keys; the form gets one line.
	keys, err := intake.NewKeys()
	if err != nil {
		log.Fatal(err)
	}
	office, err := intake.NewOffice(intake.Config{Keys: keys, Gate: privacy.AllowAll, Record: privacy.Discard})
	if err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(db.Use(vault), vault.Migrate(ctx, db, &Customer{}), office.Migrate(ctx, db), db.AutoMigrate(&Submission{})); err != nil {
		log.Fatal(err)
	}
	line := keys.Public().String()

	// The form's process.
	key, err := intake.ParsePublicKey(line)
	if err != nil {
		log.Fatal(err)
	}
	box, err := key.Seal(intake.Place{Form: "contact", Tenant: "main", Submission: "s1"}, []byte("138 0013 8000"))
	if err != nil {
		log.Fatal(err)
	}
	db.Create(&Submission{ID: "s1", Body: box})

	// The back office.
	var s Submission
	db.First(&s)
	fmt.Println(s)
	move := func(tx *gorm.DB, body []byte) error {
		return tx.Create(&Customer{ID: "c1", Phone: privacy.New(string(body))}).Error
	}
	fmt.Println(office.Accept(ctx, db, "new contact request", "contact", s.ID, s.Body, move))
	var c Customer
	db.First(&c)
	fmt.Println(c.Phone)
	fmt.Println(office.Accept(ctx, db, "new contact request", "contact", s.ID, s.Body, move))
	if pool, err := db.DB(); err == nil {
		pool.Close()
	}
	// Output:
	// {s1 [sealed]}
	// <nil>
	// 138 **** 8000
	// intake: submission was accepted before: s1 of form contact; delete its row
}
