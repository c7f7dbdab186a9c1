package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/intake"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/web"
	"github.com/confide-go/confide/internal/durable"
)

// The demo data is the Chinook sample (MIT, see demo/LICENSE).
//
//go:embed demo
var demoFiles embed.FS

// demoPassword is what everybody in the demo signs in with.
const demoPassword = "demo-2026"

// demo loads the demo data into an empty database, all of it or nothing, and
// returns who can sign in. In a database with other people it does nothing.
func (a *app) demo(ctx context.Context, wanted bool) ([]web.Login, error) {
	if !wanted {
		return nil, nil
	}
	ctx = operator(ctx, "load the demo data")
	var users int64
	if err := a.db.WithContext(ctx).Model(&book.User{}).Count(&users).Error; err != nil {
		return nil, err
	}
	if users == 0 {
		if err := a.loadDemo(ctx); err != nil {
			return nil, fmt.Errorf("load the demo data: %w", err)
		}
	}
	if _, err := os.Stat(a.folder.demoMarker()); errors.Is(err, os.ErrNotExist) {
		return nil, nil // the users are real
	} else if err != nil {
		return nil, err
	}
	return demoLogins(), nil
}

func (a *app) loadDemo(ctx context.Context) error {
	hash, err := signin.HashPassword(demoPassword)
	if err != nil {
		return err
	}
	err = a.inTx(ctx, func(ctx context.Context, tx *gorm.DB) error {
		for _, name := range []string{"employees", "customers", "invoices"} {
			if err := a.loadDemoSheet(ctx, tx, name, hash); err != nil {
				return err
			}
		}
		return durable.WriteFile(a.folder.demoMarker(), []byte("The people in this folder's database are the demo's.\n"), 0o600)
	})
	if err != nil {
		return err
	}
	return a.authz.Reload(ctx)
}

func (a *app) loadDemoSheet(ctx context.Context, tx *gorm.DB, name, hash string) error {
	kind, err := intake.KindNamed(name)
	if err != nil {
		return err
	}
	f, err := demoFiles.Open("demo/" + name + ".csv")
	if err != nil {
		return err
	}
	defer f.Close()
	sheet, err := intake.NewReader(f, name+".csv", kind, nil)
	if err != nil {
		return err
	}
	_, err = a.takeSheet(ctx, tx, sheet, kind, &welcome{app: a, hash: hash}, nil)
	return err
}

func demoLogins() []web.Login {
	var logins []web.Login
	for _, l := range []struct{ name, role string }{
		{"nancy", "manager"}, {"jane", "sales"}, {"margaret", "sales"}, {"steve", "sales"},
		{"andrew", "manager, auditor"}, {"michael", "system, security"}, {"robert", "system"}, {"laura", "system"},
	} {
		logins = append(logins, web.Login{Login: l.name + "@chinookcorp.com", Password: demoPassword, Role: l.role})
	}
	return logins
}
