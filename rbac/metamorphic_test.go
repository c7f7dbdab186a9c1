package rbac_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// world is a table of hostile rows under a policy that the test changes.
type world struct {
	t    *testing.T
	db   testdb.DB
	a    *rbac.Authorizer
	rows []Thing
	r    *rand.Rand
}

func newWorld(t *testing.T, db testdb.DB, seed uint64) *world {
	w := &world{t: t, db: db, r: rand.New(rand.NewPCG(2026, seed))}
	require.NoError(t, db.AutoMigrate(&Thing{}, &Loan{}))
	for i := range 40 {
		require.NoError(t, db.Table("things").Create(hostileRow(w.r, i)).Error)
	}
	for range 200 {
		require.NoError(t, db.Table("loans").Create(hostileLoan(w.r)).Error)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 7e8, time.UTC)
	var err error
	w.a, err = rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(rbac.Policy{}), Record: rbac.Discard, Attrs: attrs(), Env: thingEnv, Shares: loans(),
		Resources: []rbac.Resource{{Model: &Thing{}, Tenant: "tenant_id"}}, Now: func() time.Time { return now }})
	require.NoError(t, err)
	require.NoError(t, db.Use(w.a))
	require.NoError(t, db.WithContext(systemContext(t)).Find(&w.rows).Error)
	return w
}

// under returns the rows that each caller sees under a policy, by Check and by list alike, and what of the
// owner is shown of them.
func (w *world) under(p rbac.Policy) map[string][]string {
	require.NoError(w.t, w.a.Edit(w.t.Context(), func(old *rbac.Policy) error { *old = p; return nil }), describe(p))
	seen := map[string][]string{}
	for _, c := range thingCallers() {
		ctx := inContext(c)
		want := allowedIDs(w.t, w.a, ctx, w.rows)
		require.Equal(w.t, want, listed(w.t, w.db.DB, ctx), describe(p))
		seen[c.Tenant+"/"+c.ID] = want
	}
	return seen
}

func (w *world) shown(ctx context.Context) string {
	views, err := w.a.View(ctx, w.rows)
	require.NoError(w.t, err)
	var b strings.Builder
	for i := range views {
		fmt.Fprintln(&b, views[i].Text("owner"), views[i].Text("level"))
	}
	return b.String()
}

func (w *world) rule(id string, effect rbac.Effect) rbac.Rule {
	return rbac.Rule{ID: id, Role: pick(w.r, []string{"low", "high", "other", rbac.Everyone}), Resource: "thing", Effect: effect, Actions: []string{"read"}, When: condition(w.r, w.r.IntN(3))}
}

func insert[T any](r *rand.Rand, list []T, x T) []T {
	return slices.Insert(slices.Clone(list), r.IntN(len(list)+1), x)
}

// TestMetamorphic: what must hold between two policies, whatever they say. More deny is never more, fewer
// allows are never more, more allows never fewer; order, double negation, a rule for nobody and a reload change
// nothing.
func TestMetamorphic(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		w := newWorld(t, db, 21)
		narrowed, widened := 0, 0
		for n := range rounds(db) {
			p := randomPolicy(w.r)
			before := w.under(p)
			each := func(name string, q rbac.Policy, holds func(before, after []string) bool) {
				for who, after := range w.under(q) {
					require.True(t, holds(before[who], after), "%s, round %d, %s\n%s", name, n, who, describe(q))
					narrowed += max(0, len(before[who])-len(after))
					widened += max(0, len(after)-len(before[who]))
				}
			}
			with := func(change func(q *rbac.Policy)) rbac.Policy {
				q := p
				q.Rules, q.Roles, q.Assignments = slices.Clone(p.Rules), slices.Clone(p.Roles), slices.Clone(p.Assignments)
				change(&q)
				return q
			}
			same := func(a, b []string) bool { return slices.Equal(a, b) }
			each("a deny never widens", with(func(q *rbac.Policy) { q.Rules = insert(w.r, q.Rules, w.rule("more", rbac.Deny)) }), func(a, b []string) bool { return subset(b, a) })
			each("an allow never narrows", with(func(q *rbac.Policy) { q.Rules = insert(w.r, q.Rules, w.rule("more", rbac.Allow)) }), subset)
			each("without an allow it is never more", with(func(q *rbac.Policy) {
				q.Rules = slices.DeleteFunc(q.Rules, func(x rbac.Rule) bool { return x.Effect != rbac.Deny && w.r.IntN(2) == 0 })
			}), func(a, b []string) bool { return subset(b, a) })
			each("without a deny it is never less", with(func(q *rbac.Policy) {
				q.Rules = slices.DeleteFunc(q.Rules, func(x rbac.Rule) bool { return x.Effect == rbac.Deny })
			}), subset)
			each("order means nothing", with(func(q *rbac.Policy) {
				w.r.Shuffle(len(q.Rules), func(i, j int) { q.Rules[i], q.Rules[j] = q.Rules[j], q.Rules[i] })
				slices.Reverse(q.Roles)
				slices.Reverse(q.Assignments)
			}), same)
			each("not not", with(func(q *rbac.Policy) {
				for i := range q.Rules {
					q.Rules[i].When = "!(!(" + q.Rules[i].When + "))"
				}
			}), same)
			each("other ids", with(func(q *rbac.Policy) {
				for i := range q.Rules {
					q.Rules[i].ID = fmt.Sprint("z", 9-i)
				}
			}), same)
			each("a deny that never holds", with(func(q *rbac.Policy) {
				never := w.rule("never", rbac.Deny)
				never.When = "(" + never.When + ") && false"
				q.Rules = insert(w.r, q.Rules, never)
			}), same)
			each("a rule for another action", with(func(q *rbac.Policy) {
				other := w.rule("other", rbac.Deny)
				other.Actions, other.When = []string{"export"}, ""
				q.Rules = insert(w.r, q.Rules, other)
			}), same)
		}
		require.Positive(t, narrowed, "nothing ever became less: the test shows nothing")
		require.Positive(t, widened, "nothing ever became more: the test shows nothing")
	})
}

// rounds are more where they are quick.
func rounds(db testdb.DB) int {
	if db.Engine == testdb.SQLite && !testing.Short() {
		return 10
	}
	return 4
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

// TestTenantsDoNotInfluenceEachOther: whatever is assigned in one tenant, and whichever rows and shares it
// has, callers of another one see the same rows and the same of them.
func TestTenantsDoNotInfluenceEachOther(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		w := newWorld(t, db, 22)
		caller := rbac.Caller{ID: "ann", Tenant: "t1", Attrs: thingCallers()[0].Attrs}
		ctx := inContext(caller)
		theirs := 0
		var foreign []string
		for _, row := range w.rows {
			if row.TenantID != "t1" {
				foreign = append(foreign, row.ID)
			}
		}
		require.NotEmpty(t, foreign)
		for n := range rounds(db) {
			p := randomPolicy(w.r)
			p.Fields = append(p.Fields, rbac.FieldRule{Role: "high", Resource: "thing", Field: "owner", Level: masking.Full, Reveal: true})
			before, shown := w.under(p)["t1/ann"], w.shown(ctx)
			for _, tenant := range []string{"t2", "T1", "t1 ", ""} {
				for _, role := range []string{"low", "high", "other"} {
					p.Assignments = insert(w.r, p.Assignments, rbac.Assignment{Tenant: tenant, User: pick(w.r, []string{"ann", "bob", "t1", "ann/t1"}), Role: role})
				}
			}
			after := w.under(p)
			require.Equal(t, before, after["t1/ann"], "round %d\n%s", n, describe(p))
			require.Equal(t, shown, w.shown(ctx))
			theirs += len(after["t2/ann"])

			// Rows and shares of the others change nothing either.
			require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
				all := tx.WithContext(systemContext(t))
				require.NoError(t, all.Table("things").Where("id IN ?", foreign).Updates(map[string]any{"owner": "ann", "flag": true}).Error)
				require.NoError(t, all.Table("loans").Create(map[string]any{"tenant_id": "t2", "kind": "user", "thing": w.rows[n].ID, "what": "thing", "whom": "ann", "allows": "read"}).Error)
				require.Equal(t, before, listed(t, tx, ctx))
				return errRollback
			}), errRollback)
		}
		require.Positive(t, theirs)
	})
}
