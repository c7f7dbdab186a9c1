package desk

import (
	"context"
	"errors"
	"sync"

	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/rbac"
)

// Config says what a desk stands on. All fields are required.
type Config struct {
	DB    *gorm.DB // with the plugins of the other three
	Vault *privacy.Vault
	Authz *rbac.Authorizer
	Log   *audit.Log

	Policies  rbac.PolicyStore // the one of Authz
	Passwords Passwords
	Files     *attach.Files // the customers' files

	// State looks after the system itself; the desk asks who may know.
	State func(context.Context) (SystemState, error)
}

// Passwords opens the stored hashes of passwords.
type Passwords interface {
	// Open returns the hash that was sealed for this user, "" if there is none.
	Open(ctx context.Context, user, stored string) string
}

// A Desk answers for the pages and the command line.
type Desk struct {
	Config

	mu    sync.Mutex
	names map[string]ownName
}

// New returns a desk.
func New(c Config) *Desk { return &Desk{Config: c, names: map[string]ownName{}} }

// db is the database for the caller in ctx.
func (d *Desk) db(ctx context.Context) *gorm.DB { return d.DB.WithContext(ctx) }

// inTx runs f in one transaction; what is recorded under its context commits or
// vanishes with it.
func (d *Desk) inTx(ctx context.Context, f func(ctx context.Context, tx *gorm.DB) error) error {
	return d.db(ctx).Transaction(func(tx *gorm.DB) error {
		ctx := rbac.WithTx(audit.WithTx(ctx, tx), tx)
		return f(ctx, tx.WithContext(ctx))
	})
}

// may reports whether the caller may do something, to decide what a page offers.
// It leaves no trace, unlike must.
func (d *Desk) may(ctx context.Context, action string, row any) (bool, error) {
	views, err := d.Authz.View(ctx, row)
	if err != nil {
		return false, err
	}
	return d.offers(ctx, &views[0], action, row)
}

// offers reports whether a page should offer something: also what the caller may do
// with a reason, or after signing in again. Whoever tries is told what is missing.
func (d *Desk) offers(ctx context.Context, view *rbac.View, action string, row any) (bool, error) {
	if view.Can(action) {
		return true, nil
	}
	x, err := d.Authz.Explain(ctx, action, row)
	return x.Missing != nil, err
}

// must is nil, or ErrDenied after the attempt has been recorded.
func (d *Desk) must(ctx context.Context, action string, row any) error {
	return clarify(d.Authz.Check(ctx, action, row))
}

// self is a row of the caller, for rights that are not about a certain row.
func self(ctx context.Context) *book.User {
	return &book.User{ID: who.From(ctx).ID, TenantID: who.From(ctx).Tenant}
}

// Needs is returned for something that the caller may do if they bring what is missing.
// It is ErrDenied too.
type Needs struct{ Reason, SignIn, Approval bool }

func (n *Needs) Error() string {
	switch {
	case n.SignIn:
		return "sign in again first"
	case n.Approval:
		return "somebody else has to approve this"
	}
	return "give a reason"
}

func (n *Needs) Is(target error) bool { return target == ErrDenied }

// clarify turns the errors of the packages below into those of this one.
func clarify(err error) error {
	var missing *rbac.Required
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return &Needs{Reason: missing.Reason, SignIn: missing.Assurance > 0, Approval: missing.Approval}
	case errors.Is(err, gorm.ErrRecordNotFound):
		return ErrNotFound
	case errors.Is(err, privacy.ErrErased):
		return ErrErased
	case errors.Is(err, rbac.ErrDenied):
		return ErrDenied
	}
	return err
}

// pages returns how many pages a number of rows fills, at least one.
func pages(total int) int { return max(1, (total+PageSize-1)/PageSize) }

// onPage brings a page number a person typed into the range that exists.
func onPage(page, total int) int { return min(max(1, page), pages(total)) }
