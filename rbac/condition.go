package rbac

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// The limits of one condition. They bound parsing, checking, every evaluation and the SQL text.
const (
	maxText  = 4096
	maxNodes = 256
	maxDepth = 32
	maxItems = 1000
)

// language is CEL over the columns of one resource and the declared attributes of callers.
type language struct {
	res    *resource
	attrs  map[string]kind
	shares *shareTable // or nil
	env    *cel.Env

	served, approvable, indexed bool // Config.Env, Config.Approvals and Config.Index are there
}

func newLanguage(res *resource, attrs map[string]kind, shares *shareTable) (*language, error) {
	l := &language{res: res, attrs: attrs, shares: shares}
	env, err := cel.NewEnv(append(envDeclarations(),
		cel.ClearMacros(),
		cel.ParserExpressionSizeLimit(maxText),
		cel.ParserRecursionLimit(2*maxDepth),
		cel.CustomTypeProvider(&fields{Provider: types.NewEmptyRegistry(), lang: l}),
		cel.Variable("row", cel.ObjectType(rowType)),
		cel.Variable("caller", cel.ObjectType(callerType)),
		cel.Variable("now", cel.TimestampType),
		cel.Function("within", cel.Overload("within", []*cel.Type{cel.DynType, cel.DynType}, cel.BoolType)),
		cel.Function("shared", cel.Overload("shared", []*cel.Type{cel.ObjectType(rowType), cel.StringType}, cel.BoolType)),
	)...)
	if err != nil {
		return nil, fmt.Errorf("rbac: CEL environment: %w", err)
	}
	l.env = env
	return l, nil
}

// The names of the two object types; nobody can write them in a condition.
const (
	rowType    = "confide.rbac.Row"
	callerType = "confide.rbac.Caller"
)

// fields tells the CEL checker the types of row.<column> and caller.<attribute>.
type fields struct {
	types.Provider
	lang *language
}

func (f *fields) FindStructType(name string) (*types.Type, bool) {
	if name == rowType || name == callerType || name == envType {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return f.Provider.FindStructType(name)
}

func (f *fields) FindStructFieldType(typ, name string) (*types.FieldType, bool) {
	k, nullable := null, false
	switch typ {
	case rowType:
		if c := f.lang.res.byName[name]; c != nil {
			if k, nullable = c.kind, c.nullable; c.blind != nil {
				k, nullable = text, true
			}
		}
	case callerType:
		k = f.lang.attrs[name]
	case envType:
		return &types.FieldType{Type: envField(name)}, envKind(name) != null
	}
	if k == null {
		return nil, false
	}
	t := map[kind]*types.Type{
		text: types.StringType, integer: types.IntType, boolean: types.BoolType, instant: types.TimestampType,
		texts: types.NewListType(types.StringType),
	}[k]
	if nullable {
		t = types.NewNullableType(t)
	}
	return &types.FieldType{Type: t}, true
}

// compile parses and checks a condition once and translates its syntax tree. What Go and the databases
// could answer differently is refused.
func (l *language) compile(src string) (*node, error) {
	if strings.TrimSpace(src) == "" {
		return constant(yes), nil
	}
	if len(src) > maxText {
		return nil, fmt.Errorf("the condition has %d bytes; at most %d are allowed", len(src), maxText)
	}
	parsed, iss := l.env.Parse(src)
	if err := firstIssue(iss); err != nil {
		if l.mentionsSealed(src) {
			return nil, fmt.Errorf("it cannot be parsed; what stands there is not repeated, for it may be a value of a sealed column")
		}
		return nil, err
	}
	tree := parsed.NativeRep()
	if n := ast.NodeCount(tree); n > maxNodes+maxItems {
		return nil, fmt.Errorf("the condition has %d parts; at most %d are allowed", n, maxNodes)
	}
	if d := ast.Heights(tree)[tree.Expr().ID()]; d > maxDepth {
		return nil, fmt.Errorf("the condition is nested %d deep; at most %d is allowed", d, maxDepth)
	}
	if err := l.names(tree.Expr()); err != nil {
		return nil, err
	}
	if err := l.plaintext(tree.Expr()); err != nil {
		return nil, err
	}
	checked, iss := l.env.Check(parsed)
	if err := firstIssue(iss); err != nil {
		return nil, err
	}
	if checked.OutputType() != types.BoolType && !checked.OutputType().IsAssignableType(types.BoolType) {
		return nil, fmt.Errorf("the condition is a %s; it must be true or false", checked.OutputType())
	}
	tr := translator{lang: l, tree: checked.NativeRep()}
	n, err := tr.condition(checked.NativeRep().Expr())
	if err == nil && tr.parts > maxNodes {
		return nil, fmt.Errorf("the condition has %d parts; at most %d are allowed", tr.parts, maxNodes)
	}
	return n, err
}

// firstIssue keeps CEL's message and place, without the copy of the source it prints.
func firstIssue(iss *cel.Issues) error {
	if iss.Err() == nil {
		return nil
	}
	first := iss.Errors()[0]
	if first.Location.Column() < 0 {
		return errors.New(first.Message)
	}
	return fmt.Errorf("at column %d: %s", first.Location.Column()+1, first.Message)
}

// names refuses unknown or unusable columns and attributes with our own words, before CEL does with its own.
func (l *language) names(e ast.Expr) error {
	switch e.Kind() {
	case ast.SelectKind:
		if of := e.AsSelect().Operand(); of.Kind() == ast.IdentKind {
			return l.name(of.AsIdent(), e.AsSelect().FieldName())
		}
		return l.names(e.AsSelect().Operand())
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			if err := l.names(e.AsCall().Target()); err != nil {
				return err
			}
		}
		if err := allowedCall(e.AsCall()); err != nil {
			return err
		}
		return l.eachName(e.AsCall().Args())
	case ast.ListKind:
		if n := e.AsList().Size(); n > maxItems {
			return fmt.Errorf("a list has %d items; at most %d are allowed", n, maxItems)
		}
		return l.eachName(e.AsList().Elements())
	case ast.IdentKind, ast.LiteralKind:
		return nil
	}
	return fmt.Errorf("maps, messages and comprehensions cannot be translated into SQL")
}

func (l *language) eachName(list []ast.Expr) error {
	for _, e := range list {
		if err := l.names(e); err != nil {
			return err
		}
	}
	return nil
}

func (l *language) name(of, field string) error {
	switch of {
	case "row":
		c := l.res.byName[field]
		if c == nil {
			return fmt.Errorf("row.%s: %s has no such column; it has %s", field, l.res.name, l.res.columnNames())
		}
		if why := l.sealedUse(c); c.sealed && why != "" {
			return fmt.Errorf("row.%s %s", field, why)
		}
		if !c.sealed && (c.kind == null || c.kind == cell) {
			return fmt.Errorf("row.%s %s", field, c.why)
		}
	case "env":
		return l.envName(field)
	case "caller":
		if l.attrs[field] == null {
			return fmt.Errorf("caller.%s is not declared: add %q to Config.Attrs", field, field)
		}
	}
	return nil
}
