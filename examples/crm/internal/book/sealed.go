package book

import "github.com/confide-go/confide/privacy"

// Sealed returns the sealed field of that column name, nil if there is none.
func (c *Customer) Sealed(field string) *privacy.String {
	switch field {
	case "first_name":
		return &c.FirstName
	case "last_name":
		return &c.LastName
	case "company":
		return &c.Company
	case "email":
		return &c.Email
	case "phone":
		return &c.Phone
	case "fax":
		return &c.Fax
	case "address":
		return &c.Address
	case "city":
		return &c.City
	case "state":
		return &c.State
	case "postal_code":
		return &c.PostalCode
	}
	return nil
}

// Sealed returns the sealed field of that column name, nil if there is none.
func (i *Invoice) Sealed(field string) *privacy.String {
	switch field {
	case "address":
		return &i.Address
	case "city":
		return &i.City
	case "state":
		return &i.State
	case "postal_code":
		return &i.PostalCode
	}
	return nil
}

// Sealed returns the sealed field of that column name, nil if there is none.
func (u *User) Sealed(field string) *privacy.String {
	switch field {
	case "first_name":
		return &u.FirstName
	case "last_name":
		return &u.LastName
	case "email":
		return &u.Email
	case "phone":
		return &u.Phone
	}
	return nil
}

// Value makes a sealed value of what a person or a sheet gave; nothing is NULL.
func Value(s string) privacy.String {
	if s == "" {
		return privacy.Null()
	}
	return privacy.New(s)
}
