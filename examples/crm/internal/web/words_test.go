package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

func TestBothLanguagesSayEverything(t *testing.T) {
	w, err := loadWords()
	require.NoError(t, err)
	require.Equal(t, slices.Sorted(maps.Keys(w[english])), slices.Sorted(maps.Keys(w[chinese])))
	placeholder := regexp.MustCompile(`\{\d\}`)
	for key, en := range w[english] {
		zh := w[chinese][key]
		require.NotEmpty(t, strings.TrimSpace(en)+strings.TrimSpace(zh), key)
		require.Equal(t, slices.Sorted(slices.Values(placeholder.FindAllString(en, -1))), slices.Sorted(slices.Values(placeholder.FindAllString(zh, -1))), key)
		require.NotRegexp(t, `[,;:?!()]`, zh, "%s: half-width punctuation in Chinese", key)
	}
}

// Every key that a template or the code asks for is there, and none is there that
// nobody asks for.
func TestKeysAndTheirUsesAgree(t *testing.T) {
	w, err := loadWords()
	require.NoError(t, err)
	used := map[string]bool{}
	templates, err := filepath.Glob("templates/*.html")
	require.NoError(t, err)
	require.NotEmpty(t, templates)
	for _, name := range templates {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`[{( ]t "([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
			require.Contains(t, w[english], m[1], name)
		}
		for _, m := range regexp.MustCompile(`[{( ]tn "([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
			for _, key := range []string{m[1] + ".one", m[1] + ".other"} {
				used[key] = true
				require.Contains(t, w[english], key, name)
			}
		}
	}
	for literal, asked := range goStrings(t) {
		if _, ok := w[english][literal]; ok {
			used[literal] = true
		} else {
			require.False(t, asked, "the code asks for %q", literal)
		}
	}
	for key := range w[english] {
		require.True(t, used[key], "nobody asks for %q", key)
	}
}

// goStrings are the string literals of the package's code; true where a literal
// is the first argument of t or say.
func goStrings(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					if _, known := found[s]; !known {
						found[s] = false
					}
				}
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "t" && len(n.Args) > 0 {
					if lit, ok := n.Args[0].(*ast.BasicLit); ok {
						s, err := strconv.Unquote(lit.Value)
						require.NoError(t, err)
						found[s] = true
					}
				}
			}
			return true
		})
	}
	return found
}

func TestNamesFromTheDataHaveWords(t *testing.T) {
	w, err := loadWords()
	require.NoError(t, err)
	for _, f := range append(desk.CustomerFields(), "country", "owner_id") {
		require.NotEmpty(t, fieldKey(f), f)
	}
	require.Equal(t, "something.new", w.label(chinese, actionKey, "something.new"))
	require.Equal(t, "Sales manager, Auditor, unheard", w.roles(english, "manager, auditor,unheard"))
	require.Equal(t, "销售经理、审计员", w.roles(chinese, "manager,auditor"))
	require.Equal(t, rule{"Customer: see, show in full", "row.owner_id == caller.id"}, w.rule(english, "read, reveal customer: row.owner_id == caller.id"))
	require.Equal(t, rule{Allows: "员工：停用账号"}, w.rule(chinese, "disable user"))
	require.Equal(t, rule{Allows: "nothing"}, w.rule(english, "nothing"))
	require.Equal(t, "First name, shoe_size", w.fieldList(english, "first_name, shoe_size"))
	require.Equal(t, "Page {1} of 2", w.say(english, "pager.page", "{1}", 2))
	require.Equal(t, "no.such.key", w.say(english, "no.such.key"))
	_, err = w.count(english, "customers.count", "three")
	require.ErrorContains(t, err, "customers.count counts a string")
}
