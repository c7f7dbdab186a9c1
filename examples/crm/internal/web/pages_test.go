package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/web"
)

func TestConfigNamesWhatIsMissing(t *testing.T) {
	for want, change := range map[string]func(*web.Config){
		"Config.Customers is nil":          func(c *web.Config) { c.Customers = nil },
		"Config.Sessions is nil":           func(c *web.Config) { c.Sessions = nil },
		"Config.Within is nil":             func(c *web.Config) { c.Within = nil },
		"Config.Log is nil":                func(c *web.Config) { c.Log = nil },
		"Config.Lang is neither en nor zh": func(c *web.Config) { c.Lang = "tlh" },
	} {
		newSite(t, func(c *web.Config) {
			broken := *c
			change(&broken)
			_, err := web.New(broken)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestLogin(t *testing.T) {
	s := newSite(t)
	_, body, h := s.get("/login?next=/customers/1")
	require.Contains(t, body, "Welcome back")
	require.Contains(t, body, "jane@example.com")
	cookie := h.Get("Set-Cookie")
	require.Contains(t, cookie, "crm_form=")
	require.Contains(t, cookie, "HttpOnly; SameSite=Lax")

	status, body, h := s.post("/login", url.Values{"login": {"jane@example.com"}, "password": {"right password"}})
	require.Equal(t, http.StatusUnprocessableEntity, status, "spaces belong to a password")
	require.Contains(t, body, "do not belong together")
	require.Contains(t, body, `value="jane@example.com"`)
	require.NotContains(t, body, "right password")
	require.NotContains(t, h.Get("Set-Cookie"), "crm_session")

	status, body, h = s.post("/login", url.Values{"login": {"slow@example.com"}, "password": {"x"}})
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "12", h.Get("Retry-After"))
	require.Contains(t, body, "Try again in 12 seconds")

	status, _, h = s.post("/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}, "next": {"/customers/1"}})
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/customers/1", h.Get("Location"))
	require.Regexp(t, `^crm_session=token-a; Path=/; HttpOnly; SameSite=Lax$`, h.Get("Set-Cookie"))
	status, _, h = s.get("/login")
	require.Equal(t, http.StatusSeeOther, status, "who is in need not sign in")
	require.Equal(t, "/", h.Get("Location"))

	for _, next := range []string{"//evil.example", "https://evil.example", `/\evil.example`} {
		s.client = s.browser()
		_, _, h = s.post("/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}, "next": {next}})
		require.Equal(t, "/", h.Get("Location"), next)
	}

	s.sessions.fail = errors.New("no database")
	s.client = s.browser()
	status, body, _ = s.post("/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}})
	require.Equal(t, http.StatusInternalServerError, status)
	require.NotContains(t, body, "no database")
}

// A token that somebody planted in the browser neither stays nor comes to life.
func TestLoginMakesANewSession(t *testing.T) {
	s := newSite(t)
	s.sessions.live["planted"] = true
	at, err := url.Parse(s.url)
	require.NoError(t, err)
	s.client.Jar.SetCookies(at, []*http.Cookie{{Name: "crm_session", Value: "planted", Path: "/"}})
	s.post("/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}})
	require.Equal(t, []string{"planted"}, s.sessions.signedOut)
	require.False(t, s.sessions.live["planted"])
	require.NotEqual(t, "planted", s.client.Jar.Cookies(at)[0].Value)
}

func TestLogout(t *testing.T) {
	s := signedInSite(t)
	status, _, h := s.post("/logout", nil)
	require.Equal(t, http.StatusSeeOther, status)
	require.Contains(t, h.Get("Set-Cookie"), "crm_session=; Path=/; Max-Age=0")
	require.Equal(t, []string{"token-a"}, s.sessions.signedOut)
	status, _, _ = s.get("/customers")
	require.Equal(t, http.StatusSeeOther, status)
}

func TestCookiesUnderTLS(t *testing.T) {
	s := newSite(t, func(c *web.Config) { c.Secure = true })
	_, _, h := s.get("/login")
	require.Regexp(t, `^__Host-crm_form=\w+; Path=/; HttpOnly; Secure; SameSite=Lax$`, h.Get("Set-Cookie"))
}

func TestLanguages(t *testing.T) {
	s := newSite(t)
	for accept, want := range map[string]string{
		"": "en", "zh-CN,zh;q=0.9,en;q=0.8": "zh", "en;q=0.4, zh;q=0.9": "zh", "fr": "en", "fr, zh-TW;q=0.2": "zh", "en-GB": "en", "%%%": "en",
	} {
		_, body, h := s.get("/login", "Accept-Language", accept)
		require.Equal(t, want, h.Get("Content-Language"), accept)
		require.Equal(t, want == "zh", strings.Contains(body, "欢迎回来"), accept)
	}
	status, _, h := s.post("/lang", url.Values{"lang": {"zh"}, "to": {"/login?next=%2Finvoices"}})
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/login?next=%2Finvoices", h.Get("Location"))
	_, body, _ := s.get("/login", "Accept-Language", "en")
	require.Contains(t, body, "欢迎回来", "what was chosen wins")
	require.Contains(t, body, `<html lang="zh-Hans">`)
	_, _, h = s.post("/lang", url.Values{"lang": {"en"}, "to": {"//evil.example"}})
	require.Equal(t, "/", h.Get("Location"))

	house := newSite(t, func(c *web.Config) { c.Lang = "zh" })
	_, _, h = house.get("/login", "Accept-Language", "fr")
	require.Equal(t, "zh", h.Get("Content-Language"))
}

func TestCustomerList(t *testing.T) {
	s := signedInSite(t)
	base := s.office.customers[0]
	for range 30 {
		s.office.customers = append(s.office.customers, base)
	}
	_, body, _ := s.get("/customers?q=+&hidden=1")
	require.Contains(t, body, "33 customers")
	require.Contains(t, body, "Page 1 of 2")
	require.Contains(t, body, `href="/customers?hidden=1&amp;page=2"`, "paging keeps what was asked for")
	require.Contains(t, body, "l***g@embraer.com.br")
	require.Contains(t, body, "Erased person")
	require.Equal(t, desk.CustomerQuery{ShowHidden: true, Page: 1}, s.office.asked[0])
	s.get("/customers?q=" + url.QueryEscape(" +55 (12) 3923-5555 ") + "&page=7")
	require.Equal(t, desk.CustomerQuery{Search: secretPhone, Page: 7}, s.office.asked[1])
	for _, page := range []string{"-1", "0", "x", "99999999999999999999", "1e9"} {
		s.get("/customers?page=" + page)
		require.Equal(t, 1, s.office.asked[len(s.office.asked)-1].Page, page)
	}
	_, body, _ = s.get("/customers?q=nobody")
	require.Contains(t, body, "None of your customers matches.")
	require.Contains(t, body, "0 customers")
}

func TestReveal(t *testing.T) {
	s := signedInSite(t)
	_, body, _ := s.get("/customers/1/reveal?field=phone")
	require.Contains(t, body, "Show: Phone")

	asked := url.Values{"field": {"phone"}, "purpose": {"call back about ticket 7"}}
	status, body, h := s.post("/customers/1/reveal", asked, "Accept", "application/json")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"value":"+55 (12) 3923-5555"}`, body)
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	require.Equal(t, "application/json; charset=utf-8", h.Get("Content-Type"))

	status, body, _ = s.post("/customers/1/reveal", asked)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "<output>&#43;55 (12) 3923-5555</output>")
	require.Contains(t, body, `http-equiv="refresh" content="30;url=/customers/1"`)
	require.Equal(t, []string{"3 1 phone call back about ticket 7", "3 1 phone call back about ticket 7"}, s.office.revealed)

	for _, purpose := range []string{"", "    a    ", "1234", "four\nlines\nof\nreason", strings.Repeat("x", 201)} {
		asked.Set("purpose", purpose)
		status, body, _ = s.post("/customers/1/reveal", asked, "Accept", "application/json")
		require.Equal(t, http.StatusUnprocessableEntity, status, purpose)
		require.JSONEq(t, `{"error":"Say in 5 to 200 characters what you need it for."}`, body)
		status, body, _ = s.post("/customers/1/reveal", asked)
		require.Equal(t, http.StatusUnprocessableEntity, status, purpose)
		require.Contains(t, body, "what you need it for.")
	}
	require.Len(t, s.office.revealed, 2)

	asked.Set("purpose", "回复客户来电")
	status, _, _ = s.post("/customers/1/reveal", asked)
	require.Equal(t, http.StatusOK, status, "characters, not bytes")

	asked.Set("field", "city")
	for path, want := range map[string]int{"/customers/1/reveal": http.StatusForbidden, "/customers/3/reveal": http.StatusGone} {
		status, _, _ = s.post(path, asked, "Accept", "application/json")
		require.Equal(t, want, status, path)
		status, _, _ = s.get(path + "?field=city")
		require.Equal(t, want, status, path)
	}
	for _, field := range []string{"", "password", "Phone", "phone,email"} {
		asked.Set("field", field)
		status, _, _ = s.post("/customers/1/reveal", asked)
		require.Equal(t, http.StatusNotFound, status, field)
	}
}

func TestEditSendsOnlyWhatChanged(t *testing.T) {
	s := signedInSite(t)
	_, body, _ := s.get("/customers/1/edit")
	require.Contains(t, body, `name="first_name" type="text" maxlength="300" value="Luís"`)
	require.Contains(t, body, `name="phone" type="text" inputmode="tel" maxlength="300" value="" placeholder="&#43;55 (12) ****-**55"`)

	as := url.Values{ // the form as it was shown
		"first_name": {"Luís"}, "was_first_name": {"Luís"}, "last_name": {"Gonçalves"}, "was_last_name": {"Gonçalves"}, "country": {"Brazil"}, "was_country": {"Brazil"},
		"owner_id": {"3"}, "was_owner_id": {"3"}, "email": {""}, "phone": {""}, "fax": {""},
	}
	with := func(pairs ...string) url.Values {
		f := url.Values{}
		for k, v := range as {
			f[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		return f
	}
	status, _, h := s.post("/customers/1/edit", as)
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/customers/1?done=unchanged", h.Get("Location"))
	require.Empty(t, s.office.updates)

	_, _, h = s.post("/customers/1/edit", with("first_name", " Luiz ", "phone", "+55 11 99999-0000", "clear_fax", "1", "unknown", "x", "id", "7"))
	require.Equal(t, "/customers/1?done=saved", h.Get("Location"))
	require.Equal(t, []map[string]string{{"first_name": "Luiz", "phone": "+55 11 99999-0000", "fax": ""}}, s.office.updates)
	_, body, _ = s.get("/customers/1?done=saved")
	require.Contains(t, body, "Saved.")

	// Somebody changed the first name while the form was open; it stays as they
	// made it.
	s.office.customers[0].Cells["first_name"] = desk.Cell{Text: "Luiz"}
	s.post("/customers/1/edit", with("country", "Portugal"))
	require.Equal(t, map[string]string{"country": "Portugal"}, s.office.updates[1])

	for want, f := range map[string]url.Values{
		"Not more than 300 characters.":           with("phone", strings.Repeat("5", 301)),
		"Only text on one line.":                  with("city", "a\r\nb"),
		"Either type a new value or delete it":    with("phone", "5", "clear_phone", "1"),
		"This is not an e-mail address.":          with("email", "luis at embraer"),
		"This must not be empty.":                 with("last_name", ""),
		"there is no country of that name":        with("country", "Atlantis"),
		"value=\"&#43;49 typed\"":                 with("phone", "+49 typed", "city", "\x01"),
		"Some fields need another look.":          with("state", "\xff"),
		"name=\"clear_fax\" value=\"1\" checked>": with("clear_fax", "1", "phone", "\x02"),
	} {
		status, body, _ = s.post("/customers/1/edit", f)
		require.Equal(t, http.StatusUnprocessableEntity, status, want)
		require.Contains(t, body, want)
	}
	require.Len(t, s.office.updates, 2)

	s.office.customers[0].Can.Update = false
	for path, want := range map[string]int{"/customers/1/edit": http.StatusForbidden, "/customers/3/edit": http.StatusGone} {
		status, _, _ = s.get(path)
		require.Equal(t, want, status)
		status, _, _ = s.post(path, with("first_name", "Eve"))
		require.Equal(t, want, status)
	}
	require.Len(t, s.office.updates, 2)
}

func TestHideAndUnhide(t *testing.T) {
	s := signedInSite(t)
	_, body, _ := s.get("/customers/1")
	require.Contains(t, body, "Hide this customer?")
	_, _, h := s.post("/customers/1/hide", nil)
	require.Equal(t, "/customers/1?done=hidden", h.Get("Location"))
	require.True(t, s.office.customers[0].Hidden)
	_, body, _ = s.get("/customers/1?done=hidden")
	require.Contains(t, body, "The customer is hidden.")
	require.Contains(t, body, "Show this customer again?")
	_, body, _ = s.get("/customers?done=hidden")
	require.Contains(t, body, "The customer is hidden.", "also where the customer itself is out of sight")
	_, _, h = s.post("/customers/1/unhide", nil)
	require.Equal(t, "/customers/1?done=unhidden", h.Get("Location"))
	require.False(t, s.office.customers[0].Hidden)
}

func TestButtonsThatWouldFailAreNotThere(t *testing.T) {
	s := signedInSite(t, func(c *web.Config) {
		c.SeesAudit = func(context.Context) (bool, error) { return false, nil }
	})
	s.office.customers[0].Can = desk.Rights{}
	phone := s.office.customers[0].Cells["phone"]
	phone.Revealable = false
	s.office.customers[0].Cells["phone"] = phone
	s.office.staff.MayManage, s.office.staff.MayDisable, s.office.exports = false, false, false
	_, body, _ := s.get("/customers/1")
	for _, gone := range []string{`/edit"`, "confirm-hide", `data-reveal="phone"`, `href="/audit`} {
		require.NotContains(t, body, gone)
	}
	require.Contains(t, body, `data-reveal="email"`)
	_, body, _ = s.get("/customers")
	require.NotContains(t, body, "/customers.csv")
	_, body, _ = s.get("/users")
	require.NotContains(t, body, `action="/users/`)

	// Giving roles and closing accounts are two duties.
	s.office.staff.MayDisable = true
	_, body, _ = s.get("/users")
	require.Contains(t, body, `/disable"`)
	require.NotContains(t, body, `/roles"`)
	s.office.staff.MayManage, s.office.staff.MayDisable = true, false
	_, body, _ = s.get("/users")
	require.Contains(t, body, `/roles"`)
	require.NotContains(t, body, `/disable"`)
}

func TestExport(t *testing.T) {
	s := signedInSite(t)
	status, body, h := s.get("/customers.csv")
	require.Equal(t, http.StatusOK, status)
	require.Regexp(t, `^attachment; filename="customers-\d{4}-\d\d-\d\d\.csv"$`, h.Get("Content-Disposition"))
	require.Equal(t, "text/csv; charset=utf-8", h.Get("Content-Type"))
	require.Contains(t, body, "1,+55 (12) ****-**55")

	status, _, _ = s.get("/customers.csv", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, status)

	s.office.exportErr = errors.New("the database went away")
	resp, err := s.client.Get(s.url + "/customers.csv")
	if err == nil { // the beginning may have left the server or not
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	require.Error(t, err, "a file that breaks off must not look whole")

	s.office.breaks(desk.ErrDenied)
	status, body, h = s.get("/customers.csv")
	require.Equal(t, http.StatusForbidden, status)
	require.Empty(t, h.Get("Content-Disposition"))
	require.Contains(t, body, "Not for your role")
}

func TestInvoices(t *testing.T) {
	s := signedInSite(t)
	_, body, _ := s.get("/invoices")
	require.Contains(t, body, "2 invoices · $1,238.54 in all")
	require.Contains(t, body, "4 Mar 2021")
	_, body, _ = s.get("/customers/1/invoices", "Accept-Language", "zh")
	require.Contains(t, body, "1 张发票 · 合计 US$3.98")
	require.Contains(t, body, "Luís Gonçalves 的发票")
	require.Contains(t, body, "2021年3月4日")
}

func TestPeople(t *testing.T) {
	s := signedInSite(t)
	_, body, _ := s.get("/users")
	require.Contains(t, body, "reports to Nancy Edwards")
	require.NotContains(t, body, `action="/users/3/disable"`, "nobody locks themselves out")
	_, _, h := s.post("/users/3/roles", url.Values{"role": {"sales", "auditor", "sales"}})
	require.Equal(t, "/users?done=roles", h.Get("Location"))
	require.Equal(t, []string{"auditor", "sales"}, s.office.roles["3"])
	status, body, _ := s.post("/users/3/roles", nil)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "leave at least one role")
	s.post("/users/2/disable", nil)
	require.True(t, s.office.disabled["2"])
	_, _, h = s.post("/users/2/enable", nil)
	require.False(t, s.office.disabled["2"])
	require.Equal(t, "/users?done=enabled", h.Get("Location"))
	s.office.breaks(desk.ErrDenied)
	status, _, _ = s.post("/users/2/enable", nil)
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = s.post("/users/..%2f2/enable", nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestTrail(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	s := signedInSite(t, func(c *web.Config) { c.Zone = shanghai })
	_, body, _ := s.get("/audit?actor=3&action=customer.reveal&resource=customer&row=1&from=2021-03-04&to=2021-03-05&page=2")
	require.Equal(t, desk.EventQuery{
		Actor: "3", Action: "customer.reveal", Resource: "customer", Row: "1", Page: 2,
		From: time.Date(2021, 3, 4, 0, 0, 0, 0, shanghai), To: time.Date(2021, 3, 6, 0, 0, 0, 0, shanghai),
	}, s.office.trails[0])
	require.Contains(t, body, "call back about ticket 7")
	require.Contains(t, body, "5 Mar 2021, 07:30:00")
	require.Contains(t, body, "Time (CST)")
	require.Contains(t, body, `rel="prev" href="/audit?action=customer.reveal&amp;actor=3&amp;from=2021-03-04&amp;page=1&amp;`)
	s.get("/audit?row=7")
	require.Equal(t, desk.EventQuery{Row: "7", Resource: "customer", Page: 1}, s.office.trails[1])
	for _, days := range []string{"from=2021-13-01", "to=yesterday", "from=2021-03-05&to=2021-03-04"} {
		status, body, _ := s.get("/audit?" + days)
		require.Equal(t, http.StatusUnprocessableEntity, status, days)
		require.Contains(t, body, "Enter days that exist")
	}
	require.Len(t, s.office.trails, 2)
}

func TestVerify(t *testing.T) {
	s := signedInSite(t)
	for want, verdict := range map[string]desk.Verdict{
		"The log is intact":                             {OK: true, Anchored: true, Size: 1},
		"No change found, but the log is NOT ANCHORED":  {OK: true, Size: 1},
		"The log is NOT what was written":               {Anchored: true, Size: 1},
		"Entry edited</strong>":                         {Size: 1, Breaks: []desk.Break{{Kind: "edited", Place: "main/41", Detail: "changed bytes"}}},
		"There is nothing outside the database to comp": {Size: 1},
	} {
		s.office.verdict = verdict
		status, body, _ := s.post("/audit/verify", nil)
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, want)
		require.Contains(t, body, "1 entry read")
		require.Equal(t, verdict.OK && verdict.Anchored, strings.Contains(body, `class="card verdict good"`), "%+v", verdict)
	}
}

func TestFailuresTellNothing(t *testing.T) {
	s := signedInSite(t)
	s.office.breaks(errors.New("dial tcp 10.0.0.7: password of postgres"))
	for _, path := range []string{"/customers", "/customers/1", "/invoices", "/users", "/audit", "/customers.csv"} {
		status, body, h := s.get(path)
		require.Equal(t, http.StatusInternalServerError, status, path)
		require.NotContains(t, body, "postgres")
		require.Contains(t, body, h.Get("X-Request-Id"))
		require.Contains(t, s.log.String(), h.Get("X-Request-Id"))
	}
	for err, want := range map[error]int{desk.ErrDenied: 403, desk.ErrErased: 410, desk.ErrNotFound: 404, desk.ErrInvalid: 422, signin.ErrNoSession: 303} {
		s.office.breaks(err)
		status, _, _ := s.get("/invoices")
		require.Equal(t, want, status)
	}
	s.office.breaks(nil)
	s.office.staff.People = nil
	_, body, _ := s.get("/users")
	require.Contains(t, body, "0 people")
}

func TestBrokenCaller(t *testing.T) {
	s := signedInSite(t)
	broken := newSite(t, func(c *web.Config) {
		c.Within = func(ctx context.Context, _ signin.Session) (context.Context, error) {
			return ctx, errors.New("no staff directory")
		}
		c.Customers = s.office
	})
	broken.post("/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}})
	status, body, _ := broken.get("/customers")
	require.Equal(t, http.StatusInternalServerError, status)
	require.NotContains(t, body, "staff directory")
}

func TestPanicIsAnswered(t *testing.T) {
	s := newSite(t, func(c *web.Config) {
		c.SeesAudit = func(context.Context) (bool, error) { panic("a secret value") }
	})
	s.post("/login", url.Values{"login": {"jane@example.com"}, "password": {" right password "}})
	status, body, h := s.get("/customers")
	require.Equal(t, http.StatusInternalServerError, status)
	require.Contains(t, body, h.Get("X-Request-Id"))
	require.NotContains(t, body+s.log.String(), "a secret value")
	require.Contains(t, s.log.String(), "a page panicked")
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t)
	_, page, _ := s.get("/login")
	for _, name := range []string{"app.css", "app.js", "icon.svg"} {
		at := "/static/" + name + "?v="
		from := strings.Index(page, at)
		require.Positive(t, from)
		versioned := page[from : from+len(at)+16]
		status, _, h := s.get(versioned)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "public, max-age=31536000, immutable", h.Get("Cache-Control"))
		_, _, h = s.get("/static/" + name + "?v=old")
		require.Equal(t, "no-store", h.Get("Cache-Control"))
	}
	for _, path := range []string{"/static/", "/static/nothing", "/static/..%2fweb.go", "/static/%2e%2e"} {
		status, body, _ := s.get(path)
		require.NotEqual(t, http.StatusOK, status, path)
		require.NotContains(t, body, "package web")
	}
}
