package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// CheckState returns one line for each init function and each package-level
// variable that can change: one whose type or initial value holds a lock, pool,
// atomic or map made empty, and one that any statement of the package writes
// to or takes the address of. Constant tables and error values pass.
func CheckState(m Module) ([]string, error) {
	var broken []string
	for _, p := range m.Packages {
		fset, files, err := p.files()
		if err != nil {
			return nil, err
		}
		vars := map[string]bool{}
		for _, f := range files {
			broken = append(broken, declared(m, p, fset, f, vars)...)
		}
		for _, f := range files {
			broken = append(broken, written(m, p, fset, f, vars)...)
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken), nil
}

// declared reports init functions and variables of a mutable kind, and collects
// the names of all package-level variables.
func declared(m Module, p Package, fset *token.FileSet, f *ast.File, vars map[string]bool) []string {
	var broken []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				broken = append(broken, place(m, p, fset, d)+": init function")
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, s := range d.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if name.Name == "_" {
						continue
					}
					vars[name.Name] = true
					if why := mutable(spec, i); why != "" {
						broken = append(broken, fmt.Sprintf("%s: package variable %s %s", place(m, p, fset, name), name.Name, why))
					}
				}
			}
		}
	}
	return broken
}

// mutable says why a variable is mutable by its kind.
func mutable(spec *ast.ValueSpec, i int) string {
	holds := func(n ast.Node) (why string) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
					why = "holds " + x.Name + "." + n.Sel.Name
				}
			case *ast.ChanType:
				why = "holds a channel"
			case *ast.FuncLit:
				return false // what a function makes when called is its own
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.Ident); ok && fun.Name == "make" {
					why = "is made empty, to be filled later"
				}
			}
			return why == ""
		})
		return why
	}
	if spec.Type != nil {
		if why := holds(spec.Type); why != "" {
			return why
		}
		if len(spec.Values) == 0 && !embedded(spec) {
			return "has no value, so something must set it later"
		}
	}
	if i < len(spec.Values) {
		return holds(spec.Values[i])
	}
	return ""
}

// embedded reports whether a variable is filled by //go:embed, which is a
// comment of its declaration.
func embedded(spec *ast.ValueSpec) bool {
	if sel, ok := spec.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "FS" {
		return true
	}
	return spec.Doc != nil && strings.Contains(text(spec.Doc), "//go:embed")
}

func text(g *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(c.Text)
	}
	return b.String()
}

// written reports statements that write to a package-level variable, seen by
// name and therefore only where no local of that name is in scope.
func written(m Module, p Package, fset *token.FileSet, f *ast.File, vars map[string]bool) []string {
	var broken []string
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		locals := localNames(fn)
		report := func(n ast.Node, e ast.Expr) {
			if name := root(e); vars[name] && !locals[name] {
				broken = append(broken, fmt.Sprintf("%s: writes to package variable %s", place(m, p, fset, n), name))
			}
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, lhs := range n.Lhs {
					report(n, lhs)
				}
			case *ast.IncDecStmt:
				report(n, n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					report(n, n.X)
				}
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.Ident); ok && (fun.Name == "delete" || fun.Name == "clear") {
					report(n, n.Args[0])
				}
			}
			return true
		})
	}
	return broken
}

// localNames collects every name a function declares anywhere inside.
func localNames(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	field := func(l *ast.FieldList) {
		if l == nil {
			return
		}
		for _, f := range l.List {
			for _, n := range f.Names {
				names[n.Name] = true
			}
		}
	}
	field(fn.Recv)
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			field(n.Params)
			field(n.Results)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					names[root(e)] = true
				}
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				names[root(n.Key)], names[root(n.Value)] = true, true
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		}
		return true
	})
	return names
}

// root returns the identifier that an expression such as a.b[c].d starts from.
func root(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

func place(m Module, p Package, fset *token.FileSet, n ast.Node) string {
	rel, _ := m.Rel(p.ImportPath)
	pos := fset.Position(n.Pos())
	return fmt.Sprintf("%s/%s:%d", rel, pos.Filename[strings.LastIndexAny(pos.Filename, `/\`)+1:], pos.Line)
}
