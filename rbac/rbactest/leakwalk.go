package rbactest

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// search is one run of the kit.
type search struct {
	Leak
	t     testing.TB
	roles []string
	rows  []Row
	asks  []ask // every request, found while the first world was walked

	finder *finder

	first, second *world // the same, to learn what differs by chance
	found         []Finding
}

// ask is one request. Its probe says which canary it looks for.
type ask struct {
	method, path, label string
	form                url.Values
	body                string
	variant             int
	probe               *probe
}

type probe struct {
	row   int
	field string
	whole bool
}

// key tells requests apart.
func (a ask) key() string { return fmt.Sprint(a.variant, a.method, a.path, a.form.Encode(), a.body) }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// world is an application with its canaries and all its answers, by role and number of the request.
type world struct {
	s       *search
	site    Site
	base    string
	ids     []string // of the planted rows, in this world
	clients map[string]*http.Client
	answers map[string][]answer
	log     string
}

// open makes an application with the canaries, as they are after the change.
func (s *search) open(c *change) *world {
	s.t.Helper()
	w := &world{s: s, clients: map[string]*http.Client{}, answers: map[string][]answer{}}
	rows := s.plant(c)
	w.site = s.Open(s.t, rows)
	for i, planted := range s.rows {
		switch {
		case c == nil || !c.removed || len(rows) == len(s.rows):
			w.ids = append(w.ids, rows[i].ID)
		case planted.Class == c.class && i%perClass == 0:
			w.ids = append(w.ids, s.first.ids[i]) // that of the row that is not there
			rows = append(rows[:i:i], append([]Row{{}}, rows[i:]...)...)
		default:
			w.ids = append(w.ids, rows[i].ID)
		}
	}
	if w.base = strings.TrimRight(w.site.URL, "/"); w.base == "" {
		w.base = "http://127.0.0.1"
	}
	for _, role := range s.roles {
		w.clients[role] = w.client(role)
	}
	return w
}

// world opens an application and asks everything as everybody. What changes something comes last.
func (s *search) world(c *change) *world {
	s.t.Helper()
	w := s.open(c)
	for _, writes := range []bool{false, true} {
		for i, a := range s.asks {
			for _, role := range s.roles {
				if (a.method != http.MethodGet) == writes {
					w.put(role, i, w.send(role, a))
				}
			}
		}
	}
	if w.site.Log != nil {
		w.log = w.site.Log()
	}
	return w
}

func (w *world) put(role string, i int, a answer) {
	if w.answers[role] == nil {
		w.answers[role] = make([]answer, len(w.s.asks))
	}
	w.answers[role][i] = a
}

func (w *world) client(role string) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.s.t.Fatal(err)
	}
	c := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if w.site.Handler != nil {
		c.Transport = direct{w.site.Handler}
	}
	if role != "" && w.site.SignIn != nil {
		if err := w.site.SignIn(c, w.base, role); err != nil {
			w.s.t.Fatalf("rbactest: role %s cannot sign in: %v", role, err)
		}
	}
	return c
}

// direct calls a handler without a network. A panic is an answer without a status, as a server would give.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	rec := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	server := httptest.NewRequest(r.Method, r.URL.String(), r.Body)
	server.Header, server.RemoteAddr = r.Header.Clone(), "127.0.0.1:40000"
	d.ServeHTTP(rec, server.WithContext(r.Context()))
	resp = rec.Result()
	resp.Request = r
	return resp, nil
}

// send asks one thing. The row's ids are those of this world.
func (w *world) send(role string, a ask) answer {
	if w.s.Skip != nil && w.s.Skip(role, a.method, w.actual(a.path)) {
		return answer{}
	}
	client, body, kind := w.clients[role], io.Reader(nil), ""
	if a.method == http.MethodPost {
		text := w.actual(a.body)
		kind = "application/json"
		if a.form != nil || text == "" {
			form := url.Values{}
			if w.s.Form != nil {
				if hidden, err := w.s.Form(client, w.base); err == nil {
					maps.Copy(form, hidden)
				}
			}
			for k, v := range a.form {
				form[k] = []string{w.actual(v[0])}
			}
			text, kind = form.Encode(), "application/x-www-form-urlencoded"
		}
		body = strings.NewReader(text)
	}
	r, err := http.NewRequest(a.method, w.base+w.actual(a.path), body)
	if err != nil {
		return answer{}
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if len(w.s.Variants) > 0 {
		maps.Copy(r.Header, w.s.Variants[a.variant])
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// stand puts placeholders for the ids of rows, which may be others in every world. Longer ids first: one
// may begin with another.
func (w *world) stand(path string) string {
	order := make([]int, len(w.ids))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return len(w.ids[b]) - len(w.ids[a]) })
	for _, i := range order {
		if len(w.ids[i]) >= 4 {
			path = strings.ReplaceAll(path, w.ids[i], mark(i))
		}
	}
	return path
}

// actual puts the ids of this world for the placeholders.
func (w *world) actual(path string) string {
	for i, id := range w.ids {
		path = strings.ReplaceAll(path, mark(i), id)
	}
	return path
}

func mark(i int) string { return fmt.Sprintf("\x01%d\x02", i) }

// explore walks from the start pages as every role, and adds the routes. What one role finds, all ask for.
func (w *world) explore() []ask {
	e := &explorer{world: w, seen: map[string]bool{}}
	start := w.s.Start
	if len(start) == 0 {
		start = []string{"/"}
	}
	for _, path := range start {
		e.add(ask{method: http.MethodGet, path: path, label: path})
	}
	for _, r := range w.s.Routes {
		e.route(r)
	}
	for i := 0; i < len(e.asks); i++ { // grows while it is walked
		if e.asks[i].method != http.MethodGet {
			continue
		}
		for _, role := range w.s.roles {
			e.links(e.asks[i], w.send(role, e.asks[i]))
		}
	}
	if len(e.asks) >= w.s.Limit {
		w.s.t.Errorf("rbactest: the walk ended at Limit, %d addresses; raise it, or leave addresses out by Skip", w.s.Limit)
	}
	return e.variants()
}

type explorer struct {
	*world
	asks []ask
	seen map[string]bool
}

func (e *explorer) add(a ask) {
	if key := a.key(); !e.seen[key] && len(e.asks) < e.s.Limit {
		e.seen[key] = true
		e.asks = append(e.asks, a)
	}
}

func (e *explorer) variants() []ask {
	var all []ask
	for v := range max(1, len(e.s.Variants)) {
		for _, a := range e.asks {
			a.variant = v
			all = append(all, a)
		}
	}
	return all
}

// links adds what an answer leads to.
func (e *explorer) links(from ask, got answer) {
	if to := got.header.Get("Location"); to != "" {
		e.link(from.path, to, nil)
	}
	for _, m := range regexp.MustCompile(`(?i)\s(?:href|src|hx-get)\s*=\s*(?:"([^"]*)"|'([^']*)')|\sdata-[a-z-]+\s*=\s*["']((?:https?:/)?/[^"']*)`).FindAllStringSubmatch(got.body, -1) {
		e.link(from.path, html.UnescapeString(m[1]+m[2]+m[3]), nil)
	}
	if json.Valid([]byte(got.body)) {
		for _, m := range regexp.MustCompile(`"((?:https?:/)?/[^"\s]*)"`).FindAllStringSubmatch(got.body, -1) {
			e.link(from.path, m[1], nil)
		}
	}
	for _, form := range regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`).FindAllStringSubmatch(got.body, -1) {
		if attr(form[1], "method") == "" || strings.EqualFold(attr(form[1], "method"), "get") {
			e.form(from, form[1], form[2])
		}
	}
}

// form fills every text field of a GET form with canaries.
func (e *explorer) form(from ask, head, inside string) {
	action, fixed := html.UnescapeString(attr(head, "action")), url.Values{}
	if action == "" {
		action, _, _ = strings.Cut(from.path, "?")
	}
	var texts []string
	for _, m := range regexp.MustCompile(`(?is)<(?:input|select|textarea)\b([^>]*)>`).FindAllStringSubmatch(inside, -1) {
		name := attr(m[1], "name")
		switch strings.ToLower(attr(m[1], "type")) {
		case "", "text", "search", "email", "tel", "number":
			texts = append(texts, name)
		case "hidden":
			fixed.Set(name, attr(m[1], "value"))
		}
	}
	e.link(from.path, action, fixed)
	for _, name := range texts {
		for _, f := range e.s.Fields {
			for _, p := range e.probes(f.Name) {
				q := maps.Clone(fixed)
				q.Set(name, p.text)
				path := e.resolve(from.path, action)
				if path == "" || name == "" {
					continue
				}
				e.add(ask{method: http.MethodGet, path: path + "?" + q.Encode(), label: path + "?" + name + "={" + f.Name + "}", probe: p.probe})
			}
		}
	}
}

// attr reads an attribute of a tag.
func attr(tag, name string) string {
	m := regexp.MustCompile(`(?i)(?:^|\s)` + name + `\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`).FindStringSubmatch(tag)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1] + m[2] + m[3])
}

func (e *explorer) link(from, to string, query url.Values) {
	path := e.resolve(from, to)
	if path == "" {
		return
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	path = e.stand(path)
	e.add(ask{method: http.MethodGet, path: path, label: e.s.redact(path)})
}

// resolve returns the address on this site that a link leads to, or "".
func (e *explorer) resolve(from, to string) string {
	base, err := url.Parse(e.base + e.actual(from))
	if err != nil {
		return ""
	}
	u, err := base.Parse(to)
	if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || strings.HasPrefix(to, "#") {
		return ""
	}
	u.Fragment = ""
	return u.RequestURI()
}
