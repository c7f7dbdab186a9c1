// Package book is the customer book: the tables of the CRM and what in them is
// sealed, searchable and guarded. It is the place to look for "what is stored
// how".
package book

import (
	"crypto/rand"
	"time"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/attach"
)

// Tenant is the one tenant of the example app.
const Tenant = "main"

// A Customer is a person or company that buys. Everything that describes the
// person is sealed under the person's own key; what the app sorts, scopes and
// counts by is not.
type Customer struct {
	ID       string `gorm:"primaryKey;size:36" privacy:"subject=customer"`
	TenantID string `gorm:"size:36;not null;index" audit:"plain"`
	OwnerID  string `gorm:"size:36;not null;index" audit:"plain"`
	Hidden   bool   `gorm:"not null" audit:"plain"`
	Country  string `gorm:"size:80;not null"`

	FirstName  privacy.String `privacy:"mask=name,search=name"`
	LastName   privacy.String `privacy:"mask=name,search=name"`
	Company    privacy.String `privacy:"mask=name,search=name"`
	Email      privacy.String `privacy:"mask=email"`
	Phone      privacy.String `privacy:"mask=phone"`
	Fax        privacy.String `privacy:"mask=phone"`
	Address    privacy.String `privacy:"mask=address"`
	City       privacy.String `privacy:"mask=address"`
	State      privacy.String `privacy:"mask=address"`
	PostalCode privacy.String `privacy:"mask=address"`

	LastNameIndex privacy.Index `gorm:"index" privacy:"of=LastName,norm=text"`
	CompanyIndex  privacy.Index `gorm:"index" privacy:"of=Company,norm=text"`
	EmailIndex    privacy.Index `gorm:"index" privacy:"of=Email,norm=email"`
	PhoneIndex    privacy.Index `gorm:"index" privacy:"of=Phone,norm=phone"`
	FaxIndex      privacy.Index `gorm:"index" privacy:"of=Fax,norm=phone"`
	EmailDomain   privacy.Index `gorm:"index" privacy:"of=Email,norm=email,match=domain"`
	PhoneLast4    privacy.Index `gorm:"index" privacy:"of=Phone,norm=phone,match=last4"`

	CreatedAt time.Time
	UpdatedAt time.Time
}

// An Invoice belongs to a customer; its billing address is that person's data,
// sealed under that person's key.
type Invoice struct {
	ID         string    `gorm:"primaryKey;size:36"`
	TenantID   string    `gorm:"size:36;not null;index"`
	CustomerID string    `gorm:"size:36;not null;index" privacy:"subject=customer" audit:"subject=customer"`
	OwnerID    string    `gorm:"size:36;not null;index"` // the customer's owner, kept equal in the same transaction
	Hidden     bool      `gorm:"not null"`               // likewise
	Date       time.Time `gorm:"not null;index"`
	Cents      int64     `gorm:"not null"`
	Country    string    `gorm:"size:80;not null"`

	Address    privacy.String `privacy:"mask=address"`
	City       privacy.String `privacy:"mask=address"`
	State      privacy.String `privacy:"mask=address"`
	PostalCode privacy.String `privacy:"mask=address"`

	CreatedAt time.Time
	UpdatedAt time.Time
}

// A Document is a file of a customer. The file lies sealed in the data folder; its
// reference, which holds its name and its key, is that person's data.
type Document struct {
	ID         string `gorm:"primaryKey;size:36"`
	TenantID   string `gorm:"size:36;not null;index"`
	CustomerID string `gorm:"size:36;not null;index" privacy:"subject=customer" audit:"subject=customer"`
	OwnerID    string `gorm:"size:36;not null;index"` // the customer's owner, kept equal in the same transaction
	Hidden     bool   `gorm:"not null"`               // likewise
	Object     string `gorm:"size:32;not null;index"` // names the file in the folder; "" when the customer was erased
	Size       int64  `gorm:"not null"`               // bytes, as anybody can see in the folder

	File privacy.Value[attach.Ref]

	CreatedAt time.Time
}

// A User is a member of the staff who may sign in.
type User struct {
	ID        string `gorm:"primaryKey;size:36" privacy:"subject=user"`
	TenantID  string `gorm:"size:36;not null;index"`
	ManagerID string `gorm:"size:36;not null;index"` // "" at the top
	Title     string `gorm:"size:80;not null"`
	Disabled  bool   `gorm:"not null"`
	Password  string `gorm:"size:400;not null" privacy:"open=a hash that is sealed for this user"` // argon2id hash, sealed for this user; "" lets nobody in

	FirstName privacy.String `privacy:"mask=name"`
	LastName  privacy.String `privacy:"mask=name"`
	Email     privacy.String `privacy:"mask=email"`
	Phone     privacy.String `privacy:"mask=phone"`

	EmailIndex privacy.Index `gorm:"uniqueIndex" privacy:"of=Email,norm=email"`

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Models lists all tables of the book.
func Models() []any { return []any{&Customer{}, &Invoice{}, &User{}, &Document{}} }

// NewID makes the key of a new row. Rows need their key before they are stored:
// it is part of what their sealed values are bound to.
func NewID() string { return rand.Text() }

// DataType is what kind of data a field holds, for questions to the log such as "who
// saw contact data?".
func DataType(resource, field string) string {
	switch field {
	case "first_name", "last_name", "company":
		return "identity"
	case "email", "phone", "fax":
		return "contact"
	case "address", "city", "state", "postal_code":
		return "address"
	case "cents":
		return "billing"
	case "file":
		return "document"
	}
	return ""
}
