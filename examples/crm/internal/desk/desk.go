// Package desk is what a person at a desk can do with the CRM: look at
// customers, find them, change them, see a phone number with a reason. Every
// call takes the caller from its context and answers only with what that caller
// may see: rows outside the caller's scope do not exist, fields come masked.
//
// The pages of package web and the command line stand on it; neither touches
// the database itself.
package desk

import (
	"errors"
	"time"
)

var (
	// ErrNotFound is returned for a row that is not there or that the caller may
	// not see; the two cannot be told apart.
	ErrNotFound = errors.New("not found")
	// ErrDenied is returned for an act that the caller's role does not include, on
	// a row that the caller may see.
	ErrDenied = errors.New("your role does not include this")
	// ErrInvalid is wrapped by an error whose text tells the person what to enter
	// instead.
	ErrInvalid = errors.New("invalid input")
	// ErrErased is returned when a value belonged to a person who has been erased.
	ErrErased = errors.New("this person's data has been erased")
)

// A Cell is one field as the caller may see it.
type Cell struct {
	Text       string // what to show; of a masked field only the mask
	Masked     bool   // Text is a mask, the value is longer or different
	Revealable bool   // the caller may ask to see it with a reason
	Erased     bool   // the person has been erased, there is nothing to see

	exportable bool
}

// A Customer is one row of the customers, as the caller may see it.
type Customer struct {
	ID      string
	OwnerID string
	Owner   string // name of the owner, from the staff directory
	Hidden  bool
	Erased  bool
	Country string
	Cells   map[string]Cell // by field, see CustomerFields
	Can     Rights
	Updated time.Time
}

// Rights says what the caller may do with a row, so that a page offers no button
// that would fail.
type Rights struct{ Update, Hide, Reveal bool }

// CustomerFields are the sealed fields of a customer, in the order of a form.
func CustomerFields() []string {
	return []string{"first_name", "last_name", "company", "email", "phone", "fax", "address", "city", "state", "postal_code"}
}

// A CustomerQuery selects a page of customers.
type CustomerQuery struct {
	Search     string // an e-mail address, a phone number, a name or a company, whole
	ShowHidden bool   // also hidden ones; only for callers with the right to see them
	Page       int    // from 1
}

// PageSize is the number of rows on a page.
const PageSize = 25

// A CustomerPage is one page of customers.
type CustomerPage struct {
	Customers  []Customer
	Total      int  // rows the caller may see that match
	Page       int  // from 1
	Pages      int  // at least 1
	SeesHidden bool // the caller may ask for hidden customers
	MayExport  bool // the caller may take the list out as a file
}

// An Invoice is one invoice as the caller may see it.
type Invoice struct {
	ID         string
	CustomerID string
	Customer   string // the customer's name, masked or not as on the customer's page
	Date       time.Time
	Cents      int64
	Country    string
	Cells      map[string]Cell // "address", "city", "state", "postal_code"
}

// An InvoicePage is one page of invoices.
type InvoicePage struct {
	Invoices []Invoice
	Total    int
	Cents    int64 // sum over all the caller may see that match
	Page     int
	Pages    int
}

// A Person is one member of the staff.
type Person struct {
	ID        string
	Title     string
	ManagerID string
	Manager   string
	Disabled  bool
	Cells     map[string]Cell // "first_name", "last_name", "email", "phone"
	Roles     []string
	Name      string // for display
}

// A Staff is the people page: everybody, the roles there are, and whether the
// caller may change them.
type Staff struct {
	People     []Person
	Roles      []Role
	MayManage  bool // give and take roles
	MayDisable bool // close and open accounts
}

// A Role is one role of the policy with what it means in words.
type Role struct {
	Name  string
	Rules []string // readable, one a rule
}

// An Event is one entry of the audit log.
type Event struct {
	Seq      int64 // 0 if not sealed yet
	Time     time.Time
	Actor    string // id, with name where known
	Action   string
	Resource string
	Row      string
	Fields   string
	Purpose  string
	Result   string
	IP       string
	Channel  string
}

// An EventQuery selects audit events.
type EventQuery struct {
	Actor, Action, Resource, Row                string
	Result, Channel, Subject, Purpose, DataType string
	From, To                                    time.Time
	Page                                        int
}

// An EventPage is one page of audit events, newest first.
type EventPage struct {
	Events []Event
	Page   int
	More   bool
}

// A Verdict is what a verification of the audit log found.
type Verdict struct {
	OK       bool
	Anchored bool
	Size     int64
	Breaks   []Break
}

// A Break is one place where the log is not what was written.
type Break struct{ Kind, Place, Detail string }
