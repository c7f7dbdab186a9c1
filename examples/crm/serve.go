package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/confide-go/confide/audit/httpaudit"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/web"
	"github.com/confide-go/confide/examples/crm/internal/who"
)

// serve is the verb `serve`.
func serve(ctx context.Context, c *command) error {
	if len(c.args) > 0 {
		return fmt.Errorf("%w: serve takes no arguments", errUsage)
	}
	if err := c.safeAddress(); err != nil {
		return err
	}
	a, err := open(ctx, c)
	if err != nil {
		return err
	}
	logins, err := a.demo(ctx, c.demo)
	if err != nil {
		return errors.Join(err, a.close())
	}
	handler, err := a.pages(ctx, c.settings, logins)
	if err != nil {
		return errors.Join(err, a.close())
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", c.addr, err), a.close())
	}
	c.announce(listener.Addr(), logins)
	return errors.Join(a.serve(ctx, c, listener, handler), a.close())
}

// safeAddress refuses to serve customers' data in clear over a network.
func (c *command) safeAddress() error {
	host, _, err := net.SplitHostPort(c.addr)
	if err != nil {
		return fmt.Errorf("%w: -addr is host:port", errUsage)
	}
	if (c.tlsCert == "") != (c.tlsKey == "") {
		return fmt.Errorf("%w: -tls-cert and -tls-key go together", errUsage)
	}
	ip := net.ParseIP(host)
	if c.tlsCert == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%w: -addr %s can be reached from outside; give -tls-cert and -tls-key, or serve on 127.0.0.1", errUsage, c.addr)
	}
	return nil
}

func (c *command) announce(addr net.Addr, logins []web.Login) {
	scheme := "http"
	if c.tlsCert != "" {
		scheme = "https"
	}
	fmt.Fprintf(c.stdout, "serving on %s://%s\n", scheme, addr)
	if len(logins) > 0 {
		fmt.Fprintln(c.stdout, "\ndemo logins (their data is the Chinook sample, nobody is real):")
		for _, l := range logins {
			fmt.Fprintf(c.stdout, "  %-26s %-12s %s\n", l.Login, l.Password, l.Role)
		}
	}
	fmt.Fprintln(c.stdout, "\nstop with Ctrl-C")
}

// pages puts the pages on top of the desk.
func (a *app) pages(ctx context.Context, s settings, logins []web.Login) (http.Handler, error) {
	door, err := signin.Open(ctx, signin.Config{DB: a.db, Accounts: a.desk, Record: a.log, Now: a.now})
	if err != nil {
		return nil, err
	}
	edge, err := httpaudit.New(httpaudit.Config{Log: a.log, Channel: "web", Logger: a.logger})
	if err != nil {
		return nil, err
	}
	handler, err := web.New(web.Config{
		Customers: a.desk, Invoices: a.desk, People: a.desk, Trail: a.desk, Sessions: door, Documents: a.desk, System: a.desk,
		Within: a.desk.Within, SeesAudit: a.desk.SeesAudit,
		RequestInfo: func(ctx context.Context, ip, requestID string) context.Context {
			return who.With(ctx, who.Who{Tenant: book.Tenant, IP: ip, RequestID: requestID, Channel: "web"})
		},
		Log: a.logger, Now: a.now, Lang: s.lang, Secure: s.tlsCert != "", DemoLogins: logins,
	})
	if err != nil {
		return nil, err
	}
	return edge.Handler(handler), nil
}

// followPolicy notices changes of the policy that another process made, such as
// an import of employees.
func (a *app) followPolicy(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.authz.Reload(ctx); err != nil && ctx.Err() == nil {
				a.logger.ErrorContext(ctx, "the policy could not be read again; the one before goes on deciding", "error", err)
			}
		}
	}
}

// serve answers until ctx ends; then it lets running requests finish and seals
// the log a last time.
func (a *app) serve(ctx context.Context, c *command, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}
	sealing, stopSealing := context.WithCancel(context.WithoutCancel(ctx))
	sealed := make(chan error, 1)
	go func() { sealed <- a.log.Run(sealing) }()
	go a.followPolicy(sealing)
	go a.sweepFiles(sealing)
	planned := make(chan error, 1)
	planning, stopPlanning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPlanning()
	go func() {
		if !c.clocked {
			planned <- nil
			return
		}
		planned <- a.runPlan(planning, c)
	}()
	served := make(chan error, 1)
	go func() {
		if c.tlsCert != "" {
			served <- server.ServeTLS(l, c.tlsCert, c.tlsKey)
			return
		}
		served <- server.Serve(l)
	}()
	var failed error
	select {
	case <-ctx.Done():
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		failed = server.Shutdown(patience)
	case failed = <-served:
	}
	stopPlanning() // what is half done is left to the next run
	failed = errors.Join(failed, <-planned)
	stopSealing()
	return errors.Join(failed, <-sealed)
}
