package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Explanation says why a decision is what it is. It quotes conditions, never values of the row.
type Explanation struct {
	Allowed  bool
	Action   string
	Resource string
	Version  int64    // of the policy
	Roles    []string // of the caller
	Rule     string   // the rule that decided; "" if none did
	Near     []NearMiss
	Missing  *Required // what the caller could bring to be allowed; nil if nothing would do
	English  string
	Chinese  string
}

// NearMiss is an allow rule that would have allowed the action but for something.
type NearMiss struct {
	Rule   string
	Role   string   // the role the caller lacks, or ""
	Failed []string // the conditions that do not hold
}

// Explain answers what Check would, and says why. It records nothing.
func (a *Authorizer) Explain(ctx context.Context, action string, row any) (Explanation, error) {
	s, err := a.current(ctx)
	if err != nil {
		return Explanation{}, err
	}
	res, rv, err := a.rowOf(row)
	if err != nil {
		return Explanation{}, err
	}
	who, err := a.asker(ctx, s)
	if err != nil {
		return Explanation{}, err
	}
	e := env{who: who, row: rv}
	x := Explanation{Action: action, Resource: res.name, Version: s.version, Roles: append([]string(nil), who.roles.names...)}
	ok, denier := s.decide(&e, res, action)
	if e.err != nil {
		return Explanation{}, e.err
	}
	x.Allowed = ok
	why := reason{english: "no rule allows it", chinese: "没有规则允许"}
	switch foreign := !ok && denier == nil && s.foreignTenant(&e, res); {
	case ok:
		r := s.allower(&e, res, action)
		x.Rule, why = r.ID, because(r, "allows", "允许")
	case denier != nil:
		x.Rule, why = denier.ID, because(denier, "forbids", "禁止")
	case foreign:
		why = reason{"the row belongs to another tenant", "该行属于其他租户"}
	default:
		if x.Missing = s.missing(&e, res, action); x.Missing != nil {
			x.Rule, why = x.Missing.Rule, x.Missing.because()
			break
		}
		x.Near = s.nearMisses(&e, res, action)
		why.add(x.Near)
	}
	x.write(who.ID, why)
	return x, nil
}

type reason struct{ english, chinese string }

func because(r *rule, english, chinese string) reason {
	if strings.TrimSpace(r.When) == "" {
		return reason{fmt.Sprintf("rule %q %s it on every row", r.ID, english), fmt.Sprintf("规则“%s”对所有行%s", r.ID, chinese)}
	}
	return reason{fmt.Sprintf("rule %q %s it where %s", r.ID, english, r.When), fmt.Sprintf("规则“%s”在满足 %s 时%s", r.ID, r.When, chinese)}
}

func (r *reason) add(near []NearMiss) {
	for _, n := range near {
		failed := strings.Join(n.Failed, ", ")
		switch {
		case n.Role != "" && failed != "":
			r.english += fmt.Sprintf("; rule %q would need the role %s and %s", n.Rule, n.Role, failed)
			r.chinese += fmt.Sprintf("；规则“%s”还需要角色 %s 且满足 %s", n.Rule, n.Role, failed)
		case n.Role != "":
			r.english += fmt.Sprintf("; rule %q would allow it to the role %s", n.Rule, n.Role)
			r.chinese += fmt.Sprintf("；规则“%s”允许角色 %s", n.Rule, n.Role)
		default:
			r.english += fmt.Sprintf("; rule %q does not hold: %s", n.Rule, failed)
			r.chinese += fmt.Sprintf("；规则“%s”不满足：%s", n.Rule, failed)
		}
	}
}

func (x *Explanation) write(who string, why reason) {
	may, can := "may not", "不可以"
	if x.Allowed {
		may, can = "may", "可以"
	}
	roles, chinese := strings.Join(x.Roles, ", "), strings.Join(x.Roles, "、")
	if roles == "" {
		roles, chinese = "none", "无"
	}
	x.English = fmt.Sprintf("%s (roles: %s) %s %s this %s: %s (policy version %d).", who, roles, may, x.Action, x.Resource, why.english, x.Version)
	x.Chinese = fmt.Sprintf("%s（角色：%s）%s对该 %s 执行 %s：%s（策略版本 %d）。", who, chinese, can, x.Resource, x.Action, why.chinese, x.Version)
}

func (s *snapshot) foreignTenant(e *env, res *resource) bool {
	if res.tenant == nil {
		return false
	}
	t := (&operand{from: fromRow, col: res.tenant}).get(e)
	return t.s != e.who.Tenant
}

// allower returns the first allow rule that holds.
func (s *snapshot) allower(e *env, res *resource, action string) *rule {
	var found *rule
	s.rulesFor(e.who.roles, res, action, func(r *rule) bool {
		if r.Effect == Allow && r.cond.eval(e) == yes {
			found = r
		}
		return found == nil
	})
	return found
}

// nearMisses returns the allow rules that came closest: first those of the caller's roles, then those of
// roles the caller lacks.
func (s *snapshot) nearMisses(e *env, res *resource, action string) []NearMiss {
	const most = 5
	var own, others []NearMiss
	for _, r := range s.ordered {
		if r.res != res || r.Effect != Allow || !slices.Contains(r.Actions, action) {
			continue
		}
		miss := NearMiss{Rule: r.ID, Failed: failing(r.cond, e)}
		if slices.Contains(e.who.roles.ids, r.role) {
			own = append(own, miss)
		} else {
			miss.Role = s.roles[r.role]
			others = append(others, miss)
		}
	}
	near := append(own, others...)
	return near[:min(most, len(near))]
}

// failing returns the parts of a conjunction that do not hold.
func failing(n *node, e *env) []string {
	if n.op == opAnd {
		var all []string
		for _, kid := range n.kids {
			all = append(all, failing(kid, e)...)
		}
		return all
	}
	if n.eval(e) == yes {
		return nil
	}
	return []string{n.text}
}
