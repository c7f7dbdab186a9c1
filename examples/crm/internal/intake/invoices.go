package intake

import (
	"context"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
)

// Invoices takes sheets of invoices.
type Invoices struct{}

func (t *Invoices) check(r *Reader, row Row) error {
	if _, err := date(row.Values["date"]); err != nil {
		return r.at(row.Line, r.Heading("date"), err.Error())
	}
	if _, err := cents(row.Values["total"]); err != nil {
		return r.at(row.Line, r.Heading("total"), err.Error())
	}
	if err := short(row.Values["country"], 80); err != nil {
		return r.at(row.Line, r.Heading("country"), err.Error())
	}
	return nil
}

func (t *Invoices) take(ctx context.Context, tx *gorm.DB, r *Reader, rows []Row) (Counts, []error, error) {
	stored, err := byID(tx, rows, func(i *book.Invoice) string { return i.ID })
	if err != nil {
		return Counts{}, nil, err
	}
	customers, err := t.customers(tx, rows)
	if err != nil {
		return Counts{}, nil, err
	}
	var counts Counts
	var wrong []error
	var create []*book.Invoice
	for _, row := range rows {
		customer, ok := customers[row.Values["customer_id"]]
		if !ok {
			wrong = append(wrong, r.at(row.Line, r.Heading("customer_id"), "names no customer; import the customers first, or mend the row"))
			continue
		}
		i, known := stored[row.Values["id"]]
		if known && i.CustomerID != customer.ID {
			wrong = append(wrong, r.at(row.Line, r.Heading("customer_id"), "is another customer than the one this invoice was stored with; an invoice keeps its customer"))
			continue
		}
		if !known {
			i = &book.Invoice{ID: row.Values["id"], TenantID: book.Tenant, CustomerID: customer.ID, OwnerID: customer.OwnerID, Hidden: customer.Hidden}
			create = append(create, i)
		}
		columns := t.fill(i, row)
		switch {
		case !known:
			counts.New++
		case len(columns) == 0:
			counts.Unchanged++
		default:
			counts.Updated++
			if err := tx.Model(i).Select(append(columns, "updated_at")).Updates(i).Error; err != nil {
				return counts, nil, err
			}
		}
	}
	if len(create) > 0 {
		err = tx.Create(&create).Error
	}
	return counts, wrong, err
}

// fill sets what the row says and returns the columns it altered. The row has
// been checked.
func (t *Invoices) fill(i *book.Invoice, row Row) []string {
	ch := &change{values: row.Values}
	ch.sealed(i.Sealed, "address", "city", "state", "postal_code")
	ch.plain("country", &i.Country)
	day, _ := date(row.Values["date"])
	ch.set("date", !i.Date.Equal(day))
	total, _ := cents(row.Values["total"])
	ch.set("cents", i.Cents != total)
	i.Date, i.Cents = day, total
	return ch.columns
}

// customers loads the customers a batch of invoices belongs to.
func (t *Invoices) customers(tx *gorm.DB, rows []Row) (map[string]book.Customer, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.Values["customer_id"]
	}
	var found []book.Customer
	if err := tx.Select("id", "owner_id", "hidden").Where("id IN ?", ids).Find(&found).Error; err != nil {
		return nil, err
	}
	m := make(map[string]book.Customer, len(found))
	for _, c := range found {
		m[c.ID] = c
	}
	return m, nil
}

func (t *Invoices) finish(context.Context, *gorm.DB, *Reader) ([]error, error) { return nil, nil }
