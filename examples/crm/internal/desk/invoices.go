package desk

import (
	"context"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/who"
)

// Invoices returns a page of the invoices the caller may see, newest first: of
// one customer, or of all if the id is empty.
func (d *Desk) Invoices(ctx context.Context, customerID string, page int) (InvoicePage, error) {
	if customerID != "" {
		if _, err := d.customer(d.db(ctx), customerID); err != nil {
			return InvoicePage{}, err
		}
	}
	works, err := d.worksWith(ctx, &book.Invoice{TenantID: who.From(ctx).Tenant, OwnerID: who.From(ctx).ID})
	if err != nil || !works.read {
		return InvoicePage{Page: 1, Pages: 1}, err
	}
	matching := func() *gorm.DB {
		tx := d.db(ctx).Model(&book.Invoice{})
		if customerID != "" {
			return tx.Where("customer_id = ?", customerID)
		}
		if works.hidden {
			tx = tx.Where("hidden = ?", false)
		}
		return tx
	}
	var total int64
	if err := matching().Count(&total).Error; err != nil {
		return InvoicePage{}, clarify(err)
	}
	p := InvoicePage{Total: int(total), Page: onPage(page, int(total)), Pages: pages(int(total))}
	if total == 0 {
		return p, nil
	}
	if err := matching().Select("sum(cents)").Scan(&p.Cents).Error; err != nil {
		return InvoicePage{}, clarify(err)
	}
	var rows []book.Invoice
	err = matching().Order("date DESC").Order("id").Limit(PageSize).Offset((p.Page - 1) * PageSize).Find(&rows).Error
	if err != nil {
		return InvoicePage{}, clarify(err)
	}
	if p.Invoices, err = d.showInvoices(ctx, rows); err != nil {
		return InvoicePage{}, err
	}
	return p, seen(ctx, d, "invoice", rows, append(invoiceFields(), "cents"), "invoice list")
}

func (d *Desk) showInvoices(ctx context.Context, rows []book.Invoice) ([]Invoice, error) {
	shown, err := cells(ctx, d, rows, invoiceFields(), "invoice list")
	if err != nil {
		return nil, err
	}
	names, err := d.customerNames(ctx, rows)
	if err != nil {
		return nil, err
	}
	list := make([]Invoice, len(rows))
	for i, row := range rows {
		list[i] = Invoice{
			ID: row.ID, CustomerID: row.CustomerID, Customer: names[row.CustomerID], Date: row.Date,
			Cents: row.Cents, Country: row.Country, Cells: shown[i],
		}
	}
	return list, nil
}

// customerNames returns the names of the customers that invoices belong to, as
// the caller may see them.
func (d *Desk) customerNames(ctx context.Context, invoices []book.Invoice) (map[string]string, error) {
	ids := make([]string, len(invoices))
	for i, row := range invoices {
		ids[i] = row.CustomerID
	}
	var rows []book.Customer
	if err := d.db(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, clarify(err)
	}
	shown, err := cells(ctx, d, rows, []string{"first_name", "last_name"}, "invoice list")
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for i, row := range rows {
		names[row.ID] = name(shown[i])
	}
	return names, nil
}

// invoiceFields are the sealed fields of an invoice.
func invoiceFields() []string { return []string{"address", "city", "state", "postal_code"} }
