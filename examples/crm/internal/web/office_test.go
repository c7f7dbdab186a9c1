package web_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
)

// office is a desk in memory: enough of one to show every page and to fail in
// every way. The real one stands behind the browser test.
type office struct {
	mu        sync.Mutex
	customers []desk.Customer              // as shown
	full      map[string]map[string]string // what the masks hide: id, field
	invoices  []desk.Invoice
	staff     desk.Staff
	exports   bool // everybody may
	events    []desk.Event
	verdict   desk.Verdict
	fail      error // what every call returns
	exportErr error // what an export returns after its first bytes

	asked    []desk.CustomerQuery
	trails   []desk.EventQuery
	updates  []map[string]string
	revealed []string // "who id field purpose"
	roles    map[string][]string
	disabled map[string]bool
}

type userKey struct{}

func within(ctx context.Context, s signin.Session) (context.Context, error) {
	return context.WithValue(ctx, userKey{}, s.UserID), nil
}

// breaks makes every call fail from now on; nil mends it.
func (o *office) breaks(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = err
}

func (o *office) enter(ctx context.Context) error {
	if ctx.Value(userKey{}) == nil {
		return errors.New("nobody in the context")
	}
	return o.fail
}

func (o *office) Customers(ctx context.Context, q desk.CustomerQuery) (desk.CustomerPage, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return desk.CustomerPage{}, err
	}
	o.asked = append(o.asked, q)
	var found []desk.Customer
	for _, c := range o.customers {
		if c.Hidden && !q.ShowHidden {
			continue
		}
		values := o.full[c.ID]
		if q.Search != "" && !strings.EqualFold(values["email"], q.Search) && values["last_name"] != q.Search {
			continue
		}
		found = append(found, c)
	}
	pages := max(1, (len(found)+desk.PageSize-1)/desk.PageSize)
	page := min(max(1, q.Page), pages)
	part := found[min(len(found), (page-1)*desk.PageSize):min(len(found), page*desk.PageSize)]
	return desk.CustomerPage{Customers: part, Total: len(found), Page: page, Pages: pages, SeesHidden: true, MayExport: o.exports}, nil
}

func (o *office) find(id string) (*desk.Customer, error) {
	for i := range o.customers {
		if o.customers[i].ID == id {
			return &o.customers[i], nil
		}
	}
	return nil, desk.ErrNotFound
}

func (o *office) Customer(ctx context.Context, id string) (desk.Customer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return desk.Customer{}, err
	}
	c, err := o.find(id)
	if err != nil {
		return desk.Customer{}, fmt.Errorf("customer: %w", err)
	}
	return *c, nil
}

func (o *office) UpdateCustomer(ctx context.Context, id string, changed map[string]string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return err
	}
	if changed["country"] == "Atlantis" {
		return fmt.Errorf("%w: there is no country of that name", desk.ErrInvalid)
	}
	o.updates = append(o.updates, changed)
	return nil
}

func (o *office) SetHidden(ctx context.Context, id string, hidden bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return err
	}
	c, err := o.find(id)
	if err != nil {
		return err
	}
	c.Hidden = hidden
	return nil
}

func (o *office) Reveal(ctx context.Context, id, field, purpose string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return "", err
	}
	c, err := o.find(id)
	if err != nil {
		return "", err
	}
	if c.Erased {
		return "", desk.ErrErased
	}
	if !c.Cells[field].Revealable {
		return "", desk.ErrDenied
	}
	o.revealed = append(o.revealed, fmt.Sprint(ctx.Value(userKey{}), " ", id, " ", field, " ", purpose))
	return o.full[id][field], nil
}

func (o *office) ExportCustomers(ctx context.Context, w io.Writer) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	for _, c := range o.customers {
		out.Write([]string{c.ID, c.Cells["phone"].Text})
	}
	out.Flush()
	return errors.Join(out.Error(), o.exportErr)
}

func (o *office) Invoices(ctx context.Context, customerID string, page int) (desk.InvoicePage, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return desk.InvoicePage{}, err
	}
	p := desk.InvoicePage{Page: max(1, page), Pages: 1}
	for _, i := range o.invoices {
		if customerID == "" || i.CustomerID == customerID {
			p.Invoices = append(p.Invoices, i)
			p.Total++
			p.Cents += i.Cents
		}
	}
	return p, nil
}

func (o *office) Staff(ctx context.Context) (desk.Staff, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.staff
	s.People = slices.Clone(s.People)
	return s, o.enter(ctx)
}

func (o *office) SetRoles(ctx context.Context, userID string, roles []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enter(ctx); err != nil {
		return err
	}
	if len(roles) == 0 {
		return fmt.Errorf("%w: leave at least one role", desk.ErrInvalid)
	}
	o.roles[userID] = roles
	return nil
}

func (o *office) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disabled[userID] = disabled
	return o.enter(ctx)
}

func (o *office) Events(ctx context.Context, q desk.EventQuery) (desk.EventPage, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trails = append(o.trails, q)
	return desk.EventPage{Events: o.events, Page: max(1, q.Page), More: q.Page < 2}, o.enter(ctx)
}

func (o *office) VerifyLog(ctx context.Context) (desk.Verdict, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.verdict, o.enter(ctx)
}

// secretPhone and the like stand nowhere but behind a mask.
const (
	secretPhone = "+55 (12) 3923-5555"
	secretEmail = "luisg@embraer.com.br"
)

// newOffice has three customers: an ordinary one, a hostile one whose every field
// is markup, and one who has been erased.
func newOffice() *office {
	day := time.Date(2021, 3, 4, 23, 30, 0, 0, time.UTC)
	masked := func(text string) desk.Cell { return desk.Cell{Text: text, Masked: true, Revealable: true} }
	hostile := map[string]desk.Cell{}
	erased := map[string]desk.Cell{}
	for _, f := range desk.CustomerFields() {
		hostile[f] = desk.Cell{Text: markup}
		erased[f] = desk.Cell{Erased: true}
	}
	return &office{
		exports: true,
		customers: []desk.Customer{
			{
				ID: "1", OwnerID: "3", Owner: "Jane Peacock", Country: "Brazil", Updated: day, Can: desk.Rights{Update: true, Hide: true, Reveal: true},
				Cells: map[string]desk.Cell{
					"first_name": {Text: "Luís"}, "last_name": {Text: "Gonçalves"}, "company": {Text: "Embraer - Empresa Brasileira de Aeronáutica S.A."},
					"email": masked("l***g@embraer.com.br"), "phone": masked("+55 (12) ****-**55"), "fax": masked("+55 (12) ****-**66"),
					"address": masked("Av. ***"), "city": {Text: "São José dos Campos"}, "state": {Text: "SP"}, "postal_code": masked("12***"),
				},
			},
			{ID: "2", OwnerID: markup, Owner: markup, Country: markup, Cells: hostile, Can: desk.Rights{Update: true, Hide: true}},
			{ID: "3", OwnerID: "3", Owner: "Jane Peacock", Country: "Germany", Erased: true, Cells: erased},
		},
		full: map[string]map[string]string{"1": {"phone": secretPhone, "email": secretEmail, "last_name": "Gonçalves"}},
		invoices: []desk.Invoice{
			{ID: "98", CustomerID: "1", Customer: "Luís Gonçalves", Date: day, Cents: 398, Country: "Brazil", Cells: map[string]desk.Cell{"address": masked("Av. ***"), "city": {Text: "São José dos Campos"}}},
			{ID: "121", CustomerID: "2", Customer: markup, Date: day, Cents: 123456, Country: markup, Cells: hostile},
		},
		staff: desk.Staff{
			MayManage: true, MayDisable: true,
			People: []desk.Person{
				{ID: "2", Name: "Nancy Edwards", Title: "Sales Manager", Roles: []string{"manager"}, Cells: map[string]desk.Cell{"email": {Text: "nancy@chinookcorp.com"}}},
				{ID: "3", Name: "Jane Peacock", Title: "Sales Support Agent", ManagerID: "2", Manager: "Nancy Edwards", Roles: []string{"sales"}, Cells: map[string]desk.Cell{"email": {Text: "jane@chinookcorp.com"}, "phone": {Text: "+1 (403) ***-**43", Masked: true}}},
				{ID: "4", Name: markup, Title: markup, Manager: markup, Disabled: true, Roles: []string{markup}, Cells: hostile},
			},
			Roles: []desk.Role{
				{Name: "sales", Rules: []string{`read, reveal, export customer: row.owner_id == caller.id && !row.hidden`}},
				{Name: "manager", Rules: []string{`read, reveal customer: row.owner_id in caller.reports`}},
				{Name: markup, Rules: []string{markup}}, {Name: "auditor"},
			},
		},
		events: []desk.Event{
			{Time: day, Actor: "3 (Jane Peacock)", Action: "customer.reveal", Resource: "customer", Row: "1", Fields: "phone", Purpose: "call back about ticket 7", Result: "ok", IP: "127.0.0.1", Channel: "web"},
			{Seq: 41, Time: day, Actor: "4", Action: "customer.reveal", Resource: "customer", Row: "2", Fields: "email", Purpose: markup, Result: "denied", IP: "127.0.0.1", Channel: "web"},
			{Seq: 40, Time: day, Actor: markup, Action: markup, Resource: markup, Row: markup, Fields: markup, Purpose: markup, Result: markup, IP: markup, Channel: markup},
		},
		verdict:  desk.Verdict{OK: true, Anchored: true, Size: 1},
		roles:    map[string][]string{},
		disabled: map[string]bool{},
	}
}

// markup would be heard in any place of a page where it is not escaped.
const markup = `"><script>alert(1)</script>'` + "`" + `{{.}}<img src=x onerror=alert(2)>javascript:alert(3)`
