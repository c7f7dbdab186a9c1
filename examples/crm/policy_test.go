package main

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/rbac"
)

// TestThemselves: a rule of the first policy compares a sealed column. Who is a customer
// too finds themselves, in a list as on a page, by whatever spelling, and nobody else.
func TestThemselves(t *testing.T) {
	t.Parallel()
	var now time.Time
	o, err := OpenOffice(t.Context(), filepath.Join(t.TempDir(), "data"), "", func() time.Time { return now })
	require.NoError(t, err)
	defer o.Close()
	now = time.Now()
	hash, err := signin.HashPassword(demoPassword)
	require.NoError(t, err)
	require.NoError(t, o.Employ(t.Context(), hash))
	require.NoError(t, o.Do(t.Context(), func(_ context.Context, tx *gorm.DB) error {
		for id, mail := range map[string]string{"me": "JANE@chinookcorp.com", "other": "jane@example.com", "hers": "x@example.com"} {
			c := &book.Customer{ID: id, TenantID: book.Tenant, OwnerID: map[string]string{"hers": "3"}[id], Country: "Canada", LastName: privacy.New("Peacock"), Email: privacy.New(mail)}
			if c.OwnerID == "" {
				c.OwnerID = "4"
			}
			if err := tx.Create(c).Error; err != nil {
				return err
			}
		}
		return nil
	}))
	jane := o.visit(t, "jane@chinookcorp.com")
	require.Equal(t, http.StatusOK, jane.get("/customers/me"))
	require.Contains(t, jane.body, "Peacock")
	require.Equal(t, http.StatusOK, jane.get("/customers"))
	require.Contains(t, jane.body, "2 customers")
	require.Contains(t, jane.body, "/customers/me")
	require.Contains(t, jane.body, "/customers/hers")
	require.Equal(t, http.StatusNotFound, jane.get("/customers/other"))
	require.Equal(t, http.StatusForbidden, jane.post("/customers/me/edit", "last_name", "Changed"))
	steve := o.visit(t, "steve@chinookcorp.com")
	require.Equal(t, http.StatusNotFound, steve.get("/customers/me"))
	// Without an address in the context no such rule holds.
	bare, err := o.desk.Within(who.With(t.Context(), who.Who{}), signin.Session{UserID: "2", Tenant: book.Tenant})
	require.NoError(t, err)
	_, err = o.desk.Customer(bare, "me")
	require.NoError(t, err, "the manager sees everybody below")

	// A rule that wants a fresh sign-in offers the act, and says what is missing.
	require.NoError(t, o.authz.Edit(operator(t.Context(), "test"), func(p *rbac.Policy) error {
		for i := range p.Rules {
			if p.Rules[i].Resource == "customer" && p.Rules[i].Role == "sales" {
				p.Rules[i].Actions = slices.DeleteFunc(p.Rules[i].Actions, func(a string) bool { return a == "reveal" })
			}
		}
		p.Rules = append(p.Rules, rbac.Rule{ID: "fresh", Role: "sales", Resource: "customer", Actions: []string{"reveal"}, When: "row.owner_id == caller.id", Needs: []string{"step-up:1:10m", "reason"}})
		return nil
	}))
	require.Equal(t, http.StatusOK, jane.get("/customers/hers"))
	require.Contains(t, jane.body, "data-reveal=\"email\"")
	status := jane.post("/customers/hers/reveal", "field", "email", "purpose", "call back")
	require.Equal(t, http.StatusOK, status, jane.body)
	require.Contains(t, jane.body, "x@example.com")
	now = now.Add(11 * time.Minute)
	require.Equal(t, http.StatusOK, jane.get("/customers/hers"))
	require.Contains(t, jane.body, "data-reveal=\"email\"")
	require.Equal(t, http.StatusForbidden, jane.post("/customers/hers/reveal", "field", "email", "purpose", "call back"))
	require.Contains(t, jane.body, "Sign out, sign in again")
	require.NotContains(t, jane.body, "x@example.com")
	require.ErrorIs(t, &desk.Needs{}, desk.ErrDenied)
}

// A visitor is somebody before a browser.
type visitor struct {
	*testing.T
	client *http.Client
	url    string
	body   string
}

func (o *Office) visit(t *testing.T, login string) *visitor {
	h, err := o.Handler(t.Context())
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	v := &visitor{T: t, url: server.URL, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	v.get("/login")
	require.Equal(t, http.StatusSeeOther, v.send("/login", url.Values{"login": {login}, "password": {demoPassword}, "csrf": {v.token()}}))
	return v
}

func (v *visitor) get(path string) int {
	v.Helper()
	resp, err := v.client.Get(v.url + path)
	require.NoError(v, err)
	return v.read(resp)
}

func (v *visitor) post(path string, pairs ...string) int {
	v.Helper()
	v.get("/users")
	form := url.Values{"csrf": {v.token()}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.send(path, form)
}

func (v *visitor) send(path string, form url.Values) int {
	v.Helper()
	req, err := http.NewRequest(http.MethodPost, v.url+path, strings.NewReader(form.Encode()))
	require.NoError(v, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := v.client.Do(req)
	require.NoError(v, err)
	return v.read(resp)
}

func (v *visitor) read(resp *http.Response) int {
	v.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(v, err)
	v.body = string(body)
	return resp.StatusCode
}

func (v *visitor) token() string {
	v.Helper()
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(v.body)
	require.NotNil(v, m)
	return m[1]
}
