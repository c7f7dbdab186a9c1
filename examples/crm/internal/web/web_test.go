package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/web"
)

// sessions knows one password and keeps its sessions in memory.
type sessions struct {
	live      map[string]bool
	signedOut []string
	fail      error
}

func (s *sessions) SignIn(_ context.Context, login, password string) (string, error) {
	switch {
	case s.fail != nil:
		return "", s.fail
	case login == "slow@example.com":
		return "", &signin.Throttled{RetryAfter: 12 * time.Second}
	case password != " right password ":
		return "", signin.ErrCredentials
	}
	token := "token-" + string(rune('a'+len(s.live)))
	s.live[token] = true
	return token, nil
}

func (s *sessions) Session(_ context.Context, token string) (signin.Session, error) {
	if !s.live[token] {
		return signin.Session{}, signin.ErrNoSession
	}
	return signin.Session{UserID: "3", Tenant: "main", Name: "Jane Peacock", CSRF: "csrf-of-" + token}, nil
}

func (s *sessions) SignOut(_ context.Context, token string) error {
	s.signedOut = append(s.signedOut, token)
	delete(s.live, token)
	return nil
}

// lines are what was logged; a request is logged after its answer has left.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// site is a server and a browser that obeys what matters here: cookies, and no
// redirect that a test did not ask for.
type site struct {
	*testing.T
	office   *office
	sessions *sessions
	log      *lines
	url      string
	client   *http.Client
}

func newSite(t *testing.T, change ...func(*web.Config)) *site {
	t.Helper()
	s := &site{T: t, office: newOffice(), sessions: &sessions{live: map[string]bool{}}, log: &lines{}}
	c := web.Config{
		Customers: s.office, Invoices: s.office, People: s.office, Trail: s.office, Sessions: s.sessions,
		Within:      within,
		RequestInfo: func(ctx context.Context, ip, id string) context.Context { return ctx },
		Log:         slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		DemoLogins:  []web.Login{{Login: "jane@example.com", Password: "demo password", Role: "sales"}, {Login: "it@example.com", Password: "demo password", Role: "system"}},
	}
	for _, f := range change {
		f(&c)
	}
	h, err := web.New(c)
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	s.client = s.browser()
	return s
}

func (s *site) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(s, err)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// signedInSite is one where employee 3 sits.
func signedInSite(t *testing.T, change ...func(*web.Config)) *site {
	t.Helper()
	s := newSite(t, change...)
	status, _, h := s.post("/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}})
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/", h.Get("Location"))
	return s
}

// do sends a request and reads the answer.
func (s *site) do(method, path string, form url.Values, headers ...string) (int, string, http.Header) {
	s.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, s.url+path, body)
	require.NoError(s, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	resp, err := s.client.Do(r)
	require.NoError(s, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s, err)
	return resp.StatusCode, string(b), resp.Header
}

func (s *site) get(path string, headers ...string) (int, string, http.Header) {
	s.Helper()
	return s.do(http.MethodGet, path, nil, headers...)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// csrf is the token that the site gives this browser.
func (s *site) csrf() string {
	s.Helper()
	_, body, h := s.get("/login")
	if h.Get("Location") != "" {
		_, body, _ = s.get("/users")
	}
	m := csrfField.FindStringSubmatch(body)
	require.NotNil(s, m, "no form on the page")
	return m[1]
}

// post sends a form with the token that belongs into it.
func (s *site) post(path string, form url.Values, headers ...string) (int, string, http.Header) {
	s.Helper()
	sent := url.Values{"csrf": {s.csrf()}}
	for k, v := range form {
		sent[k] = v
	}
	return s.do(http.MethodPost, path, sent, append([]string{"Sec-Fetch-Site", "same-origin"}, headers...)...)
}
