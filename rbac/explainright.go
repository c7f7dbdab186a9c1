package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// ExplainRight says whether the caller has one right on a field of the row, and why: which field rule gives
// it, or what is missing. Action is the right's name and Resource that of the field, "customer.phone". It
// records nothing and holds no value of the row.
func (a *Authorizer) ExplainRight(ctx context.Context, right Right, field string, row any) (Explanation, error) {
	s := a.snap.Load()
	res, rv, err := a.rowOf(row)
	if err != nil {
		return Explanation{}, err
	}
	col := res.column(field)
	if col == nil {
		return Explanation{}, fmt.Errorf("rbac: explain: %s has no field %q; it has %s", res.name, field, res.columnNames())
	}
	if right&allRights != right || right == 0 || right&(right-1) != 0 {
		return Explanation{}, fmt.Errorf("rbac: explain: %q is not one right: ask for match, range, sort, aggregate or export", right)
	}
	who, err := a.asker(ctx, s)
	if err != nil {
		return Explanation{}, err
	}
	if col.match != nil {
		col = col.match
	}
	e := env{who: who, row: rv}
	x := Explanation{Action: right.String(), Resource: res.name + "." + col.name, Version: s.version, Roles: append([]string(nil), who.roles.names...)}
	x.Allowed = col.free && right != Export || s.holds(&e, res, col, right)
	if e.err != nil {
		return Explanation{}, e.err
	}
	x.writeRight(who.ID, right, s.whyRight(&e, res, col, right))
	return x, nil
}

// whyRight names the field rule that gives the right, or those that come closest.
func (s *snapshot) whyRight(e *env, res *resource, col *column, right Right) reason {
	if col.free && right != Export {
		return reason{"keys and tenants may be used by everybody", "主键和租户列人人可用"}
	}
	why := reason{fmt.Sprintf("the right %s is missing: no field rule of these roles gives it", right), fmt.Sprintf("缺少权限 %s：这些角色的字段规则均未授予", right)}
	for role, name := range s.roles {
		own := slices.Contains(e.who.roles.ids, role)
		for _, f := range s.rulesOf(role, res, col) {
			switch when := strings.TrimSpace(f.When); {
			case f.rights()&right == 0:
			case own && f.cond.eval(e) == yes && when == "":
				return reason{fmt.Sprintf("a field rule of role %q gives it on every row", name), fmt.Sprintf("角色“%s”的字段规则对所有行授予该权限", name)}
			case own && f.cond.eval(e) == yes:
				return reason{fmt.Sprintf("a field rule of role %q gives it where %s", name, when), fmt.Sprintf("角色“%s”的字段规则在满足 %s 时授予该权限", name, when)}
			case own:
				failed := strings.Join(failing(f.cond, e), ", ")
				why.english += fmt.Sprintf("; that of role %q does not hold: %s", name, failed)
				why.chinese += fmt.Sprintf("；角色“%s”的规则不满足：%s", name, failed)
			default:
				why.english += fmt.Sprintf("; one of role %q would", name)
				why.chinese += fmt.Sprintf("；角色“%s”的规则会授予", name)
			}
		}
	}
	return why
}

func (x *Explanation) writeRight(who string, right Right, why reason) {
	may, can := "may not", "不可以"
	if x.Allowed {
		may, can = "may", "可以"
	}
	english, chinese := strings.Join(x.Roles, ", "), strings.Join(x.Roles, "、")
	if english == "" {
		english, chinese = "none", "无"
	}
	x.English = fmt.Sprintf("%s (roles: %s) %s %s %s: %s (policy version %d).", who, english, may, right.verb(), x.Resource, why.english, x.Version)
	x.Chinese = fmt.Sprintf("%s（角色：%s）%s对 %s %s：%s（策略版本 %d）。", who, chinese, can, x.Resource, right.chinese(), why.chinese, x.Version)
}

func (r Right) chinese() string {
	switch r {
	case Match:
		return "按值匹配"
	case Range:
		return "按范围查询"
	case Sort:
		return "排序"
	case Aggregate:
		return "分组统计"
	}
	return "导出"
}
