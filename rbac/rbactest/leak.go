package rbactest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/confide-go/confide/masking"
)

// Leak searches a web application for what a role may not see. It plants canaries, walks every address as
// every role, and does so again in applications that differ in nothing but what the role may not see: rows
// that are not there, values that are others, in another order. Two answers that differ are a leak,
// whatever the channel: a count, an ETag, the order of a list, a redirect. Beside that it looks for the
// canaries themselves in every usual disguise, in answers and in the log.
//
// Open must return an application that is new and the same for the same rows: a clock that stands still,
// no data that grows by itself. Words that differ from run to run all the same (tokens, nonces, ids) are
// noticed and left out, each by its place in the answer; what stands around them is compared. Time taken
// is not looked at.
type Leak struct {
	Fields  []Field  // the sensitive fields of a row
	Classes []string // what the rows differ in: "mine", "others", "hidden"; three of each are planted
	Roles   []string // who is signed in. A visitor who is not signed in is tried too

	// Open makes the application with these rows and its own data. It is called twice and then once or twice
	// for each set of roles with the same rights, and more often to tell which field a leak is of.
	Open func(t testing.TB, rows []Row) Site

	// Reaches says whether the role may know that a row of the class is there.
	Reaches func(role, class string) bool
	// May says what a role that reaches the row may learn of the field.
	May func(role, class, field string) Rights

	// Start is where the walk begins; nil is "/". Links, GET forms and addresses in JSON are followed.
	Start []string
	// Routes are requests that no link leads to.
	Routes []Route
	// Variants are headers to ask again with, such as Accept and Accept-Language. Nil: once, without any.
	Variants []http.Header
	// Form returns what every POST must hold, such as the form token.
	Form func(client *http.Client, base string) (url.Values, error)
	// Skip leaves addresses out for a role: what is different there is no leak, or it ends the session.
	Skip func(role, method, path string) bool
	// Limit of the addresses that are walked; 0 is 300. Reaching it is an error.
	Limit int
	// Known are differences that are no leak, each with its reason. One that is not met fails the test, and
	// none excuses a canary that is found itself.
	Known []Known
	// Workers is how many applications are open at the same time; 0 is one. With more, all functions here are
	// called at the same time.
	Workers int
}

// Known is a difference that a role is meant to see.
type Known struct {
	Role    string
	Route   string // as a Finding has it; with * at its end, everything that begins so
	Channel string
	Kind    string
	Why     string // required
}

func (k Known) covers(f Finding) bool {
	start, open := strings.CutSuffix(k.Route, "*")
	return f.Form == "" && k.Role == f.Role && k.Channel == f.Channel && k.Kind == f.Kind && (k.Route == f.Route || open && strings.HasPrefix(f.Route, start))
}

// Field is a sensitive column.
type Field struct {
	Name string
	Kind masking.Kind // phone, email, name, id, address or text; for others give Value

	// Value makes values of another shape. n is the number of the row. Values of Base rise with n, those
	// of Near fall and look the same under the field's mask, those of Far fall and look different.
	Value func(n int, twin Twin) string
}

// Twin says which value of a row is wanted.
type Twin int

// The three values that a canary can have.
const (
	Base Twin = iota
	Near
	Far
)

// Row is one row to plant. Its ID is the application's key, or a stand-in that Open replaces in place.
type Row struct {
	ID     string
	Class  string
	Values map[string]string
}

// Rights is what a role may learn of a field.
type Rights struct {
	Read   masking.Level // Full: the value; Partial: its mask; below: nothing
	Match  bool          // it may be searched for by its whole value
	Sort   bool          // its order may be seen, and it may be searched for by its beginning
	Reveal bool          // a Route that Shows the field may answer with the value
}

// Site is the application at work: a handler, or the address of a server.
type Site struct {
	Handler http.Handler
	URL     string // of a running server, or the address to call Handler by; "" is http://127.0.0.1

	// SignIn makes the client, which keeps cookies and follows no redirects, that of somebody in the role.
	SignIn func(client *http.Client, base, role string) error
	// Log returns what the application has logged so far; nil: no log is looked at.
	Log func() string
}

// Route is a request. In Path, Form and Body {row} stands for the id of a row, {field} for the name of a
// field, and {phone}, if there is a field of that name, for its value in a row or a beginning of it.
// Everything is tried, for rows of every class.
type Route struct {
	Method string // "" is GET
	Path   string
	Form   url.Values // sent as the body of a POST
	Body   string     // sent as JSON, if Form is nil
	Header http.Header
	Shows  []string // fields of {row} that the answer holds for who has the right to Reveal them; {field} is allowed
}

// A Finding is one leak. It never holds a value.
type Finding struct {
	Role    string // "" is a visitor who has not signed in
	Route   string // with {field} and {row} where values and ids stood
	Channel string // "status", "redirect", "cookie", "header ETag", "body order", "log", ...
	Kind    string // the field, or "row": that a row is there
	Class   string
	Form    string // how the value stood there: "plain", "digits", "base64"; "" if two answers differed
}

// String describes the finding without a value.
func (f Finding) String() string {
	who := f.Role
	if who == "" {
		who = "a visitor"
	}
	s := fmt.Sprintf("%s learns %s of class %q from %s, %s", who, f.Kind, f.Class, f.Route, f.Channel)
	if f.Form != "" {
		s += " (" + f.Form + ")"
	}
	return s
}

// Run fails the test with one line for every leak.
func (l Leak) Run(t testing.TB) {
	t.Helper()
	for _, f := range l.Find(t) {
		t.Errorf("leak: %s", f)
	}
}

// Find returns the leaks. It fails the test where it could not look: a role cannot sign in, an answer has
// another shape every time, or a row that a role reaches shows up nowhere.
func (l Leak) Find(t testing.TB) []Finding {
	t.Helper()
	if l.Open == nil || l.Reaches == nil || l.May == nil || len(l.Fields) == 0 || len(l.Classes) == 0 || len(l.Roles) == 0 {
		t.Fatal("rbactest: Leak needs Open, Reaches, May, Fields, Classes and Roles")
	}
	if l.Limit == 0 {
		l.Limit = 300
	}
	for _, k := range l.Known {
		if k.Why == "" || k.Route == "" || k.Channel == "" || k.Kind == "" {
			t.Fatal("rbactest: a Known needs Route, Channel, Kind and Why")
		}
	}
	s := &search{Leak: l, t: t, roles: append(slices.Clone(l.Roles), "")}
	s.rows = l.plant(change{})
	s.finder = newFinder(s.rows)
	first := s.open(change{})
	s.asks = first.explore()
	t.Logf("rbactest: %d requests as each of %d roles", len(s.asks), len(s.roles))
	first.finish()
	s.base = []*world{first}
	s.compareAll()
	s.direct()
	return s.result()
}

// reaches also answers for the visitor, who reaches nothing.
func (l Leak) reaches(role, class string) bool { return role != "" && l.Reaches(role, class) }

// may is what the role may learn, nothing of rows that it does not reach.
func (l Leak) may(role, class, field string) Rights {
	if !l.reaches(role, class) {
		return Rights{}
	}
	r := l.May(role, class, field)
	if r.Read == masking.Full {
		r.Match, r.Sort, r.Reveal = true, true, true
	}
	return r
}
