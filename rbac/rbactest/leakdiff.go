package rbactest

import (
	"cmp"
	"fmt"
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
			s.inside(role, a, s.first.answers[role][i])
		}
	}
	if s.first.log == "" {
		return
	}
	for _, h := range s.finder.find(s.first.log) {
		s.report(Finding{Role: "whoever reads the log", Route: "the log", Channel: "log", Kind: h.field, Class: s.rows[h.row].Class, Form: h.form})
	}
}

// inside looks through one answer. What the request itself asked for may stand in it: pages repeat what
// was searched for.
func (s *search) inside(role string, a ask, got answer) {
	places := map[string]string{"body": got.body}
	for name, values := range got.header {
		places["header "+name] = strings.Join(values, "\n")
	}
	for place, text := range places {
		for _, h := range s.finder.find(text) {
			class := s.rows[h.row].Class
			if s.may(role, class, h.field).Read == masking.Full || a.probe != nil && a.probe.row == h.row && a.probe.field == h.field {
				continue
			}
			s.report(Finding{Role: role, Route: a.route(), Channel: channel(place, got), Kind: h.field, Class: class, Form: h.form})
		}
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

// compareAll makes the other worlds: each row's existence, then the values, all those together that are
// kept from the same roles.
func (s *search) compareAll() {
	for _, class := range s.Classes {
		s.existence(class)
		for _, twin := range []Twin{Near, Far} {
			for _, group := range s.groups(class, twin) {
				c := change{class: class, fields: group, twin: twin}
				before := len(s.found)
				if s.restricted(c) && s.differ(c, strings.Join(group, " or ")) && len(group) > 1 {
					s.single(c, before)
				}
			}
		}
	}
}

// single finds out which field of a group it was.
func (s *search) single(c change, before int) {
	together := slices.Clone(s.found[before:])
	s.found = s.found[:before]
	exact := false
	for _, field := range c.fields {
		exact = s.differ(change{class: c.class, fields: []string{field}, twin: c.twin}, field) || exact
	}
	if !exact {
		s.found = append(s.found, together...)
	}
}

func (s *search) existence(class string) {
	c := change{class: class, removed: true}
	w := s.world(&c)
	for _, role := range s.roles {
		if !s.reaches(role, class) {
			s.differences(w, c, role, "row")
			continue
		}
		if !s.notices(w, role) {
			s.t.Errorf("rbactest: %s reaches rows of class %q, and no answer shows it: the walk does not get there, so it proves nothing", role, class)
		}
	}
}

// steady fails the test where two applications that are the same give answers of different shapes: nothing
// can be said about them.
func (s *search) steady() {
	for i, a := range s.asks {
		for _, role := range s.roles {
			one, two := s.first.answers[role][i], s.second.answers[role][i]
			if _, ok := compareText(one.body, two.body, one.body); !ok || one.status != two.status {
				s.t.Errorf("rbactest: %s for %q has another shape each time, so it cannot be judged: give the application a fixed clock and fixed data, or leave it out by Skip", a.route(), role)
				break
			}
		}
	}
}

// notices is the control: who reaches a row must see that it is gone.
func (s *search) notices(w *world, role string) bool {
	for i := range s.asks {
		if len(s.difference(role, i, w)) > 0 {
			return true
		}
	}
	return false
}

// groups are the fields of a class that the same roles must not notice a change of.
func (s *search) groups(class string, twin Twin) [][]string {
	byRights := map[string][]string{}
	var order []string
	for _, f := range s.Fields {
		key := ""
		for _, role := range s.roles {
			key += fmt.Sprint(s.blind(change{class: class, fields: []string{f.Name}, twin: twin}, role), s.may(role, class, f.Name).Sort)
		}
		if byRights[key] == nil {
			order = append(order, key)
		}
		byRights[key] = append(byRights[key], f.Name)
	}
	var groups [][]string
	for _, key := range order {
		groups = append(groups, byRights[key])
	}
	return groups
}

// blind reports whether nothing of the change may be seen by the role: of Near twins, who sees the mask at
// most; of Far twins, who sees nothing.
func (s *search) blind(c change, role string) bool {
	level := s.may(role, c.class, c.fields[0]).Read
	return c.twin == Near && level == masking.Partial || c.twin == Far && level < masking.Partial
}

func (s *search) restricted(c change) bool {
	return slices.ContainsFunc(s.roles, func(role string) bool { return s.blind(c, role) })
}

// differ makes the world of a change and reports what roles notice that may not.
func (s *search) differ(c change, kind string) bool {
	w := s.world(&c)
	found := false
	for _, role := range s.roles {
		if s.blind(c, role) {
			found = s.differences(w, c, role, kind) || found
		}
	}
	return found
}

func (s *search) differences(w *world, c change, role, kind string) bool {
	found := false
	for i, a := range s.asks {
		if s.mayProbe(a, c, role) {
			continue
		}
		places := s.difference(role, i, w)
		for _, place := range places {
			if place == "body order" && !c.removed && s.may(role, c.class, c.fields[0]).Sort {
				continue
			}
			found = true
			s.report(Finding{Role: role, Route: a.route(), Channel: place, Kind: kind, Class: c.class})
		}
	}
	return found
}

// mayProbe reports whether the request looks for a value that the role may look for.
func (s *search) mayProbe(a ask, c change, role string) bool {
	if a.probe == nil || s.rows[a.probe.row].Class != c.class || c.removed || !slices.Contains(c.fields, a.probe.field) {
		return false
	}
	r := s.may(role, c.class, a.probe.field)
	return a.probe.whole && r.Match || r.Sort
}

// result leaves out what also differs when the first world is made once more: the clock has gone on.
func (s *search) result() []Finding {
	if len(s.found) > 0 {
		third := s.world(nil)
		s.found = slices.DeleteFunc(s.found, func(f Finding) bool {
			return f.Form == "" && slices.ContainsFunc(s.byChance(f, third), func(place string) bool { return place == f.Channel })
		})
	}
	slices.SortFunc(s.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Kind, b.Kind))
	})
	return s.found
}

func (s *search) byChance(f Finding, third *world) (places []string) {
	for i, a := range s.asks {
		if a.route() == f.Route {
			places = append(places, s.difference(f.Role, i, third)...)
		}
	}
	return places
}
