package rbac

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// MayReveal reports nil if the caller in ctx may see these fields of all these rows whole: each row must be
// readable, the action reveal allowed on it, and a field rule with Reveal hold for each field. The
// database decides by the rows' ids, in one query; a row that is not there is refused like one that is
// not the caller's. Where rules would allow it if the caller brought what they need, the refusal is a *Required.
func (a *Authorizer) MayReveal(ctx context.Context, resource string, rows, fields []string) error {
	s, err := a.current(ctx)
	if err != nil {
		return err
	}
	res := a.resources[resource]
	db := Tx(ctx)
	if db == nil {
		db = a.db.Load()
	}
	switch {
	case res == nil:
		return fmt.Errorf("rbac: reveal: %q is not a resource: add it to Config.Resources", resource)
	case res.key == nil || res.key.kind != text && res.key.kind != integer:
		return fmt.Errorf("rbac: reveal: resource %s has no single primary key that is a string or an integer", resource)
	case db == nil:
		return fmt.Errorf("rbac: reveal: no database: call db.Use(authorizer) first")
	case len(rows) == 0 || len(fields) == 0:
		return fmt.Errorf("rbac: reveal: name at least one row and one field of %s", resource)
	}
	who, err := a.asker(ctx, s)
	if err != nil {
		return err
	}
	own, err := s.revealScope(&who, res, fields)
	if err != nil {
		return err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(rows)))
	visible, err := countRows(ctx, db, own, ids)
	if err != nil {
		return fmt.Errorf("rbac: reveal: %w", err)
	}
	if s.needy {
		all := &revelation{a: a, db: db, snap: s, res: res, fields: fields, ids: ids}
		if done, err := all.needs(ctx, &who, visible == len(ids)); done {
			return err
		}
	}
	if visible == len(ids) {
		return nil
	}
	d := s.denial(res, "reveal", nil)
	d.Detail = fmt.Sprintf("the caller may not see %s of all these rows whole", strings.Join(fields, ", "))
	return a.denied(ctx, d, strings.Join(ids, ","))
}

// revealScope is the rows on which all of the fields may be revealed.
func (s *snapshot) revealScope(who *asker, res *resource, fields []string) (scope, error) {
	own, err := s.scope(who, res, "read")
	if err != nil {
		return own, err
	}
	reveal, err := s.scope(who, res, "reveal")
	if err != nil {
		return own, err
	}
	own = own.also(reveal)
	for _, field := range fields {
		col := res.column(field)
		if col == nil {
			return own, fmt.Errorf("rbac: reveal: %s has no field %q; it has %s", res.name, field, res.columnNames())
		}
		may, err := s.folded(who, res, []*node{s.revealRule(who, res, col)})
		if err != nil {
			return own, err
		}
		own = own.also(may)
	}
	return own, nil
}

func (s *snapshot) revealRule(who *asker, res *resource, col *column) *node {
	var conds []*node
	for _, role := range who.roles.ids {
		for _, f := range s.rulesOf(role, res, col) {
			if f.Reveal {
				conds = append(conds, f.cond)
			}
		}
	}
	return anyOf(conds...)
}

// countRows counts the rows with these ids inside the scope. It goes to the connection directly: the
// statement is ours, and the caller's scope is in it.
func countRows(ctx context.Context, db *gorm.DB, own scope, ids []string) (int, error) {
	const batch = 1000
	total := 0
	for chunk := range slices.Chunk(ids, batch) {
		stmt := &gorm.Statement{DB: db, Context: ctx, ConnPool: db.Statement.ConnPool, Table: own.res.table, Clauses: map[string]clause.Clause{}}
		_, _ = stmt.WriteString("SELECT COUNT(*) FROM ")
		stmt.WriteQuoted(clause.Table{Name: own.res.table})
		_, _ = stmt.WriteString(" WHERE ")
		own.also(scope{own.res, own.res.keyIn(chunk)}).expr(db.Dialector.Name(), own.res.table).Build(stmt)
		found, err := ints(stmt)
		if err != nil {
			return 0, err
		}
		total += int(found[0])
	}
	return total, nil
}

// keyIn is the condition that the key is one of ids, exactly: MySQL by itself would take "1 " for "1".
func (r *resource) keyIn(ids []string) *node {
	n := &node{op: opIn, left: operand{from: fromRow, kind: r.key.kind, col: r.key}}
	for _, id := range ids {
		v := value{kind: text, s: id}
		if r.key.kind == integer {
			number, err := strconv.ParseInt(id, 10, 64)
			if err != nil {
				return constant(no) // no row has such a key
			}
			v = value{kind: integer, i: number}
		}
		n.list = append(n.list, operand{kind: v.kind, val: v})
	}
	return n
}
