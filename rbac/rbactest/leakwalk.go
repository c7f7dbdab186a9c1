package rbactest

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
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

	base  []*world // the same again and again, to learn what differs by chance
	found []Finding
	met   map[Known]bool
}

// ask is one request. Its probe says which canary it looks for.
type ask struct {
	method, path, label string
	form                url.Values
	body                string
	header              http.Header
	variant             int
	probe               *probe
	row                 int      // of the address; -1: none
	shows               []string // fields of that row that may be revealed
}

type probe struct {
	row   int
	field string
	whole bool
}

// key tells requests apart.
func (a ask) key() string {
	return fmt.Sprint(a.variant, a.method, a.path, a.form.Encode(), a.body, a.header, a.probe != nil && a.probe.whole, a.looksFor())
}

func (a ask) looksFor() string {
	if a.probe == nil {
		return ""
	}
	return fmt.Sprint(a.probe.row, a.probe.field)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	plain  string // without what may differ from world to world
}

// explore walks from the start pages as every role, and adds the routes. What one role finds, all ask for.
func (w *world) explore() []ask {
	e := &explorer{world: w, seen: map[string]bool{}, linked: map[string]bool{}}
	start := w.s.Start
	if len(start) == 0 {
		start = []string{"/"}
	}
	for _, path := range start {
		e.add(ask{method: http.MethodGet, path: path, label: path, row: -1})
	}
	for _, r := range w.s.Routes {
		e.route(r)
	}
	for i := 0; i < len(e.asks); i++ { // grows while it is walked
		for _, role := range w.s.roles {
			got := answer{}
			if a := e.asks[i]; a.method == http.MethodGet {
				got = w.send(role, a)
				e.links(a, got)
			}
			w.answers[role] = append(w.answers[role], got)
		}
	}
	if len(e.asks) >= w.s.Limit {
		w.s.t.Errorf("rbactest: the walk ended at Limit, %d addresses; raise it, or leave addresses out by Skip", w.s.Limit)
	}
	all := e.variants()
	for _, role := range w.s.roles {
		w.answers[role] = append(w.answers[role], make([]answer, len(all)-len(e.asks))...)
	}
	return all
}

type explorer struct {
	*world
	asks   []ask
	seen   map[string]bool
	linked map[string]bool // addresses that links led to
}

func (e *explorer) add(a ask) {
	key := a.key()
	if e.seen[key] || len(e.asks) >= e.s.Limit {
		return
	}
	e.seen[key] = true
	if slices.ContainsFunc(e.s.roles, func(role string) bool { return !e.skips(role, a) }) {
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

// What leads on from a page.
var (
	linkPattern    = regexp.MustCompile(`(?i)\s(?:href|src|hx-get)\s*=\s*(?:"([^"]*)"|'([^']*)')|\sdata-[a-z-]+\s*=\s*["']((?:https?:/)?/[^"']*)`)
	addressPattern = regexp.MustCompile(`"((?:https?:/)?/[^"\s]*)"`)
	formPattern    = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	inputPattern   = regexp.MustCompile(`(?is)<(?:input|select|textarea)\b([^>]*)>`)
)

// links adds what an answer leads to.
func (e *explorer) links(from ask, got answer) {
	if to := got.header.Get("Location"); to != "" {
		e.link(from, to, nil)
	}
	for _, m := range linkPattern.FindAllStringSubmatch(got.body, -1) {
		e.link(from, html.UnescapeString(m[1]+m[2]+m[3]), nil)
	}
	if json.Valid([]byte(got.body)) {
		for _, m := range addressPattern.FindAllStringSubmatch(got.body, -1) {
			e.link(from, m[1], nil)
		}
	}
	for _, form := range formPattern.FindAllStringSubmatch(got.body, -1) {
		if attr(form[1], "method") == "" || strings.EqualFold(attr(form[1], "method"), "get") {
			e.form(from, form[1], form[2])
		}
	}
}

// form fills every text field of a GET form with canaries.
func (e *explorer) form(from ask, head, inside string) {
	action, fixed := html.UnescapeString(attr(head, "action")), url.Values{}
	if action == "" {
		action, _, _ = strings.Cut(e.address(from.path, ""), "?")
	}
	var texts []string
	for _, m := range inputPattern.FindAllStringSubmatch(inside, -1) {
		name := attr(m[1], "name")
		switch strings.ToLower(attr(m[1], "type")) {
		case "", "text", "search", "email", "tel", "number":
			texts = append(texts, name)
		case "hidden":
			fixed.Set(name, attr(m[1], "value"))
		}
	}
	e.link(from, action, fixed)
	for _, name := range texts {
		for _, f := range e.s.Fields {
			for _, p := range e.probes(f.Name) {
				path := e.resolve(from, action)
				if path == "" || name == "" {
					continue
				}
				q := maps.Clone(fixed)
				q.Del(name)
				query := strings.TrimPrefix(q.Encode()+"&"+url.QueryEscape(name)+"="+typed, "&")
				e.add(ask{method: http.MethodGet, path: path + "?" + query, label: path + "?" + name + "={" + f.Name + "}", probe: p, row: -1})
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

func (e *explorer) link(from ask, to string, query url.Values) {
	path := e.resolve(from, to)
	if path == "" {
		return
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if e.linked[path] {
		return
	}
	e.linked[path] = true
	a := ask{method: http.MethodGet, path: e.stand(path), row: -1}
	label := a.path
	if p := from.probe; p != nil { // pages repeat in their links what was looked for
		text := url.QueryEscape(p.text(e.s.rows[p.row].Values[p.field]))
		if strings.Contains(a.path, text) {
			a.path, a.probe = strings.ReplaceAll(a.path, text, typed), p
			label = strings.ReplaceAll(a.path, typed, "{"+p.field+"}")
		}
	}
	a.label = e.s.redact(label)
	e.add(a)
}

// resolve returns the address on this site that a link leads to, or "".
func (e *explorer) resolve(from ask, to string) string {
	base, err := url.Parse(e.base + e.address(from.path, ""))
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
