package rbactest_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac/rbactest"
)

// failures is a testing.TB that remembers what failed.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}
func (f *failures) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(f)
}
func (f *failures) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

// fails runs the kit and returns what it complained about.
func fails(t *testing.T, kit rbactest.Leak) string {
	f := &failures{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(f) {
				panic(r)
			}
		}()
		kit.Run(f)
	}()
	return strings.Join(f.said, "\n")
}

func quiet(*toy, http.ResponseWriter, *http.Request) {}

func TestLeakSaysWhereAndNotWhat(t *testing.T) {
	said := fails(t, leak(true, func(y *toy, w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, y.rows[0].Values["idno"])
	}, rbactest.Route{Path: "/bug?id={row}"}))
	require.Contains(t, said, `leak: sales learns idno of class "mine" from GET /bug?id={row}, plain body (plain)`)
	require.NotContains(t, said, "110101")
}

func TestLeakDoesNotPassWithoutLooking(t *testing.T) {
	kit := leak(false, quiet)
	kit.Start = []string{"/in"}
	require.Contains(t, fails(t, kit), `boss reaches rows of class "mine", and no answer shows it: the walk does not get there`)

	kit = leak(false, func(_ *toy, w http.ResponseWriter, r *http.Request) {
		for range len(r.Header.Get("Cookie")) + newCount() {
			fmt.Fprint(w, "x ")
		}
	}, rbactest.Route{Path: "/bug"})
	require.Contains(t, fails(t, kit), "GET /bug for \"boss\" has another shape each time")

	kit = leak(false, quiet)
	open := kit.Open
	kit.Open = func(tb testing.TB, rows []rbactest.Row) rbactest.Site {
		site := open(tb, rows)
		site.SignIn = func(*http.Client, string, string) error { return errors.New("wrong password") }
		return site
	}
	require.Contains(t, fails(t, kit), "role boss cannot sign in: wrong password")

	kit = leak(false, quiet, rbactest.Route{Path: "/bug?q={name}"})
	kit.Limit = 3
	require.Contains(t, fails(t, kit), "the walk ended at Limit, 3 addresses")

	require.Contains(t, fails(t, rbactest.Leak{}), "Leak needs Open, Reaches, May, Fields, Classes and Roles")
}

// A known difference excuses itself and nothing else, and does not outlive its cause.
func TestLeakKnownDifferences(t *testing.T) {
	count := rbactest.Known{Role: "sales", Route: "GET /bug", Channel: "body count", Kind: "row", Why: "the head office publishes it"}
	number := func(more func(*toy, http.ResponseWriter, *http.Request)) func(*toy, http.ResponseWriter, *http.Request) {
		return func(y *toy, w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%d customers ", len(y.rows))
			more(y, w, r)
		}
	}
	with := func(k rbactest.Known, page func(*toy, http.ResponseWriter, *http.Request)) string {
		kit := leak(true, page, rbactest.Route{Path: "/bug"}, rbactest.Route{Path: "/bug?x"})
		kit.Known = []rbactest.Known{k}
		return fails(t, kit)
	}
	said := with(count, number(quiet))
	require.NotContains(t, said, "GET /bug,")
	require.Contains(t, said, `sales learns row of class "others" from GET /bug?x, body count`)
	open := count
	open.Route = "GET /bug*"
	require.Empty(t, with(open, number(quiet)))

	for what, page := range map[string]func(*toy, http.ResponseWriter, *http.Request){
		`sales learns note of class "others" from GET /bug, plain body (plain)`: func(y *toy, w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, y.rows[4].Values["note"]) },
		`sales learns idno of class "mine" from GET /bug, body content`: func(y *toy, w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "x%dx ", y.rows[0].Values["idno"][0])
		},
		`sales learns row of class "others" from GET /bug, header X-Total`: func(y *toy, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Total", fmt.Sprint(len(y.rows)))
		},
	} {
		require.Contains(t, with(open, func(y *toy, w http.ResponseWriter, r *http.Request) { page(y, w, r); number(quiet)(y, w, r) }), what)
	}
	require.Contains(t, with(open, quiet), "the known difference sales, body count of row at GET /bug* does not show any more; take it out")
	open.Why = ""
	require.Contains(t, with(open, number(quiet)), "a Known needs Route, Channel, Kind and Why")
}

// What a route may reveal is one field of one row to who has the right, and nothing beside it.
func TestLeakRevealing(t *testing.T) {
	reveal := func(right bool, page func(*toy, http.ResponseWriter, *http.Request)) string {
		kit := leak(true, page, rbactest.Route{Path: "/bug?id={row}", Shows: []string{"phone"}})
		kit.May = func(role, class, field string) rbactest.Rights {
			r := may(role, class, field)
			r.Reveal = right && field == "phone"
			return r
		}
		return fails(t, kit)
	}
	own := func(fields ...string) func(*toy, http.ResponseWriter, *http.Request) {
		return func(y *toy, w http.ResponseWriter, r *http.Request) {
			if x := find(y.visible(r), r); x != nil {
				for _, f := range fields {
					fmt.Fprintln(w, html.EscapeString(x.Values[f]))
				}
			}
		}
	}
	require.Empty(t, reveal(true, own("phone")))
	require.Contains(t, reveal(false, own("phone")), `sales learns phone of class "mine"`)
	require.Contains(t, reveal(true, own("phone", "note")), `sales learns note of class "mine"`)
	require.Contains(t, reveal(true, func(y *toy, w http.ResponseWriter, r *http.Request) {
		if x := find(y.rows, r); x != nil {
			fmt.Fprintln(w, x.Values["phone"])
		}
	}), `sales learns phone of class "others"`)
	require.Contains(t, reveal(true, func(y *toy, w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, y.rows[1].Values["phone"])
	}), `sales learns phone of class "mine"`)
}

// newCount is another number each time.
var counted = make(chan int, 1)

func newCount() int {
	n := 0
	select {
	case n = <-counted:
	default:
	}
	counted <- n + 1
	return n + 1
}

// Nonces, tokens and times in answers are no leaks.
func TestLeakOverlooksWhatIsRandom(t *testing.T) {
	kit := leak(false, func(y *toy, w http.ResponseWriter, r *http.Request) {
		n := newCount()
		w.Header().Set("Content-Security-Policy", fmt.Sprintf("script-src 'nonce-%d+x/%x='", n, n*7919))
		http.SetCookie(w, &http.Cookie{Name: "csrf", Value: fmt.Sprintf("%x-%d", n*104729, n)})
		fmt.Fprintf(w, `<input name=csrf value="%x_%d"> took 0.%d ms`, n*31, n, n)
	}, rbactest.Route{Path: "/bug"})
	require.Empty(t, kit.Find(t))
}

func TestLeakWalksLinksFormsAndJSON(t *testing.T) {
	for name, entry := range map[string]string{
		"a link":         `<a href="deeper?x=1&amp;y=2">`,
		"a GET form":     `<form action='/deeper' ><input type=hidden name=x value="1"><input type=hidden name=y value=2></form>`,
		"JSON":           `{"next": "http://127.0.0.1/deeper?x=1&y=2"}`,
		"a data address": `<div data-url="/deeper?x=1&y=2">`,
	} {
		t.Run(name, func(t *testing.T) {
			kit := leak(true, quiet)
			kit.Start = []string{"/", "/start"}
			inner := kit.Open
			kit.Open = func(tb testing.TB, rows []rbactest.Row) rbactest.Site {
				site := inner(tb, rows)
				mux := http.NewServeMux()
				mux.Handle("/", site.Handler)
				mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, entry) })
				mux.HandleFunc("/deeper", func(w http.ResponseWriter, r *http.Request) {
					if r.FormValue("x") == "1" && r.FormValue("y") == "2" {
						fmt.Fprint(w, rows[3].Values["note"])
					}
				})
				site.Handler = mux
				return site
			}
			require.Contains(t, fails(t, kit), `a visitor learns note of class "others" from GET /deeper?x=1&y=2, plain body (plain)`)
		})
	}
}

// A link that holds a value is a leak, and is not repeated in the report.
func TestLeakHidesValuesInAddresses(t *testing.T) {
	said := fails(t, leak(true, func(y *toy, w http.ResponseWriter, r *http.Request) {
		v := y.rows[0].Values["email"]
		fmt.Fprintf(w, `<a href="/?q=%s"><a href="/?h=%x">`, url.QueryEscape(v), v)
	}, rbactest.Route{Path: "/bug"}))
	require.Contains(t, said, "email")
	require.NotContains(t, said, "zqv")
	require.NotContains(t, said, hex.EncodeToString([]byte("zqv")))
}

// Every disguise is seen through, alone and inside other text.
func TestLeakSeesThroughDisguises(t *testing.T) {
	turn := func(s string) string {
		r := []rune(s)
		for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
			r[i], r[j] = r[j], r[i]
		}
		return string(r)
	}
	for name, disguise := range map[string]func(string) string{
		"plain":                func(s string) string { return s },
		"upper":                strings.ToUpper,
		"reversed":             turn,
		"hex":                  func(s string) string { return hex.EncodeToString([]byte("id=" + s)) },
		"base64":               func(s string) string { return base64.StdEncoding.EncodeToString([]byte("to:" + s + ";")) },
		"base64 by one":        func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("x" + s)) },
		"base64 by two":        func(s string) string { return base64.URLEncoding.EncodeToString([]byte("xy" + s + "z")) },
		"URL":                  url.QueryEscape,
		"URL twice":            func(s string) string { return url.QueryEscape(url.PathEscape(s)) },
		"HTML":                 html.EscapeString,
		"HTML numbers":         func(s string) string { return eachRune(s, "&#%d;") },
		"JSON escapes":         func(s string) string { return eachRune(s, `\u%04x`) },
		"HTML in JSON":         func(s string) string { return strings.ReplaceAll(html.EscapeString(s), "&", `\u0026`) },
		"tags between":         func(s string) string { return eachRune(s, "<i>%c</i>") },
		"spaces between":       func(s string) string { return eachRune(s, "%c ") },
		"tags with attributes": func(s string) string { return eachRune(s, `<i class="c7">%c</i>`) },
	} {
		for _, field := range fields() {
			t.Run(name+"/"+field.Name, func(t *testing.T) {
				t.Parallel()
				kit := leak(true, func(y *toy, w http.ResponseWriter, r *http.Request) {
					fmt.Fprint(w, "before ", disguise(y.rows[4].Values[field.Name]), " after")
				}, rbactest.Route{Path: "/bug"})
				kit.Fields = []rbactest.Field{field}
				found := ""
				for _, f := range kit.Find(t) {
					if f.Role == "sales" && f.Kind == field.Name {
						found += f.Form
					}
				}
				require.NotEmpty(t, found, "only two answers differ, or nothing was found")
			})
		}
	}
}

func eachRune(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// The comparison of worlds rests on this: base values rise, near twins fall behind the same mask, far
// twins show another one.
func TestCanaries(t *testing.T) {
	var worlds [][]rbactest.Row
	kit := leak(false, quiet)
	inner := kit.Open
	kit.Open = func(tb testing.TB, rows []rbactest.Row) rbactest.Site {
		worlds = append(worlds, rows)
		return inner(tb, rows)
	}
	require.Empty(t, kit.Find(t))
	base := worlds[0]
	near, far := map[string]bool{}, map[string]bool{}
	for _, rows := range worlds {
		for i := range rows {
			if len(rows) != len(base) {
				continue
			}
			for _, f := range fields() {
				was, is := base[i].Values[f.Name], rows[i].Values[f.Name]
				if i%3 > 0 {
					assert.Less(t, base[i-1].Values[f.Name], was, f.Name)
				}
				if was == is {
					continue
				}
				if masking.Mask(f.Kind, masking.Partial, was) == masking.Mask(f.Kind, masking.Partial, is) {
					near[f.Name] = true
					assert.Len(t, is, len(was), f.Name)
				} else {
					far[f.Name] = true
				}
				if i%3 > 0 {
					assert.Greater(t, rows[i-1].Values[f.Name], is, f.Name)
				}
			}
		}
	}
	assert.Equal(t, map[string]bool{"phone": true, "email": true}, near)
	assert.Equal(t, map[string]bool{"name": true, "phone": true, "email": true, "idno": true, "note": true}, far)
	for _, f := range fields() {
		f, err := masking.ParseKind(string(f.Kind))
		assert.NoError(t, err, f)
	}
}
