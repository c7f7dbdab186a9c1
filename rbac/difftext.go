package rbac

import (
	"fmt"
	"strings"

	"gorm.io/gorm"
)

// English is the difference as text, one line a difference.
func (d PolicyDiff) English() string {
	return d.text("No one of %d callers gains or loses anything against version %d.\n", "Against version %[2]d, %[1]d callers compared:\n",
		func(x Difference, gained bool, n int64, ids string) string {
			verb := map[bool]string{true: "gains", false: "loses"}[gained]
			if x.Field != "" {
				return fmt.Sprintf("%s %s %q of %s.%s on %d rows%s", x.who(), verb, x.What, x.Resource, x.Field, n, ids)
			}
			return fmt.Sprintf("%s %s %s of %d %s rows%s", x.who(), verb, x.What, n, x.Resource, ids)
		})
}

// Chinese is the difference as text, one line a difference.
func (d PolicyDiff) Chinese() string {
	return d.text("与版本 %[2]d 相比，%[1]d 位用户的权限都没有变化。\n", "与版本 %[2]d 相比（共比较 %[1]d 位用户）：\n",
		func(x Difference, gained bool, n int64, ids string) string {
			verb := map[bool]string{true: "获得", false: "失去"}[gained]
			if x.Field != "" {
				return fmt.Sprintf("%s 在 %d 行上%s %s.%s 的 %s 权限%s", x.who(), n, verb, x.Resource, x.Field, x.What, ids)
			}
			return fmt.Sprintf("%s %s对 %d 行 %s 的 %s 权限%s", x.who(), verb, n, x.Resource, x.What, ids)
		})
}

func (x Difference) who() string {
	if x.Tenant == "" {
		return x.User
	}
	return x.Tenant + "/" + x.User
}

func (d PolicyDiff) text(none, head string, line func(x Difference, gained bool, n int64, ids string) string) string {
	if len(d.Differences) == 0 {
		return fmt.Sprintf(none, d.Callers, d.Version)
	}
	var b strings.Builder
	fmt.Fprintf(&b, head, d.Callers, d.Version)
	for _, x := range d.Differences {
		if x.Gained > 0 {
			b.WriteString(line(x, true, x.Gained, listing(x.GainedIDs, x.Gained)) + "\n")
		}
		if x.Lost > 0 {
			b.WriteString(line(x, false, x.Lost, listing(x.LostIDs, x.Lost)) + "\n")
		}
	}
	return b.String()
}

// listing quotes the ids, and says when there are more.
func listing(ids []string, of int64) string {
	if len(ids) == 0 {
		return ""
	}
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = fmt.Sprintf("%q", id)
	}
	more := ""
	if int64(len(ids)) < of {
		more = ", ..."
	}
	return ": " + strings.Join(quoted, ", ") + more
}

// keys runs a query for one column of keys.
func keys(stmt *gorm.Statement) ([]string, error) { return oneColumn[string](stmt) }
