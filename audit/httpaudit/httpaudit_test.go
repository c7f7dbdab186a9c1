package httpaudit_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/httpaudit"
)

// tape keeps what was recorded.
type tape struct {
	lines []string
	fail  error
}

func (t *tape) RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error {
	s := audit.SourceOf(ctx)
	t.lines = append(t.lines, fmt.Sprint(action, " ", s.IP, " ", s.Channel, " ", attrs))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return t.fail
}

func newEdge(t testing.TB, log httpaudit.Recorder) *httpaudit.Edge {
	t.Helper()
	e, err := httpaudit.New(httpaudit.Config{Log: log, Logger: slog.New(slog.DiscardHandler),
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}})
	require.NoError(t, err)
	return e
}

func TestAddressAndRequestID(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		id         string
		ip, wantID string // wantID "" is a fresh one
	}{
		{"direct", "203.0.113.9:1234", nil, "", "203.0.113.9", ""},
		{"a client's own headers", "203.0.113.9:1234", []string{"1.1.1.1"}, "mine", "203.0.113.9", ""},
		{"behind a proxy", "10.0.0.1:80", []string{"203.0.113.9"}, "abc-1", "203.0.113.9", "abc-1"},
		{"a forged first hop", "10.0.0.1:80", []string{"1.1.1.1, 203.0.113.9"}, "", "203.0.113.9", ""},
		{"two proxies, two headers", "10.0.0.1:80", []string{"1.1.1.1, 203.0.113.9", "10.2.2.2"}, "", "203.0.113.9", ""},
		{"with a port", "10.0.0.1:80", []string{"203.0.113.9:5555"}, "", "203.0.113.9", ""},
		{"IPv6", "[fd00::1]:80", []string{"[2001:db8::7]:5555"}, "", "2001:db8::7", ""},
		{"IPv6 in brackets", "[fd00::1]:80", []string{"[2001:db8::7]"}, "", "2001:db8::7", ""},
		{"IPv4 in IPv6", "[::ffff:203.0.113.9]:80", nil, "", "203.0.113.9", ""},
		{"garbage from a proxy", "10.0.0.1:80", []string{"unknown"}, "", "", ""},
		{"only proxies", "10.0.0.1:80", []string{"10.3.3.3"}, "", "10.3.3.3", ""},
		{"no header", "10.0.0.1:80", nil, "", "", ""},
		{"a text as id", "10.0.0.1:80", []string{"203.0.113.9"}, "call 138 0013 8000", "203.0.113.9", ""},
		{"a long id", "10.0.0.1:80", []string{"203.0.113.9"}, strings.Repeat("x", 101), "203.0.113.9", ""},
		{"a unix socket", "@", nil, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			for _, f := range c.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if c.id != "" {
				r.Header.Set("X-Request-Id", c.id)
			}
			var s audit.Source
			newEdge(t, &tape{}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { s = audit.SourceOf(r.Context()) })).ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, c.ip, s.IP)
			require.Equal(t, "web", s.Channel)
			if c.wantID != "" {
				require.Equal(t, c.wantID, s.RequestID)
			} else {
				require.Len(t, s.RequestID, 26)
			}
		})
	}
}

func TestWhatIsRecorded(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w http.ResponseWriter, r *http.Request)
		want []string
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, nil},
		{"written", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") }, nil},
		{"not found", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, nil},
		{"denied", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, []string{"http.denied 203.0.113.9 web [result=denied status=403 method=GET pattern=GET /customers/{id}]"}},
		{"no login", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusUnauthorized) }, []string{"http.denied 203.0.113.9 web [result=denied status=401 method=GET pattern=GET /customers/{id}]"}},
		{"too many", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, []string{"http.denied 203.0.113.9 web [result=denied status=429 method=GET pattern=GET /customers/{id}]"}},
		{"failed", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, []string{"http.failed 203.0.113.9 web [result=failed status=503 method=GET pattern=GET /customers/{id}]"}},
		{"the first status counts", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(403)
			w.WriteHeader(200)
		}, []string{"http.denied 203.0.113.9 web [result=denied status=403 method=GET pattern=GET /customers/{id}]"}},
		{"recorded by the handler", func(w http.ResponseWriter, r *http.Request) { httpaudit.Recorded(r.Context()); w.WriteHeader(403) }, nil},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("13800138000") }, []string{"http.failed 203.0.113.9 web [result=failed status=500 method=GET pattern=GET /customers/{id} panic=true]"}},
		{"panic after a response", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic("x") }, []string{"http.failed 203.0.113.9 web [result=failed status=500 method=GET pattern=GET /customers/{id} panic=true]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tape := &tape{}
			mux := http.NewServeMux()
			mux.HandleFunc("GET /customers/{id}", c.do)
			// The client is gone by the time the event is recorded.
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			r := httptest.NewRequest(http.MethodGet, "/customers/13800138000?phone=13800138000", nil).WithContext(ctx)
			r.RemoteAddr = "203.0.113.9:1"
			serve := func() { newEdge(t, tape).Handler(mux).ServeHTTP(httptest.NewRecorder(), r) }
			if strings.HasPrefix(c.name, "panic") {
				require.Panics(t, serve, "the server must see the panic")
			} else {
				serve()
			}
			require.Equal(t, c.want, tape.lines)
			require.NotContains(t, fmt.Sprint(tape.lines), "13800138000")
		})
	}
}

func TestEdgeCases(t *testing.T) {
	_, err := httpaudit.New(httpaudit.Config{})
	require.ErrorContains(t, err, "Config.Log is nil")

	failing := &tape{fail: audit.ErrFull} // the response is what it was
	w := httptest.NewRecorder()
	r := httptest.NewRequest("SECRET", "/", nil)
	newEdge(t, failing).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(403)
		require.NoError(t, http.NewResponseController(w).Flush(), "what the server can do besides is still reached")
	})).ServeHTTP(w, r)
	require.Equal(t, 403, w.Code)
	require.Contains(t, failing.lines[0], "method=other pattern=]")
	httpaudit.Recorded(t.Context()) // outside of a request it does nothing
}

func Example() {
	edge, err := httpaudit.New(httpaudit.Config{Log: printer{}, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /customers/{id}/erase", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not yours", http.StatusForbidden)
	})
	r := httptest.NewRequest(http.MethodPost, "/customers/7/erase", nil)
	r.RemoteAddr = "10.0.0.1:443"
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	edge.Handler(mux).ServeHTTP(httptest.NewRecorder(), r) // http.ListenAndServe(addr, edge.Handler(mux))
	// Output: http.denied from 203.0.113.9 by web: [result=denied status=403 method=POST pattern=POST /customers/{id}/erase]
}

type printer struct{}

func (printer) RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error {
	s := audit.SourceOf(ctx)
	fmt.Printf("%s from %s by %s: %v\n", action, s.IP, s.Channel, attrs)
	return nil
}

// A refusal behind sign-in belongs to the one who was refused.
func TestActing(t *testing.T) {
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	type user struct{}
	log, err := audit.Open(t.Context(), audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: verifier, Anchor: audit.Unanchored,
		Logger: slog.New(slog.DiscardHandler), Actor: func(ctx context.Context) audit.Actor { a, _ := ctx.Value(user{}).(audit.Actor); return a }})
	require.NoError(t, err)
	serve := func(known bool, panics bool) {
		h := newEdge(t, log).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := context.WithValue(r.Context(), user{}, audit.Actor{ID: "u3", Tenant: "acme"})
			if known {
				httpaudit.Acting(ctx)
			}
			if panics {
				panic("broken on purpose")
			}
			w.WriteHeader(http.StatusForbidden)
		}))
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
	}
	serve(false, false)
	serve(true, false)
	serve(true, true)
	httpaudit.Acting(t.Context()) // outside of any request: nothing
	require.NoError(t, log.Flush(t.Context()))
	_, err = log.Seal(t.Context())
	require.NoError(t, err)
	var got []string
	for _, tenant := range []string{audit.MainTenant, "acme"} {
		for e, err := range log.Events(t.Context(), audit.Query{Tenant: tenant, OldestFirst: true}) {
			require.NoError(t, err)
			got = append(got, fmt.Sprintf("%s %q %s %t", e.Actor.Tenant, e.Actor.ID, e.Action, e.Actor.RequestID != ""))
		}
	}
	require.Equal(t, []string{`main "" http.denied true`, `acme "u3" http.denied true`, `acme "u3" http.failed true`}, got)
}
