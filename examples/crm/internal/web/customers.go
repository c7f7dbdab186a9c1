package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

// listData is the list of customers and what was asked for.
type listData struct {
	desk.CustomerPage
	Search     string
	ShowHidden bool
	Pager      pager
}

func (a *app) customerList(v *visit) error {
	q := desk.CustomerQuery{Search: v.query("q"), ShowHidden: v.query("hidden") == "1", Page: v.pageNumber()}
	found, err := v.Customers.Customers(v.ctx(), q)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "customers", page{
		Title: v.t("customers.title"), Section: "customers", Done: v.done(),
		Data: listData{CustomerPage: found, Search: q.Search, ShowHidden: q.ShowHidden, Pager: v.pager(found.Page, found.Pages)},
	})
}

func (a *app) customerPage(v *visit) error {
	c, err := v.customer()
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "customer", page{
		Title: v.nameOf(c), Section: "customers", Done: v.done(),
		Data: customerData{Customer: c, Fields: desk.CustomerFields(), Files: v.Documents != nil},
	})
}

// customerData is one customer and, of a form, what is wrong with it.
type customerData struct {
	desk.Customer
	Fields []string
	Files  bool // there is a page of the customer's files
}

// customer is the one that the address names.
func (v *visit) customer() (desk.Customer, error) {
	id, err := v.id()
	if err != nil {
		return desk.Customer{}, err
	}
	return v.Customers.Customer(v.ctx(), id)
}

// nameOf is the customer's name as far as it may be seen, for a title.
func (v *visit) nameOf(c desk.Customer) string {
	if c.Erased {
		return v.t("customer.erased")
	}
	if n := named(c).Text; n != "" {
		return n
	}
	return v.t("customer.title", c.ID)
}

func customerPath(id string) string { return "/customers/" + url.PathEscape(id) }

func (a *app) hide(hidden bool) handler {
	return func(v *visit) error {
		id, err := v.id()
		if err != nil {
			return err
		}
		if err := v.Customers.SetHidden(v.ctx(), id, hidden); err != nil {
			return err
		}
		done := "unhidden"
		if hidden {
			done = "hidden"
		}
		// Who may hide a customer may not always see hidden ones.
		if _, err := v.Customers.Customer(v.ctx(), id); err != nil {
			return v.seeOther("/customers?done=" + done)
		}
		return v.seeOther(customerPath(id) + "?done=" + done)
	}
}

// done says what the request before this one did. Only words of ours: whatever
// stands in the address is no more than a choice among them.
func (v *visit) done() string {
	key := map[string]string{
		"saved": "done.saved", "unchanged": "done.unchanged", "hidden": "done.hidden", "added": "done.added", "unhidden": "done.unhidden",
		"roles": "done.roles", "disabled": "done.disabled", "enabled": "done.enabled",
	}[v.query("done")]
	if key == "" {
		return ""
	}
	return v.t(key)
}

// A pager leads through the pages of a list. Pages is 0 where nobody counted.
type pager struct {
	Page, Pages int
	Prev, Next  string // addresses, "" where there is none
}

// pager keeps what the address asks for and changes its page.
func (v *visit) pager(current, pages int) pager {
	p := pager{Page: current, Pages: pages}
	if current > 1 {
		p.Prev = v.turned(current - 1)
	}
	if current < pages {
		p.Next = v.turned(current + 1)
	}
	return p
}

func (v *visit) turned(to int) string {
	q := url.Values{}
	for key := range v.r.URL.Query() {
		if s := v.query(key); s != "" && key != "done" {
			q.Set(key, s)
		}
	}
	q.Set("page", strconv.Itoa(to))
	return v.r.URL.EscapedPath() + "?" + q.Encode()
}
