package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

const (
	mostMethods = 7 // of an interface; more belong into optional interfaces
	mostErrors  = 5 // exported Err variables of a package
)

// CheckSurface returns one line for each exported interface with more than
// seven methods, each package with more than five exported errors, and each
// function that returns a functional option.
func CheckSurface(m Module) ([]string, error) {
	var broken []string
	for _, p := range m.Packages {
		fset, files, err := p.files()
		if err != nil {
			return nil, err
		}
		rel, _ := m.Rel(p.ImportPath)
		errors := 0
		for _, f := range files {
			errors += exportedErrors(f)
			broken = append(broken, wide(m, p, fset, f)...)
		}
		if errors > mostErrors {
			broken = append(broken, fmt.Sprintf("%s: %d exported errors; %d at most", rel, errors, mostErrors))
		}
	}
	slices.Sort(broken)
	return broken, nil
}

func exportedErrors(f *ast.File) int {
	n := 0
	for _, d := range f.Decls {
		if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.VAR {
			for _, s := range gen.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") {
						n++
					}
				}
			}
		}
	}
	return n
}

func wide(m Module, p Package, fset *token.FileSet, f *ast.File) []string {
	var broken []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				spec, ok := s.(*ast.TypeSpec)
				if !ok || !spec.Name.IsExported() {
					continue
				}
				if it, ok := spec.Type.(*ast.InterfaceType); ok && it.Methods.NumFields() > mostMethods {
					broken = append(broken, fmt.Sprintf("%s: interface %s has %d methods; %d at most", place(m, p, fset, spec), spec.Name.Name, it.Methods.NumFields(), mostMethods))
				}
			}
		case *ast.FuncDecl:
			if d.Type.Results == nil || !d.Name.IsExported() {
				continue
			}
			for _, r := range d.Type.Results.List {
				if id, ok := r.Type.(*ast.Ident); ok && strings.HasSuffix(id.Name, "Option") {
					broken = append(broken, fmt.Sprintf("%s: %s returns a functional option; use a config struct", place(m, p, fset, d), d.Name.Name))
				}
			}
		}
	}
	return broken
}
