package casbinimport

import (
	"fmt"
	"slices"
	"strings"
)

// model is what of model.conf the import understands.
type model struct {
	domains bool
	roles   bool     // there is a g
	fields  []string // of p
	effects bool     // p has eft, and deny overrides allow
}

type setting struct {
	line       int
	key, value string
}

// parseModel reads model.conf as casbin does (comments from "#" or ";" on, also inside quotes; lines that
// end in "\" go on) and refuses what means something that an rbac.Policy does not.
func parseModel(text string) (model, []Refusal) {
	sections, refused := readConf(text)
	var m model
	no := func(line int, format string, args ...any) {
		refused = append(refused, Refusal{Line: line, Model: true, Reason: fmt.Sprintf(format, args...)})
	}
	for _, name := range []string{"request_definition", "policy_definition", "policy_effect", "matchers"} {
		if len(sections[name]) == 0 {
			no(1, "the section [%s] is missing or empty", name)
		}
	}
	for name, list := range sections {
		first := map[string]string{"request_definition": "r", "policy_definition": "p", "policy_effect": "e", "matchers": "m", "role_definition": "g"}[name]
		for _, s := range list {
			switch {
			case first == "":
				no(s.line, "the section [%s] is unknown", name)
			case first == "g" && s.key != "g":
				no(s.line, "%s: roles of objects and second role graphs are refused: give the resource a column and write a condition on it", s.key)
			case s.key != first:
				no(s.line, "%s: second definitions chosen by the request are refused: import them as policies of their own", s.key)
			}
		}
	}
	if len(refused) == 0 {
		m.shape(sections, no)
	}
	slices.SortStableFunc(refused, func(a, b Refusal) int { return a.Line - b.Line })
	return m, refused
}

func (m *model) shape(sections map[string][]setting, no func(int, string, ...any)) {
	request, policy := sections["request_definition"][0], sections["policy_definition"][0]
	effect, matcher := sections["policy_effect"][0], sections["matchers"][0]
	switch r := strings.Join(list(request.value), " "); r {
	case "sub obj act":
	case "sub dom obj act":
		m.domains = true
	default:
		no(request.line, "a request of %q is refused: it must be sub, obj, act or sub, dom, obj, act", r)
		return
	}
	m.fields = list(policy.value)
	want := list(request.value)
	if len(m.fields) == len(want)+1 && m.fields[len(want)] == "eft" {
		m.effects = true
	}
	if fields := strings.TrimSuffix(strings.Join(m.fields, " "), " eft"); fields != strings.Join(want, " ") {
		reason := "a policy of %q is refused: it must have the request's fields, and eft at the end or not at all"
		if slices.Contains(m.fields, "priority") {
			reason = "a policy of %q is refused: priorities depend on the order of rows; here a deny always wins"
		}
		no(policy.line, reason, strings.Join(m.fields, " "))
	}
	m.effect(effect, no)
	m.graph(sections["role_definition"], no)
	m.matcher(matcher, no)
}

func (m *model) effect(s setting, no func(int, string, ...any)) {
	switch e := squeeze(s.value); {
	case e == "some(where(p.eft==allow))":
		// Casbin ignores deny rows here; judge refuses them.
		m.effects = false
	case e == "some(where(p.eft==allow))&&!some(where(p.eft==deny))":
	case e == "!some(where(p.eft==deny))":
		no(s.line, "the effect allows whatever no rule denies; here no rule is deny")
	case strings.Contains(strings.ToLower(e), "priority"):
		no(s.line, "the effect depends on the order of rows, which casbin changes when it removes one; here a deny always wins")
	default:
		no(s.line, "the effect %q is unknown", s.value)
	}
}

func (m *model) graph(g []setting, no func(int, string, ...any)) {
	if len(g) == 0 {
		return
	}
	m.roles = true
	want := "_,_"
	if m.domains {
		want = "_,_,_"
	}
	switch got := squeeze(g[0].value); {
	case strings.Contains(got, "("):
		no(g[0].line, "temporal roles are refused: casbin grants them for ever after it reloads; write the end into a condition (now < ...)")
	case got != want:
		no(g[0].line, "the role definition %q does not fit the request; it must be %s", g[0].value, want)
	}
}

// matcher accepts equality of each field, and the role graph for sub.
func (m *model) matcher(s setting, no func(int, string, ...any)) {
	text := squeeze(s.value)
	before := len(text)
	need := map[string]bool{"r.obj==p.obj": true, "r.act==p.act": true, "r.sub==p.sub": true}
	if m.domains {
		need["r.dom==p.dom"] = true
	}
	if m.roles {
		delete(need, "r.sub==p.sub")
		graph := "g(r.sub,p.sub)"
		if m.domains {
			graph = "g(r.sub,p.sub,r.dom)"
		}
		need[graph] = true
	}
	for _, danger := range dangers(s.value) {
		no(s.line, "the matcher %s", danger)
		before = 0
	}
	if before == 0 {
		return
	}
	for part := range strings.SplitSeq(text, "&&") {
		part = turned(part)
		if !need[part] {
			no(s.line, "the matcher's part %q is refused: only equality of each field and g() of the subject are imported", part)
			return
		}
		delete(need, part)
	}
	for part := range need {
		no(s.line, "the matcher leaves out %s: what it does not compare would match everything", part)
	}
}

// turned writes p.x==r.x as r.x==p.x.
func turned(part string) string {
	if left, right, ok := strings.Cut(part, "=="); ok && strings.HasPrefix(left, "p.") {
		return right + "==" + left
	}
	return part
}

func readConf(text string) (map[string][]setting, []Refusal) {
	sections := map[string][]setting{}
	var refused []Refusal
	section, buffer, began := "", "", 0
	flush := func() {
		if strings.TrimSpace(buffer) == "" {
			buffer = ""
			return
		}
		key, value, ok := strings.Cut(buffer, "=")
		s := setting{began, strings.TrimSpace(key), strings.TrimSpace(value)}
		if !ok {
			refused = append(refused, Refusal{Line: began, Model: true, Reason: "the line is no assignment"})
		} else if slices.ContainsFunc(sections[section], func(o setting) bool { return o.key == s.key }) {
			refused = append(refused, Refusal{Line: began, Model: true, Reason: fmt.Sprintf("%s is defined twice; casbin takes the last one", s.key)})
		} else {
			sections[section] = append(sections[section], s)
		}
		buffer = ""
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			flush()
			continue
		}
		if line[0] == '[' && strings.HasSuffix(line, "]") {
			flush()
			section = line[1 : len(line)-1]
			continue
		}
		if buffer == "" {
			began = i + 1
		}
		goesOn := strings.HasSuffix(line, `\`)
		line = strings.TrimSuffix(line, `\`)
		if at := strings.IndexAny(line, "#;"); at >= 0 {
			if strings.ContainsAny(line[:at], `"'`) {
				refused = append(refused, Refusal{Line: i + 1, Model: true, Reason: "a comment sign behind a quote: casbin cuts the text off there, also inside a literal"})
			}
			line = line[:at]
		}
		buffer += line
		if goesOn {
			buffer += " "
		} else {
			flush()
		}
	}
	flush()
	return sections, refused
}

func list(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }
