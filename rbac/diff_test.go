package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// fieldRules are random rules for two fields.
func fieldRules(r *rand.Rand) (list []rbac.FieldRule) {
	for range r.IntN(4) {
		list = append(list, rbac.FieldRule{Role: pick(r, []string{"low", "high", rbac.Everyone}), Resource: "thing", Field: pick(r, []string{"owner", "note", "*"}),
			Level: masking.Level(r.IntN(4)), Reveal: r.IntN(2) == 0, When: condition(r, r.IntN(2))})
	}
	return list
}

// TestDiffEqualsBruteForce: what Diff says is what asking Check and View about every row before and after
// comes to, for random pairs of policies and hostile rows.
func TestDiffEqualsBruteForce(t *testing.T) {
	pairs, things := 8, 60
	if testing.Short() {
		pairs, things = 3, 25
	}
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		pairs := pairs
		if db.Engine == testdb.MySQL {
			pairs = min(pairs, 4) // every answer about a share is a query, and MySQL's are slow
		}
		r := rand.New(rand.NewPCG(2026, 5))
		require.NoError(t, db.AutoMigrate(&Thing{}, &Loan{}))
		for i := range things {
			require.NoError(t, db.Table("things").Create(hostileRow(r, i)).Error)
		}
		for range 400 {
			require.NoError(t, db.Table("loans").Create(hostileLoan(r)).Error)
		}
		var all []Thing
		require.NoError(t, db.Order("id").Find(&all).Error)
		now := time.Date(2026, 1, 1, 0, 0, 0, 7e8, time.UTC)
		env := func(context.Context) (rbac.Env, error) { return rbac.Env{Assurance: 2, DeviceTrusted: yes()}, nil }
		open := func() *rbac.Authorizer {
			a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(rbac.Policy{}), Record: rbac.Discard, Attrs: attrs(), Env: env, Shares: loans(),
				Resources: []rbac.Resource{{Model: &Thing{}, Tenant: "tenant_id"}}, Now: func() time.Time { return now }})
			require.NoError(t, err)
			require.NoError(t, db.Reopen(t).Use(a))
			return a
		}
		old, next := open(), open()
		load := func(a *rbac.Authorizer, p rbac.Policy) {
			require.NoError(t, a.Edit(t.Context(), func(was *rbac.Policy) error { *was = p; return nil }))
		}
		gained, lost, levels := 0, 0, 0
		for range pairs {
			p, q := randomPolicy(r), randomPolicy(r)
			p.Fields, q.Fields = fieldRules(r), fieldRules(r)
			if r.IntN(2) == 0 {
				q.Rules = append(p.Rules[:len(p.Rules):len(p.Rules)], rbac.Rule{ID: "deny", Role: "low", Resource: "thing", Actions: []string{"read"}, When: condition(r, 1), Effect: rbac.Deny})
			}
			load(old, p)
			load(next, q)
			got, err := old.Diff(t.Context(), db.DB, q, rbac.DiffOptions{Callers: thingCallers(), IDs: 100})
			require.NoError(t, err)
			found := map[string]rbac.Difference{}
			for _, d := range got.Differences {
				found[d.Tenant+"/"+d.User+" "+d.Field+" "+d.What] = d
				gained, lost = gained+int(d.Gained), lost+int(d.Lost)
				require.EqualValues(t, d.Gained, len(d.GainedIDs))
				require.EqualValues(t, d.Lost, len(d.LostIDs))
			}
			for _, c := range thingCallers() {
				before, after := answers(t, old, inContext(c), all), answers(t, next, inContext(c), all)
				for what := range before {
					var want rbac.Difference
					for i := range all {
						if before[what][i] && !after[what][i] {
							want.LostIDs = append(want.LostIDs, all[i].ID)
						}
						if after[what][i] && !before[what][i] {
							want.GainedIDs = append(want.GainedIDs, all[i].ID)
						}
					}
					d := found[c.Tenant+"/"+c.ID+" "+what]
					note := fmt.Sprintf("%s/%s %s\n%s%+v\n--\n%s%+v", c.Tenant, c.ID, what, describe(p), p.Fields, describe(q), q.Fields)
					require.Equal(t, want.LostIDs, d.LostIDs, note)
					require.Equal(t, want.GainedIDs, d.GainedIDs, note)
					if what[0] != ' ' {
						levels += len(d.LostIDs)
					}
				}
			}
		}
		require.Greater(t, gained, pairs)
		require.Greater(t, lost, pairs)
		require.Greater(t, levels, 0)
	})
}

// answers asks about every row, one by one, for every action and every level of some fields.
func answers(t *testing.T, a *rbac.Authorizer, ctx context.Context, rows []Thing) map[string][]bool {
	said := map[string][]bool{}
	for i := range rows {
		for _, action := range []string{"read", "update", "delete"} {
			err := a.Check(ctx, action, &rows[i])
			require.True(t, err == nil || errors.Is(err, rbac.ErrDenied), err)
			said[" "+action] = append(said[" "+action], err == nil)
		}
		views, err := a.View(ctx, &rows[i])
		require.NoError(t, err)
		for _, field := range []string{"owner", "note", "level"} {
			for level := masking.Token; level <= masking.Full; level++ {
				said[field+" "+level.String()] = append(said[field+" "+level.String()], views[0].Level(field) >= level)
			}
		}
	}
	return said
}

func TestDiffOfTheCRM(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, _ := openCRM(t, db)
		next := crmPolicy()
		next.Assignments = append(next.Assignments[1:], rbac.Assignment{Tenant: "t1", User: "ted", Role: "view_hidden"}) // ann leaves
		next.Fields[1].Level, next.Fields[1].Reveal = masking.Full, false
		attributes := func(context.Context, rbac.Caller) (map[string]any, error) {
			return map[string]any{"reports": []string{"ann", "bob", "mia"}}, nil
		}
		d, err := a.Diff(t.Context(), db.DB, next, rbac.DiffOptions{Attrs: attributes, IDs: 1})
		require.NoError(t, err)
		require.Contains(t, d.English(), "t1/ann loses read of 2 customer rows: \"1\", ...\n")
		require.Contains(t, d.Chinese(), "t1/ann 失去对 2 行 customer 的 read 权限: \"1\", ...\n")
		require.Contains(t, d.English(), "t1/bob gains \"full\" of customer.phone on 1 rows: \"4\"\n")
		require.Contains(t, d.Chinese(), "t1/bob 在 1 行上失去 customer.phone 的 reveal 权限: \"4\"\n")
		require.NotContains(t, d.English(), "mia")
		require.NotContains(t, d.English(), "ted")
		for _, secret := range []string{"138", "@"} {
			require.NotContains(t, d.English()+d.Chinese(), secret)
		}
		require.Equal(t, 5, d.Callers)
		require.EqualValues(t, a.Version(), d.Version)

		none, err := a.Diff(t.Context(), db.DB, crmPolicy(), rbac.DiffOptions{})
		require.NoError(t, err)
		require.Equal(t, "No one of 5 callers gains or loses anything against version 1.\n", none.English())
		require.Equal(t, "与版本 1 相比，5 位用户的权限都没有变化。\n", none.Chinese())

		_, err = a.Diff(t.Context(), db.DB, next, rbac.DiffOptions{Most: 4})
		require.EqualError(t, err, "rbac: diff: 5 callers are more than 4: name those to compare in DiffOptions.Callers, or raise DiffOptions.Most")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = a.Diff(ctx, db.DB, next, rbac.DiffOptions{})
		require.ErrorIs(t, err, context.Canceled)
		next.Rules[0].When = "row.nope"
		_, err = a.Diff(t.Context(), db.DB, next, rbac.DiffOptions{})
		require.ErrorIs(t, err, rbac.ErrPolicy)
		require.EqualValues(t, 1, a.Version(), "nothing was saved")
	})
}
