package rbactest_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac/rbactest"
)

// toy is a CRM small enough to be wrong in one place: sales sees names of its own customers, masks of
// their phones and e-mail addresses, and no identity number; the boss sees everything.
type toy struct {
	rows  []rbactest.Row
	log   strings.Builder
	state map[string]string
	leaky bool
}

func fields() []rbactest.Field {
	return []rbactest.Field{{Name: "name", Kind: masking.KindName}, {Name: "phone", Kind: masking.KindPhone}, {Name: "email", Kind: masking.KindEmail}, {Name: "idno", Kind: masking.KindID}, {Name: "note", Kind: masking.KindText}}
}

func reaches(role, class string) bool { return role == "boss" || role == "sales" && class == "mine" }

func may(role, class, field string) rbactest.Rights {
	switch {
	case role == "boss" || field == "name":
		return rbactest.Rights{Read: masking.Full}
	case field == "phone" || field == "email":
		return rbactest.Rights{Read: masking.Partial, Match: true}
	}
	return rbactest.Rights{}
}

func role(r *http.Request) string {
	c, err := r.Cookie("role")
	if err != nil {
		return ""
	}
	return c.Value
}

// visible are the rows of the asker's scope.
func (y *toy) visible(r *http.Request) []rbactest.Row {
	return slices.DeleteFunc(slices.Clone(y.rows), func(row rbactest.Row) bool { return role(r) == "" || !reaches(role(r), row.Class) })
}

// choose is all rows where the toy is leaky, and the visible ones where it is not.
func (y *toy) choose(r *http.Request) []rbactest.Row {
	if y.leaky {
		return y.rows
	}
	return y.visible(r)
}

// find returns the row of the address, out of the given ones.
func find(rows []rbactest.Row, r *http.Request) *rbactest.Row {
	for _, row := range rows {
		if row.ID == r.FormValue("id") {
			return &row
		}
	}
	return nil
}

// show is a field as the asker may see it.
func show(r *http.Request, row rbactest.Row, field string) string {
	kind := masking.Kind("")
	for _, f := range fields() {
		if f.Name == field {
			kind = f.Kind
		}
	}
	if level := may(role(r), row.Class, field).Read; level != masking.Full {
		return masking.Mask(kind, level, row.Values[field])
	}
	return row.Values[field]
}

// value is the whole field where the toy is leaky.
func (y *toy) value(r *http.Request, row rbactest.Row, field string) string {
	if y.leaky {
		return row.Values[field]
	}
	return show(r, row, field)
}

func (y *toy) list(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, row := range y.visible(r) {
		fmt.Fprintf(w, "<li>%s", row.ID)
		for _, f := range fields() {
			fmt.Fprintf(w, " <b>%s</b>", html.EscapeString(show(r, row, f.Name)))
		}
	}
}

func (y *toy) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (y *toy) writeCSV(w http.ResponseWriter, r *http.Request, rows []rbactest.Row, value func(*http.Request, rbactest.Row, string) string, columns ...string) {
	w.Header().Set("Content-Type", "text/csv")
	out := csv.NewWriter(w)
	for _, row := range rows {
		line := []string{row.ID}
		for _, c := range columns {
			line = append(line, value(r, row, c))
		}
		_ = out.Write(line)
	}
	out.Flush()
}

// leak is the kit over a toy with one more page, /bug.
func leak(leaky bool, page func(*toy, http.ResponseWriter, *http.Request), routes ...rbactest.Route) rbactest.Leak {
	return rbactest.Leak{
		Fields: fields(), Classes: []string{"mine", "others"}, Roles: []string{"boss", "sales"},
		Reaches: reaches, May: may, Routes: routes,
		Open: func(_ testing.TB, rows []rbactest.Row) rbactest.Site {
			y := &toy{rows: rows, leaky: leaky, state: map[string]string{}}
			mux := http.NewServeMux()
			mux.HandleFunc("/{$}", y.list)
			mux.HandleFunc("/bug", func(w http.ResponseWriter, r *http.Request) {
				if role(r) == "" {
					http.Redirect(w, r, "/", http.StatusSeeOther)
					return
				}
				page(y, w, r)
			})
			mux.HandleFunc("/in", func(w http.ResponseWriter, r *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "role", Value: r.FormValue("role")})
			})
			return rbactest.Site{Handler: mux, Log: y.log.String, SignIn: func(c *http.Client, base, role string) error {
				resp, err := c.Get(base + "/in?role=" + role)
				if err == nil {
					resp.Body.Close()
				}
				return err
			}}
		},
	}
}
