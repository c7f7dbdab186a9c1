package rbactest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// probes are the values to look for in a field: of the first row of each class, whole, and its beginning.
func (e *explorer) probes(field string) []*probe {
	var list []*probe
	for i := 0; i < len(e.s.rows); i += perClass {
		list = append(list, &probe{i, field, true}, &probe{i, field, false})
	}
	return list
}

// text is what is typed to look for a value: all of it, or its first two thirds, which is more than a mask
// shows at the front.
func (p *probe) text(value string) string {
	r := []rune(value)
	if p.whole {
		return value
	}
	return string(r[:(len(r)*2+2)/3])
}

// route adds a request for every row, field and value that its placeholders stand for.
func (e *explorer) route(r Route) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	a := ask{method: r.Method, path: r.Path, label: r.Path, form: r.Form, body: r.Body, header: r.Header, shows: r.Shows, row: -1}
	asks := []ask{a}
	if holds(a, "{row}") {
		asks = nil
		for i := 0; i < len(e.s.rows); i += perClass {
			b := replace(a, "{row}", mark(i))
			b.row = i
			asks = append(asks, b)
		}
	}
	if holds(a, "{field}") {
		asks = each(asks, func(a ask) (out []ask) {
			for _, f := range e.s.Fields {
				b := replace(a, "{field}", f.Name)
				b.label = strings.ReplaceAll(b.label, "{field}", f.Name)
				b.shows = slices.Clone(b.shows)
				for i, name := range b.shows {
					b.shows[i] = strings.ReplaceAll(name, "{field}", f.Name)
				}
				out = append(out, b)
			}
			return out
		})
	}
	for _, f := range e.s.Fields {
		if name := "{" + f.Name + "}"; holds(a, name) {
			asks = each(asks, func(a ask) (out []ask) {
				for _, p := range e.probes(f.Name) {
					b := replace(a, name, typed)
					b.probe = p
					out = append(out, b)
				}
				return out
			})
		}
	}
	for _, a := range asks {
		e.add(a)
	}
}

func each(asks []ask, f func(ask) []ask) []ask {
	var out []ask
	for _, a := range asks {
		out = append(out, f(a)...)
	}
	return out
}

func holds(a ask, name string) bool {
	if strings.Contains(a.path+a.body, name) {
		return true
	}
	for _, v := range a.form {
		if slices.ContainsFunc(v, func(s string) bool { return strings.Contains(s, name) }) {
			return true
		}
	}
	return false
}

// replace puts what belongs there where a placeholder stands.
func replace(a ask, name, value string) ask {
	a.path = strings.ReplaceAll(a.path, name, value)
	a.body = strings.ReplaceAll(a.body, name, value)
	form := maps.Clone(a.form)
	for k, v := range form {
		form[k] = []string{strings.ReplaceAll(v[0], name, value)}
	}
	a.form = form
	return a
}
