// Package archtest holds the rules of the house that a compiler does not know:
// who may import whom, no init functions, no package-level mutable state, small
// interfaces, few exported errors. The rules are functions over a module's
// directory so that their own tests can run them on modules that break them.
package archtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Package is one package of the module as `go list` sees it.
type Package struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// A Module is a parsed module.
type Module struct {
	Path     string
	Packages []Package
}

// Load lists the packages of the module that contains dir. Test files are not
// part of it: tests may meet whom they like.
func Load(dir string) (Module, error) {
	path, err := goList(dir, "-m")
	if err != nil {
		return Module{}, err
	}
	// -e: a package that does not build is the compiler's to report.
	out, err := goList(dir, "-e", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	if err != nil {
		return Module{}, err
	}
	m := Module{Path: strings.TrimSpace(string(path))}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); err == io.EOF {
			return m, nil
		} else if err != nil {
			return Module{}, fmt.Errorf("archtest: output of go list: %w", err)
		}
		m.Packages = append(m.Packages, p)
	}
}

func goList(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("archtest: go list in %s: %w: %s", dir, err, stderr.String())
	}
	return out, nil
}

// Rel returns the package's path inside the module, "." for its root.
func (m Module) Rel(importPath string) (string, bool) {
	if importPath == m.Path {
		return ".", true
	}
	return strings.CutPrefix(importPath, m.Path+"/")
}

// files parses the package's files, each with its comments.
func (p Package) files() (*token.FileSet, []*ast.File, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, fmt.Errorf("archtest: %w", err)
		}
		files = append(files, f)
	}
	return fset, files, nil
}

// importPaths returns the paths a file imports.
func importPaths(f *ast.File) []string {
	var paths []string
	for _, spec := range f.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	slices.Sort(paths)
	return paths
}
