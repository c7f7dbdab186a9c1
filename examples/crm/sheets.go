package main

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/duty"
	"github.com/confide-go/confide/examples/crm/internal/intake"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/internal/durable"
	"github.com/confide-go/confide/rbac"
)

// importSheet takes a sheet in one transaction, the log's events included. If
// passwords names a file, new users get a first password, which stands there.
func (a *app) importSheet(ctx context.Context, sheet *intake.Reader, kind intake.Kind, passwords string, tell intake.Progress) (intake.Counts, error) {
	welcome := &welcome{app: a}
	if passwords != "" {
		if _, err := os.Lstat(passwords); err == nil {
			return intake.Counts{}, fmt.Errorf("%s: there is a file of that name; passwords go into a new one", passwords)
		}
		welcome.passwords = &strings.Builder{}
	}
	var counts intake.Counts
	err := a.inTx(ctx, func(ctx context.Context, tx *gorm.DB) (err error) {
		if counts, err = a.takeSheet(ctx, tx, sheet, kind, welcome, tell); err != nil {
			return err
		}
		return welcome.write(passwords)
	})
	if err == nil {
		err = a.authz.Reload(ctx)
	}
	return counts, err
}

// inTx runs f in one transaction, which the log and the policy join.
func (a *app) inTx(ctx context.Context, f func(context.Context, *gorm.DB) error) error {
	return a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		ctx := rbac.WithTx(audit.WithTx(ctx, tx), tx)
		return f(ctx, tx.WithContext(ctx))
	})
}

func (a *app) takeSheet(ctx context.Context, tx *gorm.DB, sheet *intake.Reader, kind intake.Kind, w *welcome, tell intake.Progress) (intake.Counts, error) {
	counts, err := intake.Import(ctx, tx, sheet, a.taker(kind, w), tell)
	if err != nil {
		return counts, err
	}
	if err := w.assign(ctx); err != nil {
		return counts, err
	}
	return counts, a.log.Record(ctx, "import."+kind.Name, slog.Int("new", counts.New), slog.Int("updated", counts.Updated),
		slog.Int("unchanged", counts.Unchanged), slog.String("result", "ok"))
}

func (a *app) taker(kind intake.Kind, w *welcome) intake.Taker {
	switch kind.Name {
	case "employees":
		return &intake.Employees{Welcome: w.user}
	case "customers":
		return &intake.Customers{Start: a.now().UTC().Truncate(time.Second)}
	}
	return &intake.Invoices{}
}

// A welcome gives new users their roles and, if wanted, a first password.
type welcome struct {
	app       *app
	passwords *strings.Builder // nil: none are made
	hash      string           // of everybody's password in the demo
	roles     []rbac.Assignment
}

func (w *welcome) user(ctx context.Context, u *book.User, login string) (string, error) {
	for _, role := range duty.ForTitle(u.Title) {
		w.roles = append(w.roles, rbac.Assignment{Tenant: u.TenantID, User: u.ID, Role: role})
	}
	if w.passwords == nil {
		return passwords{w.app.kek}.Seal(ctx, u.ID, w.hash)
	}
	password := rand.Text()[:16]
	out := csv.NewWriter(w.passwords)
	out.Comma = '\t'
	if err := out.Write([]string{login, password, strings.Join(duty.ForTitle(u.Title), " ")}); err != nil {
		return "", err
	}
	out.Flush()
	hash, err := signin.HashPassword(password)
	if err != nil {
		return "", err
	}
	return passwords{w.app.kek}.Seal(ctx, u.ID, hash)
}

// assign gives all new users their roles, as one change of the policy.
func (w *welcome) assign(ctx context.Context) error {
	if len(w.roles) == 0 {
		return nil
	}
	return w.app.authz.Edit(ctx, func(p *rbac.Policy) error {
		p.Assignments = append(p.Assignments, w.roles...)
		return nil
	})
}

// write stores the first passwords before the transaction commits: a user whose
// password is lost could not sign in, a password without user harms nobody.
func (w *welcome) write(path string) error {
	if w.passwords == nil || path == "" {
		return nil
	}
	err := durable.Create(path, []byte(w.passwords.String()), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: there is a file of that name; passwords go into a new one", path)
	}
	return err
}
