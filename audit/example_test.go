package audit_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/glebarez/sqlite"
	"golang.org/x/mod/sumdb/note"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
)

func Example() {
	ctx := context.Background()
	skey, vkey, err := audit.GenerateKey("crm.example/audit") // once; keep skey from the database's administrators
	check(err)
	signer, err := note.NewSigner(skey)
	check(err)
	verifier, err := note.NewVerifier(vkey)
	check(err)

	db, err := gorm.Open(sqlite.Open("file:example?mode=memory&cache=shared"), &gorm.Config{})
	check(err)
	store, err := gormstore.Open(ctx, db)
	check(err)
	log, err := audit.Open(ctx, audit.Config{
		Store: store, Signer: signer, Verifier: verifier,
		Actor:  func(context.Context) audit.Actor { return audit.Actor{ID: "3", IP: "10.0.0.7", Channel: "web"} },
		Anchor: audit.Unanchored, // use fileanchor.Open on another machine's disk
	})
	check(err)
	defer log.Close()
	check(db.Use(log))

	type Customer struct {
		ID   string `gorm:"primaryKey"`
		Name string
	}
	check(db.AutoMigrate(&Customer{}))
	check(db.Create(&Customer{ID: "1", Name: "Luís"}).Error)
	check(db.Transaction(func(tx *gorm.DB) error {
		check(tx.Model(&Customer{ID: "1"}).Update("name", "Luís Gonçalves").Error)
		return log.Record(audit.WithTx(ctx, tx), "customer.reveal", slog.String("resource", "customer"), slog.String("row", "1"),
			slog.String("fields", "phone"), slog.String("purpose", "call back about ticket 7"))
	}))

	_, err = log.Seal(ctx) // or: go log.Run(ctx)
	check(err)
	for e, err := range log.Events(ctx, audit.Query{Resource: "customer", Row: "1"}) {
		check(err)
		fmt.Printf("%d %s %s %v %q\n", e.Seq, e.Actor.ID, e.Action, e.Fields, e.Purpose)
	}
	report, err := log.Verify(ctx, audit.VerifyOptions{})
	check(err)
	fmt.Println(report)

	check(db.Exec("UPDATE confide_audit_entries SET actor = '4' WHERE seq = 1").Error)
	report, err = log.Verify(ctx, audit.VerifyOptions{})
	check(err)
	fmt.Println(report.OK, report.Breaks[0].Kind, report.Breaks[0].Place)
	// Output:
	// 2 3 customer.reveal [phone] "call back about ticket 7"
	// 1 3 customer.update [name] ""
	// 0 3 customer.create [id name] ""
	// UNANCHORED: 3 events in 1 logs fit together, but nothing outside the database says that they are all
	// false index-edited main#1
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
