package rbactest

import (
	"fmt"
	"html"
	"html/template"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// world is an application with its canaries and all its answers, by role and number of the request.
type world struct {
	s       *search
	site    Site
	base    string
	ids     []string            // of the planted rows, in this world
	values  []map[string]string // likewise
	clients map[string]*http.Client
	answers map[string][]answer
	log     string
	marks   *strings.Replacer
}

// open makes an application with the canaries, as they are after the change.
func (s *search) open(c change) *world {
	s.t.Helper()
	w := &world{s: s, clients: map[string]*http.Client{}, answers: map[string][]answer{}}
	rows := s.plant(c)
	w.site = s.Open(s.t, rows)
	for i, planted := range s.rows {
		if i%perClass == 0 && slices.Contains(c.removed, planted.Class) {
			w.ids, w.values = append(w.ids, s.base[0].ids[i]), append(w.values, planted.Values) // of the row that is not there
			continue
		}
		w.ids, w.values = append(w.ids, rows[0].ID), append(w.values, rows[0].Values)
		rows = rows[1:]
	}
	w.marks = standing(w.ids)
	if w.base = strings.TrimRight(w.site.URL, "/"); w.base == "" {
		w.base = "http://127.0.0.1"
	}
	for _, role := range s.roles {
		w.clients[role] = w.client(role)
		w.answers[role] = make([]answer, len(s.asks))
	}
	return w
}

// world opens an application and asks everything as everybody.
func (s *search) world(c change) *world {
	s.t.Helper()
	w := s.open(c)
	for i, a := range s.asks {
		if a.method == http.MethodGet && a.variant == 0 {
			w.ask(i)
		}
	}
	w.finish()
	return w
}

// worlds opens one application for each change.
func (s *search) worlds(changes []change) []*world {
	all := make([]*world, len(changes))
	gate := make(chan bool, max(1, s.Workers))
	var busy sync.WaitGroup
	for i, c := range changes {
		gate <- true
		busy.Go(func() {
			defer func() { <-gate }()
			all[i] = s.world(c)
		})
	}
	busy.Wait()
	if slices.Contains(all, nil) {
		s.t.FailNow() // Open has said why
	}
	return all
}

// finish asks what is left when the world has been walked: the variants, and last what changes something.
func (w *world) finish() {
	for _, writes := range []bool{false, true} {
		for i, a := range w.s.asks {
			if writes == (a.method != http.MethodGet) && (writes || a.variant > 0) {
				w.ask(i)
			}
		}
	}
	if w.site.Log != nil {
		w.log = w.site.Log()
	}
}

func (w *world) ask(i int) {
	for _, role := range w.s.roles {
		w.answers[role][i] = w.send(role, w.s.asks[i])
	}
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
	if w.skips(role, a) {
		return answer{}
	}
	path := w.address(a.path, w.typed(role, a))
	body, kind := w.content(role, a)
	r, err := http.NewRequest(a.method, w.base+path, strings.NewReader(body))
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
	maps.Copy(r.Header, a.header)
	resp, err := w.clients[role].Do(r)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return answer{resp.StatusCode, resp.Header, string(text), w.level(role, a, string(text))}
}

func (w *world) skips(role string, a ask) bool {
	return w.s.Skip != nil && w.s.Skip(role, a.method, w.address(a.path, w.typed(role, a)))
}

// content is the body of a POST and its kind.
func (w *world) content(role string, a ask) (body, kind string) {
	if a.method != http.MethodPost {
		return "", ""
	}
	value := w.typed(role, a)
	if a.form == nil && a.body != "" {
		return strings.ReplaceAll(w.actual(a.body), typed, quoteJSON(value)), "application/json"
	}
	form := url.Values{}
	if w.s.Form != nil {
		if hidden, err := w.s.Form(w.clients[role], w.base); err == nil {
			maps.Copy(form, hidden)
		}
	}
	for k, v := range a.form {
		form[k] = []string{strings.ReplaceAll(w.actual(v[0]), typed, value)}
	}
	return form.Encode(), "application/x-www-form-urlencoded"
}

// typed stands where a request looks for a value.
const typed = "\x01v\x02"

// typed is the text that a role looks for. Who may search for a value knows it: in every world that of this
// world, so that the same row is found. The others ask the same in all worlds.
func (w *world) typed(role string, a ask) string {
	if a.probe == nil {
		return ""
	}
	value := w.s.rows[a.probe.row].Values[a.probe.field]
	if w.s.maySearch(role, a.probe) {
		value = w.values[a.probe.row][a.probe.field]
	}
	return a.probe.text(value)
}

func (s *search) maySearch(role string, p *probe) bool {
	r := s.may(role, s.rows[p.row].Class, p.field)
	return p.whole && r.Match || r.Sort
}

// address puts ids and the text that is looked for into a path.
func (w *world) address(path, value string) string {
	before, query, asked := strings.Cut(w.actual(path), "?")
	before = strings.ReplaceAll(before, typed, url.PathEscape(value))
	if !asked {
		return before
	}
	return before + "?" + strings.ReplaceAll(query, typed, url.QueryEscape(value))
}

// level takes out of an answer what may differ: the ids of this world, the text that was asked for, and what
// may be revealed there.
func (w *world) level(role string, a ask, text string) string {
	for _, field := range a.shows {
		if w.s.mayReveal(role, a, field) {
			text = replaceForms(text, w.values[a.row][field], "\x01shown\x02")
		}
	}
	if a.probe != nil {
		text = replaceForms(text, w.typed(role, a), typed)
	}
	return w.stand(text)
}

func (s *search) mayReveal(role string, a ask, field string) bool {
	return a.row >= 0 && slices.Contains(a.shows, field) && s.may(role, s.rows[a.row].Class, field).Reveal
}

// replaceForms replaces a value as it stands in plain text, HTML, addresses and JSON.
func replaceForms(text, value, by string) string {
	if value == "" {
		return text
	}
	for _, form := range []string{value, html.EscapeString(value), template.HTMLEscapeString(value), url.QueryEscape(value), url.PathEscape(value), quoteJSON(value)} {
		text = strings.ReplaceAll(text, form, by)
	}
	return text
}

// stand puts placeholders for the ids of rows, which may be others in every world.
func (w *world) stand(path string) string { return w.marks.Replace(path) }

// standing is what stand replaces. Longer ids first: one may begin with another.
func standing(ids []string) *strings.Replacer {
	order := make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(ids[b]) - len(ids[a]) })
	var pairs []string
	for _, i := range order {
		if len(ids[i]) >= 4 {
			pairs = append(pairs, ids[i], mark(i))
		}
	}
	return strings.NewReplacer(pairs...)
}

// actual puts the ids of this world for the placeholders.
func (w *world) actual(path string) string {
	if !strings.Contains(path, "\x01") {
		return path
	}
	for i, id := range w.ids {
		path = strings.ReplaceAll(path, mark(i), id)
	}
	return path
}

func mark(i int) string { return fmt.Sprintf("\x01%d\x02", i) }
