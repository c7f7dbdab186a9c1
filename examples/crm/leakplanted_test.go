package main_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/confide-go/confide/rbac/rbactest"
)

// A planted leak changes the CRM's answer to some requests.
type planted struct {
	finding rbactest.Finding // that it must cause; Form is not compared
	wrong   func(site *leaking, r *http.Request, got *httptest.ResponseRecorder)
}

// leaking is the CRM with the planted rows at hand and mistakes that use them.
type leaking struct {
	rows []rbactest.Row
	log  bytes.Buffer
}

func (l *leaking) of(class string) []rbactest.Row {
	return slices.DeleteFunc(slices.Clone(l.rows), func(r rbactest.Row) bool { return r.Class != class })
}

func (l *leaking) last(class string) rbactest.Row { return l.of(class)[len(l.of(class))-1] }

// plantedLeaks are mistakes at the places where the kit is told about differences that are none, and in
// every channel: each must be found there.
func plantedLeaks() map[string]planted {
	path := func(r *http.Request, want string) bool { return r.URL.Path == want }
	good := func(got *httptest.ResponseRecorder) bool { return got.Code == http.StatusOK }
	found := func(role, route, channel, kind, class string) rbactest.Finding {
		return rbactest.Finding{Role: role, Route: route, Channel: channel, Kind: kind, Class: class}
	}
	return map[string]planted{
		"a list without its filter": {
			found("sales", "GET /invoices", "body length", "row", others), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				for range l.rows {
					if path(r, "/invoices") && good(got) {
						fmt.Fprint(got.Body, "<td>invoice</td>")
					}
				}
			}},
		"a telephone number in the file": {
			found("sales", "GET /customers.csv", "csv body", "phone", mine), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/customers.csv") && good(got) {
					fmt.Fprintln(got.Body, l.of(mine)[0].Values["phone"])
				}
			}},
		"a count of all rows in a header": {
			found("sales", "GET /customers", "header X-Total", "row", hidden), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/customers") && r.URL.RawQuery == "" && good(got) {
					got.Header().Set("X-Total", fmt.Sprint(len(l.rows)))
				}
			}},
		"an error that knows the row": {
			found("sales", "GET /customers/{row}", "error page", "last_name", hidden), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				for _, row := range l.rows {
					if path(r, "/customers/"+row.ID) && got.Code == http.StatusNotFound {
						fmt.Fprint(got.Body, html.EscapeString(row.Values["last_name"]))
					}
				}
			}},
		"forbidden instead of not found": {
			found("sales", "GET /customers/{row}/invoices", "status", "row", others), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				for _, row := range l.rows {
					if path(r, "/customers/"+row.ID+"/invoices") && got.Code == http.StatusNotFound {
						got.Code = http.StatusForbidden
					}
				}
			}},
		"a list in the order of a masked field": {
			found("manager", "GET /users", "body order", "phone", others), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/users") && good(got) {
					rows := l.of(others)
					slices.SortFunc(rows, func(a, b rbactest.Row) int { return strings.Compare(a.Values["phone"], b.Values["phone"]) })
					for _, row := range rows {
						fmt.Fprintln(got.Body, row.ID)
					}
				}
			}},
		"completion over hidden rows": {
			found("sales", "GET /customers?q={last_name}", "body count", "last_name", hidden), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if q := r.URL.Query().Get("q"); path(r, "/customers") && strings.HasPrefix(q, "Zathrow") && good(got) {
					hits := slices.DeleteFunc(l.of(hidden), func(row rbactest.Row) bool { return row.Values["last_name"] != q })
					fmt.Fprintf(got.Body, "<p>%d more</p>", len(hits))
				}
			}},
		"an ETag of what is not shown": {
			found("sales", "GET /customers?page=2", "header ETag", "phone", mine), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/customers") && r.URL.RawQuery == "page=2" && good(got) {
					got.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(l.of(mine)[0].Values["phone"]))))
				}
			}},
		"a log line with a value": {
			found("whoever reads the log", "the log", "log", "email", mine), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/customers.csv") {
					fmt.Fprintln(&l.log, "sent to", l.of(mine)[1].Values["email"])
				}
			}},
		// Where a difference is known, another one is still found.
		"a value in the audit log": {
			found("auditor", "GET /audit", "html body", "address", mine), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/audit") && r.URL.RawQuery == "" && good(got) {
					fmt.Fprint(got.Body, l.last(mine).Values["address"])
				}
			}},
		"the length of a value in the audit log": {
			found("auditor", "GET /audit?resource=customer&action=customer.reveal", "body count", "phone", others), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/audit") && strings.Contains(r.URL.RawQuery, "reveal") && good(got) {
					fmt.Fprintf(got.Body, "<td>%s</td>", l.last(others).Values["phone"][:3])
				}
			}},
		"a number of rows in a header of the audit log": {
			found("auditor", "POST /audit/verify", "header X-Rows", "row", others), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				if path(r, "/audit/verify") && good(got) {
					got.Header().Set("X-Rows", fmt.Sprint(len(l.of(others))))
				}
			}},
		// What may be revealed is the field that was asked for.
		"another field beside the revealed one": {
			found("manager", "POST /customers/{row}/reveal", "html body", "email", others), func(l *leaking, r *http.Request, got *httptest.ResponseRecorder) {
				for _, row := range l.of(others) {
					if path(r, "/customers/"+row.ID+"/reveal") && good(got) && strings.Contains(got.Header().Get("Content-Type"), "html") {
						fmt.Fprint(got.Body, row.Values["email"])
					}
				}
			}},
	}
}

// TestLeakFindsPlantedLeaks is the run over the CRM again, smaller, with mistakes in it.
func TestLeakFindsPlantedLeaks(t *testing.T) {
	t.Parallel()
	kit := leakKit(t)
	open := kit.Open
	kit.Roles, kit.Classes = []string{"sales", "manager", "auditor"}, []string{mine, hidden, others}
	kit.Fields = slices.DeleteFunc(kit.Fields, func(f rbactest.Field) bool { return f.Name == "file" })
	kit.Routes = []rbactest.Route{{Path: "/customers/{row}/invoices"}, {Path: "/audit?resource=customer&action=customer.reveal"}, {Path: "/customers?page=2"}, {Path: "/customers.csv"}}
	kit.Routes = append(kit.Routes, slices.DeleteFunc(routes(), func(r rbactest.Route) bool {
		return r.Path != "/audit/verify" && (r.Path != "/customers/{row}/reveal" || r.Header != nil || len(r.Shows) == 0)
	})...)
	kit.Skip = func(role, method, path string) bool {
		return skip(role, method, path) || strings.Contains(path, "/documents") || strings.Contains(path, "/edit") || strings.Contains(path, "reveal?") ||
			strings.Contains(path, "filler") || strings.Contains(path, "row=") || strings.Contains(path, "q=") && !strings.Contains(path, "q=Zathrow")
	}
	kit.Open = func(t testing.TB, rows []rbactest.Row) rbactest.Site {
		site, l := open(t, rows), &leaking{rows: rows}
		pages, log := site.Handler, site.Log
		site.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got := httptest.NewRecorder()
			pages.ServeHTTP(got, r)
			got.Header().Del("Content-Length")
			for _, p := range plantedLeaks() {
				p.wrong(l, r, got)
			}
			for name, values := range got.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(got.Code)
			_, _ = w.Write(got.Body.Bytes())
		})
		site.Log = func() string { return log() + l.log.String() }
		return site
	}
	list := kit.Find(t)
	for name, p := range plantedLeaks() {
		assert.True(t, slices.ContainsFunc(list, func(f rbactest.Finding) bool {
			f.Form = ""
			return f == p.finding
		}), "%s: %s", name, p.finding)
	}
	if t.Failed() {
		for _, f := range list {
			t.Log(f)
		}
	}
}
