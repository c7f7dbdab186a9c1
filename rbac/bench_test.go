package rbac_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/rbac"
)

// BenchmarkCheck: one decision with a condition on the row among 1,000 to 1,000,000 rules, asked by 1 to 16
// goroutines. x/casbin is how many times longer casbin takes on as many rules without any condition;
// load-s is the time to compile the policy, swap-s that to take a changed one, MB what it holds. All times but
// ns/op are processor time.
func BenchmarkCheck(b *testing.B) {
	for _, rules := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("rules=", rules), func(b *testing.B) { benchmarkCheck(b, rules) })
	}
}

func benchmarkCheck(b *testing.B, rules int) {
	p := manyRules(rules)
	ctx := context.Background()
	who := rbac.Caller{ID: "u"}
	before, used, began := heap(), cpuTime(), time.Now()
	store := rbac.NewMemory(p)
	a, err := rbac.Open(ctx, rbac.Config{Caller: func(context.Context) (rbac.Caller, error) { return who, nil }, Policies: store,
		Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Doc{}}}, Now: func() time.Time { return began }})
	require.NoError(b, err)
	load, held := cpuTime()-used, heap()-before
	loaded, err := store.Load(ctx)
	require.NoError(b, err)
	_, err = store.Save(ctx, loaded)
	require.NoError(b, err)
	used = cpuTime()
	require.NoError(b, a.Reload(ctx))
	swap := cpuTime() - used
	loaded, p = rbac.Policy{}, rbac.Policy{}
	theirs := casbinTime(b, rules)
	row := &Doc{Owner: "u"}
	for _, goroutines := range []int{1, 4, 16} {
		b.Run(fmt.Sprint("goroutines=", goroutines), func(b *testing.B) {
			b.ReportAllocs()
			var wg sync.WaitGroup
			used := cpuTime()
			for g := range goroutines {
				n := b.N / goroutines
				if g == 0 {
					n += b.N % goroutines
				}
				wg.Go(func() {
					for range n {
						if err := a.Check(ctx, "act7", row); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			cpu := float64(cpuTime()-used) / float64(b.N)
			b.ReportMetric(cpu, "cpu-ns/op")
			b.ReportMetric(float64(theirs)/max(cpu, 1), "x/casbin")
			b.ReportMetric(load.Seconds(), "load-s")
			b.ReportMetric(swap.Seconds(), "swap-s")
			b.ReportMetric(held/1e6, "MB")
		})
	}
}

// manyRules is a policy of ten rules for each of rules/10 roles. The caller has two of the roles.
func manyRules(rules int) (p rbac.Policy) {
	for i := range rules / 10 {
		role := fmt.Sprint("role", i)
		p.Roles = append(p.Roles, rbac.Role{Name: role})
		for j := range 10 {
			p.Rules = append(p.Rules, rbac.Rule{ID: fmt.Sprintf("%s-%d", role, j), Role: role, Resource: "doc", Actions: []string{fmt.Sprint("act", j)}, When: "row.owner == caller.id"})
		}
	}
	p.Assignments = []rbac.Assignment{{User: "u", Role: "role7"}, {User: "u", Role: fmt.Sprint("role", rules/10-1)}}
	return p
}

// heap is the memory in use, in bytes.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// casbinTime is the processor time of one decision of casbin's, the best of a few.
func casbinTime(b *testing.B, rules int) time.Duration {
	e := casbinEnforcer(b, rules)
	last := rules/10 - 1
	best := time.Hour
	for range 5 {
		began := cpuTime()
		if ok, err := e.Enforce("u", fmt.Sprint("doc", last), "act9"); err != nil || !ok {
			b.Fatal(ok, err)
		}
		best = min(best, cpuTime()-began)
	}
	return best
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
	_, err = e.AddGroupingPolicy("u", fmt.Sprint("role", rules/10-1))
	require.NoError(b, err)
	return e
}
