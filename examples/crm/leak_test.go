package main_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"
	"gorm.io/gorm"

	crm "github.com/confide-go/confide/examples/crm"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/duty"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/rbac/rbactest"
)

// The people of the leak test, by what they are: the demo's, with the duties kept apart that some of the
// demo's people have together.
var staff = map[string]struct {
	login, id string
	roles     []string
}{
	"sales":    {"jane", "3", []string{duty.Sales}},
	"manager":  {"nancy", "2", []string{duty.Manager}},
	"system":   {"robert", "7", []string{duty.System}},
	"security": {"michael", "6", []string{duty.Security}},
	"auditor":  {"laura", "8", []string{duty.Auditor}},
}

// The customers, by who has to do with them; see owner.
const (
	mine    = "of sales"
	hidden  = "of sales, hidden"
	erased  = "of sales, erased"
	others  = "of a colleague"
	outside = "of the IT department"
)

func owner(class string) string {
	switch class {
	case others:
		return "4"
	case outside:
		return "6"
	}
	return "3"
}

func reaches(role, class string) bool {
	switch role {
	case "sales":
		return class == mine || class == erased
	case "manager":
		return class != outside
	}
	return false
}

// may repeats what duty.Policy says in sentences: names and places in full, what reaches the person masked,
// to be revealed one by one; the search box finds by telephone, fax and e-mail.
func may(_, class, field string) rbactest.Rights {
	switch {
	case class == erased:
		return rbactest.Rights{}
	case slices.Contains([]string{"email", "phone"}, field):
		return rbactest.Rights{Read: masking.Partial, Match: true, Reveal: true}
	case field == "address":
		return rbactest.Rights{Read: masking.Partial, Reveal: true}
	case field == "file":
		return rbactest.Rights{Reveal: true}
	}
	return rbactest.Rights{Read: masking.Full}
}

func canaries() []rbactest.Field {
	word := func(stem, far string) func(int, rbactest.Twin) string {
		return func(n int, twin rbactest.Twin) string {
			rank := 10 + n
			if twin != rbactest.Base {
				rank = 99 - n
			}
			text := fmt.Sprintf("%s%c%c%c", stem, 'a'+rank/10, 'a'+rank%10, 'a'+n)
			if twin == rbactest.Far {
				text = far + text
			}
			return text
		}
	}
	return []rbactest.Field{
		{Name: "last_name", Value: word("Zathrow", "Mac")},
		{Name: "email", Kind: masking.KindEmail},
		{Name: "phone", Kind: masking.KindPhone},
		{Name: "address", Kind: masking.KindAddress},
		{Name: "file", Value: word("contract-kolmer-", "re-")},
	}
}

// cheap is a hash of password that takes no time to check. Sessions are real ones.
func cheap(password string) string {
	salt := []byte("leak kit")
	tag := argon2.IDKey([]byte(password), salt, 1, 8, 1, 16)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$%s$%s", b64.EncodeToString(salt), b64.EncodeToString(tag))
}

const password = "leak-2026"

// noon is always the time in the leak test.
func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

// prepared makes a data folder with the staff and enough customers for two pages, to be copied.
func prepared(t testing.TB) string {
	dir := t.TempDir()
	o, err := crm.OpenOffice(context.Background(), dir, "", noon)
	require.NoError(t, err)
	require.NoError(t, staffed(o))
	return dir
}

func staffed(o *crm.Office) error {
	ctx := context.Background()
	if err := o.Employ(ctx, cheap(password)); err != nil {
		return err
	}
	for _, p := range staff {
		if err := o.Assign(ctx, p.id, p.roles...); err != nil {
			return err
		}
	}
	err := o.Do(ctx, func(_ context.Context, tx *gorm.DB) error {
		var list []*book.Customer
		for i := range 22 {
			list = append(list, &book.Customer{
				ID: fmt.Sprintf("filler-%02d", i), TenantID: book.Tenant, OwnerID: "3", Country: "Norway",
				FirstName: book.Value("Ola"), LastName: book.Value(fmt.Sprintf("Nordmann %c", 'A'+i)), Phone: book.Value(fmt.Sprintf("+47 22 33 44 %02d", i)),
			})
		}
		return tx.Create(&list).Error
	})
	if err != nil {
		return err
	}
	return o.Close()
}

// plant stores a customer, an invoice and a file for each row.
func plant(o *crm.Office, rows []rbactest.Row) error {
	err := o.Do(context.Background(), func(ctx context.Context, tx *gorm.DB) error {
		for _, row := range rows {
			c := &book.Customer{ID: row.ID, TenantID: book.Tenant, OwnerID: owner(row.Class), Hidden: row.Class == hidden, Country: "China"}
			inv := &book.Invoice{
				ID: "invoice-" + row.ID, TenantID: book.Tenant, CustomerID: c.ID, OwnerID: c.OwnerID, Hidden: c.Hidden,
				Date: noon(), Cents: 1250, Country: "China",
			}
			for field, value := range row.Values {
				for _, sealed := range []interface{ Sealed(string) *privacy.String }{c, inv} {
					if into := sealed.Sealed(field); into != nil {
						*into = book.Value(value)
					}
				}
			}
			ref, err := o.Files().Seal(ctx, row.Values["file"]+".txt", strings.NewReader(fmt.Sprintf("%-60s", row.Values["file"]))) // how long it is may be seen
			if err != nil {
				return err
			}
			doc := &book.Document{
				ID: "file-" + row.ID, TenantID: book.Tenant, CustomerID: c.ID, OwnerID: c.OwnerID, Hidden: c.Hidden,
				Object: ref.ID(), Size: ref.Size(), File: ref.Sealed(),
			}
			for _, one := range []any{c, inv, doc} {
				if err := tx.Create(one).Error; err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, row := range rows {
		if row.Class == erased && err == nil {
			err = o.Erase(context.Background(), row.ID)
		}
	}
	return err
}

// world is the CRM with the rows. The audit log is up to date before the next request comes, or its pages
// would depend on who is faster.
func world(t testing.TB, from string, rows []rbactest.Row) rbactest.Site {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
	require.NoError(t, os.Chmod(filepath.Join(dir, "keys", "kek.json"), 0o600))
	// The disk is not waited for: what a crash would lose is no leak.
	unsynced := "sqlite://file:" + filepath.Join(dir, "crm.db") + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=foreign_keys(1)"
	o, err := crm.OpenOffice(context.Background(), dir, unsynced, noon)
	require.NoError(t, err)
	t.Cleanup(func() { o.Close() })
	// What the start wrote apart is in the log before the first row is, whose number would tell who was faster.
	require.NoError(t, o.Flush(t.Context()))
	require.NoError(t, plant(o, rows))
	pages, err := o.Handler(context.Background())
	require.NoError(t, err)
	return rbactest.Site{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// An answer whose length is known is whole at the client before its handler has returned.
			answer := httptest.NewRecorder()
			pages.ServeHTTP(answer, r)
			if err := o.Flush(r.Context()); err != nil {
				panic(err)
			}
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			w.Write(answer.Body.Bytes())
		}),
		SignIn: signIn, Log: o.Logged,
	}
}

func signIn(c *http.Client, base, role string) error {
	form, err := formOf(c, base)
	if err != nil {
		return err
	}
	form.Set("login", staff[role].login+"@chinookcorp.com")
	form.Set("password", password)
	r, err := c.PostForm(base+"/login", form)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("the door answered %d", r.StatusCode)
	}
	return nil
}

// formOf reads the token that every form has.
func formOf(c *http.Client, base string) (url.Values, error) {
	for _, path := range []string{"/login", "/customers"} { // who is signed in is sent on
		r, err := c.Get(base + path)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		if m := regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`).FindSubmatch(body); m != nil {
			return url.Values{"csrf": {string(m[1])}}, nil
		}
	}
	return nil, fmt.Errorf("there is no form")
}

func leakKit(t testing.TB) rbactest.Leak {
	from := prepared(t)
	var roles []string
	for role := range staff {
		roles = append(roles, role)
	}
	slices.Sort(roles)
	var tokens sync.Map // of sessions, by client
	return rbactest.Leak{
		Fields: canaries(), Classes: []string{mine, hidden, erased, others, outside}, Roles: roles,
		Reaches: reaches, May: may, Open: func(t testing.TB, rows []rbactest.Row) rbactest.Site { return world(t, from, rows) }, Routes: routes(), Limit: 600, Workers: 2, Skip: skip,
		Known: []rbactest.Known{
			{Role: "auditor", Route: "GET /audit*", Channel: "body length", Kind: "row", Why: "the log says who looked at which rows"},
			{Role: "auditor", Route: "POST /audit/verify", Channel: "body length", Kind: "row", Why: "the same page"},
		},
		Form: func(c *http.Client, base string) (url.Values, error) {
			if known, ok := tokens.Load(c); ok {
				return known.(url.Values), nil
			}
			form, err := formOf(c, base)
			tokens.Store(c, form)
			return form, err
		},
	}
}

func routes() []rbactest.Route {
	json := http.Header{"Accept": {"application/json"}}
	chinese := http.Header{"Accept-Language": {"zh"}}
	purpose := func(more ...string) url.Values {
		form := url.Values{"purpose": {"call back"}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return form
	}
	list := []rbactest.Route{
		{Path: "/customers?hidden=1&q={last_name}"}, {Path: "/customers?page=2"}, {Path: "/customers?page=99"}, {Path: "/customers", Header: chinese},
		{Path: "/customers/{row}", Header: json}, {Path: "/customers/{row}", Header: chinese}, {Path: "/customers/nobody"},
		{Path: "/customers/{row}/reveal?field=last_name"}, {Path: "/customers/{row}/reveal?field=phone"}, {Path: "/customers.csv"}, {Path: "/invoices?page=2"}, {Path: "/nowhere"},
		{Path: "/audit?resource=customer&row={row}"}, {Path: "/audit?resource=customer&row={phone}"}, {Path: "/audit?resource=customer&action=customer.reveal"},
	}
	for _, page := range []string{"", "/edit", "/invoices", "/documents"} {
		list = append(list, rbactest.Route{Path: "/customers/{row}" + page})
	}
	post := func(path string, form url.Values, header http.Header, shows ...string) {
		list = append(list, rbactest.Route{Method: http.MethodPost, Path: path, Form: form, Header: header, Shows: shows})
	}
	post("/customers/{row}/reveal", purpose("field", "{field}"), json, "{field}")
	post("/customers/{row}/reveal", purpose("field", "phone"), nil, "phone")
	post("/customers/{row}/reveal", url.Values{"field": {"phone"}, "purpose": {"x"}}, nil)
	post("/customers/{row}/documents/file-{row}", purpose(), nil, "file")
	post("/customers/{row}/documents/file-{row}", url.Values{}, nil)
	post("/customers/filler-03/edit", url.Values{"phone": {"{phone}"}}, nil)
	post("/customers/{row}/edit", url.Values{"last_name": {""}, "was_last_name": {"x"}}, nil)
	post("/customers/{row}/edit", url.Values{"country": {"Chile"}, "was_country": {"China"}}, nil)
	post("/customers/{row}/edit", url.Values{"owner_id": {"99"}, "was_owner_id": {"3"}}, nil)
	post("/users/{row}/disable", url.Values{}, nil)
	post("/audit/verify", url.Values{}, nil)
	post("/customers/{row}/hide", url.Values{}, nil)
	post("/customers/{row}/unhide", url.Values{}, nil)
	return list
}

// skip leaves out what is no data; filters of the log but those of the routes: only auditors get a page there,
// and everybody else is still refused at /audit itself; and that the manager shows a hidden customer to its
// owner, who may see it from then on.
func skip(role, method, path string) bool {
	if role == "manager" && method == http.MethodPost && path == "/customers/canary-04/unhide" {
		return true
	}
	if strings.HasPrefix(path, "/static/") || strings.HasPrefix(path, "/login?") || strings.Contains(path, "filler-") && !strings.Contains(path, "filler-03") {
		return true
	}
	return strings.HasPrefix(path, "/audit?") && (role != "auditor" || !strings.Contains(path, "resource=customer"))
}

// TestLeak walks the CRM as everybody in it, under -short as sales people only.
func TestLeak(t *testing.T) {
	t.Parallel()
	kit := leakKit(t)
	if testing.Short() {
		kit.Roles, kit.Classes = []string{"sales"}, []string{mine, others}
		kit.Known = slices.DeleteFunc(kit.Known, func(k rbactest.Known) bool { return k.Role != "sales" })
	}
	kit.Run(t)
}
