package rbactest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac/rbactest"
)

// notebook is an application with two mistakes: the pager counts everybody's customers, and the list of
// one's own has telephone numbers in it that nobody sees on the screen.
func notebook(rows []rbactest.Row) http.Handler {
	user := func(r *http.Request) string {
		if c, err := r.Cookie("user"); err == nil {
			return c.Value
		}
		return ""
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "user", Value: r.FormValue("user")})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if user(r) == "" {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		for _, row := range rows {
			if row.Class == user(r) {
				fmt.Fprintf(w, `<li data-sort="%s">%s`, row.Values["phone"], masking.Phone(row.Values["phone"]))
			}
		}
		fmt.Fprintf(w, "<p>1 of %d", len(rows))
	})
	return mux
}

func ExampleLeak() {
	kit := rbactest.Leak{
		Fields:  []rbactest.Field{{Name: "phone", Kind: masking.KindPhone}},
		Classes: []string{"jane", "steve"}, // the owners of the rows
		Roles:   []string{"jane", "steve"},
		Open: func(_ testing.TB, rows []rbactest.Row) rbactest.Site {
			return rbactest.Site{Handler: notebook(rows), SignIn: func(c *http.Client, base, role string) error {
				_, err := c.Get(base + "/login?user=" + role)
				return err
			}}
		},
		Reaches: func(role, class string) bool { return role == class },
		May: func(role, class, field string) rbactest.Rights {
			return rbactest.Rights{Read: masking.Partial, Match: true} // a mask, and no order
		},
	}
	for _, finding := range kit.Find(new(testing.T)) { // in a test: kit.Run(t)
		if strings.HasPrefix(finding.Role, "jane") {
			fmt.Println(finding)
		}
	}
	// Output:
	// jane learns phone of class "jane" from GET /, body content
	// jane learns row of class "steve" from GET /, body count
	// jane learns phone of class "jane" from GET /, html body (plain)
}
