package httpaudit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/confide-go/confide/audit"
)

// A Recorder takes events that outlive the request. *audit.Log is one.
type Recorder interface {
	RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error
}

// Config says what an Edge believes and where it records.
type Config struct {
	Log     Recorder       // required
	Channel string         // of the source; "" is "web"
	Proxies []netip.Prefix // whose X-Forwarded-For and X-Request-Id are believed
	Logger  *slog.Logger   // where events that could not be recorded are reported; nil is slog.Default
}

// An Edge is the middleware. It is safe for concurrent use.
type Edge struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Edge, error) {
	if cfg.Log == nil {
		return nil, errors.New("httpaudit: Config.Log is nil; give the *audit.Log")
	}
	if cfg.Channel == "" {
		cfg.Channel = "web"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Edge{cfg}, nil
}

// toldKey leads to what the handler tells the middleware.
type toldKey struct{}

type told struct {
	recorded atomic.Bool
	acting   atomic.Pointer[context.Context]
}

// Recorded tells the middleware that the handler has recorded the refusal or
// failure of this request itself.
func Recorded(ctx context.Context) {
	if told, ok := ctx.Value(toldKey{}).(*told); ok {
		told.recorded.Store(true)
	}
}

// Acting tells the middleware in which context the request is handled, once that knows
// who acts. Without it, whoever stands inside the middleware (as sign-in does) cannot be
// seen from there, and a refusal is recorded as nobody's, in the log of audit.MainTenant.
func Acting(ctx context.Context) {
	if told, ok := ctx.Value(toldKey{}).(*told); ok {
		told.acting.Store(&ctx)
	}
}

// Handler wraps a handler.
func (e *Edge) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var told told
		ctx := audit.WithSource(r.Context(), e.source(r))
		ctx = context.WithValue(ctx, toldKey{}, &told)
		inner := r.WithContext(ctx)
		rw := &responseWriter{ResponseWriter: w}
		defer func() {
			failure := recover()
			status := rw.status
			if failure != nil {
				status = http.StatusInternalServerError
			}
			if acting := told.acting.Load(); acting != nil {
				ctx = *acting
			}
			if !told.recorded.Load() {
				e.record(ctx, inner, status, failure != nil)
			}
			if failure != nil {
				panic(failure) // the server's own handling goes on
			}
		}()
		next.ServeHTTP(rw, inner)
	})
}

func (e *Edge) source(r *http.Request) audit.Source {
	s := audit.Source{Channel: e.cfg.Channel}
	if addr := e.address(r); addr.IsValid() {
		s.IP = addr.String()
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && e.proxy(plain(peer.Addr())) {
		s.RequestID = requestID(r.Header.Get("X-Request-Id"))
	}
	if s.RequestID == "" {
		s.RequestID = rand.Text()
	}
	return s
}

// requestID takes an id of a proxy if it is one, not a text.
func requestID(s string) string {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+="
	if len(s) > 100 || strings.Trim(s, legal) != "" {
		return ""
	}
	return s
}

func (e *Edge) record(ctx context.Context, r *http.Request, status int, panicked bool) {
	action, result := "http.failed", "failed"
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired, status == http.StatusTooManyRequests:
		action, result = "http.denied", "denied"
	case status < 500:
		return
	}
	attrs := []slog.Attr{slog.String("result", result), slog.Int("status", status), slog.String("method", method(r.Method)), slog.String("pattern", r.Pattern)}
	if panicked {
		attrs = append(attrs, slog.Bool("panic", true))
	}
	// The client may be gone; the event must not go with it.
	if err := e.cfg.Log.RecordApart(context.WithoutCancel(ctx), action, attrs...); err != nil {
		e.cfg.Logger.ErrorContext(ctx, fmt.Sprintf("httpaudit: %s was not recorded", action), "error", err)
	}
}

// method is the request's method if it is a known one: a client can send any word.
func method(m string) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace}
	if slices.Contains(known, m) {
		return m
	}
	return "other"
}

// A responseWriter remembers the status. Unwrap lets http.ResponseController
// reach what the server's own writer can do besides.
type responseWriter struct {
	http.ResponseWriter
	status int
}

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
