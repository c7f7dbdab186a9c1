package rbac

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"gorm.io/gorm"
)

// An Indexer knows the blind indexes of sealed columns. *privacy.Vault is one.
type Indexer interface {
	// BlindIndex returns the cells that rows whose sealed value is this one may have in the column index of the
	// model's table: under each index key of the context's tenant that a row may still have been indexed with,
	// so two while the keys rotate. No cell means that the value is none that can be looked for. Keys are read
	// through db. An error must not hold the value.
	BlindIndex(ctx context.Context, db *gorm.DB, model any, index, value string) ([][]byte, error)
}

// markBlind ties a sealed column to the index that compares it: of whole values and all bits, for any other
// finds rows with other values too. What is read, in Go as in SQL, is the index column and never the value.
func (c *column) markBlind() {
	tag := c.field.Tag.Get("privacy")
	of := c.match
	bytes := c.field.FieldType.Kind() == reflect.Slice && c.field.FieldType.Elem().Kind() == reflect.Uint8
	if !of.sealed || of.blind != nil || !bytes || tagValue(tag, "match") != "" || tagValue(tag, "bits") != "" || !holdsText(of.field.FieldType) {
		return
	}
	of.blind = c
	c.kind, c.nullable = cell, true
	c.why = fmt.Sprintf("is a blind index: compare row.%s, which it belongs to", of.name)
	c.read = reader(c.field, cell)
}

// holdsText reports whether a sealed type gives out a string: an index of a number or a date is made of
// another form than an attribute's text.
func holdsText(t reflect.Type) bool {
	type texts interface {
		Reveal(ctx context.Context, purpose string) (string, error)
	}
	want := reflect.TypeFor[texts]()
	return t.Implements(want) || reflect.PointerTo(t).Implements(want)
}

// sealedUse says why a sealed column cannot be named in a condition, or "".
func (l *language) sealedUse(c *column) string {
	switch {
	case c.blind == nil:
		return c.why
	case !l.indexed:
		return "is sealed: set Config.Index to the vault, which knows its blind index"
	}
	return ""
}

func onlyEqual(c *column) error {
	return fmt.Errorf("row.%s is sealed: its blind index answers == and in only, and not below ! or in !=, where a row without an index would count as another value", c.match.name)
}

func onlyCaller(c *column) error {
	return fmt.Errorf("row.%s is sealed: compare it with an attribute of the caller; a literal would keep a personal value readable in the policy, its history and its explanations", c.match.name)
}

// sealedTest translates a comparison of which at least one side is a sealed column. Its texts quote nothing.
func (t *translator) sealedTest(e ast.Expr, op cmp, l, r operand) (*node, error) {
	if l.kind != cell {
		l, r = r, l
	}
	switch {
	case op != eq || t.negated || r.kind == null:
		return nil, onlyEqual(l.col)
	case r.from == fromRow:
		return nil, fmt.Errorf("row.%s is sealed: it cannot be compared with another column, whose index is made with another key or none", l.col.match.name)
	case !ofCaller(r, text):
		return nil, onlyCaller(l.col)
	}
	return t.leaf(e, &node{op: opSealed, left: l, list: []operand{r}}), nil
}

// sealedIn translates row.<sealed> in [caller.a, caller.b] and row.<sealed> in caller.list.
func (t *translator) sealedIn(e ast.Expr, n *node) (*node, error) {
	if t.negated {
		return nil, onlyEqual(n.left.col)
	}
	if n.right.kind != null && !ofCaller(n.right, texts) {
		return nil, onlyCaller(n.left.col)
	}
	for _, item := range n.list {
		if !ofCaller(item, text) {
			return nil, onlyCaller(n.left.col)
		}
	}
	n.op = opSealed
	return t.leaf(e, n), nil
}

func ofCaller(o operand, k kind) bool {
	return o.kind == k && (o.from == fromID || o.from == fromTenant || o.from == fromRoles || o.from == fromAttr)
}

// plaintext refuses a literal beside a sealed column, in whatever else is wrong with the condition: later
// refusals quote the condition.
func (l *language) plaintext(e ast.Expr) error {
	if e.Kind() != ast.CallKind {
		return nil
	}
	c := e.AsCall()
	switch c.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot:
		for _, arg := range c.Args() {
			if err := l.plaintext(arg); err != nil {
				return err
			}
		}
		return nil
	}
	if sealed, literal := l.beside(e); sealed != nil && literal {
		return onlyCaller(sealed.blind)
	}
	return nil
}

// beside finds a sealed column and a literal below e.
func (l *language) beside(e ast.Expr) (sealed *column, literal bool) {
	visit := ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.LiteralKind:
			literal = literal || e.AsLiteral() != types.NullValue
		case ast.SelectKind:
			if of := e.AsSelect().Operand(); of.Kind() == ast.IdentKind && of.AsIdent() == "row" {
				if c := l.res.byName[e.AsSelect().FieldName()]; c != nil && c.blind != nil {
					sealed = c
				}
			}
		}
	})
	ast.PreOrderVisit(e, visit)
	return sealed, literal
}

// mentionsSealed reports whether text that cannot be parsed may hold a value of a sealed column, which the
// parser would quote.
func (l *language) mentionsSealed(src string) bool {
	for _, c := range l.res.columns {
		if c.sealed && strings.Contains(src, c.name) {
			return true
		}
	}
	return false
}

// sealedTests calls f for each comparison of a sealed column in a condition.
func (n *node) sealedTests(f func(*node)) {
	if n.op == opSealed {
		f(n)
	}
	for _, kid := range n.kids {
		kid.sealedTests(f)
	}
}

// indexLookup turns the caller's attributes into cells of blind indexes, once for each comparison, and
// remembers them for one call. It is used by one goroutine until all are known.
type indexLookup struct {
	a     *Authorizer
	ctx   context.Context
	pool  gorm.ConnPool // nil: that of WithTx, or the database's
	known map[*node]*node
}

// sealed compares in Go what the folded node compares in SQL: the row's stored cell with those of the caller's
// values.
func (n *node) sealed(e *env) tri {
	f, err := n.foldSealed(e)
	if err != nil {
		if e.err == nil {
			e.err = err
		}
		return unknown
	}
	return f.eval(e)
}

// foldSealed replaces the caller's values by their cells: a plain "in" on the index column is left. A value
// that is missing, empty or has no cell is unknown.
func (n *node) foldSealed(e *env) (*node, error) {
	if f := e.who.index.known[n]; f != nil {
		return f, nil
	}
	values, missing := n.asked(e)
	if e.err != nil {
		return nil, e.err
	}
	f := &node{op: opIn, left: n.left}
	for _, v := range values {
		cells, err := e.who.index.cells(n.left.col, v)
		if err != nil {
			return nil, err
		}
		missing = missing || len(cells) == 0
		for _, c := range cells {
			f.list = append(f.list, operand{kind: cell, val: value{kind: cell, s: string(c)}})
		}
		if len(f.list) > maxList {
			return nil, tooLong(len(f.list))
		}
	}
	switch {
	case len(f.list) == 0:
		f = constant(min(unknown, truth(missing)))
	case missing:
		f = anyOf(f, constant(unknown))
	}
	e.who.index.remember(n, f)
	return f, nil
}

// asked returns the caller's values; missing says that there are some that nobody knows.
func (n *node) asked(e *env) (values []string, missing bool) {
	add := func(s string) {
		if strings.TrimSpace(s) == "" {
			missing = true // an account without a telephone number is nobody's
			return
		}
		values = append(values, s)
	}
	if n.right.kind == texts {
		r := n.right.get(e)
		missing = r.kind == null
		for _, s := range r.list {
			add(s)
		}
	}
	for i := range n.list {
		add(n.list[i].get(e).s)
	}
	return values, missing
}

func (l *indexLookup) remember(n, f *node) {
	if l.known == nil {
		l.known = map[*node]*node{}
	}
	l.known[n] = f
}

// cells asks the Indexer, on the connection of the statement.
func (l *indexLookup) cells(index *column, v string) ([][]byte, error) {
	db := Tx(l.ctx)
	if db == nil {
		db = l.a.db.Load()
	}
	if db == nil {
		return nil, fmt.Errorf("rbac: row.%s: no database: call db.Use(authorizer) first", index.match.name)
	}
	db = db.Session(&gorm.Session{NewDB: true, Context: l.ctx})
	if l.pool != nil {
		db.Statement.ConnPool = l.pool
	}
	model := reflect.New(index.field.Schema.ModelType).Interface()
	cells, err := l.a.cfg.Index.BlindIndex(l.ctx, db, model, index.name, v)
	if err != nil {
		return nil, fmt.Errorf("rbac: blind index of row.%s: %w", index.match.name, err)
	}
	for _, c := range cells {
		if len(c) == 0 {
			return nil, fmt.Errorf("rbac: blind index of row.%s: Config.Index returned an empty cell", index.match.name)
		}
	}
	return cells, nil
}

// loadIndexes turns all attributes that a View may compare into cells: it outlives the call.
func (a *Authorizer) loadIndexes(s *snapshot, who *asker, rows reflect.Value) error {
	if who.index == nil {
		return nil
	}
	seen := map[*resource]bool{}
	return eachStruct(rows, func(row reflect.Value) error {
		res := a.models[row.Type()]
		if res == nil || seen[res] {
			return nil
		}
		seen[res] = true
		for _, n := range s.sealed[res] {
			if _, err := n.foldSealed(&env{who: *who}); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachStruct calls f for a row, or each of them.
func eachStruct(rows reflect.Value, f func(reflect.Value) error) error {
	if rows.Kind() != reflect.Slice && rows.Kind() != reflect.Array {
		if rows.Kind() == reflect.Struct {
			return f(rows)
		}
		return nil // view reports it
	}
	for i := range rows.Len() {
		row := rows.Index(i)
		for row.Kind() == reflect.Pointer || row.Kind() == reflect.Interface {
			row = row.Elem()
		}
		if row.Kind() != reflect.Struct {
			continue
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}
