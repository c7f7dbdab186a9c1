package rbactest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// filled is a probe and its text.
type filled struct {
	*probe
	text string
}

// probes are the values to look for in a field: of the first row of each class, whole, and its first two
// thirds, which is more than a mask shows at the front.
func (e *explorer) probes(field string) []filled {
	var list []filled
	for i, row := range e.s.rows {
		if i%perClass != 0 {
			continue
		}
		value := []rune(row.Values[field])
		list = append(list, filled{&probe{i, field, true}, string(value)}, filled{&probe{i, field, false}, string(value[:(len(value)*2+2)/3])})
	}
	return list
}

// route adds a request for every row, field and value that its placeholders stand for.
func (e *explorer) route(r Route) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	a := ask{method: r.Method, path: r.Path, label: r.Path, form: r.Form, body: r.Body}
	asks := []ask{a}
	if holds(a, "{row}") {
		asks = nil
		for i := range e.s.rows {
			if i%perClass == 0 {
				asks = append(asks, replace(a, "{row}", mark(i), nil))
			}
		}
	}
	if holds(a, "{field}") {
		asks = each(asks, func(a ask) (out []ask) {
			for _, f := range e.s.Fields {
				b := replace(a, "{field}", f.Name, a.probe)
				b.label = strings.ReplaceAll(b.label, "{field}", f.Name)
				out = append(out, b)
			}
			return out
		})
	}
	for _, f := range e.s.Fields {
		if name := "{" + f.Name + "}"; holds(a, name) {
			asks = each(asks, func(a ask) (out []ask) {
				for _, p := range e.probes(f.Name) {
					out = append(out, replace(a, name, p.text, p.probe))
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

// replace puts a value where a placeholder stands, escaped as the place needs it.
func replace(a ask, name, value string, p *probe) ask {
	before, query, asked := strings.Cut(a.path, "?")
	in := value
	if !strings.HasPrefix(value, "\x01") {
		in = url.PathEscape(value)
	}
	a.path = strings.ReplaceAll(before, name, in)
	if asked {
		if !strings.HasPrefix(value, "\x01") {
			in = url.QueryEscape(value)
		}
		a.path += "?" + strings.ReplaceAll(query, name, in)
	}
	a.body = strings.ReplaceAll(a.body, name, quoteJSON(value))
	form := maps.Clone(a.form)
	for k, v := range form {
		form[k] = []string{strings.ReplaceAll(v[0], name, value)}
	}
	a.form, a.probe = form, p
	return a
}
