package archtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/archtest"
)

func TestModuleKeepsTheImportTable(t *testing.T) {
	broken, err := archtest.CheckImports(load(t, "../.."), archtest.Layers())
	require.NoError(t, err)
	require.Empty(t, broken)
}

func TestModuleHasNoInitAndNoMutableGlobals(t *testing.T) {
	broken, err := archtest.CheckState(load(t, "../.."))
	require.NoError(t, err)
	require.Empty(t, broken)
}

func TestModuleKeepsItsSurfaceSmall(t *testing.T) {
	broken, err := archtest.CheckSurface(load(t, "../.."))
	require.NoError(t, err)
	require.Empty(t, broken)
}

func TestImportTableCatchesBadEdges(t *testing.T) {
	m := module(t, map[string]string{
		"rbac/rbac.go":           `package rbac; import _ "example.test/m/audit"`,
		"rbac/check.go":          `package rbac; import _ "github.com/casbin/casbin/v2"`,
		"rbac/engine.go":         `package rbac; import _ "github.com/casbin/casbin/v2/model"`,
		"audit/audit.go":         `package audit; import (_ "example.test/m/masking"; _ "golang.org/x/mod/sumdb/tlog"; _ "golang.org/x/mod/modfile")`,
		"masking/masking.go":     `package masking; import (_ "strings"; _ "golang.org/x/text/width")`,
		"privacy/privacy.go":     `package privacy; import _ "example.test/m/internal/testdb"`,
		"backup/dirstore/dir.go": `package dirstore; import (_ "example.test/m/backup"; _ "example.test/m/masking"; _ "example.test/m/internal/durable")`,
		"backup/backup.go":       `package backup`,
		"internal/testdb/db.go":  `package testdb`,
		"internal/durable/d.go":  `package durable`,
		"util/util.go":           `package util`,
	})
	broken, err := archtest.CheckImports(m, archtest.Layers())
	require.NoError(t, err)
	require.Equal(t, []string{
		"audit/audit.go: may not import golang.org/x/mod/modfile",
		"backup/dirstore/dir.go: may not import example.test/m/masking",
		"masking/masking.go: may not import golang.org/x/text/width",
		"privacy/privacy.go: may not import example.test/m/internal/testdb",
		"rbac/check.go: may not import github.com/casbin/casbin/v2",
		"rbac/rbac.go: may not import example.test/m/audit",
		"util: no layer covers this package; add it to archtest.Layers",
	}, broken)
}

func TestStateCatchesInitAndMutableGlobals(t *testing.T) {
	m := module(t, map[string]string{"masking/masking.go": `package masking

import (
	"errors"
	"sync"
)

var ErrFine = errors.New("fine")
var fineTable = map[string]int{"a": 1}
var fineRow = [...]string{"a"}
var _ interface{ Error() string } = ErrFine

var lock sync.Mutex
var later string
var registry = make(map[string]int)
var counter = 0
var table = []int{1, 2}
var byAddress = 3
var shadowed = 4

func init() { counter++ }

func Write() *int {
	table[0] = 9
	shadowed := 5
	shadowed++
	return &byAddress
}
`})
	broken, err := archtest.CheckState(m)
	require.NoError(t, err)
	require.Equal(t, []string{
		"masking/masking.go:13: package variable lock holds sync.Mutex",
		"masking/masking.go:14: package variable later has no value, so something must set it later",
		"masking/masking.go:15: package variable registry is made empty, to be filled later",
		"masking/masking.go:21: init function",
		"masking/masking.go:21: writes to package variable counter",
		"masking/masking.go:24: writes to package variable table",
		"masking/masking.go:27: writes to package variable byAddress",
	}, broken)
}

func TestSurfaceCatchesWideInterfacesAndOptions(t *testing.T) {
	m := module(t, map[string]string{"audit/audit.go": `package audit

import "errors"

type Wide interface { A(); B(); C(); D(); E(); F(); G(); H() }
type Narrow interface { A(); B(); C(); D(); E(); F(); G() }
type ReadOption func()

func WithName() ReadOption { return nil }

var (
	Err1, Err2, Err3 = errors.New("1"), errors.New("2"), errors.New("3")
	Err4, Err5, Err6 = errors.New("4"), errors.New("5"), errors.New("6")
)
`})
	broken, err := archtest.CheckSurface(m)
	require.NoError(t, err)
	require.Equal(t, []string{
		"audit/audit.go:5: interface Wide has 8 methods; 7 at most",
		"audit/audit.go:9: WithName returns a functional option; use a config struct",
		"audit: 6 exported errors; 5 at most",
	}, broken)
}

func load(t *testing.T, dir string) archtest.Module {
	t.Helper()
	m, err := archtest.Load(dir)
	require.NoError(t, err)
	require.NotEmpty(t, m.Packages)
	return m
}

// module writes a module of its own and loads it.
func module(t *testing.T, files map[string]string) archtest.Module {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.test/m\n\ngo 1.26.0\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return load(t, dir)
}
