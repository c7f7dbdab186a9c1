package rbac_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

// BenchmarkCheck: one decision with a condition on the row among 100,000 rules. x/casbin is how many times
// longer casbin takes on as many rules without any condition.
func BenchmarkCheck(b *testing.B) {
	const rules = 100_000
	p := rbac.Policy{}
	for i := range rules / 10 {
		role := fmt.Sprint("role", i)
		p.Roles = append(p.Roles, rbac.Role{Name: role})
		for j := range 10 {
			p.Rules = append(p.Rules, rbac.Rule{ID: fmt.Sprintf("%s-%d", role, j), Role: role, Resource: "doc", Actions: []string{fmt.Sprint("act", j)}, When: "row.owner == caller.id"})
		}
	}
	p.Assignments = []rbac.Assignment{{User: "u", Role: "role7"}, {User: "u", Role: "role9999"}}
	ctx := context.Background()
	who := rbac.Caller{ID: "u"}
	began := time.Now()
	a, err := rbac.Open(ctx, rbac.Config{Caller: func(context.Context) (rbac.Caller, error) { return who, nil }, Policies: rbac.NewMemory(p),
		Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Doc{}}}, Now: func() time.Time { return began }})
	require.NoError(b, err)
	load := time.Since(began)
	row := &Doc{Owner: "u"}
	e := casbinEnforcer(b, rules)
	began = time.Now()
	const asked = 3
	for range asked {
		if ok, err := e.Enforce("u", "doc9999", "act9"); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
	theirs := time.Since(began) / asked
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Check(ctx, "act7", row); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(theirs)/(float64(b.Elapsed())/float64(b.N)), "x/casbin")
	b.ReportMetric(load.Seconds(), "load-s")
}

func casbinEnforcer(b *testing.B, rules int) *casbin.Enforcer {
	m, err := model.NewModelFromString(casbinModel)
	require.NoError(b, err)
	e, err := casbin.NewEnforcer(m)
	require.NoError(b, err)
	var list [][]string
	for i := range rules / 10 {
		for j := range 10 {
			list = append(list, []string{fmt.Sprint("role", i), fmt.Sprint("doc", i), fmt.Sprint("act", j), "allow"})
		}
	}
	_, err = e.AddPolicies(list)
	require.NoError(b, err)
	_, err = e.AddGroupingPolicy("u", "role9999")
	require.NoError(b, err)
	return e
}

// Lead is the table of BenchmarkListScope.
type Lead struct {
	ID      string `gorm:"primaryKey;size:36"`
	OwnerID string `gorm:"size:36;not null;index"`
	Name    string
	Hidden  bool `gorm:"not null"`
}

// BenchmarkListScope: a page of 100 of the caller's rows out of a million, scoped by the guard, against the
// WHERE one would write by hand. The two run in turns; x/unscoped is the ratio.
func BenchmarkListScope(b *testing.B) {
	for _, engine := range testdb.Engines() {
		b.Run(engine, func(b *testing.B) {
			db := testdb.New(b, engine)
			free := db.Reopen(b).DB
			fillLeads(b, free, engine)
			p := rbac.Policy{
				Rules: []rbac.Rule{
					{ID: "own", Role: rbac.Everyone, Resource: "lead", Actions: []string{"read"}, When: "row.owner_id == caller.id"},
					{ID: "hidden", Role: rbac.Everyone, Resource: "lead", Actions: []string{"read"}, When: "row.hidden && row.owner_id == 'x'", Effect: rbac.Deny},
				},
			}
			a, err := rbac.Open(b.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(p), Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Lead{}}}})
			require.NoError(b, err)
			require.NoError(b, db.Use(a))
			ctx := inContext(rbac.Caller{ID: "owner-77"})
			scoped, plain := db.WithContext(ctx), free.WithContext(ctx).Where("owner_id = ? AND NOT (hidden = ? AND owner_id = ?)", "owner-77", true, "x").Session(&gorm.Session{})
			var ours, theirs time.Duration
			list := func(db *gorm.DB) time.Duration {
				began := time.Now()
				var rows []Lead
				if err := db.Limit(100).Find(&rows).Error; err != nil || len(rows) != 100 {
					b.Fatal(len(rows), err)
				}
				return time.Since(began)
			}
			list(scoped)
			list(plain)
			for b.Loop() {
				ours += list(scoped)
				theirs += list(plain)
			}
			b.ReportMetric(float64(ours)/float64(theirs), "x/unscoped")
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns/list")
		})
	}
}

// fillLeads makes a million rows inside the database: digits joined with digits.
func fillLeads(b *testing.B, db *gorm.DB, engine string) {
	require.NoError(b, db.AutoMigrate(&Lead{}))
	digits := "SELECT 0 AS n"
	for i := 1; i < 10; i++ {
		digits += fmt.Sprint(" UNION ALL SELECT ", i)
	}
	number, from := "a0.n", "("+digits+") a0"
	for i, scale := 1, 10; i < 6; i, scale = i+1, scale*10 {
		number += fmt.Sprintf(" + %d * a%d.n", scale, i)
		from += fmt.Sprintf(" CROSS JOIN (%s) a%d", digits, i)
	}
	id, owner := "'lead-' || x.i", "'owner-' || (x.i % 1000)"
	if engine == testdb.MySQL {
		id, owner = "CONCAT('lead-', x.i)", "CONCAT('owner-', x.i % 1000)"
	}
	no := "FALSE"
	if engine == testdb.SQLite {
		no = "0"
	}
	require.NoError(b, db.Exec("INSERT INTO leads (id, owner_id, name, hidden) SELECT "+id+", "+owner+", 'name', "+no+" FROM (SELECT "+number+" AS i FROM "+from+") x").Error)
	analyze := map[string]string{testdb.SQLite: "ANALYZE", testdb.Postgres: "ANALYZE leads", testdb.MySQL: "ANALYZE TABLE leads"}
	require.NoError(b, db.Exec(analyze[engine]).Error)
}
