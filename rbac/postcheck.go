package rbac

import (
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/rbac/internal/passage"
)

// postCheck makes sure that the rows a write touched are still inside the caller's scope with their new
// values, in the same transaction. It works inside a savepoint, so that a caller who ignores the error and
// commits does not keep the write.
type postCheck struct {
	*guard
	own    scope
	choose *gorm.Statement // finds the keys of the rows that will be touched; nil if they are known
	keys   []any
	saved  bool
}

const savepoint = "confide_rbac"

// preparePostCheck is called while the UPDATE is built. Only an assignment to a column that the rule reads
// can move a row out of the scope.
func (g *guard) preparePostCheck(where clause.Clause, stmt *gorm.Statement) {
	set, _ := stmt.Clauses["SET"].Expression.(clause.Set)
	assigned := map[string]bool{}
	for _, a := range set {
		if col := g.res.column(a.Column.Name); col != nil {
			assigned[col.name] = true
		}
	}
	if !g.scope.reads(assigned) {
		return
	}
	if g.res.key == nil {
		_ = stmt.AddError(refused("an update of %s changes columns that its rules read; without a single primary key that cannot be checked", g.res.table))
		return
	}
	find := g.bare()
	_, _ = find.WriteString("SELECT ")
	find.WriteQuoted(clause.Column{Table: g.table, Name: g.res.key.name})
	_, _ = find.WriteString(" FROM ")
	find.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	_, _ = find.WriteString(" WHERE ")
	g.scope.expr(stmt.Dialector.Name(), g.table).Build(find)
	if w, ok := where.Expression.(clause.Where); !ok || len(w.Exprs) > 0 {
		_, _ = find.WriteString(" AND (")
		where.Expression.Build(find)
		_, _ = find.WriteString(")")
	}
	if stmt.Dialector.Name() != sqlite {
		_, _ = find.WriteString(" FOR UPDATE")
	}
	g.check = &postCheck{guard: g, own: g.scope, choose: find}
}

// checkAfterUpsert checks the rows with the keys of an upsert.
func (g *guard) checkAfterUpsert(own scope, values clause.Values) error {
	if g.res.key == nil {
		return refused("an upsert on %s needs a single primary key to be checked", g.res.table)
	}
	check := &postCheck{guard: g, own: own}
	for i, c := range values.Columns {
		if g.res.column(c.Name) != g.res.key {
			continue
		}
		for _, row := range values.Values {
			check.keys = append(check.keys, row[i])
		}
	}
	g.check = check
	return nil
}

// before runs ahead of the write, on its connection.
func (c *postCheck) before() error {
	if _, ok := c.inner.(gorm.TxCommitter); !ok {
		return refused("this write to %s must be checked afterwards, so it needs a transaction: do not set SkipDefaultTransaction", c.res.table)
	}
	ctx := passage.With(c.db.Statement.Context, "")
	if c.choose != nil {
		rows, err := c.inner.QueryContext(ctx, c.choose.SQL.String(), c.choose.Vars...)
		if err != nil {
			return fmt.Errorf("rbac: find the rows an update of %s touches: %w", c.res.table, err)
		}
		defer rows.Close()
		for rows.Next() {
			var key any
			if err := rows.Scan(&key); err != nil {
				return fmt.Errorf("rbac: find the rows an update of %s touches: %w", c.res.table, err)
			}
			c.keys = append(c.keys, textKey(key))
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("rbac: find the rows an update of %s touches: %w", c.res.table, err)
		}
		rows.Close()
	}
	if _, err := c.inner.ExecContext(ctx, "SAVEPOINT "+savepoint); err != nil {
		return fmt.Errorf("rbac: savepoint before an update of %s: %w", c.res.table, err)
	}
	c.saved = true
	return nil
}

// textKey makes text of the bytes in which drivers return it.
func textKey(key any) any {
	if b, ok := key.([]byte); ok {
		return string(b)
	}
	return key
}

// after runs behind the write and takes it back if a row has left the scope.
func (c *postCheck) after(written bool) error {
	if !c.saved || !written {
		return nil
	}
	ctx := c.db.Statement.Context
	outside, err := c.outside()
	if err == nil && outside {
		d := c.snap.denial(c.res, "update", nil)
		d.Detail = "the new values would take the row out of the caller's reach"
		err = c.a.denied(ctx, d, "")
	}
	if err != nil {
		if _, back := c.inner.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+savepoint); back != nil {
			return fmt.Errorf("%w (and taking it back failed: %w)", err, back)
		}
		return err
	}
	if _, err := c.inner.ExecContext(ctx, "RELEASE SAVEPOINT "+savepoint); err != nil {
		return fmt.Errorf("rbac: release savepoint after an update of %s: %w", c.res.table, err)
	}
	return nil
}

// outside asks the database for a touched row on which the rule does not hold.
func (c *postCheck) outside() (bool, error) {
	const batch = 1000
	for start := 0; start < len(c.keys); start += batch {
		stmt := c.bare()
		_, _ = stmt.WriteString("SELECT 1 FROM ")
		stmt.WriteQuoted(clause.Table{Name: clause.CurrentTable})
		_, _ = stmt.WriteString(" WHERE ")
		clause.IN{Column: clause.Column{Table: c.table, Name: c.res.key.name}, Values: c.keys[start:min(start+batch, len(c.keys))]}.Build(stmt)
		_, _ = stmt.WriteString(" AND CASE WHEN ")
		c.own.expr(stmt.Dialector.Name(), c.table).Build(stmt)
		_, _ = stmt.WriteString(" THEN 0 ELSE 1 END = 1 LIMIT 1")
		found, err := ints(stmt)
		if err != nil || len(found) > 0 {
			return true, err
		}
	}
	return false, nil
}
