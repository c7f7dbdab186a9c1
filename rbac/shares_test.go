package rbac_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
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
		if path := pick(r, hostilePaths()); path != "" && path != "//" {
			return strconv.Quote(path)
		}
	}
}

// TestSharesGiveExactly compares what shares give with the definition, written down once more and without a
// database: a share that only almost fits gives nothing.
func TestSharesGiveExactly(t *testing.T) {
	clock := time.Date(2026, 1, 1, 0, 0, 0, 7e8, time.UTC)
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		r := rand.New(rand.NewPCG(11, 3))
		require.NoError(t, db.AutoMigrate(&Thing{}, &Loan{}))
		ids := []string{"", "row-00%"}
		for i := range 60 {
			ids = append(ids, fmt.Sprintf("row-%03d", i))
		}
		near, all := nearMisses()
		ids = append(ids, near...)
		for _, id := range ids {
			require.NoError(t, db.Create(&Thing{ID: id, TenantID: "t1"}).Error)
		}
		for range 600 {
			all = append(all, hostileLoan(r))
		}
		for _, loan := range all {
			require.NoError(t, db.Table("loans").Create(maps.Clone(loan)).Error)
		}
		cfg := sharesConfig(loans(), rbac.Resource{Model: &Thing{}, Tenant: "tenant_id"})
		cfg.Now = func() time.Time { return clock }
		cfg.Policies = rbac.NewMemory(rbac.Policy{Roles: []rbac.Role{{Name: "low"}}, Assignments: []rbac.Assignment{{Tenant: "t1", User: "ann", Role: "low"}},
			Rules: []rbac.Rule{{ID: "lent", Role: rbac.Everyone, Resource: "thing", Actions: []string{"read"}, When: `shared(row, "read")`}}})
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		for _, c := range thingCallers() {
			if c.Tenant != "t1" {
				continue
			}
			want := []string{}
			for _, id := range ids {
				if slices.ContainsFunc(all, func(loan map[string]any) bool { return gives(loan, c, id, clock) }) {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			got := listed(t, db.DB, inContext(c))
			slices.Sort(got)
			require.Equal(t, want, got, c.ID)
			for _, id := range ids {
				err := a.Check(inContext(c), "read", &Thing{ID: id, TenantID: "t1"})
				require.Equal(t, slices.Contains(want, id), err == nil, "%s: %q", c.ID, id)
			}
		}
	})
}

// nearMisses returns rows, and for each a share with ann that fits but for one thing; the last one fits.
func nearMisses() (ids []string, loans []map[string]any) {
	ended := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, odd := range []struct {
		field string
		value func(id string) any
	}{
		{"tenant_id", always("t2")}, {"tenant_id", always("T1")}, {"tenant_id", always("t1 ")}, {"tenant_id", always(nil)},
		{"what", always("Thing")}, {"what", always("thing ")}, {"what", always(nil)}, {"kind", always("User")}, {"kind", always("role")}, {"kind", always(nil)},
		{"whom", always("Ann")}, {"whom", always("ann ")}, {"whom", always("")}, {"whom", always(nil)}, {"whom", always("%")},
		{"allows", always("Read")}, {"allows", always("read ")}, {"allows", always("update")}, {"allows", always(nil)},
		{"until", always(ended)}, {"until", always(ended.Add(500 * time.Millisecond))}, {"deleted_at", always(ended)},
		{"thing", func(id string) any { return strings.ToUpper(id) }}, {"thing", func(id string) any { return id + " " }},
		{"thing", func(id string) any { return id[:len(id)-1] + "_" }}, {"thing", func(id string) any { return strings.Replace(id, "e", "é", 1) }}, {"thing", always(nil)},
		{"until", always(ended.Add(time.Second))},
	} {
		id := fmt.Sprintf("near-%02d", len(ids))
		loan := map[string]any{"tenant_id": "t1", "kind": "user", "thing": id, "what": "thing", "whom": "ann", "allows": "read", "until": nil, "deleted_at": nil}
		loan[odd.field] = odd.value(id)
		ids, loans = append(ids, id), append(loans, loan)
	}
	return ids, loans
}

func always(v any) func(string) any { return func(string) any { return v } }

// gives is the definition of a share, for kinds as in loans().
func gives(loan map[string]any, c rbac.Caller, id string, now time.Time) bool {
	mine := map[any][]string{"user": {c.ID}}
	if c.ID == "ann" {
		mine["role"] = []string{"low"}
	}
	if team, ok := c.Attrs["team"].(string); ok {
		mine["team"] = []string{team}
	}
	mine["report"], _ = c.Attrs["reports"].([]string)
	grantee, _ := loan["whom"].(string)
	until, ends := loan["until"].(time.Time)
	return loan["tenant_id"] == c.Tenant && loan["what"] == "thing" && loan["thing"] == id && loan["allows"] == "read" && loan["deleted_at"] == nil &&
		grantee != "" && slices.Contains(mine[loan["kind"]], grantee) && (!ends || until.Unix() > now.Unix())
}

// TestWithin pins what a path is below, in Go and in SQL.
func TestWithin(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Thing{}))
		for i, path := range hostilePaths() {
			require.NoError(t, db.Create(&Thing{ID: fmt.Sprintf("%02d", i), TenantID: "t1", Path: path}).Error)
		}
		for above, want := range map[string][]string{
			"/1/1":  {"/1/1", "/1/1/", "/1/1/5", "/1/1/\t", "/1/1/\u0301"},
			"/1/1/": {"/1/1", "/1/1/", "/1/1/5", "/1/1/\t", "/1/1/\u0301"},
			"/a":    {"/a", "/a/ß"},
			"/%":    {"/%/1"},
			"/_":    {"/_/1"},
			"1":     {"1/1"},
			"//":    {},
			"":      {},
			"/1/12": {"/1/12", "/1/12/"},
			"/":     slices.DeleteFunc(hostilePaths(), func(p string) bool { return p == "" || p == "1/1" }),
		} {
			cfg := sharesConfig(rbac.ShareTable{}, rbac.Resource{Model: &Thing{}, Tenant: "tenant_id"})
			cfg.Policies = rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "thing", Actions: []string{"read"}, When: "within(row.path, caller.path)"}},
				Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "thing", Field: "*", Level: masking.Full}}})
			a, err := rbac.Open(t.Context(), cfg)
			require.NoError(t, err)
			guarded := db.Reopen(t)
			require.NoError(t, guarded.Use(a))
			ctx := inContext(rbac.Caller{ID: "ann", Tenant: "t1", Attrs: map[string]any{"path": above}})
			var got []string
			require.NoError(t, guarded.WithContext(ctx).Model(&Thing{}).Pluck("path", &got).Error)
			require.ElementsMatch(t, want, got, "within %q", above)
			for _, path := range hostilePaths() {
				err := a.Check(ctx, "read", &Thing{TenantID: "t1", Path: path})
				require.Equal(t, slices.Contains(want, path), err == nil, "%q within %q", path, above)
			}
		}
	})
}

// TestManyShares: callers with more shares than go into a statement as a list, and with none, see what Check
// allows; and a share that was taken away is gone from the next statement, in the same transaction too.
func TestManyShares(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Deal{}, &rbac.Share{}))
		var deals []Deal
		var shares []rbac.Share
		for i := range 1200 {
			deals = append(deals, Deal{ID: fmt.Sprintf("%04d", i), OwnerID: fmt.Sprint("o", i%3)})
			for who, n := range map[string]int{"most": 1100, "edge": 1000, "few": 3} {
				if i < n {
					shares = append(shares, rbac.Share{Resource: "deal", RowID: deals[i].ID, Kind: "user", Grantee: who, Access: "read"})
				}
			}
		}
		require.NoError(t, db.CreateInBatches(deals, 300).Error)
		require.NoError(t, db.CreateInBatches(shares, 300).Error)
		cfg := sharesConfig(rbac.ShareTable{Model: &rbac.Share{}}, rbac.Resource{Model: &Deal{}})
		cfg.Policies = rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "deal", Actions: []string{"read", "delete"}, When: `row.owner_id == caller.id || shared(row, "read")`}}})
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		for who, want := range map[string]int64{"most": 1100, "edge": 1000, "few": 3, "none": 0, "o1": 400} {
			var n int64
			require.NoError(t, db.WithContext(inContext(rbac.Caller{ID: who})).Model(&Deal{}).Count(&n).Error)
			require.Equal(t, want, n, who)
		}
		few := inContext(rbac.Caller{ID: "few"})
		require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.WithContext(t.Context()).Where("grantee = ? AND row_id = ?", "few", "0001").Delete(&rbac.Share{}).Error)
			var ids []string
			require.NoError(t, tx.WithContext(few).Model(&Deal{}).Order("id").Pluck("id", &ids).Error)
			require.Equal(t, []string{"0000", "0002"}, ids)
			got := tx.WithContext(few).Where("1 = 1").Delete(&Deal{})
			require.NoError(t, got.Error)
			require.EqualValues(t, 2, got.RowsAffected)
			return errRollback
		}), errRollback)
		// The list is that of one statement, so what is built once and run twice asks twice.
		mine := db.WithContext(few).Model(&Deal{}).Session(&gorm.Session{})
		var n int64
		require.NoError(t, mine.Count(&n).Error)
		require.EqualValues(t, 3, n)
		require.NoError(t, db.WithContext(t.Context()).Where("grantee = ?", "few").Delete(&rbac.Share{}).Error)
		require.NoError(t, mine.Count(&n).Error)
		require.Zero(t, n)
	})
}
