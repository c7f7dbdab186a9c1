package rbac_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/rbac"
)

// Loan is a table of shares that was there before us: other names, a soft delete, NULL where it may be.
type Loan struct {
	ID        int64  `gorm:"primaryKey"`
	TenantID  string `gorm:"size:36"`
	Kind      string `gorm:"size:64"`
	Thing     string `gorm:"size:64;index:idx_loans_thing"`
	What      string `gorm:"size:64"`
	Whom      string `gorm:"size:64;index"`
	Allows    string `gorm:"size:64"`
	Until     *time.Time
	DeletedAt gorm.DeletedAt
}

func loans() rbac.ShareTable {
	return rbac.ShareTable{Model: &Loan{}, Tenant: "tenant_id", Resource: "what", Row: "thing", Grantee: "whom", Right: "allows", Expires: "until",
		Grantees: map[string]string{"team": "team", "report": "reports", "role": "roles"}}
}

// hostileLoan is a share that mostly almost fits: another case, a blank too many, a pattern, the next
// second, another tenant, another resource, no grantee, taken back.
func hostileLoan(r *rand.Rand) map[string]any {
	id := fmt.Sprintf("row-%03d", r.IntN(60))
	rarely := func(usual any, odd ...any) any {
		if r.IntN(10) > 0 {
			return usual
		}
		return pick(r, odd)
	}
	var deleted any
	if r.IntN(5) == 0 {
		deleted = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return map[string]any{
		"tenant_id": rarely("t1", "t2", "T1", "", nil), "kind": rarely(pick(r, []string{"user", "team", "report", "role"}), "USER", "", nil, "other"),
		"thing": rarely(id, "ROW"+id[3:], id+" ", "row-00%", "row-00_", "", nil), "what": rarely("thing", "Thing", "loan", nil),
		"whom": rarely(pick(r, []string{"ann", "Ann", "bob", "low"}), "", nil, "%", "ann "), "allows": rarely(pick(r, []string{"read", "update"}), "Read", "read ", "", nil),
		"until": rarely(nil, anyTimes()...), "deleted_at": deleted,
	}
}

func anyTimes() []any {
	var all []any
	for _, t := range hostileTimes() {
		all = append(all, t)
	}
	return all
}

func hostilePaths() []string {
	return []string{"", "/", "//", "/1", "/1/", "/1/1", "/1/1/", "/1/1/5", "/1/12", "/1/12/", "/1/1 /2", "/1/1\t/2", "/1/1/\t", "/1/1.", "/1/1/\u0301", "/1/1\u0301/2",
		"/2", "/2/%", "/%/1", "/_/1", "/2/王", "/１", "1/1", "/1/10", "/A", "/a", "/a/ß"}
}

// above writes the second argument of within.
func above(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return pick(r, []string{"caller.path", "caller.paths", "caller.missing", "caller.none"})
	}
	for {
		if path := pick(r, hostilePaths()); path != "" {
			return strconv.Quote(path)
		}
	}
}
