package httpguard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/httpguard"
)

func nets(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func signedIn(*http.Request) (rbac.Caller, error) { return rbac.Caller{ID: "ann"}, nil }

func guard(t testing.TB, cfg httpguard.Config) *httpguard.Guard {
	if cfg.Caller == nil {
		cfg.Caller = signedIn
	}
	g, err := httpguard.New(cfg)
	require.NoError(t, err)
	return g
}

func TestNewRefuses(t *testing.T) {
	_, err := httpguard.New(httpguard.Config{})
	require.EqualError(t, err, "httpguard: Config.Caller is missing: it must return who is signed in")
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("10.0.0.1/8"), netip.MustParsePrefix("::ffff:10.0.0.0/104")} {
		_, err = httpguard.New(httpguard.Config{Caller: signedIn, Proxies: []netip.Prefix{p}})
		require.EqualError(t, err, fmt.Sprintf("httpguard: Config.Proxies: %s is not a network: write 10.0.0.0/8 or 2001:db8::/32, without bits behind its length", p))
	}
}

// TestAddress: what a client writes into headers never becomes its address.
func TestAddress(t *testing.T) {
	g := guard(t, httpguard.Config{Proxies: nets("10.0.0.0/8", "fd00::/8")})
	for _, c := range []struct {
		peer string
		xff  []string
		want string // "" is unknown
	}{
		{"192.0.2.1:80", nil, "192.0.2.1"},
		{"192.0.2.1:80", []string{"10.1.1.1"}, "192.0.2.1"}, // not a proxy: its header is worth nothing
		{"[::ffff:192.0.2.1]:80", []string{"10.1.1.1"}, "192.0.2.1"},
		{"[fe80::1%eth0]:80", nil, "fe80::1"},
		{"10.0.0.1:80", []string{"192.0.2.1"}, "192.0.2.1"},
		{"[::ffff:10.0.0.1]:80", []string{"192.0.2.1"}, "192.0.2.1"},
		{"[fd00::1]:80", []string{"2001:db8::1"}, "2001:db8::1"},
		{"10.0.0.1:80", []string{"127.0.0.1, 192.0.2.1"}, "192.0.2.1"}, // the left one is the client's invention
		{"10.0.0.1:80", []string{"127.0.0.1", "192.0.2.1"}, "192.0.2.1"},
		{"10.0.0.1:80", []string{"192.0.2.1", "127.0.0.1"}, "127.0.0.1"},
		{"10.0.0.1:80", []string{"10.9.9.9, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"10.0.0.1:80", []string{"192.0.2.1,\t10.0.0.2 , ::ffff:10.0.0.3"}, "192.0.2.1"},
		{"10.0.0.1:80", []string{"junk', 192.0.2.1"}, "192.0.2.1"},
		{"10.0.0.1:80", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		{"10.0.0.1:80", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"10.0.0.1:80", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.1:80", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"10.0.0.1:80", nil, ""}, // a proxy's silence does not make the client a proxy
		{"10.0.0.1:80", []string{""}, ""},
		{"10.0.0.1:80", []string{"10.0.0.2"}, ""},
		{"10.0.0.1:80", []string{"192.0.2.1, unknown"}, ""},
		{"10.0.0.1:80", []string{"192.0.2.1,"}, ""},
		{"10.0.0.1:80", []string{"192.0.2.1, 10.0.0.2, 010.0.0.3"}, ""},
		{"10.0.0.1:80", []string{"192.0.2.1, 0x0a000001"}, ""},
		{"10.0.0.1:80", []string{"192.0.2.1 10.0.0.2"}, ""},
		{"10.0.0.1:80", []string{"fe80::1%eth0"}, ""},
		{"10.0.0.1:80", []string{"[192.0.2.1]"}, ""},
		{"@", []string{"192.0.2.1"}, ""},
		{"10.0.0.1", []string{"192.0.2.1"}, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.xff
		for _, name := range []string{"Forwarded", "X-Real-Ip", "True-Client-Ip", "X-Client-Ip", "Cf-Connecting-Ip"} {
			r.Header.Set(name, "for=127.0.0.1")
		}
		got := ""
		if addr := g.Address(r); addr.IsValid() {
			got = addr.String()
		}
		require.Equal(t, c.want, got, "%s %q", c.peer, c.xff)
	}
}

// FuzzAddress: whatever a client sends, its address is the one that the last proxy saw, or unknown.
func FuzzAddress(f *testing.F) {
	files, err := filepath.Glob("testdata/forwarded/*.txt")
	require.NoError(f, err)
	require.NotEmpty(f, files, "no corpus: testdata/forwarded/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		for line := range strings.Lines(string(text)) {
			f.Add(strings.TrimSuffix(line, "\n"), "192.0.2.1")
		}
	}
	proxies := nets("10.0.0.0/8", "fd00::/8")
	g := guard(f, httpguard.Config{Proxies: proxies})
	f.Fuzz(func(t *testing.T, sent, seen string) {
		request := func(peer string, headers ...string) netip.Addr {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = peer, headers
			return g.Address(r)
		}
		require.Equal(t, "192.0.2.9", request("192.0.2.9:1", sent).String(), "a header from nobody we trust counted")
		got := request("10.0.0.1:1", sent)
		require.False(t, got.IsValid() && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(got) }), "the client passed for a proxy")
		require.False(t, got.Is4In6() || got.Zone() != "", "one address, written in two ways")
		client, err := netip.ParseAddr(seen)
		if err != nil || client.Zone() != "" || slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(client.Unmap()) }) {
			return
		}
		for _, got := range []netip.Addr{request("10.0.0.1:1", sent+", "+seen), request("10.0.0.1:1", sent, seen), request("10.0.0.1:1", sent, seen+",10.0.0.2")} {
			require.Equal(t, client.Unmap(), got, "what the client sent changed what the proxy saw")
		}
	})
}

// answer runs one request whose handler returns err.
func answer(t *testing.T, g *httpguard.Guard, err error) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r1")
	g.Handle(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Disposition", `attachment; filename="Wang.csv"`)
		w.Header().Set("Set-Cookie", "seen=13800138000")
		w.Header().Set("X-Request-Id", "changed")
		return err
	}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, "r1", w.Header().Get("X-Request-Id"), "what was there before stays")
	require.Empty(t, w.Header().Get("Content-Disposition"))
	require.Empty(t, w.Header().Get("Set-Cookie"))
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	return w
}

// TestAnswers: each refusal gets its status, and no name of a rule, a role or a resource leaves.
func TestAnswers(t *testing.T) {
	const challenge = `Bearer error="insufficient_user_authentication", error_description="A stronger or more recent sign-in is required"`
	rule := func(r rbac.Required) *rbac.Required {
		r.Rule, r.Resource, r.Action, r.ApprovalBy = "secret-rule", "secret", "secret", "secret"
		return &r
	}
	for _, c := range []struct {
		err       error
		status    int
		challenge string
		body      string
	}{
		{rbac.ErrNoCaller, 401, "Bearer", `{"title":"Unauthorized","status":401}`},
		{fmt.Errorf("secret: %w", rbac.ErrNoCaller), 401, "Bearer", `{"title":"Unauthorized","status":401}`},
		{&rbac.Denied{Action: "secret", Resource: "secret", Rule: "secret-rule", Detail: "secret"}, 403, "", `{"title":"Forbidden","status":403}`},
		{fmt.Errorf("secret: %w", rbac.ErrDenied), 403, "", `{"title":"Forbidden","status":403}`},
		{rule(rbac.Required{}), 403, "", `{"title":"Forbidden","status":403}`},
		{rule(rbac.Required{Reason: true}), 428, "", `{"title":"Precondition Required","status":428,"needs":["reason"]}`},
		{rule(rbac.Required{Approval: true}), 403, "", `{"title":"Forbidden","status":403,"needs":["approval"]}`},
		{rule(rbac.Required{Reason: true, Approval: true}), 403, "", `{"title":"Forbidden","status":403,"needs":["approval","reason"]}`},
		{rule(rbac.Required{Assurance: 3}), 401, challenge + `, acr_values="aal3"`, `{"title":"Unauthorized","status":401,"needs":["step-up"]}`},
		{errors.Join(rule(rbac.Required{Assurance: 2, MaxAge: 15 * time.Minute, Reason: true}), errors.New("secret")), 401, challenge + `, acr_values="aal2", max_age="900"`,
			`{"title":"Unauthorized","status":401,"needs":["step-up","reason"]}`},
		{rbac.ErrRefused, 500, "", `{"title":"Internal Server Error","status":500}`},
		{errors.New("secret"), 500, "", `{"title":"Internal Server Error","status":500}`},
	} {
		var reported error
		g := guard(t, httpguard.Config{ACR: func(n int64) string { return fmt.Sprint("aal", n) }, Report: func(_ context.Context, err error) { reported = err }})
		w := answer(t, g, c.err)
		require.Equal(t, c.status, w.Code, c.err)
		require.Equal(t, c.challenge, w.Header().Get("WWW-Authenticate"), c.err)
		require.Equal(t, c.body+"\n", w.Body.String())
		require.Equal(t, c.err, reported)
		require.NotContains(t, fmt.Sprint(w.Header())+w.Body.String(), "secret")
	}
	w := answer(t, guard(t, httpguard.Config{}), rule(rbac.Required{Assurance: 2}))
	require.Equal(t, challenge+`, acr_values="2"`, w.Header().Get("WWW-Authenticate"))
	for _, acr := range []string{"a\"b", "a\r\nX: y", "é", `a\`, ""} {
		w = answer(t, guard(t, httpguard.Config{ACR: func(int64) string { return acr }}), rule(rbac.Required{Assurance: 2}))
		require.Equal(t, challenge, w.Header().Get("WWW-Authenticate"), "a name that would end the quotes")
	}
}

// TestPanicsFailClosed: a panic is a 500 without its value; an answer that had begun is cut off.
func TestPanicsFailClosed(t *testing.T) {
	var reported error
	report := func(_ context.Context, err error) { reported = err }
	g := guard(t, httpguard.Config{Report: report})
	w := httptest.NewRecorder()
	g.Handle(func(http.ResponseWriter, *http.Request) error { panic("13800138000") }).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String(), "138")
	require.EqualError(t, reported, "httpguard: a handler panicked with a string")

	for name, cfg := range map[string]httpguard.Config{
		"caller panics": {Caller: func(*http.Request) (rbac.Caller, error) { panic("x") }},
		"caller fails":  {Caller: func(*http.Request) (rbac.Caller, error) { return rbac.Caller{ID: "ann"}, errors.New("store is down") }},
		"env fails":     {Env: func(*http.Request) (rbac.Env, error) { return rbac.Env{}, errors.New("store is down") }},
	} {
		w = httptest.NewRecorder()
		guard(t, cfg).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") })).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		require.Equal(t, 500, w.Code, name)
	}

	server := httptest.NewServer(g.Handle(func(w http.ResponseWriter, r *http.Request) error {
		_, _ = w.Write([]byte(strings.Repeat("row\n", 5000)))
		if r.URL.Path == "/panic" {
			panic("late")
		}
		return rbac.ErrDenied
	}))
	defer server.Close()
	for _, path := range []string{"/panic", "/denied"} {
		resp, err := server.Client().Get(server.URL + path)
		if err == nil {
			_, err = new(strings.Builder).WriteString("")
			buf := make([]byte, 1<<20)
			for err == nil {
				_, err = resp.Body.Read(buf)
			}
			resp.Body.Close()
			require.NotEqual(t, "EOF", err.Error(), "half an answer passed for a whole one")
		}
	}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		g.Handle(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	})
}

type doc struct {
	ID    string `gorm:"primaryKey"`
	Owner string
}

// TestRequest: one request from its socket to the decision, and back.
func TestRequest(t *testing.T) {
	trusted := true
	g := guard(t, httpguard.Config{
		Proxies: nets("10.0.0.0/8"),
		Caller: func(r *http.Request) (rbac.Caller, error) {
			return rbac.Caller{ID: r.Header.Get("X-Test-Session")}, nil
		},
		Env: func(*http.Request) (rbac.Env, error) {
			return rbac.Env{IP: netip.MustParseAddr("192.168.0.1"), DeviceTrusted: &trusted, Assurance: 2}, nil
		},
	})
	p := rbac.Policy{Rules: []rbac.Rule{
		{ID: "office", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}, When: `env.ip in cidr("192.0.2.0/24") && env.device_trusted`},
		{ID: "export", Role: rbac.Everyone, Resource: "doc", Actions: []string{"export"}, Needs: []string{"reason"}},
	}}
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: httpguard.Caller, Env: httpguard.Env, Policies: rbac.NewMemory(p), Record: rbac.Discard, Resources: []rbac.Resource{{Model: &doc{}}}})
	require.NoError(t, err)
	h := g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := rbac.WithReason(r.Context(), r.URL.Query().Get("reason"))
		if err := a.Check(ctx, r.URL.Path[1:], &doc{}); err != nil {
			g.Fail(w, r, err)
		}
	}))
	status := func(target, who, peer, xff string) int {
		r := httptest.NewRequest("GET", target, nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Test-Session", who)
		r.Header.Set("X-Forwarded-For", xff)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, 200, status("/read", "ann", "192.0.2.7:1", ""))
	require.Equal(t, 200, status("/read", "ann", "10.0.0.1:1", "192.0.2.7"))
	require.Equal(t, 403, status("/read", "ann", "10.0.0.1:1", "192.0.2.7, 198.51.100.1"), "spoofed")
	require.Equal(t, 403, status("/read", "ann", "198.51.100.1:1", "192.0.2.7"), "spoofed")
	require.Equal(t, 403, status("/read", "ann", "10.0.0.1:1", ""))
	require.Equal(t, 401, status("/read", "", "192.0.2.7:1", ""))
	require.Equal(t, 428, status("/export", "ann", "192.0.2.7:1", ""))
	require.Equal(t, 200, status("/export?reason=x", "ann", "192.0.2.7:1", ""))
	require.Equal(t, 403, status("/delete", "ann", "192.0.2.7:1", ""))

	require.ErrorIs(t, a.Check(t.Context(), "read", &doc{}), rbac.ErrNoCaller)
	_, err = httpguard.Caller(t.Context())
	require.EqualError(t, err, "httpguard: the request did not go through Guard.Handle or Guard.Wrap")
	w := httptest.NewRecorder()
	w.Header().Set("Location", "/secret")
	g.Fail(w, httptest.NewRequest("GET", "/", nil), rbac.ErrDenied)
	require.Equal(t, 403, w.Code)
	require.Empty(t, w.Header().Get("Location"))
}
