package privacy

import (
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// beforeQuery rewrites the conditions of Find, First, Count, Pluck and the rest, and refuses what cannot be
// answered.
func (v *Vault) beforeQuery(db *gorm.DB) error {
	return v.beforeRead(db, false)
}

// beforeRow does the same for Row, Rows and Scan, whose results leave past the plugin.
func (v *Vault) beforeRow(db *gorm.DB) error {
	if isInternal(db.Statement.Context) {
		return nil // the migrator, which reads the types of a table's columns this way
	}
	return v.beforeRead(db, true)
}

func (v *Vault) beforeRead(db *gorm.DB, streamed bool) error {
	if db.Statement.SQL.Len() > 0 {
		return v.rawSQL(db)
	}
	s, err := v.readScope(db)
	if err != nil {
		return err
	}
	s.streamed = streamed
	if err := s.conditions(); err != nil {
		return err
	}
	if !s.any() {
		return nil
	}
	picked, err := s.selected()
	if err != nil {
		return err
	}
	if streamed && len(picked) > 0 && !s.isColumnProbe() {
		return refuse(picked[0].logical, "Rows, Row and Scan hand it out past the vault, still sealed", "use Find or FindInBatches, also with a struct of your own, or select other columns")
	}
	if !streamed {
		if err := s.destination(picked); err != nil {
			return err
		}
		s.forget(picked)
	}
	return nil
}

// isColumnProbe recognises Table(name).Limit(1).Rows(), with which GORM's migrator asks for the types of the
// columns and of which it reads no row.
func (s *scope) isColumnProbe() bool {
	limit, ok := s.stmt.Clauses["LIMIT"].Expression.(clause.Limit)
	return ok && limit.Limit != nil && *limit.Limit == 1 && s.stmt.Schema == nil && s.stmt.Model == nil &&
		len(s.stmt.Selects) == 0 && len(s.stmt.Joins) == 0 && s.stmt.Clauses["WHERE"].Expression == nil && s.stmt.Clauses["SELECT"].Expression == nil
}

func (v *Vault) readScope(db *gorm.DB) (*scope, error) {
	s, err := v.scopeOf(db.Statement)
	if err != nil {
		return nil, err
	}
	s.tenant = &tenantIndex{ctx: db.Statement.Context, v: v, db: s.pool()}
	return s, nil
}

// conditions rewrites WHERE and the ON of joins, and refuses sealed columns in ORDER BY, GROUP BY and
// HAVING. It never writes into slices, which other statements may share.
func (s *scope) conditions() error {
	st := s.stmt
	if c, ok := st.Clauses["WHERE"]; ok && c.Expression != nil {
		s.push(c.Expression)
		e, err := s.expr(s.joints(c.Expression), s.main)
		if err != nil {
			return err
		}
		c.Expression = e
		st.Clauses["WHERE"] = c
	}
	if err := s.joins(); err != nil {
		return err
	}
	if err := s.order(); err != nil {
		return err
	}
	return s.group()
}

func (s *scope) joins() error {
	for i := range s.stmt.Joins {
		j := &s.stmt.Joins[i]
		current := s.main
		if rels := s.relations(j.Name); rels != nil {
			current = s.reg.byType[rels[len(rels)-1].FieldSchema.ModelType]
		} else if _, _, err := s.text(j.Name, j.Conds, s.main, joinCondition); err != nil {
			return err
		}
		if j.Expression != nil {
			if _, err := s.expr(j.Expression, s.main); err != nil {
				return err
			}
		}
		if j.On != nil {
			exprs, err := s.exprs(j.On.Exprs, current)
			if err != nil {
				return err
			}
			j.On = &clause.Where{Exprs: exprs}
		}
	}
	c, ok := s.stmt.Clauses["FROM"]
	from, isFrom := c.Expression.(clause.From)
	if !ok || !isFrom {
		return nil
	}
	joins := make([]clause.Join, len(from.Joins))
	for i, j := range from.Joins {
		exprs, err := s.exprs(j.ON.Exprs, s.main)
		if err == nil && j.Expression != nil {
			_, err = s.expr(j.Expression, s.main)
		}
		if err != nil {
			return err
		}
		j.ON.Exprs = exprs
		joins[i] = j
	}
	from.Joins = joins
	c.Expression = from
	s.stmt.Clauses["FROM"] = c
	return nil
}

func (s *scope) order() error {
	c, ok := s.stmt.Clauses["ORDER BY"]
	if !ok {
		return nil
	}
	by, ok := c.Expression.(clause.OrderBy)
	if !ok {
		if c.Expression != nil {
			return s.opaque(c.Expression, s.main)
		}
		return nil
	}
	if by.Expression != nil {
		if err := s.opaque(by.Expression, s.main); err != nil {
			return err
		}
	}
	for _, col := range by.Columns {
		if err := s.plainColumn(col.Column, "rows cannot be put in the order of sealed values", "order by another column, or sort after Reveal"); err != nil {
			return err
		}
	}
	return nil
}

func (s *scope) group() error {
	c, ok := s.stmt.Clauses["GROUP BY"]
	if !ok {
		return nil
	}
	by, ok := c.Expression.(clause.GroupBy)
	if !ok {
		return nil
	}
	for _, col := range by.Columns {
		if err := s.plainColumn(col, "ciphertexts of equal values differ, so there is nothing to group", "group by another column"); err != nil {
			return err
		}
	}
	exprs, err := s.exprs(by.Having, s.main)
	if err != nil {
		return err
	}
	by.Having = exprs
	c.Expression = by
	s.stmt.Clauses["GROUP BY"] = c
	return nil
}

// plainColumn refuses a sealed column, also inside raw text such as "phone desc".
func (s *scope) plainColumn(col clause.Column, why, remedy string) error {
	toks := tokenize(col.Name)
	for i := 0; i < len(toks); i++ {
		if toks[i].kind != tokenName {
			continue
		}
		n := readName(toks, i)
		if n.qualifier == "" && !col.Raw {
			n.qualifier = col.Table
		}
		if hit, ok := s.resolve(n.qualifier, n.name, s.main); ok {
			return refuse(hit.logical(), why, remedy)
		}
		i = n.end - 1
	}
	return nil
}

// rawSQL refuses raw SQL that names a table with sealed columns. What it would read or write there passes
// the vault by, and GORM would log its parameters.
func (v *Vault) rawSQL(db *gorm.DB) error {
	text := db.Statement.SQL.String()
	reg := v.reg.Load()
	toks := tokenize(text)
	if len(reg.all) == 0 || isInternal(db.Statement.Context) || isSchemaChange(toks) {
		return nil
	}
	for _, t := range toks {
		if t.kind != tokenName {
			continue
		}
		if m := reg.byTable[strings.ToLower(t.text)]; m != nil {
			return refuse(m.resource, "raw SQL on table "+m.table+" passes the vault by",
				"use the model; for maintenance take the *sql.DB from db.DB(), where only the database's CHECK constraints protect you")
		}
	}
	return nil
}

func (v *Vault) beforeRaw(db *gorm.DB) error { return v.rawSQL(db) }

// isSchemaChange lets AutoMigrate work. On SQLite it rebuilds a table by copying it into one that is called
// the same with __temp behind.
func isSchemaChange(toks []token) bool {
	if len(toks) == 0 {
		return true
	}
	if toks[0].is("CREATE", "ALTER", "DROP", "PRAGMA", "COMMENT", "ANALYZE", "VACUUM", "REINDEX") {
		for _, t := range toks {
			if t.is("SELECT") {
				return false
			}
		}
		return true
	}
	return len(toks) > 2 && toks[0].is("INSERT") && toks[1].is("INTO") && toks[2].quoted &&
		strings.HasSuffix(toks[2].text, "__temp") && toks[len(toks)-1].quoted && toks[len(toks)-1].text+"__temp" == toks[2].text
}

// beforeDelete rewrites the conditions of a delete.
func (v *Vault) beforeDelete(db *gorm.DB) error {
	if db.Statement.SQL.Len() > 0 {
		return v.rawSQL(db)
	}
	s, err := v.readScope(db)
	if err != nil {
		return err
	}
	s.locks = true
	if err := s.conditions(); err != nil || s.main == nil || !s.main.searched() || db.DryRun || db.Statement.Schema == nil {
		return err
	}
	if err := beginTransaction(db); err != nil {
		return err
	}
	return v.rememberGone(db, s.main)
}
