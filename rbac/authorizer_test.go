package rbac_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

func TestOpenRefuses(t *testing.T) {
	ok := crmConfig(&journal{})
	for want, change := range map[string]func(*rbac.Config){
		"rbac: Config.Caller is missing: it must return who is signed in":                       func(c *rbac.Config) { c.Caller = nil },
		"rbac: Config.Policies is missing: use rbac.NewMemory or gormpolicy.Open":               func(c *rbac.Config) { c.Policies = nil },
		"rbac: Config.Record is missing: pass the audit log, or rbac.Discard":                   func(c *rbac.Config) { c.Record = nil },
		"rbac: Config.Resources is empty: nothing would be guarded":                             func(c *rbac.Config) { c.Resources = nil },
		`rbac: Config.Attrs: "x" is a int; use a string, int64, bool or []string`:               func(c *rbac.Config) { c.Attrs = map[string]any{"x": 1} },
		`rbac: Config.Attrs: "roles" must be a lower-case word other than id, tenant and roles`: func(c *rbac.Config) { c.Attrs = map[string]any{"roles": ""} },
		`rbac: Config.Attrs: "X" must be a lower-case word other than id, tenant and roles`:     func(c *rbac.Config) { c.Attrs = map[string]any{"X": ""} },
		"rbac: a resource without a model: set Resource.Model to a pointer to the GORM model":   func(c *rbac.Config) { c.Resources = []rbac.Resource{{}} },
		`rbac: resource customer: the tenant column "tenant" must be a string column of *rbac_test.Customer`: func(c *rbac.Config) {
			c.Resources = []rbac.Resource{{Model: &Customer{}, Tenant: "tenant"}}
		},
		`rbac: resource "customer" (table customers): name and table must be new, the name a lower-case word; set Resource.Name`: func(c *rbac.Config) {
			c.Resources = append(c.Resources, rbac.Resource{Model: &Customer{}})
		},
		`rbac: resource "Kunde" (table customers): name and table must be new, the name a lower-case word; set Resource.Name`: func(c *rbac.Config) {
			c.Resources = []rbac.Resource{{Model: &Customer{}, Name: "Kunde"}}
		},
		`rbac: policy refused: rule "own-customers": the resource "customer" is unknown: add it to Config.Resources`: func(c *rbac.Config) {
			c.Resources = []rbac.Resource{{Model: &Invoice{}}}
		},
	} {
		cfg := ok
		change(&cfg)
		_, err := rbac.Open(t.Context(), cfg)
		require.EqualError(t, err, want)
	}
}

type badMask struct {
	ID   string
	Name string `mask:"nope"`
}

func TestUnknownMaskTagIsAnError(t *testing.T) {
	cfg := crmConfig(&journal{})
	cfg.Resources = []rbac.Resource{{Model: &badMask{}}}
	_, err := rbac.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "rbac: resource bad_mask: field Name: ")
}

// failing is a store whose parts can be made to fail.
type failing struct {
	*rbac.Memory
	version, load error
}

func (f *failing) Version(ctx context.Context) (int64, error) {
	if f.version != nil {
		return 0, f.version
	}
	return f.Memory.Version(ctx)
}

func (f *failing) Load(ctx context.Context) (rbac.Policy, error) {
	if f.load != nil {
		return rbac.Policy{}, f.load
	}
	return f.Memory.Load(ctx)
}

// A store that fails, or holds what is refused, leaves the policy that was in force in force.
func TestReloadKeepsThePolicyAfterAnError(t *testing.T) {
	cfg := crmConfig(&journal{})
	store := &failing{Memory: rbac.NewMemory(crmPolicy())}
	cfg.Policies = store
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	boom := errors.New("store is down")
	store.version = boom
	require.EqualError(t, a.Reload(t.Context()), "rbac: policy version: store is down")
	store.version = nil
	p := crmPolicy()
	p.Version = 1
	p.Rules[0].When = "row.nope"
	_, err = store.Save(t.Context(), p)
	require.NoError(t, err)
	require.ErrorIs(t, a.Reload(t.Context()), rbac.ErrPolicy)
	store.load = boom
	require.EqualError(t, a.Reload(t.Context()), "rbac: load policy: store is down")
	require.EqualError(t, a.Edit(t.Context(), func(*rbac.Policy) error { return nil }), "rbac: load policy: store is down")
	require.EqualValues(t, 1, a.Version())
	require.NoError(t, a.Check(as("ann"), "read", &Customer{TenantID: "t1", OwnerID: "ann"}))
}

func TestEdit(t *testing.T) {
	cfg := crmConfig(&journal{})
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	no := errors.New("changed my mind")
	require.ErrorIs(t, a.Edit(t.Context(), func(*rbac.Policy) error { return no }), no)
	require.NoError(t, a.Check(as("ann"), "read", &Customer{TenantID: "t1", OwnerID: "ann"}))
	require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
		p.Assignments = p.Assignments[1:]
		p.Version = 99 // not the editor's to set
		return nil
	}))
	require.EqualValues(t, 2, a.Version())
	err = a.Check(as("ann"), "read", &Customer{TenantID: "t1", OwnerID: "ann"})
	require.EqualError(t, err, "rbac: read of customer denied: no rule allows it (policy version 2)")
	// Two editors of one version: the second is told.
	err = a.Edit(t.Context(), func(p *rbac.Policy) error {
		return a.Edit(t.Context(), func(*rbac.Policy) error { return nil })
	})
	require.ErrorIs(t, err, rbac.ErrConflict)
	require.EqualError(t, err, "rbac: policy changed meanwhile: version 2 is no longer current")
}

func TestNobodyIsAnError(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, free, _ := openCRM(t, db)
		var rows []Customer
		for _, err := range []error{
			db.Find(&rows).Error, db.First(&rows).Error, db.Create(&Customer{ID: "n"}).Error, db.Save(&Customer{ID: "1"}).Error,
			db.Model(&Customer{ID: "1"}).Update("name", "x").Error, db.Delete(&Customer{ID: "1"}).Error, db.Table("customers").Find(&[]map[string]any{}).Error,
			a.Check(t.Context(), "read", &Customer{}), a.MayReveal(t.Context(), "customer", []string{"1"}, []string{"name"}),
		} {
			require.ErrorIs(t, err, rbac.ErrNoCaller)
		}
		require.EqualError(t, db.Find(&rows).Error, "rbac: no caller in the context: pass a context that carries a signed-in caller, or rbac.System (table customers)")
		_, err := a.View(t.Context(), &Customer{})
		require.ErrorIs(t, err, rbac.ErrNoCaller)
		_, err = a.Explain(t.Context(), "read", &Customer{})
		require.ErrorIs(t, err, rbac.ErrNoCaller)
		_, err = a.RolesOf(t.Context())
		require.ErrorIs(t, err, rbac.ErrNoCaller)
		var n int64
		require.ErrorIs(t, db.Model(&Customer{}).Row().Scan(&n), rbac.ErrNoCaller, "Row must not panic")
		require.NoError(t, db.Create(&Note{ID: "free", CustomerID: "1"}).Error, "open tables need no caller")
		require.NoError(t, free.Model(&Customer{}).Where("name <> ''").Count(&n).Error)
		require.EqualValues(t, 5, n)
	})
}

func TestCallerErrors(t *testing.T) {
	cfg := crmConfig(&journal{})
	down := errors.New("session store is down")
	cfg.Caller = func(context.Context) (rbac.Caller, error) { return rbac.Caller{ID: "ann"}, down }
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	err = a.Check(t.Context(), "read", &Customer{})
	require.ErrorIs(t, err, rbac.ErrNoCaller)
	require.ErrorIs(t, err, down)

	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, _ := openCRM(t, db)
		wrong := inContext(rbac.Caller{ID: "mia", Tenant: "t1", Attrs: map[string]any{"reports": "ann"}})
		const want = `rbac: caller attribute "reports" is a string but declared as []string in Config.Attrs`
		require.EqualError(t, a.Check(wrong, "read", &Customer{TenantID: "t1", OwnerID: "ann"}), want)
		require.EqualError(t, db.WithContext(wrong).Find(&[]Customer{}).Error, want)
		_, err := a.Explain(wrong, "read", &Customer{TenantID: "t1", OwnerID: "ann"})
		require.EqualError(t, err, want)
		_, err = a.View(wrong, &Customer{TenantID: "t1", OwnerID: "ann"})
		require.EqualError(t, err, want)
		long := inContext(rbac.Caller{ID: "mia", Tenant: "t1", Attrs: map[string]any{"reports": make([]string, 5001)}})
		require.EqualError(t, db.WithContext(long).Find(&[]Customer{}).Error, "rbac: a list of the caller has 5001 entries; more than 5000 need a column on the row instead")
		missing := inContext(rbac.Caller{ID: "mia", Tenant: "t1"})
		require.ErrorIs(t, a.Check(missing, "read", &Customer{TenantID: "t1", OwnerID: "ann"}), rbac.ErrDenied)
	})
}

func TestCheckRefusesWhatItDoesNotKnow(t *testing.T) {
	a, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	require.EqualError(t, a.Check(as("ann"), "read", &Note{}), "rbac: rbac_test.Note is not a registered model: add it to Config.Resources")
	require.EqualError(t, a.Check(as("ann"), "read", "x"), "rbac: string is not a row: pass a registered model or a pointer to one")
	require.EqualError(t, a.Check(as("ann"), "read", nil), "rbac: <nil> is not a row: pass a registered model or a pointer to one")
	require.EqualError(t, a.Check(as("ann"), "read", (*Customer)(nil)), "rbac: *rbac_test.Customer is not a row: pass a registered model or a pointer to one")
	require.NoError(t, a.Check(as("ann"), "read", Customer{TenantID: "t1", OwnerID: "ann"}), "a value will do")
	require.ErrorIs(t, a.Check(as("ann"), "READ", Customer{TenantID: "t1", OwnerID: "ann"}), rbac.ErrDenied)
}

func TestDenialsAreRecorded(t *testing.T) {
	j := &journal{}
	a, err := rbac.Open(t.Context(), crmConfig(j))
	require.NoError(t, err)
	err = a.Check(as("ann"), "update", &Customer{ID: "3", TenantID: "t1", OwnerID: "ann", Hidden: true})
	var denied *rbac.Denied
	require.ErrorAs(t, err, &denied)
	require.Equal(t, rbac.Denied{Action: "update", Resource: "customer", Rule: "hidden-customers", Version: 1}, *denied)
	require.EqualError(t, err, `rbac: update of customer denied: rule "hidden-customers" forbids it (policy version 1)`)
	require.Equal(t, []string{"customer.update"}, j.actions)
	require.Equal(t, map[string]string{"resource": "customer", "result": "denied", "row": "3", "rule": "hidden-customers"}, j.attrs[0])
	j.fail = errors.New("log is full")
	err = a.Check(as("ann"), "update", &Customer{ID: "3", TenantID: "t1"})
	require.ErrorIs(t, err, rbac.ErrDenied)
	require.ErrorContains(t, err, "rbac: the refusal could not be recorded: log is full")
}

func TestSystemIsRecordedOrRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		_, _, j := openCRM(t, db)
		ctx := rbac.System(t.Context(), "nightly import")
		sys := db.WithContext(ctx)
		var rows []Customer
		for range 3 {
			require.NoError(t, sys.Find(&rows).Error)
		}
		require.Len(t, rows, 5)
		require.NoError(t, sys.Exec("UPDATE customers SET name = name").Error)
		var notes []Note
		require.NoError(t, sys.Find(&notes).Error)
		require.Equal(t, []string{"rbac.system", "rbac.system"}, j.actions, "once for each operation, not for each statement, and not for open tables")
		require.Equal(t, map[string]string{"resource": "customer", "operation": "query", "purpose": "nightly import", "result": "ok"}, j.attrs[0])
		require.Equal(t, "raw", j.attrs[1]["operation"])

		// A statement built under a caller and reused by System is not scoped, and the other way round.
		base := db.WithContext(as("ann")).Where("1 = 1")
		require.NoError(t, base.Find(&rows).Error)
		require.Len(t, rows, 2)
		require.NoError(t, base.WithContext(ctx).Find(&rows).Error)
		require.Len(t, rows, 5)
		require.NoError(t, sys.Where("1 = 1").WithContext(as("bob")).Find(&rows).Error)
		require.Len(t, rows, 1)

		err := db.WithContext(rbac.System(t.Context(), " ")).Find(&rows).Error
		require.ErrorIs(t, err, rbac.ErrRefused)
		require.ErrorContains(t, err, "rbac.System needs a reason: it is what the log will say")
		j.fail = errors.New("log is full")
		err = db.WithContext(rbac.System(t.Context(), "job")).Find(&rows).Error
		require.EqualError(t, err, "rbac: the use of System on customer could not be recorded, so it is refused: log is full")
	})
}

func TestMustCover(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		fillCRM(t, db.DB)
		require.NoError(t, db.Exec("CREATE TABLE leads (id INT)").Error)
		require.NoError(t, db.Exec("CREATE TABLE confide_x (id INT)").Error)
		cfg := crmConfig(&journal{})
		cfg.Unguarded = nil
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.EqualError(t, a.MustCover(t.Context(), db.DB), "rbac: the guard is not installed: call db.Use(authorizer)")
		require.NoError(t, db.Use(a))
		require.EqualError(t, a.MustCover(t.Context(), db.DB), "rbac: nobody guards leads, notes: add each to Config.Resources, or to Config.Unguarded if everybody may read and change it")
	})
}

func TestInitializeRefuses(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	a, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	require.NoError(t, db.Use(a))
	other := testdb.New(t, testdb.SQLite)
	require.EqualError(t, other.Use(a), "rbac: this Authorizer guards another database: open one for each")

	b, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	other.ClauseBuilders["WHERE"] = func(clause.Clause, clause.Builder) {}
	require.EqualError(t, other.Use(b), "rbac: another plugin builds WHERE clauses; the guard cannot be put around them")

	prefixed, err := gorm.Open(testdb.Dialector(testdb.SQLite, other.DSN), &gorm.Config{NamingStrategy: schema.NamingStrategy{TablePrefix: "x_"}})
	require.NoError(t, err)
	pool, err := prefixed.DB()
	require.NoError(t, err)
	t.Cleanup(func() { pool.Close() })
	c, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	require.ErrorContains(t, prefixed.Use(c), "is named differently in this database: set Config.Naming to its NamingStrategy")
	cfg := crmConfig(&journal{})
	cfg.Naming = prefixed.NamingStrategy
	d, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, prefixed.Use(d))
	require.ErrorIs(t, prefixed.Find(&[]Customer{}).Error, rbac.ErrNoCaller)
}

func TestExplain(t *testing.T) {
	a, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	explain := func(who, action string, row any) rbac.Explanation {
		x, err := a.Explain(as(who), action, row)
		require.NoError(t, err)
		require.Equal(t, x.Allowed, a.Check(as(who), action, row) == nil)
		return x
	}
	x := explain("ann", "read", &Customer{TenantID: "t1", OwnerID: "ann"})
	require.Equal(t, "own-customers", x.Rule)
	require.Equal(t, `ann (roles: sales) may read this customer: rule "own-customers" allows it where row.owner_id == caller.id (policy version 1).`, x.English)
	require.Equal(t, `ann（角色：sales）可以对该 customer 执行 read：规则“own-customers”在满足 row.owner_id == caller.id 时允许（策略版本 1）。`, x.Chinese)

	x = explain("ann", "read", &Customer{TenantID: "t1", OwnerID: "ann", Hidden: true})
	require.Equal(t, "hidden-customers", x.Rule)
	require.Contains(t, x.English, `may not read this customer: rule "hidden-customers" forbids it where row.hidden == true`)
	require.Contains(t, x.Chinese, `不可以对该 customer 执行 read：规则“hidden-customers”在满足 row.hidden == true`)

	x = explain("ann", "read", &Customer{TenantID: "t1", OwnerID: "bob"})
	require.Empty(t, x.Rule)
	require.Equal(t, []rbac.NearMiss{{Rule: "own-customers", Failed: []string{"row.owner_id == caller.id"}}, {Rule: "team-customers", Role: "manager"}}, x.Near)
	require.Equal(t, `ann (roles: sales) may not read this customer: no rule allows it; rule "own-customers" does not hold: row.owner_id == caller.id; rule "team-customers" would allow it to the role manager (policy version 1).`, x.English)
	require.Equal(t, `ann（角色：sales）不可以对该 customer 执行 read：没有规则允许；规则“own-customers”不满足：row.owner_id == caller.id；规则“team-customers”允许角色 manager（策略版本 1）。`, x.Chinese)

	x = explain("ted", "read", &Customer{TenantID: "t1", OwnerID: "zoe"})
	require.Contains(t, x.English, `rule "own-customers" would need the role sales and row.owner_id == caller.id`)
	require.Contains(t, x.Chinese, `规则“own-customers”还需要角色 sales 且满足 row.owner_id == caller.id`)

	x = explain("stranger", "read", &Customer{TenantID: "t2", OwnerID: "ann"})
	require.Equal(t, "stranger (roles: none) may not read this customer: the row belongs to another tenant (policy version 1).", x.English)
	require.Equal(t, "stranger（角色：无）不可以对该 customer 执行 read：该行属于其他租户（策略版本 1）。", x.Chinese)

	x = explain("ann", "export", &Customer{TenantID: "t1", OwnerID: "ann"})
	require.Equal(t, "ann (roles: sales) may not export this customer: no rule allows it (policy version 1).", x.English)
	_, err = a.Explain(as("ann"), "read", 1)
	require.ErrorContains(t, err, "is not a row")
	require.False(t, strings.Contains(x.English, "t1"), "no values of the row")
}
