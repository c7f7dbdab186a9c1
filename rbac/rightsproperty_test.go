package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// TestNarrowedListEqualsRights: for random rules, rights and hostile rows, Narrow lists exactly the readable
// rows on which ExplainRight says yes; and a statement that is let pass without it reaches no other row.
func TestNarrowedListEqualsRights(t *testing.T) {
	policies := 40
	if testing.Short() {
		policies = 10
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		r := rand.New(rand.NewPCG(2026, 5))
		require.NoError(t, db.AutoMigrate(&Thing{}, &Loan{}))
		for i := range 40 {
			require.NoError(t, db.Table("things").Create(hostileRow(r, i)).Error)
		}
		for range 200 {
			require.NoError(t, db.Table("loans").Create(hostileLoan(r)).Error)
		}
		clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		authz, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(rbac.Policy{}), Record: rbac.Discard, Attrs: attrs(), Env: thingEnv, Shares: loans(),
			Resources: []rbac.Resource{{Model: &Thing{}, Tenant: "tenant_id"}}, Now: func() time.Time { return clock }})
		require.NoError(t, err)
		require.NoError(t, db.Use(authz))
		var all []Thing
		require.NoError(t, db.WithContext(rbac.System(t.Context(), "the oracle reads every row")).Order("id").Find(&all).Error)

		telling, passed := 0, 0
		for n := range policies {
			p := randomPolicy(r)
			p.Fields = []rbac.FieldRule{{Role: rbac.Everyone, Resource: "thing", Field: "*", Level: masking.Full}}
			for range 1 + r.IntN(2) {
				f := rbac.FieldRule{Role: pick(r, []string{"low", "high", rbac.Everyone}), Resource: "thing", Field: "owner",
					Level: pick(r, []masking.Level{masking.Hidden, masking.Partial, masking.Full}), Rights: pick(r, []rbac.Right{0, rbac.Match, rbac.Sort | rbac.Match, rbac.ShowOnly})}
				switch r.IntN(3) {
				case 0: // of the shape of a rule for rows
					f.When = pick(r, p.Rules).When
				default:
					f.When = condition(r, r.IntN(3))
				}
				p.Fields = append(p.Fields, f)
			}
			require.NoError(t, authz.Edit(t.Context(), func(old *rbac.Policy) error { *old = p; return nil }))
			for _, c := range thingCallers() {
				ctx := inContext(c)
				note := fmt.Sprintf("policy %d, caller %s/%s\n%s%+v", n, c.Tenant, c.ID, describe(p), p.Fields)
				readable := allowedIDs(t, authz, ctx, all)
				for _, right := range []rbac.Right{rbac.Match, rbac.Sort} {
					want := withRight(t, authz, ctx, right, all, readable)
					require.Equal(t, want, listed(t, db.DB, rbac.Narrow(ctx, right, "thing.owner")), note)
					if len(want) > 0 && len(want) < len(readable) {
						telling++
					}
					got := []string{}
					use := map[rbac.Right]func(*gorm.DB) *gorm.DB{
						rbac.Match: func(db *gorm.DB) *gorm.DB { return db.Where("owner = ? OR 1 = 1", "x").Order("id") },
						rbac.Sort:  func(db *gorm.DB) *gorm.DB { return db.Order("owner").Order("id") },
					}[right]
					err := use(db.WithContext(ctx).Model(&Thing{})).Pluck("id", &got).Error
					if errors.Is(err, rbac.ErrRefused) {
						continue
					}
					require.NoError(t, err, note)
					require.ElementsMatch(t, want, got, "let pass over rows without the right\n%s", note)
					if len(got) > 0 {
						passed++
					}
				}
			}
		}
		require.Greater(t, telling, policies/10, "too few rules that tell rows apart")
		require.Greater(t, passed, policies/10, "too few uses that pass")
	})
}

// withRight returns the rows of ids on which the caller has the right on the owner.
func withRight(t *testing.T, a *rbac.Authorizer, ctx context.Context, right rbac.Right, rows []Thing, ids []string) []string {
	may := []string{}
	for i := range rows {
		x, err := a.ExplainRight(ctx, right, "owner", &rows[i])
		require.NoError(t, err)
		for _, id := range ids {
			if id == rows[i].ID && x.Allowed {
				may = append(may, id)
			}
		}
	}
	return may
}
