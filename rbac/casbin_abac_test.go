package rbac_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/rbac"
)

// casbinDir is where casbin's examples lie in the module cache. Without them the test fails.
func casbinDir(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/casbin/casbin/v2").Output()
	require.NoError(t, err)
	dir := filepath.Join(strings.TrimSpace(string(out)), "examples")
	require.DirExists(t, dir)
	return dir
}

// TestCasbinAttributes: casbin's examples with attributes hold program text, which nobody imports; written by
// hand in CEL they decide as a fresh enforcer does.
func TestCasbinAttributes(t *testing.T) {
	dir := casbinDir(t)
	type object struct{ Owner string }
	type subject struct{ Age int }

	byOwner, err := casbin.NewEnforcer(filepath.Join(dir, "abac_model.conf"))
	require.NoError(t, err)
	ours := docs(t, when("row.owner == caller.id"))
	for _, sub := range []string{"alice", "bob", "Alice", "alice ", "é", "e\u0301"} {
		for _, owner := range []string{"alice", "bob", "Alice", "alice ", "é", "e\u0301", ""} {
			want, err := byOwner.Enforce(sub, object{owner}, "read")
			require.NoError(t, err)
			require.Equal(t, want, reads(ours, sub, "", Doc{Owner: owner}), "%q %q", sub, owner)
		}
	}

	byAge, err := casbin.NewEnforcer(filepath.Join(dir, "abac_rule_model.conf"), filepath.Join(dir, "abac_rule_policy.csv"))
	require.NoError(t, err)
	policy := rbac.Policy{Rules: []rbac.Rule{
		{ID: "1", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}, When: "caller.age > 18 && row.id == '/data1'"},
		{ID: "2", Role: rbac.Everyone, Resource: "doc", Actions: []string{"write"}, When: "caller.age < 60 && row.id == '/data2'"},
	}}
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(policy), Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Doc{}}}, Attrs: map[string]any{"age": int64(0)}})
	require.NoError(t, err)
	allowed := 0
	for _, age := range []int{0, 16, 18, 19, 59, 60, 61, -1} {
		for _, obj := range []string{"/data1", "/data2", "/data3"} {
			for _, act := range []string{"read", "write", "burn"} {
				want, err := byAge.Enforce(subject{age}, obj, act)
				require.NoError(t, err)
				ctx := inContext(rbac.Caller{ID: "u", Attrs: map[string]any{"age": int64(age)}})
				require.Equal(t, want, a.Check(ctx, act, &Doc{ID: obj}) == nil, "%d %s %s", age, obj, act)
				if want {
					allowed++
				}
			}
		}
	}
	require.Equal(t, 10, allowed)
}
