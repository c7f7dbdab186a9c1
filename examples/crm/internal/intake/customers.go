package intake

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
)

// Customers takes sheets of customers.
type Customers struct {
	Start time.Time // when the import began; rows keep their order by it

	owners map[string]bool
	n      int
}

func (t *Customers) check(r *Reader, row Row) error {
	if v := row.Values["email"]; v != "" {
		if err := email(v); err != nil {
			return r.at(row.Line, r.Heading("email"), err.Error())
		}
	}
	if err := short(row.Values["country"], 80); err != nil {
		return r.at(row.Line, r.Heading("country"), err.Error())
	}
	return nil
}

func (t *Customers) take(ctx context.Context, tx *gorm.DB, r *Reader, rows []Row) (Counts, []error, error) {
	if err := t.loadOwners(tx); err != nil {
		return Counts{}, nil, err
	}
	stored, err := byID(tx, rows, func(c *book.Customer) string { return c.ID })
	if err != nil {
		return Counts{}, nil, err
	}
	var counts Counts
	var wrong []error
	var create []*book.Customer
	for _, row := range rows {
		if !t.owners[row.Values["owner_id"]] {
			wrong = append(wrong, r.at(row.Line, r.Heading("owner_id"), "names nobody on the staff; import the employees first, or mend the row"))
			continue
		}
		c, known := stored[row.Values["id"]]
		if !known {
			t.n++
			c = &book.Customer{ID: row.Values["id"], TenantID: book.Tenant, CreatedAt: t.Start.Add(time.Duration(t.n) * time.Millisecond)}
			create = append(create, c)
		}
		ch := &change{values: row.Values}
		ch.sealed(c.Sealed, "first_name", "last_name", "company", "email", "phone", "fax", "address", "city", "state", "postal_code")
		ch.plain("country", &c.Country)
		ch.plain("owner_id", &c.OwnerID)
		switch {
		case !known:
			counts.New++
		case len(ch.columns) == 0:
			counts.Unchanged++
		default:
			counts.Updated++
			if err := t.update(tx, c, ch.columns); err != nil {
				return counts, nil, err
			}
		}
	}
	if len(create) > 0 {
		err = tx.Create(&create).Error
	}
	return counts, wrong, err
}

// update stores the changed columns, and moves the invoices along with the
// customer if the owner changed.
func (t *Customers) update(tx *gorm.DB, c *book.Customer, columns []string) error {
	if err := tx.Model(c).Select(append(columns, "updated_at")).Updates(c).Error; err != nil {
		return err
	}
	for _, model := range []any{&book.Invoice{}, &book.Document{}} {
		if err := tx.Model(model).Where("customer_id = ? AND owner_id <> ?", c.ID, c.OwnerID).Update("owner_id", c.OwnerID).Error; err != nil {
			return err
		}
	}
	return nil
}

func (t *Customers) finish(context.Context, *gorm.DB, *Reader) ([]error, error) { return nil, nil }

func (t *Customers) loadOwners(tx *gorm.DB) error {
	if t.owners != nil {
		return nil
	}
	var ids []string
	if err := tx.Model(&book.User{}).Pluck("id", &ids).Error; err != nil {
		return err
	}
	t.owners = map[string]bool{}
	for _, id := range ids {
		t.owners[id] = true
	}
	return nil
}

// byID loads the stored rows that a batch speaks of.
func byID[T any](tx *gorm.DB, rows []Row, id func(*T) string) (map[string]*T, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.Values["id"]
	}
	var found []*T
	if err := tx.Where("id IN ?", ids).Find(&found).Error; err != nil {
		return nil, err
	}
	m := make(map[string]*T, len(found))
	for _, row := range found {
		m[id(row)] = row
	}
	return m, nil
}
