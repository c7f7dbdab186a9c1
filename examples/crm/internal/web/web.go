package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/confide-go/confide/examples/crm/internal/signin"
)

// Config is what stands behind the pages.
type Config struct {
	Customers Customers // required, like the four below
	Invoices  Invoices
	People    People
	Trail     Trail
	Sessions  Sessions

	// Documents shows files of customers; without it there is no such page.
	Documents Documents

	// System shows backups and the state of the log; without it there is no such page.
	System System

	// Within puts the person of a session into the context of a request. Required.
	Within func(context.Context, signin.Session) (context.Context, error)
	// RequestInfo puts the address and the id of a request into its context, before
	// anybody is signed in. Required: a look at a value must say from where.
	RequestInfo func(ctx context.Context, ip, requestID string) context.Context

	// SeesAudit says whether the person in the context may read the audit log, so
	// that no page shows a way to one that would refuse. Nil: everybody is shown it.
	SeesAudit func(context.Context) (bool, error)

	Log        *slog.Logger     // required
	Lang       string           // "en" or "zh" for readers whose browser asks for neither; "" is "en"
	Zone       *time.Location   // of the times on the pages; nil: UTC
	Now        func() time.Time // nil: time.Now
	Secure     bool             // served by TLS: cookies are __Host- and Secure; without, only loopback names are answered
	DemoLogins []Login          // shown on the login page
}

// A Login is one of the demo's; Role is one role or several with commas between.
type Login struct{ Login, Password, Role string }

// app is the pages at work.
type app struct {
	Config
	words words
	pages pages
	files files
}

// New returns the pages.
func New(c Config) (http.Handler, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	a := &app{Config: c}
	var err error
	if a.words, err = loadWords(); err != nil {
		return nil, err
	}
	if a.files, err = loadFiles(); err != nil {
		return nil, err
	}
	if a.pages, err = a.parsePages(); err != nil {
		return nil, err
	}
	return a.guard(a.routes()), nil
}

// complete fills in defaults and names what is missing.
func (c *Config) complete() error {
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Customers", c.Customers == nil}, {"Invoices", c.Invoices == nil}, {"People", c.People == nil},
		{"Trail", c.Trail == nil}, {"Sessions", c.Sessions == nil}, {"Within", c.Within == nil},
		{"RequestInfo", c.RequestInfo == nil}, {"Log", c.Log == nil},
	} {
		if part.missing {
			return fmt.Errorf("web: Config.%s is nil; the pages need it", part.name)
		}
	}
	if c.Lang == "" {
		c.Lang = english
	}
	if c.Lang != english && c.Lang != chinese {
		return errors.New("web: Config.Lang is neither en nor zh")
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SeesAudit == nil {
		c.SeesAudit = func(context.Context) (bool, error) { return true, nil }
	}
	return nil
}

// routes is every address there is.
func (a *app) routes() *http.ServeMux {
	mux := http.NewServeMux()
	anyone := func(pattern string, h handler) { mux.Handle(pattern, a.open(h)) }
	member := func(pattern string, h handler) { mux.Handle(pattern, a.open(signedIn(h))) }

	mux.Handle("GET /static/{file}", a.files)
	anyone("GET /login", a.loginForm)
	anyone("POST /login", a.login)
	anyone("POST /lang", a.chooseLang)

	member("POST /logout", a.logout)
	member("GET /{$}", func(v *visit) error { return v.seeOther("/customers") })
	member("GET /customers", a.customerList)
	member("GET /customers.csv", a.customerFile)
	member("GET /customers/{id}", a.customerPage)
	member("GET /customers/{id}/edit", a.editForm)
	member("POST /customers/{id}/edit", a.edit)
	member("POST /customers/{id}/hide", a.hide(true))
	member("POST /customers/{id}/unhide", a.hide(false))
	member("GET /customers/{id}/reveal", a.revealForm)
	member("POST /customers/{id}/reveal", a.reveal)
	member("GET /customers/{id}/invoices", a.customerInvoices)
	member("GET /invoices", a.allInvoices)
	if a.Documents != nil {
		member("GET /customers/{id}/documents", a.documents)
		mux.Handle("POST /customers/{id}/documents", a.openUpload(signedIn(a.addDocument)))
		member("POST /customers/{id}/documents/{document}", a.downloadDocument)
	}
	if a.System != nil {
		member("GET /system", a.systemPage)
	}
	member("GET /users", a.people)
	member("POST /users/{id}/roles", a.setRoles)
	member("POST /users/{id}/disable", a.setDisabled(true))
	member("POST /users/{id}/enable", a.setDisabled(false))
	member("GET /audit", a.trail)
	member("POST /audit/verify", a.verify)
	// Also a known address with a method it does not have: there is nothing there.
	member("/", func(*visit) error { return errNoPage })
	return mux
}
