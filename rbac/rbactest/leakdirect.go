package rbactest

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/confide-go/confide/masking"
)

// direct looks for the canaries themselves.
func (s *search) direct() {
	for i, a := range s.asks {
		for _, role := range s.roles {
			s.inside(role, a, s.base[0].answers[role][i], s.base[1].answers[role][i])
		}
	}
	for _, h := range s.finder.find(s.base[0].log) {
		s.report(Finding{Role: "whoever reads the log", Route: "the log", Channel: "log", Kind: h.field, Class: s.rows[h.row].Class, Form: h.form})
	}
}

// inside looks through one answer. The whole value that the request itself asked for may stand in it: pages
// repeat what was searched for.
func (s *search) inside(role string, a ask, got, again answer) {
	// What is random is looked at apart: the rest of most pages has been looked at before.
	steady, random := apart(got.body, again.body)
	s.looked(role, a, got, "body", random)
	places := map[string]string{"body": steady}
	for name, values := range got.header {
		places["header "+name] = strings.Join(values, "\n")
	}
	for place, text := range places {
		s.looked(role, a, got, place, text)
	}
}

// looked reports the canaries in a text that may not be in it.
func (s *search) looked(role string, a ask, got answer, place, text string) {
	for _, h := range s.finder.find(text) {
		class := s.rows[h.row].Class
		asked := a.probe != nil && a.probe.whole && a.probe.row == h.row && a.probe.field == h.field
		if asked || s.may(role, class, h.field).Read == masking.Full || h.row == a.row && s.mayReveal(role, a, h.field) {
			continue
		}
		s.report(Finding{Role: role, Route: a.route(), Channel: channel(place, got), Kind: h.field, Class: class, Form: h.form})
	}
}

// channel names the place where something was learned.
func channel(place string, got answer) string {
	switch place {
	case "header Location":
		return "redirect"
	case "header Set-Cookie":
		return "cookie"
	case "header Etag":
		return "header ETag"
	case "body":
		kind, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
		if _, short, ok := strings.Cut(kind, "/"); ok && got.status < 400 {
			return short + " body"
		} else if got.status >= 400 {
			return "error page"
		}
	}
	return place
}

func (a ask) route() string { return a.method + " " + a.label }

// redact takes values and ids out of an address that was found by walking.
func (s *search) redact(path string) string {
	path = regexp.MustCompile("\x01[0-9]+\x02").ReplaceAllString(path, "{row}")
	for _, row := range s.rows {
		for _, f := range s.Fields {
			v := row.Values[f.Name]
			for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v)} {
				path = strings.ReplaceAll(path, form, "{"+f.Name+"}")
			}
		}
	}
	if hits := s.finder.find(path); len(hits) > 0 {
		before, _, _ := strings.Cut(path, "?")
		return strings.Repeat("/…", strings.Count(before, "/")) + " (an address that holds " + hits[0].field + ")"
	}
	return path
}

func (s *search) report(f Finding) {
	if !slices.Contains(s.found, f) {
		s.found = append(s.found, f)
	}
}
