package desk

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/rbac"
)

// ownName is a user's name, revealed once a process for the head of the user's
// own pages.
type ownName struct {
	name    string
	email   string
	updated time.Time
}

// Account finds the account of a login, which is an e-mail address. Nobody is
// signed in yet, so it is the system that looks.
func (d *Desk) Account(ctx context.Context, login string) (signin.Account, error) {
	ctx = rbac.System(ctx, "sign in")
	var u book.User
	err := d.db(ctx).Where(&book.User{Email: privacy.New(login)}).First(&u).Error
	return d.account(ctx, &u, "", err)
}

// AccountByID finds the account of somebody who has signed in.
func (d *Desk) AccountByID(ctx context.Context, id string) (signin.Account, error) {
	w := who.From(ctx)
	w.ID, w.Tenant = id, book.Tenant
	ctx = who.With(ctx, w)
	var u book.User
	if err := d.db(ctx).Where("id = ?", id).First(&u).Error; err != nil {
		return d.account(ctx, &u, "", err)
	}
	name, err := d.ownName(ctx, &u)
	return d.account(ctx, &u, name, err)
}

func (d *Desk) account(ctx context.Context, u *book.User, name string, err error) (signin.Account, error) {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return signin.Account{}, signin.ErrUnknown
	}
	if err != nil {
		return signin.Account{}, err
	}
	return signin.Account{
		ID: u.ID, Tenant: u.TenantID, Name: name, Disabled: u.Disabled,
		Hash: d.Passwords.Open(ctx, u.ID, u.Password),
	}, nil
}

func (d *Desk) ownName(ctx context.Context, u *book.User) (string, error) {
	d.mu.Lock()
	known, ok := d.names[u.ID]
	d.mu.Unlock()
	if ok && known.updated.Equal(u.UpdatedAt) {
		return known.name, nil
	}
	shown, err := cells(ctx, d, []book.User{*u}, []string{"first_name", "last_name", "email"}, "own name")
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[u.ID] = ownName{name: name(shown[0]), email: shown[0]["email"].Text, updated: u.UpdatedAt}
	return name(shown[0]), nil
}

// Within returns a context in which the user of a session is at work, with
// everybody below them in the manager tree.
func (d *Desk) Within(ctx context.Context, s signin.Session) (context.Context, error) {
	w := who.From(ctx)
	w.ID, w.Tenant = s.UserID, s.Tenant
	ctx = who.With(ctx, w)
	var staff []book.User
	if err := d.db(ctx).Select("id", "manager_id").Find(&staff).Error; err != nil {
		return ctx, clarify(err)
	}
	w.Reports = below(s.UserID, staff)
	d.mu.Lock()
	w.Email = d.names[s.UserID].email // "" if the session is not one of this process: then no rule about it holds
	d.mu.Unlock()
	w.SignedIn, w.Assurance = s.Began, 1
	return who.With(ctx, w), nil
}

// below returns a user and everybody who reports to them, directly or not.
func below(id string, staff []book.User) []string {
	reports := map[string][]string{}
	for _, u := range staff {
		reports[u.ManagerID] = append(reports[u.ManagerID], u.ID)
	}
	seen := map[string]bool{id: true}
	all := []string{id}
	for i := 0; i < len(all); i++ {
		for _, r := range reports[all[i]] {
			if !seen[r] {
				seen[r] = true
				all = append(all, r)
			}
		}
	}
	return all
}
