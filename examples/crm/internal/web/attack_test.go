package web_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/web"
)

// getPages are all pages that are fetched, with hostile queries where they take
// one.
func getPages() []string {
	q := url.QueryEscape(markup)
	return []string{
		"/customers?q=" + q + "&page=" + q + "&hidden=1&done=" + q, "/customers", "/customers/1", "/customers/2", "/customers/3", "/customers/2/edit", "/customers/1/edit",
		"/customers/1/reveal?field=phone", "/customers/1/reveal?field=" + q, "/customers/1/invoices", "/customers/2/invoices", "/invoices?page=" + q,
		"/users?done=" + q, "/audit?actor=" + q + "&action=" + q + "&resource=" + q + "&row=" + q + "&from=" + q + "&to=" + q, "/audit", "/nowhere/" + url.PathEscape(markup),
	}
}

func TestMarkupIsTextEverywhere(t *testing.T) {
	s := signedInSite(t)
	s.office.verdict = desk.Verdict{Breaks: []desk.Break{{Kind: markup, Place: markup, Detail: markup}}}
	harmless := func(path, body string) {
		for _, alive := range []string{"<script>", "<img", `="javascript:`, "ZgotmplZ"} {
			require.NotContains(t, body, alive, path)
		}
		require.Equal(t, 1, strings.Count(body, "<script"), path)
	}
	for _, lang := range []string{"en", "zh"} {
		for _, path := range getPages() {
			_, body, _ := s.get(path, "Accept-Language", lang)
			harmless(path, body)
		}
	}
	for path, form := range map[string]url.Values{
		"/audit/verify":       nil,
		"/customers/1/edit":   {"first_name": {markup + strings.Repeat("x", 300)}, "was_first_name": {markup}, "phone": {markup}, "country": {"Atlantis"}},
		"/customers/1/reveal": {"field": {"phone"}, "purpose": {"<b>"}},
		"/users/3/roles":      {},
		"/lang":               {"lang": {markup}},
	} {
		status, body, _ := s.post(path, form)
		require.Contains(t, []int{200, 400, 422}, status, path)
		harmless(path, body)
	}
	s.client = s.browser()
	_, body, _ := s.post("/login", url.Values{"login": {markup}, "password": {"x"}, "next": {"/" + markup}})
	harmless("/login", body)
}

// A form without the session's own token, or from another site, does nothing.
func TestForeignFormsDoNothing(t *testing.T) {
	s := signedInSite(t)
	forms := map[string]url.Values{
		"/customers/1/edit":   {"first_name": {"Eve"}, "was_first_name": {"Luís"}},
		"/customers/1/hide":   {},
		"/customers/1/unhide": {},
		"/customers/1/reveal": {"field": {"phone"}, "purpose": {"call back"}},
		"/users/3/roles":      {"role": {"manager"}},
		"/users/2/disable":    {},
		"/users/2/enable":     {},
		"/audit/verify":       {},
		"/logout":             {},
		"/lang":               {"lang": {"zh"}},
	}
	mine := s.csrf()
	for path, form := range forms {
		for name, spoil := range map[string]func(url.Values) (string, []string){
			"no token":        func(f url.Values) (string, []string) { return path, nil },
			"empty token":     func(f url.Values) (string, []string) { f.Set("csrf", ""); return path, nil },
			"another's token": func(f url.Values) (string, []string) { f.Set("csrf", "csrf-of-token-z"); return path, nil },
			"in the address":  func(f url.Values) (string, []string) { return path + "?csrf=" + mine, nil },
			"cross-site": func(f url.Values) (string, []string) {
				f.Set("csrf", mine)
				return path, []string{"Sec-Fetch-Site", "cross-site"}
			},
			"same-site": func(f url.Values) (string, []string) {
				f.Set("csrf", mine)
				return path, []string{"Sec-Fetch-Site", "same-site"}
			},
			"other origin": func(f url.Values) (string, []string) {
				f.Set("csrf", mine)
				return path, []string{"Origin", "http://evil.example"}
			},
			"null origin": func(f url.Values) (string, []string) { f.Set("csrf", mine); return path, []string{"Origin", "null"} },
		} {
			sent := url.Values{}
			for k, v := range form {
				sent[k] = v
			}
			to, headers := spoil(sent)
			status, _, _ := s.do(http.MethodPost, to, sent, headers...)
			require.Equal(t, http.StatusForbidden, status, "%s %s", path, name)
		}
		status, _, _ := s.do(http.MethodPost, path, url.Values{"csrf": {mine}}, "Content-Type", "text/plain")
		require.Equal(t, http.StatusBadRequest, status, path)
		status, _, _ = s.do(http.MethodPost, path, url.Values{"csrf": {mine}}, "Content-Type", "multipart/form-data; boundary=x")
		require.Equal(t, http.StatusBadRequest, status, path)
	}
	require.Empty(t, s.office.updates)
	require.Empty(t, s.office.revealed)
	require.Empty(t, s.office.roles)
	require.Empty(t, s.office.disabled)
	require.False(t, s.office.customers[0].Hidden)
	require.Empty(t, s.sessions.signedOut)

	// Also where nobody has a session: a stranger must not sign the visitor in.
	s.client = s.browser()
	s.csrf()
	status, _, _ := s.do(http.MethodPost, "/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}})
	require.Equal(t, http.StatusForbidden, status)
}

// Changing is for POST alone.
func TestOtherMethodsDoNothing(t *testing.T) {
	s := signedInSite(t)
	token := s.csrf()
	for _, path := range []string{"/customers/1/hide", "/customers/1/unhide", "/users/3/roles", "/users/3/disable", "/audit/verify", "/logout", "/lang"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, "OPTIONS", "BREW"} {
			status, _, _ := s.do(method, path+"?csrf="+token, nil)
			require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusForbidden}, status, "%s %s", method, path)
		}
	}
	for _, override := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
		s.get("/customers/1/hide", override, "POST")
		s.get("/customers/1?_method=POST", override, "POST")
	}
	require.False(t, s.office.customers[0].Hidden)
	require.Empty(t, s.office.disabled)
	require.Empty(t, s.sessions.signedOut)
}

// What is not there and what is not for the reader cannot be told apart.
func TestNotFoundIsOneAnswer(t *testing.T) {
	s := signedInSite(t)
	_, want, _ := s.get("/customers/404")
	for _, path := range []string{
		"/customers/nothing/here", "/customers/1/unknown", "/customers/9999", "/customers/9999/edit", "/customers/9999/invoices", "/customers/9999/reveal?field=phone",
		"/customers/1/reveal?field=password", "/customers/..%2f..%2fetc%2fpasswd", "/customers/%00", "/customers/1%20", "/customers/" + strings.Repeat("a", 4000),
		"/customers/1;drop", "/customers/%F0%9F%98%80", "/customers/-%27%20OR%201=1", "/users/3", "/customers/",
	} {
		status, body, h := s.get(path)
		require.Equal(t, http.StatusNotFound, status, path)
		require.Equal(t, want, body, path)
		require.Equal(t, "no-store", h.Get("Cache-Control"))
	}
	for _, path := range []string{"/customers/9999/edit", "/customers/9999/hide", "/customers/9999/reveal", "/customers/x/y/z"} {
		status, body, _ := s.post(path, url.Values{"field": {"phone"}, "purpose": {"call back"}})
		require.Equal(t, http.StatusNotFound, status, path)
		require.Equal(t, want, body, path)
	}
}

func TestStrangersGetTheLoginPage(t *testing.T) {
	s := newSite(t)
	for _, path := range append(getPages(), "/", "/customers.csv", "/customers/404") {
		status, body, h := s.get(path)
		require.Equal(t, http.StatusSeeOther, status, path)
		require.True(t, strings.HasPrefix(h.Get("Location"), "/login"), path)
		require.NotContains(t, h.Get("Location"), "q%3D", "what was searched for stays out of the next address")
		require.NotContains(t, body, "Jane")
	}
	_, _, h := s.get("/customers/1/edit?secret=1")
	require.Equal(t, "/login?next=%2Fcustomers%2F1%2Fedit", h.Get("Location"))
	status, body, _ := s.post("/customers/1/reveal", url.Values{"field": {"phone"}, "purpose": {"call back"}}, "Accept", "application/json")
	require.Equal(t, http.StatusUnauthorized, status)
	require.JSONEq(t, `{"error":"Your session has ended. Reload the page and sign in again."}`, body)
	require.Empty(t, s.office.asked)
}

func TestHeadersOnEverything(t *testing.T) {
	s := signedInSite(t)
	for _, path := range append(getPages(), "/login", "/customers.csv", "/static/app.css", "/static/none") {
		_, _, h := s.get(path)
		csp := h.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'; script-src 'self'; style-src 'self';", path)
		require.NotContains(t, csp, "unsafe", path)
		require.Contains(t, csp, "frame-ancestors 'none'", path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		require.Equal(t, "same-origin", h.Get("Referrer-Policy"), path)
		require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		require.Empty(t, h.Get("Strict-Transport-Security"))
	}
	// No inline script, style or handler for the policy to stop.
	for _, path := range getPages() {
		_, body, _ := s.get(path)
		require.NotRegexp(t, `<script(?: [^>]*)?>[^<]`, body, path)
		require.NotRegexp(t, `<[^>]*\s(style|on[a-z]+)=`, stripped(body), path)
	}
}

// stripped drops attribute values: hostile data in them is text.
func stripped(body string) string {
	var b strings.Builder
	inside := false
	for _, r := range body {
		if r == '"' {
			inside = !inside
		} else if !inside {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func TestHugeForms(t *testing.T) {
	s := signedInSite(t)
	status, _, _ := s.post("/customers/1/edit", url.Values{"first_name": {strings.Repeat("x", 100<<10)}})
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	many := url.Values{}
	for range 30_000 {
		many.Add("role", "x")
	}
	status, _, _ = s.post("/users/3/roles", many)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	require.Empty(t, s.office.updates)
	require.Empty(t, s.office.roles)
}

// Nothing that people type or hold gets into the log, at any level.
func TestLogHoldsNoSecrets(t *testing.T) {
	s := signedInSite(t)
	s.get("/customers?q=" + url.QueryEscape(secretEmail))
	s.get("/customers/" + url.PathEscape(secretPhone))
	s.get("/" + url.PathEscape(secretEmail))
	s.do("X"+"SECRETMETHOD", "/", nil)
	s.post("/customers/1/reveal", url.Values{"field": {"phone"}, "purpose": {"secret purpose"}})
	s.post("/customers/1/edit", url.Values{"phone": {"+49 secret"}, "first_name": {"\x00secret"}, "was_first_name": {""}})
	s.office.breaks(errors.New("database is gone"))
	s.get("/customers?q=" + url.QueryEscape(secretEmail))
	s.client = s.browser()
	s.post("/login", url.Values{"login": {"secretlogin"}, "password": {"secretpassword"}})
	log := s.log.String()
	require.Contains(t, log, "database is gone")
	require.Contains(t, log, `route="GET /customers/{id}"`)
	for _, secret := range []string{secretEmail, "embraer", "3923", "secret", "SECRET", "token-", "csrf", "right password"} {
		require.NotContains(t, log, secret)
	}
}

func TestOnlyThisMachineWithoutTLS(t *testing.T) {
	s := signedInSite(t)
	status, body, _ := s.get("/customers", "Host", "rebound.evil.example")
	require.Equal(t, http.StatusMisdirectedRequest, status)
	require.NotContains(t, body, "Luís")

	s = newSite(t, func(c *web.Config) { c.Secure = true })
	status, _, h := s.get("/login", "Host", "crm.example.com")
	require.Equal(t, http.StatusOK, status)
	require.NotEmpty(t, h.Get("Strict-Transport-Security"))
}

// The value leaves only through the reveal, and only in its answer.
func TestFullValueIsOnNoPage(t *testing.T) {
	s := signedInSite(t)
	for _, path := range append(getPages(), "/customers.csv") {
		_, body, h := s.get(path)
		require.NotContains(t, body, secretPhone, path)
		require.NotContains(t, body, secretEmail, path)
		var headers bytes.Buffer
		h.Write(&headers)
		require.NotContains(t, headers.String(), secretPhone)
	}
	// Also a form that comes back.
	_, body, _ := s.post("/customers/1/edit", url.Values{"country": {"Atlantis"}, "was_country": {"Brazil"}})
	require.NotContains(t, body, secretPhone)
	require.Contains(t, body, `placeholder="&#43;55 (12) ****-**55"`)
	require.Empty(t, s.office.revealed)
}
