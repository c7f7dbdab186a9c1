package web

import (
	"context"
	"io"

	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/privacy/attach"
)

// Customers is what the customer pages need.
type Customers interface {
	Customers(ctx context.Context, q desk.CustomerQuery) (desk.CustomerPage, error)
	Customer(ctx context.Context, id string) (desk.Customer, error)
	// UpdateCustomer gets only what the person changed: keys are
	// desk.CustomerFields, "country" and "owner_id".
	UpdateCustomer(ctx context.Context, id string, changed map[string]string) error
	SetHidden(ctx context.Context, id string, hidden bool) error
	Reveal(ctx context.Context, id, field, purpose string) (string, error)
	// ExportCustomers writes the rows that the caller may see, masked, as CSV. It
	// writes nothing before it knows that it may.
	ExportCustomers(ctx context.Context, w io.Writer) error
}

// Documents is what the page of a customer's files needs.
type Documents interface {
	Documents(ctx context.Context, customerID string) ([]desk.Document, error)
	AddDocument(ctx context.Context, customerID, name string, content io.Reader) error
	// OpenDocument asks the permission and writes the log before it opens a file.
	OpenDocument(ctx context.Context, customerID, id, purpose string) (*attach.Reader, error)
}

// Invoices is what the invoice pages need. An empty customerID is everybody's.
type Invoices interface {
	Invoices(ctx context.Context, customerID string, page int) (desk.InvoicePage, error)
}

// People is what the page of users and roles needs.
type People interface {
	Staff(ctx context.Context) (desk.Staff, error)
	SetRoles(ctx context.Context, userID string, roles []string) error
	SetDisabled(ctx context.Context, userID string, disabled bool) error
}

// Trail is what the audit page needs.
type Trail interface {
	Events(ctx context.Context, q desk.EventQuery) (desk.EventPage, error)
	VerifyLog(ctx context.Context) (desk.Verdict, error)
}

// System is what the page of backups and log needs.
type System interface {
	SeesSystem(ctx context.Context) (bool, error)
	System(ctx context.Context) (desk.SystemState, error)
}

// Sessions is who is signed in; *signin.Door satisfies it.
type Sessions interface {
	SignIn(ctx context.Context, login, password string) (token string, err error)
	Session(ctx context.Context, token string) (signin.Session, error)
	SignOut(ctx context.Context, token string) error
}
