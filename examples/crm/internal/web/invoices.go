package web

import (
	"net/http"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

// invoiceData is a list of invoices, of one customer or of all.
type invoiceData struct {
	desk.InvoicePage
	Of    *desk.Customer
	Pager pager
}

func (a *app) allInvoices(v *visit) error { return v.showInvoices(nil) }

func (a *app) customerInvoices(v *visit) error {
	c, err := v.customer()
	if err != nil {
		return err
	}
	return v.showInvoices(&c)
}

func (v *visit) showInvoices(of *desk.Customer) error {
	id, title, section := "", v.t("invoices.title"), "invoices"
	if of != nil {
		id, title, section = of.ID, v.t("invoices.of", v.nameOf(*of)), "customers"
	}
	found, err := v.Invoices.Invoices(v.ctx(), id, v.pageNumber())
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "invoices", page{
		Title: title, Section: section,
		Data: invoiceData{InvoicePage: found, Of: of, Pager: v.pager(found.Page, found.Pages)},
	})
}
