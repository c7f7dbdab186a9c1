package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/privacy/attach"
)

// Office is the CRM for tests that look at it from outside.
type Office struct {
	*app
	settings settings
	log      *Pages
}

// Pages is a log that can be read while it is written.
type Pages struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (p *Pages) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *Pages) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// OpenOffice opens the CRM on a data folder and, if it is not "", a database.
func OpenOffice(ctx context.Context, data, db string, now func() time.Time) (*Office, error) {
	o := &Office{settings: settings{data: data, db: db, log: "info", lang: "en", now: now}, log: &Pages{}}
	var err error
	o.app, err = open(ctx, &command{settings: o.settings, stdout: io.Discard, stderr: o.log})
	return o, err
}

// Employ takes the staff of the demo in, with the hash of one password for all.
func (o *Office) Employ(ctx context.Context, hash string) error {
	err := o.Do(ctx, func(ctx context.Context, tx *gorm.DB) error {
		return o.loadDemoSheet(ctx, tx, "employees", hash)
	})
	if err != nil {
		return err
	}
	return o.authz.Reload(ctx)
}

// Do works as the operator, in one transaction.
func (o *Office) Do(ctx context.Context, f func(context.Context, *gorm.DB) error) error {
	return o.inTx(operator(ctx, "prepare a test"), f)
}

// Assign gives a member of the staff these roles and no others.
func (o *Office) Assign(ctx context.Context, user string, roles ...string) error {
	err := o.Do(ctx, func(ctx context.Context, _ *gorm.DB) error { return o.desk.Assign(ctx, book.Tenant, user, roles) })
	if err != nil {
		return err
	}
	return o.authz.Reload(ctx)
}

// Erase erases a customer.
func (o *Office) Erase(ctx context.Context, id string) error {
	return o.erase(operator(ctx, "prepare a test"), "customer:"+id)
}

func (o *Office) Files() *attach.Files { return o.files }

// Handler is all pages.
func (o *Office) Handler(ctx context.Context) (http.Handler, error) {
	return o.pages(ctx, o.settings, nil)
}

// Flush waits until what happened is in the audit log.
func (o *Office) Flush(ctx context.Context) error { return o.app.log.Flush(ctx) }

// Logged is the program's log.
func (o *Office) Logged() string { return o.log.String() }

func (o *Office) Close() error { return o.close() }
