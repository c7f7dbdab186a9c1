package desk

import (
	"context"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
)

func invalid(problem string) error { return fmt.Errorf("%w: %s", ErrInvalid, problem) }

// UpdateCustomer stores the fields that a person changed; the keys are column
// names. Fields that are not among them keep their ciphertext.
func (d *Desk) UpdateCustomer(ctx context.Context, id string, changed map[string]string) error {
	return d.inTx(ctx, func(ctx context.Context, tx *gorm.DB) error {
		row, err := d.customer(tx, id)
		if err != nil {
			return err
		}
		if err := d.must(ctx, "update", row); err != nil {
			return err
		}
		columns, err := apply(row, changed)
		if err != nil || len(columns) == 0 {
			return err
		}
		if slices.Contains(columns, "owner_id") {
			if err := d.knownOwner(tx, row.OwnerID); err != nil {
				return err
			}
		}
		if err := tx.Model(row).Select(append(columns, "updated_at")).Updates(row).Error; err != nil {
			return clarify(err)
		}
		if slices.Contains(columns, "owner_id") {
			err = ofCustomer(tx, id, "owner_id", row.OwnerID)
		}
		return clarify(err)
	})
}

// apply puts new values into a row and returns which columns they are in.
func apply(row *book.Customer, changed map[string]string) ([]string, error) {
	var columns []string
	for field, text := range changed {
		text = strings.TrimSpace(text)
		if err := check(field, text); err != nil {
			return nil, err
		}
		switch field {
		case "country":
			row.Country = text
		case "owner_id":
			row.OwnerID = text
		default:
			value := row.Sealed(field)
			if value == nil {
				return nil, invalid("there is no field " + field)
			}
			*value = book.Value(text)
		}
		columns = append(columns, field)
	}
	slices.Sort(columns)
	return columns, nil
}

func check(field, text string) error {
	if len(text) > 500 {
		return invalid(field + " is longer than 500 bytes; shorten it")
	}
	switch field {
	case "email":
		if a, err := mail.ParseAddress(text); text != "" && (err != nil || a.Address != text) {
			return invalid("email is not an address; write name@example.com")
		}
	case "last_name", "owner_id":
		if text == "" {
			return invalid(field + " must not be empty")
		}
	case "country":
		if len(text) > 80 {
			return invalid("country is longer than 80 bytes; shorten it")
		}
	}
	return nil
}

// ofCustomer carries a change of a customer over to what belongs to it.
func ofCustomer(tx *gorm.DB, id, column string, value any) error {
	for _, model := range []any{&book.Invoice{}, &book.Document{}} {
		if err := tx.Model(model).Where("customer_id = ?", id).Update(column, value).Error; err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) knownOwner(tx *gorm.DB, id string) error {
	var n int64
	if err := tx.Model(&book.User{}).Where("id = ?", id).Count(&n).Error; err != nil {
		return clarify(err)
	}
	if n == 0 {
		return invalid("owner_id names nobody on the staff")
	}
	return nil
}

// SetHidden takes a customer out of everybody's lists, or brings it back.
func (d *Desk) SetHidden(ctx context.Context, id string, hidden bool) error {
	return d.inTx(ctx, func(ctx context.Context, tx *gorm.DB) error {
		row, err := d.customer(tx, id)
		if err != nil {
			return err
		}
		if err := d.must(ctx, "hide", row); err != nil {
			return err
		}
		if row.Hidden == hidden {
			return nil
		}
		if err := ofCustomer(tx, id, "hidden", hidden); err != nil {
			return clarify(err)
		}
		return clarify(tx.Model(row).Update("hidden", hidden).Error)
	})
}
