package web

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/examples/crm/internal/signin"
)

// mostBody is far more than the largest form has.
const mostBody = 64 << 10

// policy allows what lies on this server and nothing else; what is not listed
// falls under default-src.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// guard is what every request goes through before a route is looked for.
func (a *app) guard(mux *http.ServeMux) http.Handler {
	// Both before and behind the token in each form: this one also covers the login
	// form, where nobody has a session yet.
	sameSite := http.NewCrossOriginProtection()
	sameSite.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "This form was not sent from this site.", http.StatusForbidden)
	}))
	inner := sameSite.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ip := audit.SourceOf(r.Context()).RequestID, remoteIP(r)
		if id == "" { // nobody in front has given one
			id = rand.Text()
		}
		ctx := a.RequestInfo(signin.WithAddress(r.Context(), ip), ip, id)
		r = r.WithContext(withRequestID(ctx, id))
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r))
		a.headers(w.Header(), id)
		sw := &statusWriter{ResponseWriter: w}
		start := a.Now()
		defer func() {
			a.recovered(sw, r, id, recover())
			// The pattern, not the path: people put everything into addresses.
			a.Log.InfoContext(r.Context(), "request", slog.String("method", knownMethod(r.Method)), slog.String("route", r.Pattern),
				slog.Int("status", sw.status), slog.Duration("took", a.Now().Sub(start)), slog.String("request", id))
		}()
		if !a.Secure && !loopback(r.Host) {
			// Without TLS this is for the machine it runs on; a page elsewhere that got its
			// name to point here must not read it.
			http.Error(sw, "Open this by the address that the program printed.", http.StatusMisdirectedRequest)
			return
		}
		inner.ServeHTTP(sw, r)
	})
}

func (a *app) headers(h http.Header, requestID string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: browsers then send "Origin: null" with our own forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", requestID)
	if a.Secure {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}

// recovered turns a panic into an answer. Its value stays out of the log: it may
// hold anything, also what was typed into a form.
func (a *app) recovered(w *statusWriter, r *http.Request, id string, p any) {
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	a.Log.ErrorContext(r.Context(), "a page panicked", slog.String("type", fmt.Sprintf("%T", p)),
		slog.String("request", id), slog.String("stack", string(debug.Stack())))
	if w.status == 0 {
		http.Error(w, "Something went wrong. Request "+id, http.StatusInternalServerError)
	}
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// remoteIP is the address of the connection. X-Forwarded-For is whatever the
// client wrote into it.
func remoteIP(r *http.Request) string {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().String()
	}
	return ""
}

// loopback reports whether a Host header names this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// knownMethod keeps what a client invents out of the log.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
