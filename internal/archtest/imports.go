package archtest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A Layer says what the packages below one folder may import.
type Layer struct {
	Dir     string   // folder below the module's root; the longest match wins
	Own     []string // folders of this module, each with all below; its own Dir is always allowed
	Outside []string // module or package path prefixes outside the standard library
	Files   []string // outside imports that only one file may have, as "file.go=path prefix"
}

// Layers is the table of DESIGN.md, section 1.
func Layers() []Layer {
	const (
		tink   = "github.com/tink-crypto/tink-go/v2"
		gorm   = "gorm.io/gorm"
		casbin = "github.com/casbin/casbin/v2"
	)
	return []Layer{
		{Dir: "masking"},
		{Dir: "privacy", Own: []string{"masking", "internal/durable"}, Outside: []string{tink, gorm, "golang.org/x/text", "golang.org/x/crypto", "google.golang.org/protobuf"}},
		{Dir: "rbac", Own: []string{"masking"}, Outside: []string{gorm, "cel.dev/cel-go", "cel.dev/expr"}, Files: []string{"engine.go=" + casbin}},
		{Dir: "rbac/gormpolicy/pglisten", Outside: []string{gorm, "github.com/jackc/pgx/v5"}},
		{Dir: "audit", Own: []string{"masking", "internal/durable"}, Outside: []string{"golang.org/x/mod/sumdb", gorm}},
		{Dir: "backup", Own: []string{"internal/durable"}, Outside: []string{tink, "github.com/klauspost/compress/zstd", "google.golang.org/protobuf"}},
		{Dir: "backup/filesource", Own: []string{"backup"}},
		{Dir: "backup/keyepoch", Own: []string{"backup", "internal/durable"}, Outside: []string{tink}},
		{Dir: "backup/sqlsource", Own: []string{"backup"}, Outside: []string{"github.com/jackc/pgx/v5", "github.com/go-sql-driver/mysql", "github.com/glebarez/go-sqlite"}},
		{Dir: "examples/crm", Own: []string{"masking", "privacy", "rbac", "audit", "backup", "internal/durable"}, Outside: []string{""}},
		{Dir: "internal/durable"},
		{Dir: "internal/archtest"},
		{Dir: "internal/testdb", Outside: []string{gorm, "gorm.io/driver", "github.com/glebarez/sqlite", "github.com/go-sql-driver/mysql"}},
		// A conformance suite speaks to a testing.T and, like tests, may use testify.
		{Dir: "privacy/privacytest", Own: []string{"privacy", "masking"}, Outside: []string{tink, gorm, "github.com/stretchr/testify"}},
		{Dir: "privacy/attach/attachtest", Own: []string{"privacy"}, Outside: []string{"github.com/stretchr/testify"}},
		{Dir: "rbac/rbactest", Own: []string{"rbac", "masking"}, Outside: []string{gorm, "github.com/stretchr/testify"}},
		{Dir: "audit/audittest", Own: []string{"audit", "masking"}, Outside: []string{"golang.org/x/mod/sumdb", gorm, "github.com/stretchr/testify"}},
		{Dir: "backup/backuptest", Own: []string{"backup"}, Outside: []string{tink, "github.com/stretchr/testify"}},
	}
}

// CheckImports returns one line for each import that the table does not allow,
// and one for each package that no layer covers.
func CheckImports(m Module, layers []Layer) ([]string, error) {
	var broken []string
	for _, p := range m.Packages {
		rel, _ := m.Rel(p.ImportPath)
		layer, ok := layerOf(rel, layers)
		if !ok {
			broken = append(broken, fmt.Sprintf("%s: no layer covers this package; add it to archtest.Layers", rel))
			continue
		}
		fset, files, err := p.files()
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			name := filepath.Base(fset.Position(f.Package).Filename)
			for _, path := range importPaths(f) {
				if !layer.allows(m, name, path) {
					broken = append(broken, fmt.Sprintf("%s/%s: may not import %s", rel, name, path))
				}
			}
		}
	}
	slices.Sort(broken)
	return broken, nil
}

func layerOf(rel string, layers []Layer) (Layer, bool) {
	var best Layer
	found := false
	for _, l := range layers {
		if below(rel, l.Dir) && (!found || len(l.Dir) > len(best.Dir)) {
			best, found = l, true
		}
	}
	return best, found
}

func (l Layer) allows(m Module, file, path string) bool {
	if rel, own := m.Rel(path); own {
		return below(rel, l.Dir) || slices.ContainsFunc(l.Own, func(dir string) bool { return below(rel, dir) })
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	for _, rule := range l.Files {
		only, prefix, _ := strings.Cut(rule, "=")
		if below(path, prefix) {
			return file == only
		}
	}
	return slices.ContainsFunc(l.Outside, func(prefix string) bool { return prefix == "" || below(path, prefix) })
}

// below reports whether path is dir or lies below it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}
