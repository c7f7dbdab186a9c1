package privacy

import (
	"slices"
	"strings"

	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// guardConflict makes the database itself check an upsert. The values of an INSERT are sealed for the id
// and the person in that INSERT; a row that already exists may have others, depending on which constraint
// conflicts. The assignment then yields a byte that the CHECK constraint refuses, and the statement fails.
func (c *creation) guardConflict() error {
	cl, ok := c.stmt.Clauses["ON CONFLICT"]
	if !ok {
		return nil
	}
	on, ok := cl.Expression.(clause.OnConflict)
	if !ok {
		return refuse(c.m.resource, "this ON CONFLICT cannot be checked", "use clause.OnConflict")
	}
	if err := c.checkConflictWhere(on); err != nil {
		return err
	}
	if on.DoNothing && len(on.DoUpdates) == 0 && !on.UpdateAll {
		return nil
	}
	if on.UpdateAll {
		c.expandUpdateAll(&on)
	}
	guarded, err := c.guards(on)
	if err != nil {
		return err
	}
	on.DoUpdates = guarded
	if len(on.Columns) == 0 && on.OnConstraint == "" {
		for _, f := range c.m.pk {
			on.Columns = append(on.Columns, clause.Column{Name: f.DBName})
		}
	}
	cl.Expression = on
	c.stmt.Clauses["ON CONFLICT"] = cl
	return nil
}

func (c *creation) checkConflictWhere(on clause.OnConflict) error {
	s, err := c.sealing.v.readScope(c.stmt.DB)
	if err != nil {
		return err
	}
	for _, w := range []clause.Where{on.Where, on.TargetWhere} {
		for _, e := range w.Exprs {
			if err := s.opaque(e, c.m); err != nil {
				return err
			}
		}
	}
	return nil
}

// expandUpdateAll does what GORM would do later, so that the assignments can be guarded.
func (c *creation) expandUpdateAll(on *clause.OnConflict) {
	on.UpdateAll = false
	columns, restricted := c.stmt.SelectAndOmitColumns(true, true)
	for _, name := range c.stmt.Schema.DBNames {
		f := c.stmt.Schema.FieldsByDBName[name]
		picked, named := columns[name]
		if !(picked || !named && !restricted) || f.PrimaryKey || f.AutoCreateTime > 0 {
			continue
		}
		if f.HasDefaultValue && f.DefaultValueInterface == nil && !strings.EqualFold(f.DefaultValue, "NULL") {
			continue
		}
		if f.AutoUpdateTime > 0 {
			on.DoUpdates = append(on.DoUpdates, clause.Assignment{Column: clause.Column{Name: name}, Value: updateTime(c, f)})
			continue
		}
		on.DoUpdates = append(on.DoUpdates, clause.AssignmentColumns([]string{name})...)
	}
	if len(on.DoUpdates) == 0 {
		on.DoNothing = true
	}
}

func updateTime(c *creation, f *schema.Field) any {
	now := c.stmt.DB.NowFunc()
	switch f.AutoUpdateTime {
	case schema.UnixNanosecond:
		return now.UnixNano()
	case schema.UnixMillisecond:
		return now.UnixMilli()
	case schema.UnixSecond:
		return now.Unix()
	}
	return now
}

// guards returns the assignments of an upsert with those of sealed columns guarded and put first, because
// MySQL assigns from left to right and the guards read the old row.
func (c *creation) guards(on clause.OnConflict) (clause.Set, error) {
	var first, rest clause.Set
	touched := map[string]bool{}
	movesSubject := false
	for _, a := range on.DoUpdates {
		name := strings.ToLower(a.Column.Name)
		f, x := c.m.cells[name], c.m.blind[name]
		value, fromInsert := a.Value.(clause.Column)
		fromInsert = fromInsert && strings.EqualFold(value.Table, "excluded") && strings.EqualFold(value.Name, a.Column.Name)
		switch {
		case f == nil && x == nil:
			if !fromInsert {
				if err := c.checkAssignment(a); err != nil {
					return nil, err
				}
			}
			movesSubject = movesSubject || name == strings.ToLower(c.m.subject.DBName)
			rest = append(rest, a)
		case !fromInsert && f != nil:
			return nil, refuse(f.logical, "an upsert cannot seal an assigned value", "use clause.AssignmentColumns")
		case !fromInsert:
			return nil, refuse(x.of.logical, "its index column is set by hand", "leave it to the plugin")
		case f != nil && c.written[f.column]:
			touched[f.column] = true
			first = append(first, c.guard(f, true))
			for _, x := range f.indexes {
				first = append(first, clause.AssignmentColumns([]string{x.column})...)
			}
		}
	}
	if movesSubject && !c.m.subjectIsRow() {
		for _, f := range c.m.sealed {
			if !touched[f.column] {
				first = append(first, c.guard(f, false))
			}
		}
	}
	for _, x := range c.m.compounds {
		if a, ok := c.guardCompound(x, touched); ok {
			first = append(first, a)
		}
	}
	return append(first, rest...), nil
}

// guardCompound assigns a compound index whose parts are all assigned. Of a row that keeps a part the database
// cannot know the index: it is NULL if a part is, and otherwise the CHECK constraint refuses the statement.
func (c *creation) guardCompound(x *indexField, touched map[string]bool) (clause.Assignment, bool) {
	var sql []string
	var vars []any
	kept := 0
	for _, p := range x.parts {
		sql = append(sql, "? IS NULL")
		if touched[p.of.column] {
			vars = append(vars, c.given(p.of.column))
		} else {
			kept++
			vars = append(vars, clause.Column{Table: c.stmt.Table, Name: p.of.column})
		}
	}
	a := clause.AssignmentColumns([]string{x.column})[0]
	if kept > 0 {
		a.Value = clause.Expr{SQL: "CASE WHEN " + strings.Join(sql, " OR ") + " THEN NULL ELSE " + c.badCell() + " END", Vars: vars}
	}
	return a, kept < len(x.parts)
}

// given is a column of the row that was to be inserted.
func (c *creation) given(name string) any {
	if c.stmt.Dialector.Name() == "mysql" {
		return clause.Expr{SQL: "VALUES(?)", Vars: []any{clause.Column{Name: name}}}
	}
	return clause.Column{Table: "excluded", Name: name}
}

// badCell is a byte that the CHECK constraints refuse.
func (c *creation) badCell() string {
	if c.stmt.Dialector.Name() == "postgres" {
		return `'\x00'::bytea`
	}
	return "x'00'"
}

// guard assigns the new value, or keeps the old one, if the row is the one it is sealed for.
func (c *creation) guard(f *sealedField, renew bool) clause.Assignment {
	stored := func(name string) any { return clause.Column{Table: c.stmt.Table, Name: name} }
	same := map[string]bool{}
	var sql []string
	var vars []any
	keys := []*schema.Field{c.m.subject}
	if !c.m.anyRow {
		keys = append(slices.Clone(c.m.pk), c.m.subject)
	}
	for _, k := range keys {
		if !same[k.DBName] {
			same[k.DBName] = true
			sql = append(sql, "? = ?")
			vars = append(vars, stored(k.DBName), c.given(k.DBName))
		}
	}
	value := stored(f.column)
	if renew {
		value = c.given(f.column)
	}
	return clause.Assignment{
		Column: clause.Column{Name: f.column},
		Value:  clause.Expr{SQL: "CASE WHEN " + strings.Join(sql, " AND ") + " THEN ? ELSE " + c.badCell() + " END", Vars: append(vars, value)},
	}
}

// checkAssignment refuses an expression that would copy ciphertext into a plain column.
func (c *creation) checkAssignment(a clause.Assignment) error {
	s, err := c.sealing.v.readScope(c.stmt.DB)
	if err != nil {
		return err
	}
	return s.operand(a.Value, c.m)
}
