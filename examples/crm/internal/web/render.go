package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages are the parsed templates by language and name.
type pages map[string]map[string]*template.Template

// pageNames are the templates that are pages; the others are parts of them.
func pageNames() []string {
	return []string{"login", "customers", "customer", "edit", "reveal", "revealed", "invoices", "documents", "people", "audit", "system", "error"}
}

// parsePages parses every page once for each language, with the functions of that
// language.
func (a *app) parsePages() (pages, error) {
	all := pages{}
	for _, lang := range []string{english, chinese} {
		all[lang] = map[string]*template.Template{}
		shared, err := template.New("").Funcs(a.functions(lang)).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/icons.html")
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		for _, name := range pageNames() {
			t, err := shared.Clone()
			if err == nil {
				t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
			}
			if err != nil {
				return nil, fmt.Errorf("web: %w", err)
			}
			all[lang][name] = t
		}
	}
	return all, nil
}

func (a *app) functions(lang string) template.FuncMap {
	return template.FuncMap{
		"t":         func(key string, args ...any) string { return a.words.say(lang, key, args...) },
		"tn":        func(key string, n any) (string, error) { return a.words.count(lang, key, n) },
		"asset":     a.files.address,
		"seg":       url.PathEscape,
		"money":     func(cents int64) string { return money(lang, cents) },
		"date":      func(t time.Time) string { return date(lang, t) },
		"moment":    func(t time.Time) string { return moment(lang, a.Zone, t) },
		"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"number":    number,
		"field":     func(name string) string { return a.words.label(lang, fieldKey, name) },
		"role":      func(name string) string { return a.words.label(lang, roleKey, name) },
		"roles":     func(names string) string { return a.words.roles(lang, names) },
		"action":    func(name string) string { return a.words.label(lang, actionKey, name) },
		"actions":   actions,
		"resource":  func(name string) string { return a.words.label(lang, resourceKey, name) },
		"fieldlist": func(names string) string { return a.words.fieldList(lang, names) },
		"purpose":   func(name string) string { return a.words.label(lang, purposeKey, name) },
		"rule":      func(line string) rule { return a.words.rule(lang, line) },
		"isrow":     plainID.MatchString,
		"result":    func(name string) string { return a.words.label(lang, resultKey, name) },
		"breakkind": func(name string) string { return a.words.label(lang, breakKey, name) },
		"results":   func() []string { return []string{"ok", "denied", "failed", "refused"} },
		"datatypes": func() []string { return []string{"identity", "contact", "address", "billing", "document"} },
		"datatype":  func(name string) string { return a.words.label(lang, dataTypeKey, name) },
		"setname":   func(name string) string { return a.words.label(lang, setKey, name) },
		"kind":      func(name string) string { return a.words.label(lang, kindKey, name) },
		"span":      func(d time.Duration) string { return span(a.words, lang, d) },
		"tone":      tone,
		"initial":   initial,
		"named":     named,
		"dict":      dict,
	}
}

// A page is what the layout needs and what the page itself shows.
type page struct {
	Title   string
	Section string // of the navigation
	Here    string // where a change of language leads back to
	Done    string // what has just been done, a sentence
	Data    any

	Lang      string
	Zone      string
	Session   *signin.Session
	SeesAudit bool
	CSRF      string

	SeesSystem bool
}

// show renders a page. Into memory first: half a page with status 200 would be a
// lie.
func (v *visit) show(status int, name string, p page) error {
	p.Lang, p.Session, p.CSRF, p.SeesAudit, p.SeesSystem = v.lang, v.session, v.csrf, v.seesAudit, v.seesSystem
	p.Zone = v.Now().In(v.app.Zone).Format("MST")
	if p.Here == "" {
		p.Here = "/"
		if v.r.Method == http.MethodGet || v.r.Method == http.MethodHead {
			p.Here = v.r.URL.RequestURI()
		}
	}
	var b bytes.Buffer
	if err := v.pages[v.lang][name].ExecuteTemplate(&b, "layout", p); err != nil {
		v.Log.ErrorContext(v.ctx(), "a template failed", slog.String("page", name), slog.String("request", requestID(v.ctx())))
		http.Error(v.w, "Something went wrong. Request "+requestID(v.ctx()), http.StatusInternalServerError)
		return nil
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Language", v.lang)
	v.w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes())
	return nil
}

// dict makes a map for a part that needs more than one value.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict: a key without a value")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, errors.New("dict: a key is not a string")
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// named is the name of a customer as one cell.
func named(c desk.Customer) desk.Cell {
	first, last := c.Cells["first_name"], c.Cells["last_name"]
	return desk.Cell{
		Text:   strings.TrimSpace(first.Text + " " + last.Text),
		Masked: first.Masked || last.Masked,
		Erased: c.Erased,
	}
}

// initial is the first letter that a mask shows, for the little disc.
func initial(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 || strings.ContainsRune("*＊•", first) {
		return "·"
	}
	return strings.ToUpper(string(first))
}

// tone is one of six colours, always the same for a row.
func tone(id string) string {
	n := 0
	for _, c := range []byte(id) {
		n = (n*31 + int(c)) % 6
	}
	return "tone-" + strconv.Itoa(n)
}
