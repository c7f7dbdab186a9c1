package privacy_test

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
	"github.com/confide-go/confide/privacy/keyfile"
)

type Member struct {
	ID         string         `gorm:"primaryKey" privacy:"subject=member"`
	Name       privacy.String `privacy:"mask=name"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
}

func openExample() (*gorm.DB, *privacy.Vault, func()) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	kek, err := keyfile.OpenOrCreate(filepath.Join(dir, "kek"), nil)
	if err != nil {
		log.Fatal(err)
	}
	vault, err := privacy.Open(ctx, privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard, Region: "CN"})
	if err != nil {
		log.Fatal(err)
	}
	db, err := gorm.Open(sqlite.Open(filepath.Join(dir, "example.db")), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(db.Use(vault), vault.Migrate(ctx, db, &Member{})); err != nil {
		log.Fatal(err)
	}
	return db, vault, func() {
		if pool, err := db.DB(); err == nil {
			pool.Close()
		}
		os.RemoveAll(dir)
	}
}

func Example() {
	db, _, done := openExample()
	defer done()
	ctx := context.Background()

	db.Create(&Member{ID: "1", Name: privacy.New("王小明"), Phone: privacy.New("138 0013 8000")})

	var m Member
	db.Where(&Member{Phone: privacy.New("+8613800138000")}).First(&m)
	fmt.Println(m.Name, m.Phone)

	phone, err := m.Phone.Reveal(ctx, "call back about ticket 7")
	fmt.Println(phone, err)

	err = db.Where("phone LIKE ?", "%8000").Find(&[]Member{}).Error
	fmt.Println(errors.Is(err, privacy.ErrRefused))
	// Output:
	// 王** 138 **** 8000
	// 138 0013 8000 <nil>
	// true
}

func ExampleVault_Erase() {
	db, vault, done := openExample()
	defer done()
	ctx := context.Background()
	db.Create(&Member{ID: "1", Name: privacy.New("王小明"), Phone: privacy.New("138 0013 8000")})

	cert, _ := vault.Erase(ctx, db, "member:1")
	fmt.Println(cert.Subject, "was", cert.Was)

	var m Member
	db.First(&m)
	_, err := m.Phone.Reveal(ctx, "call back")
	fmt.Println(m.Phone, errors.Is(err, privacy.ErrErased))
	err = db.Model(&m).Update("phone", privacy.New("139 0013 9000")).Error
	fmt.Println(errors.Is(err, privacy.ErrErased))
	// Output:
	// member:1 was live
	// [erased] true
	// true
}

func ExampleRefusal() {
	db, _, done := openExample()
	defer done()
	err := db.Model(&Member{ID: "1"}).Update("phone", "138 0013 8000").Error
	var r *privacy.Refusal
	if errors.As(err, &r) {
		fmt.Println("field: ", r.Field)
		fmt.Println("why:   ", r.Why)
		fmt.Println("remedy:", r.Remedy)
	}
	// Output:
	// field:  member.phone
	// why:    a string would be stored as plaintext
	// remedy: assign privacy.New(…)
}
