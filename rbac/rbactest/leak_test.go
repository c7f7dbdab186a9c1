package rbactest_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/rbac/rbactest"
)

// bug is a page that is wrong as a real CRM was, and right when y.leaky is false.
type bug struct {
	name, source string
	routes       []rbactest.Route
	channel      string // that must be named, for sales,
	kind         string // with this field
	page         func(y *toy, w http.ResponseWriter, r *http.Request)
}

func get(paths ...string) (routes []rbactest.Route) {
	for _, p := range paths {
		routes = append(routes, rbactest.Route{Path: p})
	}
	return routes
}

func post(form url.Values) []rbactest.Route {
	return []rbactest.Route{{Method: http.MethodPost, Path: "/bug", Form: form}}
}

func bugs() []bug {
	type (
		rw  = http.ResponseWriter
		req = *http.Request
		row = rbactest.Row
	)
	// matches counts rows by a condition on a field.
	matches := func(rows []row, ok func(row) bool) int {
		return len(slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !ok(r) }))
	}
	return []bug{
		{"group by with records", "twentyhq/twenty#25911", get("/bug?by={field}"), "json body", "idno", func(y *toy, w rw, r req) {
			groups := map[string][]string{}
			for _, x := range y.visible(r) {
				groups["all"] = append(groups["all"], y.value(r, x, r.FormValue("by")))
			}
			y.writeJSON(w, groups)
		}},
		{"search in any field", "twentyhq/twenty#26339", get("/bug?q={idno}"), "body count", "idno", func(y *toy, w rw, r req) {
			fmt.Fprint(w, matches(y.visible(r), func(x row) bool {
				return x.Values["name"] == r.FormValue("q") || (y.leaky || role(r) == "boss") && x.Values["idno"] == r.FormValue("q")
			}))
		}},
		{"search inside hidden fields", "Admidio#2015, GHSA-68pr-7prh-mpv4", get("/bug?q={note}"), "body length", "note", func(y *toy, w rw, r req) {
			for _, x := range y.visible(r) {
				if (y.leaky || role(r) == "boss") && strings.Contains(x.Values["note"], r.FormValue("q")) {
					fmt.Fprintln(w, x.ID)
				}
			}
		}},
		{"advanced search shows names to any account", "1Panel-dev/CordysCRM#688", get("/bug?q={phone}"), "html body", "name", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/html")
			for _, x := range y.choose(r) {
				if x.Values["phone"] == r.FormValue("q") {
					fmt.Fprintf(w, "<p>%s</p>", html.EscapeString(x.Values["name"]))
				}
			}
		}},
		{"the list forgets the field rule of the page", "espocrm/espocrm#2515", get("/bug"), "json body", "idno", func(y *toy, w rw, r req) {
			var list []map[string]string
			for _, x := range y.visible(r) {
				list = append(list, map[string]string{"id": x.ID, "idno": y.value(r, x, "idno")})
			}
			y.writeJSON(w, list)
		}},
		{"a mass update counts rows of others", "espocrm/espocrm#2312", post(url.Values{"all": {"1"}}), "body count", "row", func(y *toy, w rw, r req) {
			fmt.Fprintf(w, "%d records updated", len(y.choose(r)))
		}},
		{"the quick export holds hidden fields", "YetiForceCompany/YetiForceCRM#15907", get("/bug"), "csv body", "note", func(y *toy, w rw, r req) {
			y.writeCSV(w, r, y.visible(r), y.value, "name", "note")
		}},
		{"the export right is checked in the browser", "twentyhq/twenty#19738", get("/bug"), "csv body", "name", func(y *toy, w rw, r req) {
			y.writeCSV(w, r, y.choose(r), func(_ *http.Request, x row, f string) string { return x.Values[f] }, "name")
		}},
		{"the export ignores masks", "liberusoftware/crm-laravel#548, frappe mask_on_export, Zoho People", get("/bug"), "csv body", "phone", func(y *toy, w rw, r req) {
			y.writeCSV(w, r, y.visible(r), y.value, "phone")
		}},
		{"the call popup has the number", "frappe/crm#760", get("/bug?id={row}"), "json body", "phone", func(y *toy, w rw, r req) {
			if x := find(y.visible(r), r); x != nil {
				y.writeJSON(w, map[string]string{"dial": "tel:+86-" + y.value(r, *x, "phone")})
			}
		}},
		{"a report ignores masks", "frappe/frappe#40613", get("/bug"), "html body", "phone", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/html")
			for _, x := range y.visible(r) {
				p := y.value(r, x, "phone")
				fmt.Fprintf(w, "<td><i>%s</i>-<i>%s</i>-<i>%s</i></td>", p[:3], p[3:7], p[7:])
			}
		}},
		{"history keeps what was erased", "newtheatre/stage-door#137", get("/bug"), "json body", "email", func(y *toy, w rw, r req) {
			for _, x := range y.visible(r) {
				y.writeJSON(w, map[string]string{"detail": fmt.Sprintf("{\"old\": %q}", y.value(r, x, "email"))})
			}
		}},
		{"the subject export hands out anybody", "mockforge#872, frappe/crm hooks", get("/bug?id={row}"), "json body", "note", func(y *toy, w rw, r req) {
			if x := find(y.choose(r), r); x != nil && (y.leaky || role(r) == "boss") {
				y.writeJSON(w, x.Values)
			}
		}},
		{"a filter on a hidden field counts", "ServiceNow CVE-2025-3648", get("/bug?starts={idno}"), "body count", "idno", func(y *toy, w rw, r req) {
			fmt.Fprint(w, matches(y.visible(r), func(x row) bool {
				return (y.leaky || role(r) == "boss") && strings.HasPrefix(x.Values["idno"], r.FormValue("starts"))
			}))
		}},
		{"a list is sorted by a masked field", "rbac research 6.6, Order", get("/bug?sort={field}"), "body order", "phone", func(y *toy, w rw, r req) {
			rows := y.visible(r)
			if by := r.FormValue("sort"); y.leaky || role(r) == "boss" || by == "name" {
				slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Values[by], b.Values[by]) })
			}
			for _, x := range rows {
				fmt.Fprintln(w, x.ID)
			}
		}},
		{"the pager counts hidden rows", "apache/casbin#1529, CanCanCan#570", get("/bug"), "body count", "row", func(y *toy, w rw, r req) {
			fmt.Fprintf(w, "page 1 of %d", len(y.choose(r)))
		}},
		{"forbidden instead of not found", "twentyhq/twenty#23062", get("/bug?id={row}"), "status", "row", func(y *toy, w rw, r req) {
			switch {
			case find(y.visible(r), r) != nil:
				fmt.Fprint(w, "here it is")
			case y.leaky && find(y.rows, r) != nil:
				http.Error(w, "forbidden", http.StatusForbidden)
			default:
				http.Error(w, "not found", http.StatusNotFound)
			}
		}},
		{"a duplicate is refused by name", "1Panel-dev/CordysCRM#61", post(url.Values{"email": {"{email}"}}), "error page", "name", func(y *toy, w rw, r req) {
			for _, x := range y.choose(r) {
				if x.Values["email"] == r.FormValue("email") {
					http.Error(w, "exists already: "+x.Values["name"], http.StatusConflict)
				}
			}
		}},
		{"a unique key says what is taken", "rbac doc.go, unique keys", post(url.Values{"email": {"{email}"}}), "status", "row", func(y *toy, w rw, r req) {
			for _, x := range y.choose(r) {
				if x.Values["email"] == r.FormValue("email") {
					w.WriteHeader(http.StatusConflict)
				}
			}
		}},
		{"masked on the screen only", "OCA/server-auth#906", get("/bug"), "html body", "phone", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/html")
			for _, x := range y.visible(r) {
				fmt.Fprintf(w, `<span data-value=%q>%s</span>`, y.value(r, x, "phone"), show(r, x, "phone"))
			}
		}},
		{"the mask is as long as the value", "Mingdao virtual mask length", get("/bug"), "body content", "note", func(y *toy, w rw, r req) {
			for _, x := range y.visible(r) {
				n := 6
				if y.leaky || role(r) == "boss" {
					n = len(x.Values["note"])
				}
				fmt.Fprintf(w, "x%sx\n", strings.Repeat("_", n))
			}
		}},
		{"an ETag of the whole row", "conditional requests", get("/bug"), "header ETag", "idno", func(y *toy, w rw, r req) {
			h := sha256.New()
			for _, x := range y.visible(r) {
				fmt.Fprint(h, x.ID, y.value(r, x, "idno"))
			}
			w.Header().Set("ETag", fmt.Sprintf("%q", hex.EncodeToString(h.Sum(nil)[:8])))
		}},
		{"a search column is a plain hash", "email_hash without a key", get("/bug"), "json body", "email", func(y *toy, w rw, r req) {
			for _, x := range y.visible(r) {
				y.writeJSON(w, fmt.Sprintf("%x", sha256.Sum256([]byte(y.value(r, x, "email")))))
			}
		}},
		{"the log has the search", "GET queries in access logs", get("/bug?q={phone}"), "log", "phone", func(y *toy, w rw, r req) {
			if y.leaky {
				fmt.Fprintln(&y.log, "level=INFO uri="+r.URL.RequestURI())
			}
		}},
		{"a redirect carries the address", "links in mails", get("/bug?id={row}"), "redirect", "email", func(y *toy, w rw, r req) {
			if x := find(y.visible(r), r); x != nil {
				http.Redirect(w, r, "/?to="+base64.URLEncoding.EncodeToString([]byte("mail:"+y.value(r, *x, "email"))), http.StatusFound)
			}
		}},
		{"a cookie remembers the last customer", "state in cookies", get("/bug?id={row}"), "cookie", "phone", func(y *toy, w rw, r req) {
			if x := find(y.visible(r), r); x != nil {
				http.SetCookie(w, &http.Cookie{Name: "last", Value: hex.EncodeToString([]byte(y.value(r, *x, "phone")))})
			}
		}},
		{"completion by the beginning", "autocomplete over all rows", get("/bug?q={name}"), "json body", "name", func(y *toy, w rw, r req) {
			names := []string{}
			for _, x := range y.choose(r) {
				if strings.HasPrefix(x.Values["name"], r.FormValue("q")[:len("王")]) {
					names = append(names, x.Values["name"])
				}
			}
			y.writeJSON(w, names)
		}},
		{"completion tells how many", "autocomplete of masked numbers", get("/bug?q={phone}"), "body count", "phone", func(y *toy, w rw, r req) {
			fmt.Fprint(w, matches(y.visible(r), func(x row) bool {
				return x.Values["phone"] == r.FormValue("q") || (y.leaky || role(r) == "boss") && strings.HasPrefix(x.Values["phone"], r.FormValue("q"))
			}))
		}},
		{"a minimum over hidden values", "Hasura allow_aggregations", get("/bug"), "json body", "idno", func(y *toy, w rw, r req) {
			least := "none"
			for _, x := range y.visible(r) {
				if v := y.value(r, x, "idno"); least == "none" || v < least {
					least = v
				}
			}
			y.writeJSON(w, map[string]string{"min": least})
		}},
		{"a joined table has no filter", "rbac research 6.6, Joins", get("/bug"), "json body", "note", func(y *toy, w rw, r req) {
			for _, x := range y.choose(r) {
				if role(r) == "boss" || y.leaky {
					y.writeJSON(w, map[string]any{"note": x.Values["note"]})
				}
			}
		}},
		{"an error page prints the statement", "debug mode left on", get("/bug?id={row}"), "error page", "email", func(y *toy, w rw, r req) {
			text := "something went wrong"
			if y.leaky {
				text = "SELECT * FROM leads WHERE email = '" + url.QueryEscape(y.rows[len(y.rows)-1].Values["email"]) + "'"
			}
			http.Error(w, text, http.StatusInternalServerError)
		}},
		{"the spreadsheet is zipped", "XLSX and gzip exports", get("/bug"), "gzip body", "idno", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "application/gzip")
			z := gzip.NewWriter(w)
			for _, x := range y.visible(r) {
				fmt.Fprintln(z, y.value(r, x, "idno"))
			}
			_ = z.Close()
		}},
		{"a file in UTF-16", "exports for old spreadsheets", get("/bug"), "octet-stream body", "phone", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "application/octet-stream")
			for _, x := range y.visible(r) {
				for _, u := range utf16.Encode([]rune(y.value(r, x, "phone"))) {
					_, _ = w.Write([]byte{byte(u), byte(u >> 8)})
				}
			}
		}},
		{"a reversed search column", "indexes for endings", get("/bug"), "json body", "phone", func(y *toy, w rw, r req) {
			for _, x := range y.visible(r) {
				v := []byte(y.value(r, x, "phone"))
				slices.Reverse(v)
				y.writeJSON(w, string(v))
			}
		}},
		{"a cache forgets who asked", "apache/casbin#1065, decision caches", get("/bug"), "plain body", "note", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/plain")
			key := r.URL.Path
			if !y.leaky {
				key += role(r)
			}
			if y.state[key] == "" {
				for _, x := range y.visible(r) {
					y.state[key] += show(r, x, "note") + "\n"
				}
			}
			fmt.Fprint(w, y.state[key])
		}},
		{"a condition with OR reaches over the filter", "rbac research 6.6, Where Or", get("/bug?q={name}"), "body length", "row", func(y *toy, w rw, r req) {
			for _, x := range y.rows {
				if reaches(role(r), x.Class) || y.leaky && x.Values["name"] == r.FormValue("q") {
					fmt.Fprintln(w, x.ID)
				}
			}
		}},
		{"a person is looked for everywhere", "Odoo privacy_lookup", get("/bug?who={email}"), "body count", "row", func(y *toy, w rw, r req) {
			fmt.Fprintf(w, "%d records of this person", matches(y.choose(r), func(x row) bool { return x.Values["email"] == r.FormValue("who") }))
		}},
		{"an index reaches into other tenants", "open-mercato#5893", get("/bug?taken={phone}"), "body content", "row", func(y *toy, w rw, r req) {
			fmt.Fprint(w, matches(y.choose(r), func(x row) bool { return x.Values["phone"] == r.FormValue("taken") }) > 0)
		}},
		{"a kind of record without a map is not masked", "open-mercato#1688", get("/bug"), "json body", "idno", func(y *toy, w rw, r req) {
			known := map[string]bool{"name": true, "phone": true, "email": true}
			for _, x := range y.visible(r) {
				one := map[string]string{}
				for f, v := range x.Values {
					if one[f] = show(r, x, f); y.leaky && !known[f] {
						one[f] = v
					}
				}
				y.writeJSON(w, one)
			}
		}},
		{"whom to forget is shown before the right is asked", "CiviCRM GDPR extension, Forgetme.php", get("/bug?id={row}"), "html body", "name", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/html")
			if x := find(y.choose(r), r); x != nil {
				fmt.Fprintf(w, "<h1>Forget %s?</h1>", html.EscapeString(x.Values["name"]))
			}
		}},
		{"a report runs with the rights of its author", "frappe/frappe#40613, queries that ignore permissions", get("/bug"), "body count", "row", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<td>customers</td><td>%d</td>", len(y.choose(r)))
		}},
		{"a number is hidden until somebody is responsible", "espocrm/espocrm#808, YetiForceCRM#4305", get("/bug?id={row}"), "html body", "phone", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/html")
			if x := find(y.choose(r), r); x != nil {
				fmt.Fprintf(w, "<p hidden>%s</p>", y.value(r, *x, "phone"))
			}
		}},
		{"completion writes the number to its end", "autocomplete of masked numbers", get("/bug?q={phone}"), "plain body", "phone", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/plain")
			for _, x := range y.visible(r) {
				if strings.HasPrefix(x.Values["phone"], r.FormValue("q")) && (y.leaky || x.Values["phone"] == r.FormValue("q") || role(r) == "boss") {
					fmt.Fprintln(w, x.Values["phone"])
				}
			}
		}},
		{"a comment in the page", "YunaiV/ruoyi-vue-pro#439", get("/bug"), "html body", "phone", func(y *toy, w rw, r req) {
			w.Header().Set("Content-Type", "text/html")
			for _, x := range y.visible(r) {
				fmt.Fprintf(w, "<!-- %s --><p>%s</p>", y.value(r, x, "phone"), show(r, x, "phone"))
			}
		}},
		{"what nobody forbade is readable", "twentyhq/twenty#23461", get("/bug"), "json body", "note", func(y *toy, w rw, r req) {
			for _, x := range y.visible(r) {
				one := map[string]string{}
				for _, f := range fields() {
					one[f.Name] = show(r, x, f.Name)
				}
				if y.leaky {
					one["note"] = html.EscapeString(x.Values["note"])
				}
				y.writeJSON(w, one)
			}
		}},
	}
}

func TestLeakFindsTheBugsOfRealCRMs(t *testing.T) {
	require.GreaterOrEqual(t, len(bugs()), 40)
	for _, b := range bugs() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			kit := leak(true, b.page, b.routes...)
			var planted []rbactest.Row
			inner := kit.Open
			kit.Open = func(tb testing.TB, rows []rbactest.Row) rbactest.Site {
				planted = append(planted, rows...)
				return inner(tb, rows)
			}
			found := kit.Find(t)
			hit := slices.ContainsFunc(found, func(f rbactest.Finding) bool {
				return f.Role != "boss" && f.Channel == b.channel && f.Kind == b.kind
			})
			assert.True(t, hit, "%s: not found by %s of %s; found %v", b.source, b.channel, b.kind, found)
			for _, f := range found {
				assert.NotEqual(t, "boss", f.Role, f.String())
				assert.True(t, strings.Contains(f.Route, "/bug") || f.Channel == "log", f.String())
				for _, x := range planted {
					for _, v := range x.Values {
						require.NotContains(t, f.String(), v)
					}
				}
			}
		})
		t.Run(b.name+", mended", func(t *testing.T) {
			t.Parallel()
			require.Empty(t, leak(false, b.page, b.routes...).Find(t))
		})
	}
}
