package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

type Contact struct {
	ID      string `gorm:"primaryKey"`
	OwnerID string `gorm:"not null;index"`
	Phone   string `mask:"phone"`
}

type signedIn struct{}

// One rule decides the list, the update and the check, and says why.
func Example() {
	dir, _ := os.MkdirTemp("", "rbac")
	defer os.RemoveAll(dir)
	db, _ := gorm.Open(sqlite.Open(filepath.Join(dir, "crm.db")), &gorm.Config{Logger: logger.Discard})
	_ = db.AutoMigrate(&Contact{})
	_ = db.Create([]Contact{{"1", "ann", "13812345678"}, {"2", "bob", "13987654321"}}).Error

	authz, err := rbac.Open(context.Background(), rbac.Config{
		Caller: func(ctx context.Context) (rbac.Caller, error) {
			id, _ := ctx.Value(signedIn{}).(string)
			return rbac.Caller{ID: id}, nil
		},
		Policies: rbac.NewMemory(rbac.Policy{
			Roles:       []rbac.Role{{Name: "sales"}},
			Rules:       []rbac.Rule{{ID: "own", Role: "sales", Resource: "contact", Actions: []string{"read", "update"}, When: "row.owner_id == caller.id"}},
			Fields:      []rbac.FieldRule{{Role: "sales", Resource: "contact", Field: "*", Level: masking.Partial}},
			Assignments: []rbac.Assignment{{User: "ann", Role: "sales"}},
		}),
		Resources: []rbac.Resource{{Model: &Contact{}}},
		Record:    rbac.Discard,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = db.Use(authz)

	ctx := context.WithValue(context.Background(), signedIn{}, "ann")
	var contacts []Contact
	db.WithContext(ctx).Where("id = 'none' OR 1 = 1").Find(&contacts)
	views, _ := authz.View(ctx, contacts)
	for _, v := range views {
		fmt.Println(v.Text("phone"))
	}
	fmt.Println(db.WithContext(ctx).Where("phone LIKE '13%'").Find(&contacts).Error)
	err = authz.Check(ctx, "read", &Contact{ID: "2", OwnerID: "bob"})
	fmt.Println(errors.Is(err, rbac.ErrDenied))
	why, _ := authz.Explain(ctx, "read", &Contact{ID: "2", OwnerID: "bob"})
	fmt.Println(why.English)
	fmt.Println(db.Find(&contacts).Error)
	// Output:
	// 138****5678
	// rbac: statement refused: the caller may not compare other than by equality with contact.phone: leave it out, or give a role of the caller rbac.Range in the Rights of a field rule (policy version 1)
	// true
	// ann (roles: sales) may not read this contact: no rule allows it; rule "own" does not hold: row.owner_id == caller.id (policy version 1).
	// rbac: no caller in the context: pass a context that carries a signed-in caller, or rbac.System (table contacts)
}
