package rbac_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	stringadapter "github.com/casbin/casbin/v2/persist/string-adapter"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/casbinimport"
)

// Item is a row of the one resource that casbin's objects become: the row whose id is the object's name.
type Item struct {
	ID string `gorm:"primaryKey;size:100"`
}

// examples says what casbin's objects and actions are here.
func examples() casbinimport.Options {
	return casbinimport.Options{
		Object:  func(obj string) (string, string, error) { return "item", "row.id == " + strconv.Quote(obj), nil },
		Actions: map[string]string{"GET": "get", "POST": "post"},
	}
}

// policiesOf are the examples that belong to a model without being called like it.
func policiesOf(dir, base string) []string {
	found := []string{}
	stem := strings.TrimSuffix(base, "_model.conf")
	for _, name := range []string{stem + "_policy.csv", stem + "_policy2.csv", strings.TrimSuffix(base, ".conf") + ".csv", stem + "_inverse_policy.csv", stem + "_effect_policy.csv"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			found = append(found, name)
		}
	}
	more := map[string][]string{
		"rbac_model.conf":                         {"rbac_with_hierarchy_policy.csv"},
		"rbac_with_domains_model.conf":            {"rbac_with_hierarchy_with_domains_policy.csv"},
		"basic_model_without_spaces.conf":         {"basic_policy.csv"},
		"basic_with_root_model.conf":              {"basic_policy.csv"},
		"comment_model.conf":                      {"basic_policy.csv"},
		"rbac_model_in_multi_line.conf":           {"rbac_policy.csv"},
		"rbac_with_not_deny_model.conf":           {"rbac_with_deny_policy.csv"},
		"priority_model.conf":                     {"priority_indeterminate_policy.csv"},
		"priority_model_explicit.conf":            {"priority_policy_explicit.csv"},
		"priority_model_explicit_customized.conf": {"priority_policy_explicit_customized.csv"},
		"priority_model_enforce_context.conf":     {"priority_policy_enforce_context.csv"},
		"subject_priority_model_with_domain.conf": {"subject_priority_policy_with_domain.csv"},
	}
	found = append(found, more[base]...)
	if len(found) == 0 {
		found = []string{""}
	}
	return found
}

var update = flag.Bool("update", false, "write casbinimport/testdata/examples.txt anew")

// TestCasbinExamples: every example that casbin ships is imported and then decides as a fresh enforcer does,
// or is refused for a reason that casbinimport/testdata/examples.txt pins.
func TestCasbinExamples(t *testing.T) {
	dir := casbinDir(t)
	models, err := filepath.Glob(filepath.Join(dir, "*.conf"))
	require.NoError(t, err)
	require.Greater(t, len(models), 40)
	var table strings.Builder
	imported, yes, no, used := 0, 0, 0, map[string]bool{}
	for _, path := range models {
		conf, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, csv := range policiesOf(dir, filepath.Base(path)) {
			used[csv] = true
			text := ""
			if csv != "" {
				b, err := os.ReadFile(filepath.Join(dir, csv))
				require.NoError(t, err)
				text = string(b)
			}
			p, report, err := casbinimport.Import(string(conf), casbinimport.ReadCSV(text), examples())
			fmt.Fprintf(&table, "== %s %s\n", filepath.Base(path), csv)
			if err != nil {
				require.Empty(t, p)
				fmt.Fprintf(&table, "refused\n%s", report)
				if len(report.Refused) == 0 {
					fmt.Fprintf(&table, "%v\n", err)
				}
				continue
			}
			imported++
			y, n := likeCasbin(t, string(conf), text, p)
			yes, no = yes+y, no+n
			fmt.Fprintf(&table, "imported, %d allowed and %d denied as by casbin\n%s", y, n, report)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	require.NoError(t, err)
	for _, path := range left {
		require.True(t, used[filepath.Base(path)], "no model tries %s", path)
	}
	require.Greater(t, imported, 8)
	require.Greater(t, yes, 20)
	require.Greater(t, no, 50)
	if *update {
		require.NoError(t, os.WriteFile("casbinimport/testdata/examples.txt", []byte(table.String()), 0o600))
	}
	want, err := os.ReadFile("casbinimport/testdata/examples.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), table.String())
}

// likeCasbin asks casbin and us about every user, domain, object and action that the policy names, and one of
// each that it does not name.
func likeCasbin(t *testing.T, conf, csv string, p rbac.Policy) (yes, no int) {
	m, err := model.NewModelFromString(conf)
	require.NoError(t, err)
	e, err := casbin.NewEnforcer(m, stringadapter.NewAdapter(csv))
	require.NoError(t, err)
	domains := m["r"]["r"].Value == "sub, dom, obj, act" || len(m["r"]["r"].Tokens) == 4
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(p), Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Item{}}}})
	require.NoError(t, err)
	subs, doms, objs, acts := []string{"stranger"}, []string{""}, []string{"elsewhere"}, []string{"burn"}
	if domains {
		doms = []string{"nowhere"}
	}
	add := func(list *[]string, v string) {
		if !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
	roles := map[string]bool{}
	for _, row := range casbinimport.ReadCSV(csv) {
		if row.Type == "g" {
			roles[row.Values[1]] = true
		}
	}
	for _, row := range casbinimport.ReadCSV(csv) {
		if !roles[row.Values[0]] {
			add(&subs, row.Values[0])
		}
		rest := row.Values[1:]
		if row.Type == "g" {
			if domains {
				add(&doms, rest[1])
			}
			continue
		}
		if domains {
			add(&doms, rest[0])
			rest = rest[1:]
		}
		add(&objs, rest[0])
		add(&acts, rest[1])
	}
	for _, sub := range subs {
		for _, dom := range doms {
			for _, obj := range objs {
				for _, act := range acts {
					request := []any{sub, obj, act}
					if domains {
						request = []any{sub, dom, obj, act}
					}
					want, err := e.Enforce(request...)
					require.NoError(t, err)
					ours := act
					if mapped := examples().Actions[act]; mapped != "" {
						ours = mapped
					}
					err = a.Check(inContext(rbac.Caller{ID: sub, Tenant: dom}), ours, &Item{ID: obj})
					if err != nil {
						require.True(t, errors.Is(err, rbac.ErrDenied), err)
					}
					require.Equal(t, want, err == nil, "%v", request)
					if want {
						yes++
					} else {
						no++
					}
				}
			}
		}
	}
	return yes, no
}
