package rbac

import (
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// prepareUpsert keeps ON CONFLICT DO UPDATE, which Save falls back to, off the rows that the caller may not
// update. The rows it would hit are read and locked first; on SQLite and PostgreSQL the update also
// carries the predicate, in case one appears meanwhile.
func (g *guard) prepareUpsert(values clause.Values) error {
	own, err := g.a.scopeFor(g.db.Statement.Context, g.snap, &g.who, g.res, "update")
	if err != nil {
		return err
	}
	if err := g.noForeignConflict(own, values); err != nil {
		return err
	}
	stmt := g.db.Statement
	if dialect := stmt.Dialector.Name(); dialect != mysql {
		c := stmt.Clauses["ON CONFLICT"]
		on, _ := c.Expression.(clause.OnConflict)
		where := clause.Where{Exprs: []clause.Expression{g.marked(own.expr(dialect, g.res.table))}}
		if len(on.Where.Exprs) > 0 {
			where.Exprs = append(where.Exprs, parenthesized{on.Where})
		}
		on.Where = where
		c.Expression = on
		stmt.Clauses["ON CONFLICT"] = c
	}
	return g.checkAfterUpsert(own, values)
}

// noForeignConflict denies the upsert if a row with one of the unique keys lies outside the scope.
func (g *guard) noForeignConflict(own scope, values clause.Values) error {
	stmt := g.bare()
	_, _ = stmt.WriteString("SELECT CASE WHEN ")
	own.expr(stmt.Dialector.Name(), g.table).Build(stmt)
	_, _ = stmt.WriteString(" THEN 1 ELSE 0 END FROM ")
	stmt.WriteQuoted(clause.Table{Name: clause.CurrentTable})
	_, _ = stmt.WriteString(" WHERE (1 = 0)")
	for _, key := range g.res.unique {
		if err := g.orConflict(stmt, key, values); err != nil {
			return err
		}
	}
	if stmt.Dialector.Name() != sqlite {
		_, _ = stmt.WriteString(" FOR UPDATE")
	}
	in, err := ints(stmt)
	if err != nil {
		return fmt.Errorf("rbac: look for the rows an upsert on %s would overwrite: %w", g.res.table, err)
	}
	for _, mine := range in {
		if mine == 0 {
			d := g.snap.denial(g.res, "update", nil)
			d.Detail = "an existing row with one of these keys is not the caller's to change"
			return g.a.denied(stmt.Context, d, "")
		}
	}
	return nil
}

// orConflict adds "OR (key = values of row 1) OR ...". A key with a NULL conflicts with nothing.
func (g *guard) orConflict(stmt *gorm.Statement, key []*schema.Field, values clause.Values) error {
	at := map[string]int{}
	for i, c := range values.Columns {
		if f := g.res.schema.LookUpField(c.Name); f != nil {
			at[f.DBName] = i
		}
	}
	for _, row := range values.Values {
		var parts []clause.Expression
		for _, f := range key {
			i, ok := at[f.DBName]
			if !ok || row[i] == nil {
				break
			}
			if _, raw := row[i].(clause.Expression); raw {
				return refused("an upsert on %s computes its key in SQL: give the key as a value", g.res.table)
			}
			parts = append(parts, clause.Eq{Column: clause.Column{Table: g.table, Name: f.DBName}, Value: row[i]})
		}
		if len(parts) == len(key) {
			_, _ = stmt.WriteString(" OR ")
			parenthesized{clause.Where{Exprs: parts}}.Build(stmt)
		}
	}
	return nil
}

// uniqueKeys returns the primary key and all unique indexes of the model.
func uniqueKeys(s *schema.Schema) [][]*schema.Field {
	keys := [][]*schema.Field{s.PrimaryFields}
	for _, index := range s.ParseIndexes() {
		if index.Class != "UNIQUE" {
			continue
		}
		var key []*schema.Field
		for _, option := range index.Fields {
			key = append(key, option.Field)
		}
		keys = append(keys, key)
	}
	for _, f := range s.Fields {
		if f.Unique && f.DBName != "" {
			keys = append(keys, []*schema.Field{f})
		}
	}
	return keys
}

// ints runs a query for one column of integers.
func ints(stmt *gorm.Statement) ([]int64, error) { return oneColumn[int64](stmt) }

// oneColumn runs a query for one column.
func oneColumn[T any](stmt *gorm.Statement) ([]T, error) {
	if stmt.DB.Error != nil {
		return nil, stmt.DB.Error
	}
	rows, err := stmt.ConnPool.QueryContext(stmt.Context, stmt.SQL.String(), stmt.Vars...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
