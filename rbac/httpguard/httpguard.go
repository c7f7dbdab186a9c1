// Package httpguard puts who asks, and from where, into the context of net/http requests, and turns rbac's
// refusals into answers that tell the client what to do and nothing else.
//
//	guard, err := httpguard.New(httpguard.Config{Caller: session, Env: device, Proxies: []netip.Prefix{...}})
//	authz, err := rbac.Open(ctx, rbac.Config{Caller: httpguard.Caller, Env: httpguard.Env, ...})
//	mux.Handle("POST /customers/{id}/reveal", guard.Handle(func(w http.ResponseWriter, r *http.Request) error {
//		return authz.Check(rbac.WithReason(r.Context(), r.FormValue("reason")), "reveal", row)
//	}))
//
// A handler reports an error by returning it, before it writes anything. What the answer is:
//
//	rbac.ErrNoCaller                 401, WWW-Authenticate: Bearer
//	*rbac.Required with a step-up    401 and the challenge of RFC 9470: acr_values, max_age
//	*rbac.Required with an approval  403, and "needs" in the body
//	*rbac.Required with a reason     428, and "needs" in the body
//	rbac.ErrDenied                   403
//	anything else, and a panic       500
//
// Bodies are problem details (RFC 9457) made of constant words. No name of a rule, a role or a resource
// and no text of an error leaves the server; Config.Report gets the error.
//
// # The client's address
//
// It is that of the connection, unless that is one of Config.Proxies. Then X-Forwarded-For is read from the
// right, and the first address that is not a proxy's is the client's: what a client writes there itself
// stands further left. Where a proxy sent no such header, or something else than addresses, the address is
// unknown, and rules on env.ip deny. Forwarded, X-Real-IP and the like are not read.
package httpguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/confide-go/confide/rbac"
)

// Config is what a Guard needs. Caller is required.
type Config struct {
	// Caller finds out who asks from the session or the token that the request carries. Nobody is the zero
	// Caller: the request goes on, and what it may not do without a caller is refused.
	Caller func(r *http.Request) (rbac.Caller, error)
	// Env adds what the server knows of the session and the device. Its IP is set by the guard.
	Env func(r *http.Request) (rbac.Env, error)
	// Proxies are the networks of the proxies in front of the server.
	Proxies []netip.Prefix
	// ACR names a level of assurance as the identity provider does (acr_values); nil means the number.
	ACR func(assurance int64) string
	// Report receives what went wrong, for the server's own log.
	Report func(ctx context.Context, err error)
}

// Guard is the middleware. It is safe for concurrent use.
type Guard struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Guard, error) {
	if cfg.Caller == nil {
		return nil, errors.New("httpguard: Config.Caller is missing: it must return who is signed in")
	}
	for _, p := range cfg.Proxies {
		if !p.IsValid() || p.Masked() != p || p.Addr().Is4In6() {
			return nil, fmt.Errorf("httpguard: Config.Proxies: %s is not a network: write 10.0.0.0/8 or 2001:db8::/32, without bits behind its length", p)
		}
	}
	if cfg.ACR == nil {
		cfg.ACR = func(assurance int64) string { return strconv.FormatInt(assurance, 10) }
	}
	if cfg.Report == nil {
		cfg.Report = func(context.Context, error) {}
	}
	return &Guard{cfg}, nil
}

type key struct{}

// visit is what the guard knows of one request.
type visit struct {
	caller rbac.Caller
	env    rbac.Env
}

// Caller is the rbac.Config.Caller for requests that went through a Guard.
func Caller(ctx context.Context) (rbac.Caller, error) {
	v, ok := ctx.Value(key{}).(visit)
	if !ok {
		return rbac.Caller{}, errors.New("httpguard: the request did not go through Guard.Handle or Guard.Wrap")
	}
	return v.caller, nil
}

// Env is the rbac.Config.Env for requests that went through a Guard. For all others nothing is known.
func Env(ctx context.Context) (rbac.Env, error) {
	v, _ := ctx.Value(key{}).(visit)
	return v.env, nil
}

// Handle makes a handler of h. The error that h returns becomes the answer.
func (g *Guard) Handle(h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sw := newWriter(w)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				// The value of a panic may hold anything; its type is enough to find it.
				g.fail(sw, r, fmt.Errorf("httpguard: a handler panicked with a %T", p))
			}
		}()
		r, err := g.enter(r)
		if err == nil {
			err = h(sw, r)
		}
		if err != nil {
			g.fail(sw, r, err)
		}
	})
}

// Wrap is Handle for handlers that answer errors themselves, with Fail.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return g.Handle(func(w http.ResponseWriter, r *http.Request) error {
		next.ServeHTTP(w, r)
		return nil
	})
}

// enter puts the caller and the environment into the request's context.
func (g *Guard) enter(r *http.Request) (*http.Request, error) {
	v := visit{}
	var err error
	if v.caller, err = g.cfg.Caller(r); err != nil {
		return r, fmt.Errorf("httpguard: who asks: %w", err)
	}
	if g.cfg.Env != nil {
		if v.env, err = g.cfg.Env(r); err != nil {
			return r, fmt.Errorf("httpguard: environment: %w", err)
		}
	}
	v.env.IP = g.Address(r)
	return r.WithContext(context.WithValue(r.Context(), key{}, v)), nil
}

// newWriter copies the header; an empty one is not nil.
func newWriter(w http.ResponseWriter) *writer {
	before := http.Header{}
	for name, values := range w.Header() {
		before[name] = slices.Clone(values)
	}
	return &writer{ResponseWriter: w, before: before}
}

// writer remembers whether an answer has begun.
type writer struct {
	http.ResponseWriter
	begun  bool
	before http.Header // when the handler was called; nil: unknown
}

func (w *writer) WriteHeader(status int) {
	w.begun = w.begun || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection. Its Flush and Hijack count as a begun answer.
func (w *writer) Unwrap() http.ResponseWriter {
	w.begun = true
	return w.ResponseWriter
}
