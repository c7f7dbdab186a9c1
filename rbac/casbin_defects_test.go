package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/gormpolicy"
)

// Wipe is what a policy must not be able to call.
func (d *Doc) Wipe() bool { d.Owner = ""; return true }

// TestCasbinDefectsOfConditions: texts that run code, crash the process or are taken for something else.
func TestCasbinDefectsOfConditions(t *testing.T) {
	a := docs(t, when("row.owner == caller.id"))
	refused := func(t *testing.T, when string) {
		p := rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}, When: when}}}
		require.ErrorIs(t, a.Validate(p), rbac.ErrPolicy)
	}
	t.Run("9: a policy cannot call methods", func(t *testing.T) {
		for _, when := range []string{"row.Wipe()", "row.wipe()", "row.Wipe() || true", "Wipe(row)", "row.owner.Wipe()", "row.Wipe", "caller.Wipe()"} {
			refused(t, when)
		}
		row := Doc{Owner: "u"}
		require.True(t, reads(a, "u", "", row))
		require.Equal(t, "u", row.Owner)
	})
	t.Run("10: a policy cannot evaluate itself", func(t *testing.T) {
		for _, when := range []string{"eval(p.sub_rule)", "eval(row.owner)", `eval("true")`, "p.sub_rule", "m", "r.sub == 'u'"} {
			refused(t, when)
		}
	})
	t.Run("11: deep nesting is refused before it is parsed", func(t *testing.T) {
		for _, n := range []int{100, 2000, 200_000} {
			refused(t, strings.Repeat("(", n)+"true"+strings.Repeat(")", n))
			refused(t, strings.Repeat("!", n)+"row.owner")
			refused(t, strings.Repeat("[", n)+strings.Repeat("]", n))
			refused(t, strings.Repeat("(", n))
		}
	})
	t.Run("16: an effect that is not exactly allow or deny is refused", func(t *testing.T) {
		for _, effect := range []rbac.Effect{"Deny", "DENY", "deny ", " deny", "forbid", "Allow", "ALLOW", "true", "0"} {
			p := rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}, Effect: effect}}}
			require.ErrorIs(t, a.Validate(p), rbac.ErrPolicy, effect)
		}
	})
	t.Run("27: a decision compiles nothing", func(t *testing.T) {
		var conds []string
		for i := range 1000 {
			conds = append(conds, fmt.Sprintf("row.owner == caller.id && row.code == 'c%d'", i))
		}
		many := docs(t, when(conds...))
		ctx, row := inContext(rbac.Caller{ID: "u"}), &Doc{Owner: "u", Code: "c999"}
		require.NoError(t, many.Check(ctx, "read", row))
		require.Zero(t, testing.AllocsPerRun(20, func() {
			if many.Check(ctx, "read", row) != nil {
				t.Error("denied")
			}
		}))
	})
}

// TestCasbinDefectsOfTime: grants that end.
func TestCasbinDefectsOfTime(t *testing.T) {
	t.Run("17: an expired grant stays expired, whatever is loaded again", func(t *testing.T) {
		c := &clock{t: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		p := rbac.Policy{Rules: []rbac.Rule{{ID: "temporary", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}, When: `now < timestamp("2026-01-01T09:00:00+08:00")`}}}
		open := func(store rbac.PolicyStore) *rbac.Authorizer {
			a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: store, Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Doc{}}}, Attrs: map[string]any{"no": int64(0)}, Now: c.now})
			require.NoError(t, err)
			return a
		}
		store := rbac.NewMemory(p)
		a := open(store)
		require.True(t, reads(a, "u", "", Doc{}))
		c.add(time.Hour - time.Second)
		require.True(t, reads(a, "u", "", Doc{}))
		c.add(time.Second)
		require.False(t, reads(a, "u", "", Doc{}))
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error { p.Roles = append(p.Roles, rbac.Role{Name: "r"}); return nil }))
		require.NoError(t, a.Reload(t.Context()))
		require.False(t, reads(a, "u", "", Doc{}))
		require.False(t, reads(open(store), "u", "", Doc{}), "a new process")
	})
}

// TestCasbinDefectsOfStores: policies that are lost, kept or half written.
func TestCasbinDefectsOfStores(t *testing.T) {
	ann := rbac.Assignment{Tenant: "t1", User: "ann", Role: "sales"}
	row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		store, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		cfg := crmConfig(&journal{})
		cfg.Policies = store
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		full := func(p *rbac.Policy) error { v := p.Version; *p = crmPolicy(); p.Version = v; return nil }
		require.NoError(t, a.Edit(as("root"), full))
		revoke := func(p *rbac.Policy) error {
			p.Assignments = slices.DeleteFunc(p.Assignments, func(x rbac.Assignment) bool { return x == ann })
			return nil
		}
		unchanged := func(t *testing.T) {
			require.NoError(t, a.Reload(t.Context()))
			require.EqualValues(t, 1, a.Version())
			require.NoError(t, a.Check(as("ann"), "read", &row))
			p, err := store.Load(t.Context())
			require.NoError(t, err)
			require.Len(t, p.Rules, len(crmPolicy().Rules))
			require.Len(t, p.Assignments, len(crmPolicy().Assignments))
		}
		t.Run("20: what rolls back was never in force", func(t *testing.T) {
			require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, a.Edit(rbac.WithTx(as("root"), tx), func(p *rbac.Policy) error {
					p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: "t1", User: "mallory", Role: "manager"})
					return nil
				}))
				require.ErrorIs(t, a.Check(as("mallory"), "read", &row), rbac.ErrDenied)
				return errRollback
			}), errRollback)
			require.ErrorIs(t, a.Check(as("mallory"), "read", &row), rbac.ErrDenied)
			unchanged(t)
		})
		t.Run("21: an error inside a nested transaction is the caller's", func(t *testing.T) {
			err := db.Transaction(func(tx *gorm.DB) error {
				return tx.Transaction(func(inner *gorm.DB) error {
					return a.Edit(rbac.WithTx(as("root"), inner), func(p *rbac.Policy) error { p.Rules[0].When = "row.nope"; return nil })
				})
			})
			require.ErrorIs(t, err, rbac.ErrPolicy)
			unchanged(t)
		})
		t.Run("22: a save that fails half way changes nothing", func(t *testing.T) {
			boom := errors.New("the disk is full")
			for _, at := range []string{"confide_policy_roles", "confide_policy_rules", "confide_policy_fields", "confide_policy_assignments"} {
				hit := false
				fail := func(db *gorm.DB) {
					if db.Statement.Table == at {
						hit = true
						_ = db.AddError(boom)
					}
				}
				require.NoError(t, db.Callback().Create().Before("gorm:create").Register("boom", fail))
				err := a.Edit(as("root"), func(p *rbac.Policy) error {
					p.Roles = append(p.Roles, rbac.Role{Name: "new"})
					p.Rules = append(p.Rules[1:], rbac.Rule{ID: "new", Role: "new", Resource: "customer", Actions: []string{"read"}})
					p.Fields = append(p.Fields[1:], rbac.FieldRule{Role: "new", Resource: "customer", Field: "name", Level: masking.Full})
					p.Assignments = append(p.Assignments[1:], rbac.Assignment{Tenant: "t1", User: "new", Role: "new"})
					return nil
				})
				require.NoError(t, db.Callback().Create().Remove("boom"))
				require.True(t, hit, at)
				require.ErrorIs(t, err, boom)
				unchanged(t)
			}
		})
		t.Run("29: no change is lost among others", func(t *testing.T) {
			other, err := rbac.Open(t.Context(), cfg)
			require.NoError(t, err)
			var wg sync.WaitGroup
			for i := range 8 {
				on := []*rbac.Authorizer{a, other}[i%2]
				wg.Go(func() {
					add := func(p *rbac.Policy) error {
						p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: "t1", User: fmt.Sprint("new", i), Role: "sales"})
						return nil
					}
					for {
						err := on.Edit(as("root"), add)
						if err == nil {
							return
						}
						if !errors.Is(err, rbac.ErrConflict) {
							t.Errorf("Edit: %v", err)
							return
						}
					}
				})
			}
			wg.Wait()
			for _, each := range []*rbac.Authorizer{a, other} {
				require.NoError(t, each.Reload(t.Context()))
				for i := range 8 {
					require.NoError(t, each.Check(as(fmt.Sprint("new", i)), "read", &Customer{TenantID: "t1", OwnerID: fmt.Sprint("new", i)}))
				}
			}
			require.NoError(t, a.Edit(as("root"), revoke))
			require.ErrorIs(t, a.Check(as("ann"), "read", &row), rbac.ErrDenied)
		})
	})
}

// TestCasbinDefectsOfTheAPI: switches that open everything, and methods that are not safe together.
func TestCasbinDefectsOfTheAPI(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	a, _, _ := openCRM(t, db)
	row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann"}
	t.Run("26: nothing switches decisions off, and malformed questions are errors", func(t *testing.T) {
		for m := range reflect.TypeOf(a).Methods() {
			require.NotRegexp(t, regexp.MustCompile(`(?i)enable|disable|^set|skip|clear|ignore`), m.Name)
		}
		var nobody *Customer
		for _, x := range []struct {
			action string
			row    any
		}{{"read", nil}, {"read", nobody}, {"read", "1"}, {"read", []Customer{row}}, {"read", map[string]any{"id": "1"}}, {"", &row}, {"*", &row}, {"READ", &row}, {"read ", &row}, {"read,update", &row}, {"no such", &row}} {
			require.Error(t, a.Check(as("ann"), x.action, x.row), "%q %T", x.action, x.row)
		}
		require.NoError(t, a.Check(as("ann"), "read", &row))
	})
	t.Run("28: all methods may be called at once", func(t *testing.T) {
		calls := map[string]func(ctx context.Context) error{
			"Check":        func(ctx context.Context) error { return a.Check(ctx, "read", &row) },
			"Explain":      func(ctx context.Context) error { _, err := a.Explain(ctx, "read", &row); return err },
			"ExplainRight": func(ctx context.Context) error { _, err := a.ExplainRight(ctx, rbac.Match, "phone", &row); return err },
			"View":         func(ctx context.Context) error { _, err := a.View(ctx, &row); return err },
			"MayReveal":    func(ctx context.Context) error { return a.MayReveal(ctx, "customer", []string{"1"}, []string{"phone"}) },
			"RolesOf":      func(ctx context.Context) error { _, err := a.RolesOf(ctx); return err },
			"Tables": func(context.Context) error {
				return errors.Join(nil, map[bool]error{true: errors.New("none")}[len(a.Tables()) == 0])
			},
			"Version":   func(context.Context) error { return map[bool]error{true: errors.New("none")}[a.Version() == 0] },
			"Validate":  func(context.Context) error { return a.Validate(crmPolicy()) },
			"Reload":    a.Reload,
			"MustCover": func(ctx context.Context) error { return a.MustCover(ctx, db.DB) },
			"Diff": func(ctx context.Context) error {
				_, err := a.Diff(ctx, db.DB, crmPolicy(), rbac.DiffOptions{Callers: []rbac.Caller{{ID: "ann", Tenant: "t1"}}})
				return err
			},
			"Edit": func(ctx context.Context) error {
				if err := a.Edit(ctx, func(*rbac.Policy) error { return nil }); !errors.Is(err, rbac.ErrConflict) {
					return err
				}
				return nil
			},
			"Name": func(context.Context) error { return map[bool]error{true: errors.New("none")}[a.Name() == ""] },
		}
		alone := []string{"Initialize", "Rollback", "Watch"} // once, Edit, Reload in a loop
		for m := range reflect.TypeOf(a).Methods() {
			require.True(t, calls[m.Name] != nil || slices.Contains(alone, m.Name), "say whether %s may be called at once with others", m.Name)
		}
		var wg sync.WaitGroup
		for name, call := range calls {
			wg.Go(func() {
				for range 10 {
					if err := call(as("ann")); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
		wg.Wait()
	})
}
