package rbac_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
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

// Thing has a column of every shape that conditions may read: plain ones in which Go cannot see NULL,
// pointers, sql.Null types, a named string, unsigned numbers.
type Thing struct {
	ID       string  `gorm:"primaryKey;size:36"`
	TenantID string  `gorm:"size:36;not null"`
	Owner    string  `gorm:"size:64;index"`
	Team     *string `gorm:"size:64"`
	Status   status  `gorm:"size:64;not null"`
	Note     sql.NullString
	Level    int64
	Big      *int64
	Small    uint32 `gorm:"not null"`
	Flag     bool
	Vip      *bool
	At       time.Time
	Until    *time.Time
	Path     string  `gorm:"size:64;index"`
	Branch   *string `gorm:"size:64"`
	Touched  int64
	Weight   int64

	Secret      secretText `gorm:"size:64"`
	SecretIndex []byte     `gorm:"size:64;index" privacy:"of=Secret,norm=text"`
}

type status string

// The hostile values. Every one of them was equal to another one on some database under some collation, or
// was taken for a pattern, a number or a date.
func hostileStrings() []string {
	return []string{"", " ", "ann", "Ann", "ANN", "ann ", " ann", "bob", "a%", "a_", `a\`, "[a]", "é", "e\u0301", "ß", "ss",
		"王小明", "👨‍👩‍👧", "'; --", "ａｎｎ", "0", "1", "true", "null", "2024-01-02", "i", "ı", "İ"}
}

func hostileInts() []int64 {
	return []int64{0, 1, -1, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64, math.MinInt64, math.MaxInt32, math.MaxInt32 + 1}
}

func hostileTimes() []time.Time {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	east, west := time.FixedZone("", 8*3600), time.FixedZone("", -5*3600-30*60)
	return []time.Time{base, base.In(east), base.In(west), base.Add(-time.Second).In(east), base.Add(-time.Millisecond), base.Add(500 * time.Millisecond).In(west),
		base.Add(999 * time.Millisecond), base.Add(time.Second), base.Add(-30 * time.Minute).In(east), time.Date(1969, 12, 31, 23, 59, 59, 5e8, time.UTC)}
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// hostileRow is a row as a map, because only a map can put NULL into the plain columns.
func hostileRow(r *rand.Rand, i int) map[string]any {
	maybe := func(v any) any {
		if r.IntN(4) == 0 {
			return nil
		}
		return v
	}
	tenant := pick(r, []string{"t1", "t1", "t1", "T1", "t2"})
	var secret any
	if s := rand.New(rand.NewPCG(uint64(i), 7)); s.IntN(4) > 0 { // of its own, so that the other columns stay what they were
		secret = toyCell(tenant, pick(s, []string{"gone", "old", "new"}), "secret_index", pick(s, hostileStrings()))
	}
	return map[string]any{
		"secret_index": secret,
		"id":           fmt.Sprintf("row-%03d", i), "tenant_id": tenant,
		"owner": maybe(pick(r, hostileStrings())), "team": maybe(pick(r, hostileStrings())), "status": pick(r, hostileStrings()),
		"note": maybe(pick(r, hostileStrings())), "level": maybe(pick(r, hostileInts())), "big": maybe(pick(r, hostileInts())),
		"small": pick(r, []uint32{0, 1, math.MaxUint32}), "flag": maybe(r.IntN(2) == 0), "vip": maybe(r.IntN(2) == 0),
		"at": maybe(pick(r, hostileTimes())), "until": maybe(pick(r, hostileTimes())), "touched": 0, "weight": i + 1,
		"path": maybe(pick(r, hostilePaths())), "branch": maybe(pick(r, hostilePaths())),
	}
}

// condition writes a random CEL condition.
func condition(r *rand.Rand, depth int) string {
	if depth > 0 {
		switch r.IntN(5) {
		case 0, 1:
			return "(" + condition(r, depth-1) + " && " + condition(r, depth-1) + ")"
		case 2, 3:
			return "(" + condition(r, depth-1) + " || " + condition(r, depth-1) + ")"
		default:
			return "!(" + condition(r, depth-1) + ")"
		}
	}
	if r.IntN(8) == 0 {
		return envCondition(r)
	}
	text := func() string {
		if r.IntN(3) == 0 {
			return pick(r, []string{"caller.id", "caller.team", "caller.missing"})
		}
		return strconv.Quote(pick(r, hostileStrings()))
	}
	number := func() string {
		if r.IntN(4) == 0 {
			return "caller.level"
		}
		return strconv.FormatInt(pick(r, hostileInts()), 10)
	}
	instant := func() string {
		if r.IntN(3) == 0 {
			return pick(r, []string{"now", `now - duration("24h")`, `now + duration("1s")`})
		}
		return `timestamp("` + pick(r, hostileTimes()).Truncate(time.Second).Format(time.RFC3339) + `")`
	}
	strs := []string{"row.owner", "row.team", "row.status", "row.note"}
	ints := []string{"row.level", "row.big", "row.small"}
	times := []string{"row.at", "row.until"}
	order := []string{"==", "!=", "<", "<=", ">", ">="}
	switch r.IntN(17) {
	case 0, 1:
		return pick(r, strs) + pick(r, []string{" == ", " != "}) + text()
	case 2:
		return text() + " == " + pick(r, strs)
	case 3:
		return pick(r, strs) + pick(r, []string{" == ", " != "}) + pick(r, strs)
	case 4:
		return pick(r, strs) + " in [" + text() + ", " + text() + "]"
	case 5:
		return pick(r, strs) + " in " + pick(r, []string{"caller.reports", "caller.none", "caller.roles"})
	case 6:
		return pick(r, ints) + " " + pick(r, order) + " " + number()
	case 7:
		return pick(r, ints) + " " + pick(r, order) + " " + pick(r, ints)
	case 8:
		return pick(r, ints) + " in [" + number() + ", " + number() + "]"
	case 9:
		return pick(r, times) + " " + pick(r, order) + " " + instant()
	case 10:
		return pick(r, []string{"row.flag", "row.vip", "row.flag == row.vip", "row.vip == false", "caller.flag"})
	case 11:
		return pick(r, []string{"row.team", "row.note", "row.big", "row.vip", "row.until"}) + pick(r, []string{" == null", " != null"})
	case 13, 14:
		return "within(" + pick(r, []string{"row.path", "row.branch", "row.owner"}) + ", " + above(r) + ")"
	case 15, 16:
		return `shared(row, "` + pick(r, []string{"read", "update", "nothing"}) + `")`
	}
	return pick(r, times) + " < " + instant()
}

func randomPolicy(r *rand.Rand) rbac.Policy {
	p := rbac.Policy{
		Roles:       []rbac.Role{{Name: "low"}, {Name: "high", Inherits: []string{"low"}}, {Name: "other"}},
		Assignments: []rbac.Assignment{{Tenant: "t1", User: "ann", Role: "low"}, {Tenant: "t1", User: "Ann", Role: "high"}, {Tenant: "t2", User: "ann", Role: "other"}},
		Fields:      []rbac.FieldRule{{Role: rbac.Everyone, Resource: "thing", Field: "*", Level: masking.Full}},
	}
	for i := range 2 + r.IntN(4) {
		rule := rbac.Rule{ID: fmt.Sprintf("r%d", i), Role: pick(r, []string{"low", "high", "other", rbac.Everyone}), Resource: "thing",
			Actions: []string{"read", "update", "delete"}, When: condition(r, r.IntN(4))}
		if i > 0 && r.IntN(3) == 0 {
			rule.Effect = rbac.Deny
		}
		p.Rules = append(p.Rules, rule)
	}
	return p
}

// withSealed makes one rule ask for a sealed column, where a rule may: the rest of its condition is as hostile
// as the others.
func withSealed(r *rand.Rand, p rbac.Policy) rbac.Policy {
	asked := pick(r, []string{"row.secret == caller.id", "row.secret == caller.team", "caller.team == row.secret", "row.secret == caller.missing", "row.secret in caller.reports",
		"row.secret in caller.none", "row.secret in caller.roles", "row.secret in [caller.team, caller.missing, caller.id]", "(row.secret == caller.id || row.secret in caller.reports)"})
	at := &p.Rules[r.IntN(len(p.Rules))]
	switch r.IntN(3) {
	case 0:
		at.When = asked
	case 1:
		at.When = asked + " && " + at.When
	default:
		at.When += " || " + asked
	}
	return p
}

func attrs() map[string]any {
	return map[string]any{"team": "", "missing": "", "level": int64(0), "flag": false, "reports": []string(nil), "none": []string(nil), "path": "", "paths": []string(nil), "zone": ""}
}

// thingCallers have the attributes of attrs, except the one that is always missing.
func thingCallers() []rbac.Caller {
	a := map[string]any{"team": "ann", "level": int64(1<<53 + 1), "flag": true, "reports": []string{"ann", "é", "a%", ""}, "none": []string{}, "path": "/1/1", "paths": []string{"/2", "/%/"}, "zone": "Asia/Shanghai"}
	b := map[string]any{"team": "Ann", "level": int64(0), "reports": []string{"bob"}, "path": "", "paths": []string{"/1/12", ""}}
	return []rbac.Caller{{ID: "ann", Tenant: "t1", Attrs: a}, {ID: "Ann", Tenant: "t1", Attrs: a}, {ID: "ann", Tenant: "t2", Attrs: a}, {ID: "bob", Tenant: "t1", Attrs: b}, {ID: "nobody", Tenant: "t1"}}
}

func inContext(c rbac.Caller) context.Context {
	return context.WithValue(context.Background(), callerKey{}, c)
}

// whoAsks is the Config.Caller of these tests.
func whoAsks(ctx context.Context) (rbac.Caller, error) {
	c, _ := ctx.Value(callerKey{}).(rbac.Caller)
	return c, nil
}

// TestListEqualsCheck: the rows a scoped statement lists, counts, sums up, pages through, preloads, joins,
// updates and deletes are exactly those that Check allows, for random policies and hostile rows. The oracle is Check on each row as the database
// returns it, never a hand-written expectation.
func TestListEqualsCheck(t *testing.T) {
	policies := 40
	if testing.Short() {
		policies = 20
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		r := rand.New(rand.NewPCG(2026, 1))
		require.NoError(t, db.AutoMigrate(&Thing{}, &Loan{}, &Part{}))
		weight := map[string]int64{}
		for i := range 60 {
			row := hostileRow(r, i)
			require.NoError(t, db.Table("things").Create(row).Error)
			require.NoError(t, db.Omit("Thing").Create(&Part{ID: fmt.Sprint(i), ThingID: row["id"].(string)}).Error)
			weight[row["id"].(string)] = int64(i + 1)
		}
		for range 400 {
			require.NoError(t, db.Table("loans").Create(hostileLoan(r)).Error)
		}
		clock := time.Date(2026, 1, 1, 0, 0, 0, 7e8, time.UTC)
		store := rbac.NewMemory(randomPolicy(r))
		authz, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: store, Record: rbac.Discard, Attrs: attrs(),
			Index: &toyIndex{keys: []string{"old", "new"}}, Env: thingEnv, Shares: loans(), Resources: []rbac.Resource{{Model: &Thing{}, Tenant: "tenant_id"}}, Now: func() time.Time { return clock }})
		require.NoError(t, err)
		require.NoError(t, db.Use(authz))

		var all []Thing
		require.NoError(t, db.WithContext(rbac.System(t.Context(), "the oracle reads every row")).Find(&all).Error)
		require.Len(t, all, 60)
		things := &table{db: db.DB, model: &Thing{}}

		telling := 0
		for n := range policies {
			p := withSealed(r, randomPolicy(r))
			require.NoError(t, authz.Edit(t.Context(), func(old *rbac.Policy) error { *old = p; return nil }))
			for _, c := range thingCallers() {
				ctx := inContext(c)
				want := allowedIDs(t, authz, ctx, all)
				if len(want) > 0 && len(want) < len(all) {
					telling++
				}
				note := fmt.Sprintf("policy %d, caller %s/%s\n%s", n, c.Tenant, c.ID, describe(p))
				things.requireRows(t, ctx, want, weight, note)
				requireParts(t, db.DB, ctx, want, note)
			}
		}
		// A test whose oracle allows everything or nothing would pass with any filter.
		require.Greater(t, telling, policies/2, "too few decisions that tell rows apart")
	})
}

func describe(p rbac.Policy) string {
	var b strings.Builder
	for _, r := range p.Rules {
		fmt.Fprintf(&b, "%s %s %s: %s\n", r.ID, r.Role, r.Effect, r.When)
	}
	return b.String()
}

func allowedIDs(t *testing.T, a *rbac.Authorizer, ctx context.Context, rows []Thing) []string {
	ids := []string{}
	for i := range rows {
		switch err := a.Check(ctx, "read", &rows[i]); {
		case err == nil:
			ids = append(ids, rows[i].ID)
		case !errors.Is(err, rbac.ErrDenied):
			require.NoError(t, err)
		}
	}
	slices.Sort(ids)
	return ids
}

func listed(t *testing.T, db *gorm.DB, ctx context.Context) []string {
	ids := []string{}
	require.NoError(t, db.WithContext(ctx).Model(&Thing{}).Order("id").Pluck("id", &ids).Error)
	return ids
}

var errRollback = errors.New("roll back")

func systemContext(t *testing.T) context.Context { return rbac.System(t.Context(), "look") }
