package rbac

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/rbac/internal/passage"
)

func (t *translator) shared(e ast.Expr, c ast.CallExpr) (*node, error) {
	of, right := c.Args()[0], c.Args()[1]
	if of.Kind() != ast.IdentKind || of.AsIdent() != "row" || right.Kind() != ast.LiteralKind {
		return nil, fmt.Errorf("%s: write shared(row, \"read\"), with the right as a word", t.source(e))
	}
	s, _ := right.AsLiteral().(types.String)
	if !word(string(s)) {
		return nil, fmt.Errorf("%s: the right must be a lower-case word", t.source(e))
	}
	res, table := t.lang.res, t.lang.shares
	if err := table.fits(res); err != nil {
		return nil, err
	}
	test := &shareTest{table: table, res: res, right: string(s), cond: table.condition(res, string(s))}
	return t.leaf(e, &node{op: opShared, left: operand{from: fromRow, kind: res.key.kind, col: res.key}, share: test}), nil
}

// shares counts the tests for shares in a condition.
func (n *node) shares() int {
	count := int(bit(n.op == opShared))
	for _, kid := range n.kids {
		count += kid.shares()
	}
	return count
}

func (n *node) shared(e *env) tri {
	key := n.left.get(e)
	if key.kind == null {
		return no
	}
	return truth(e.who.shares.has(e, n.share, key))
}

// foldShared puts the caller and the time into the condition on the shares.
func (n *node) foldShared(e *env) (*node, error) {
	cond, err := n.share.cond.fold(e)
	if err != nil {
		return nil, err
	}
	test := *n.share
	test.cond = cond
	if l := e.who.shares; l != nil && l.first && e.err == nil {
		list, few, err := l.list(n, &test)
		if err != nil {
			return nil, err
		}
		if few {
			return list, nil
		}
	}
	return &node{op: opShared, left: n.left, share: &test}, e.err
}

// shared prints the semi-join, which is true or false and never NULL. SQLite and PostgreSQL find the shares
// first and then their rows by the key; under an OR, PostgreSQL does so for an array only. MySQL gets here
// where the caller has more shares than maxFirst: it asks for each row, by the exact bytes of its key.
func (p *printer) shared(n *node) {
	t, key := n.share.table, n.left.col
	inner := *p
	if inner.table = "confide_share"; p.table == inner.table {
		inner.table += "_" // or the row's key would be taken for the share's
	}
	p.text("(")
	array := p.dialect == postgres && p.nested
	switch {
	case p.dialect == mysql:
		p.text("EXISTS (SELECT 1")
	case array:
		p.column(key)
		p.text(" = ANY (ARRAY(SELECT ")
		inner.column(t.row)
	default:
		p.column(key)
		if key.kind == text && p.dialect == sqlite {
			p.text(" COLLATE BINARY")
		}
		p.text(" IN (SELECT ")
		inner.column(t.row)
	}
	p.text(" FROM ")
	p.WriteQuoted(clause.Table{Name: t.res.table, Alias: inner.table})
	p.text(" WHERE ")
	if p.dialect == mysql {
		inner.column(t.row)
		p.text(" = ")
		p.column(key)
		p.text(" AND ")
		if key.kind == text {
			inner.bytes(t.row)
			p.text(" = ")
			p.bytes(key)
			p.text(" AND ")
		}
	}
	inner.print(n.share.cond)
	p.text(map[bool]string{true: ")))", false: "))"}[array])
}

// shareLookup answers in Go what shared() answers in SQL: it fetches the caller's shares of some rows with
// the same condition, and remembers them for one call. It is used by one goroutine until all its rows are
// known.
type shareLookup struct {
	a     *Authorizer
	ctx   context.Context
	pool  gorm.ConnPool // nil: that of WithTx, or the database's
	known map[shareKey][]string

	first bool // lists go into the statement as keys
	lists map[shareKey]*node
}

type shareKey struct {
	res *resource
	i   int64
	s   string
}

func (l *shareLookup) has(e *env, test *shareTest, key value) bool {
	at := shareKey{test.res, key.i, key.s}
	rights, known := l.known[at]
	if !known {
		if err := l.load(e, test.res, []value{key}); err != nil {
			if e.err == nil {
				e.err = err
			}
			return false
		}
		rights = l.known[at]
	}
	return slices.Contains(rights, test.right)
}

// maxFirst bounds the shares that are looked up before a statement; each becomes two variables of it.
const maxFirst = 1000

// list fetches the keys of all rows that shares of this right give the caller. MySQL scans a whole table for
// "own or shared" if the shares are a subquery, and finds both by their indexes if they are a list. few is
// false where there are too many for one.
func (l *shareLookup) list(n *node, test *shareTest) (list *node, few bool, err error) {
	at := shareKey{res: test.res, s: test.right}
	if list, known := l.lists[at]; known {
		return list, list != nil, nil
	}
	stmt, err := l.statement()
	if err != nil {
		return nil, false, fmt.Errorf("rbac: shares of %s: %w", test.res.name, err)
	}
	list = &node{op: opIn, left: n.left}
	seen := map[shareKey]bool{}
	err = l.fetch(stmt, test.cond, maxFirst+1, func(key value, _ string) {
		if row := (shareKey{i: key.i, s: key.s}); !seen[row] {
			seen[row] = true
			list.list = append(list.list, operand{kind: key.kind, val: key})
		}
	})
	if err != nil {
		return nil, false, fmt.Errorf("rbac: shares of %s: %w", test.res.name, err)
	}
	switch {
	case len(list.list) > maxFirst:
		list = nil
	case len(list.list) == 0:
		list = constant(no)
	}
	if l.lists == nil {
		l.lists = map[shareKey]*node{}
	}
	l.lists[at] = list
	return list, list != nil, nil
}

// load fetches the caller's shares of the rows with these keys.
func (l *shareLookup) load(e *env, res *resource, keys []value) error {
	t := l.a.shares
	cond, err := t.condition(res, "").fold(&env{who: e.who})
	if err != nil {
		return err
	}
	if l.known == nil {
		l.known = map[shareKey][]string{}
	}
	const batch = 1000
	for chunk := range slices.Chunk(keys, batch) {
		of := &node{op: opIn, left: operand{from: fromRow, kind: t.row.kind, col: t.row}}
		for _, key := range chunk {
			l.known[shareKey{res, key.i, key.s}] = nil
			of.list = append(of.list, operand{kind: key.kind, val: key})
		}
		stmt, err := l.statement()
		if err == nil {
			err = l.fetch(stmt, all(of, cond), 0, func(key value, right string) {
				at := shareKey{res, key.i, key.s}
				l.known[at] = append(l.known[at], right)
			})
		}
		if err != nil {
			l.known = nil
			return fmt.Errorf("rbac: shares of %s: %w", res.name, err)
		}
	}
	return nil
}

// statement begins a query of the shares, in the caller's transaction if there is one.
func (l *shareLookup) statement() (*gorm.Statement, error) {
	db := Tx(l.ctx)
	if db == nil {
		db = l.a.db.Load()
	}
	if db == nil {
		return nil, fmt.Errorf("no database: call db.Use(authorizer) first")
	}
	pool := l.pool
	if pool == nil {
		pool = db.Statement.ConnPool
	}
	return &gorm.Statement{DB: db, Context: passage.With(l.ctx, ""), ConnPool: pool, Table: l.a.shares.res.table, Clauses: map[string]clause.Clause{}}, nil
}

// fetch calls f for each share that the condition holds on, at most limit of them if it is not 0.
func (l *shareLookup) fetch(stmt *gorm.Statement, cond *node, limit int, f func(key value, right string)) error {
	t := l.a.shares
	_, _ = stmt.WriteString("SELECT ")
	stmt.WriteQuoted(clause.Column{Table: t.res.table, Name: t.row.name})
	_, _ = stmt.WriteString(", ")
	stmt.WriteQuoted(clause.Column{Table: t.res.table, Name: t.right.name})
	_, _ = stmt.WriteString(" FROM ")
	stmt.WriteQuoted(clause.Table{Name: t.res.table})
	_, _ = stmt.WriteString(" WHERE ")
	scope{t.res, cond}.expr(stmt.Dialector.Name(), t.res.table).Build(stmt)
	if limit > 0 {
		_, _ = fmt.Fprintf(&stmt.SQL, " LIMIT %d", limit)
	}
	rows, err := stmt.ConnPool.QueryContext(stmt.Context, stmt.SQL.String(), stmt.Vars...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		key := value{kind: t.row.kind}
		var to any = &key.i
		if t.row.kind == text {
			to = &key.s
		}
		var right sql.NullString
		if err := rows.Scan(to, &right); err != nil {
			return err
		}
		f(key, right.String)
	}
	return rows.Err()
}

// loadShares fetches the shares of all rows of a View in one query, if the policy asks for any. A View
// outlives the call, so nothing may be left to ask for.
func (a *Authorizer) loadShares(s *snapshot, who *asker, rows reflect.Value) error {
	if who.shares == nil {
		return nil
	}
	list := rows.Kind() == reflect.Slice || rows.Kind() == reflect.Array
	keys := map[*resource][]value{}
	for i := 0; i == 0 || list && i < rows.Len(); i++ {
		row := rows
		if list {
			if rows.Len() == 0 {
				break
			}
			row = rows.Index(i)
		}
		if row = reflect.Indirect(row); row.Kind() != reflect.Struct {
			continue // view reports it
		}
		if res := a.models[row.Type()]; res != nil && s.shared[res] {
			keys[res] = append(keys[res], res.key.read(row))
		}
	}
	for res, of := range keys {
		if err := who.shares.load(&env{who: *who}, res, of); err != nil {
			return err
		}
	}
	return nil
}
