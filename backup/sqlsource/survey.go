package sqlsource

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// Survey implements backup.Surveyor. It reads a snapshot of another engine twice:
// to choose types that hold its values, and to see that every single value comes
// back the same out of them.
func (d *Database) Survey(ctx context.Context, schema backup.Schema, rows func(table string) iter.Seq2[backup.Row, error]) (backup.Target, error) {
	if schema.Engine == d.cfg.Engine || !slices.Contains([]string{SQLite, Postgres, MySQL}, schema.Engine) {
		return d, nil // Begin takes it, or refuses it
	}
	p := &plan{database: d, from: schema.Engine, to: d.cfg.Engine}
	for _, t := range schema.Tables {
		planned, err := p.survey(t, rows(t.Name))
		if err != nil {
			return nil, err
		}
		p.tables = append(p.tables, planned)
		p.omitted = append(p.omitted, t.Local...)
	}
	if err := p.decide(ctx); err != nil {
		return nil, err
	}
	for _, t := range p.tables {
		if err := t.try(rows(t.Name)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// A plan is how to restore one snapshot into another engine. It is the
// backup.Target for that snapshot.
type plan struct {
	database *Database
	from, to string
	tables   []*plannedTable
	omitted  []backup.Omission
	collate  string // MySQL's collation that compares as the other engines do

	schema backup.Schema // in the target's SQL
}

type plannedTable struct {
	backup.Table
	shapes  []shape
	columns []conversion
}

// A conversion takes one column's cells from engine to engine.
type conversion struct{ from, to converter }

func (c conversion) forth(v cell.Value) (cell.Value, error) { return pass(v, c.from, c.to) }
func (c conversion) back(v cell.Value) (cell.Value, error)  { return pass(v, c.to, c.from) }

func pass(v cell.Value, from, to converter) (cell.Value, error) {
	if v.Kind == cell.Null {
		return v, nil
	}
	portable, err := from.lift(v)
	if err != nil {
		return v, err
	}
	return to.lower(portable)
}

func inexact(table, column, why string) error {
	return fmt.Errorf("%w: column %q of table %q %s; change it, or exclude the table", backup.ErrUnsupported, column, table, why)
}

func (p *plan) survey(t backup.Table, rows iter.Seq2[backup.Row, error]) (*plannedTable, error) {
	found, err := look(len(t.Columns), rows)
	if err != nil {
		return nil, err
	}
	out := &plannedTable{Table: t}
	for i, c := range t.Columns {
		var s shape
		switch p.from {
		case SQLite:
			s, err = sqliteShape(c, found[i])
		case Postgres:
			s, err = pgShape(c, found[i])
		default:
			s, err = mysqlShape(c, found[i])
		}
		if err != nil {
			return nil, inexact(t.Name, c.Name, err.Error())
		}
		if p.to == MySQL && s.kind == cell.Decimal && !s.fixed {
			if s, err = found[i].fixed(p.from); err != nil {
				return nil, inexact(t.Name, c.Name, err.Error())
			}
		}
		out.shapes = append(out.shapes, s)
	}
	return out, nil
}

// fixed finds a precision and scale for numbers that have none declared.
func (s *seen) fixed(from string) (shape, error) {
	const mostDigits, mostScale = 65, 30
	if from == SQLite && !s.empty() || s.scales.differ || s.scales.scale > mostScale || s.scales.whole+s.scales.scale > mostDigits {
		return shape{}, fmt.Errorf("holds numbers whose digits behind the point differ in count, or too many of them, for MySQL's decimal")
	}
	return shape{kind: cell.Decimal, fixed: true, precision: mostDigits, scale: s.scales.scale}, nil
}

// decide checks names, makes the ends of references alike and writes the
// statements.
func (p *plan) decide(ctx context.Context) error {
	if err := p.names(ctx); err != nil {
		return err
	}
	p.alike()
	p.schema = backup.Schema{Engine: p.to}
	for _, t := range p.tables {
		for _, s := range t.shapes {
			target := s
			target.layout, target.json = "", false
			t.columns = append(t.columns, conversion{from: converterOf(p.from, s), to: converterOf(p.to, target)})
		}
		made, counter, err := p.render(t)
		if err != nil {
			return err
		}
		p.schema.Tables = append(p.schema.Tables, made)
		p.schema.After = append(p.schema.After, counter...)
	}
	if p.to != SQLite { // which has them in CREATE TABLE
		for _, t := range p.tables {
			p.schema.After = append(p.schema.After, p.define(t).addForeignKeys()...)
		}
	}
	p.schema.Omitted = p.omitted
	return nil
}

func converterOf(engine string, s shape) converter {
	switch engine {
	case SQLite:
		return sqliteConverter{s}
	case Postgres:
		return pgConverter{s}
	}
	return mysqlConverter{s}
}

// alike gives a column that refers to another one its size: MySQL demands it.
func (p *plan) alike() {
	for range p.tables {
		for _, t := range p.tables {
			for _, r := range t.References {
				parent, to := p.parent(r)
				for i, name := range r.Columns {
					if parent == nil || i >= len(to) {
						continue
					}
					a, b := &t.shapes[t.position(name)], &parent.shapes[parent.position(to[i])]
					if a.kind == b.kind {
						a.bits = max(a.bits, b.bits)
						a.size = max(a.size, b.size)
						b.bits, b.size = a.bits, a.size
					}
				}
			}
		}
	}
}

// parent returns the table that a reference names, with the columns it means;
// nil if they are not there or not unique.
func (p *plan) parent(r backup.Reference) (*plannedTable, []string) {
	i := slices.IndexFunc(p.tables, func(t *plannedTable) bool { return strings.EqualFold(t.Name, r.Table) })
	if i < 0 {
		return nil, nil
	}
	parent, to := p.tables[i], r.To
	key := parent.named(parent.Key)
	if len(to) == 0 {
		to = key
	}
	unique := sameNames(to, key) || slices.ContainsFunc(parent.Indexes, func(x backup.Index) bool { return x.Unique && sameNames(to, x.Columns) })
	if !unique || len(to) != len(r.Columns) || slices.ContainsFunc(to, func(c string) bool { return parent.position(c) < 0 }) {
		return nil, nil
	}
	return parent, to
}

func sameNames(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.EqualFunc(a, b, strings.EqualFold)
}

func (t *plannedTable) position(column string) int {
	return slices.IndexFunc(t.Columns, func(c backup.Column) bool { return strings.EqualFold(c.Name, column) })
}

func (t *plannedTable) named(positions []int) (names []string) {
	for _, i := range positions {
		names = append(names, t.Columns[i].Name)
	}
	return names
}

// try converts every value there and back.
func (t *plannedTable) try(rows iter.Seq2[backup.Row, error]) error {
	var there, again []byte
	for row, err := range rows {
		if err != nil {
			return err
		}
		var column int
		if there, column, err = t.translate(there[:0], row, conversion.forth); err != nil {
			return inexact(t.Name, t.Columns[column].Name, err.Error())
		}
		if again, column, err = t.translate(again[:0], there, conversion.back); err != nil {
			return inexact(t.Name, t.Columns[column].Name, err.Error())
		}
		if !bytes.Equal(row, again) {
			return inexact(t.Name, t.Columns[t.differ(row, again)].Name, "holds a value that would not come back as it is")
		}
	}
	return nil
}

// differ finds the first column in which two rows differ.
func (t *plannedTable) differ(a, b []byte) int {
	for i := range t.Columns {
		_, restA, errA := cell.Next(a)
		_, restB, errB := cell.Next(b)
		if errA != nil || errB != nil || !bytes.Equal(a[:len(a)-len(restA)], b[:len(b)-len(restB)]) {
			return i
		}
		a, b = restA, restB
	}
	return 0
}

// translate converts a row; on an error it says in which column.
func (t *plannedTable) translate(dst []byte, row backup.Row, convert func(conversion, cell.Value) (cell.Value, error)) ([]byte, int, error) {
	rest := []byte(row)
	for i, c := range t.columns {
		v, after, err := cell.Next(rest)
		if err != nil {
			return dst, i, err
		}
		if v, err = convert(c, v); err != nil {
			return dst, i, err
		}
		dst, rest = appendValue(dst, v), after
	}
	return dst, 0, nil
}

// Begin implements backup.Target for the surveyed snapshot.
func (p *plan) Begin(ctx context.Context, schema backup.Schema) (backup.Loading, error) {
	if schema.Engine != p.from || len(schema.Tables) != len(p.tables) {
		return nil, fmt.Errorf("sqlsource: this target was prepared for another snapshot")
	}
	l, err := p.database.Begin(ctx, p.schema)
	if err != nil {
		return nil, err
	}
	return &translated{Loading: l, plan: p}, nil
}

// translated is a restore into another engine: the caller sees the rows of the
// first one throughout.
type translated struct {
	backup.Loading
	plan *plan
}

// Omitted lists what the target was not given.
func (l *translated) Omitted() []backup.Omission { return l.plan.omitted }

func (l *translated) find(name string) (*plannedTable, error) {
	for _, t := range l.plan.tables {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("sqlsource: there is no table %q in this snapshot", name)
}

func (l *translated) Load(ctx context.Context, name string, rows iter.Seq2[backup.Row, error]) error {
	t, err := l.find(name)
	if err != nil {
		return err
	}
	return l.Loading.Load(ctx, name, t.each(rows, conversion.forth))
}

func (l *translated) Rows(ctx context.Context, name string) iter.Seq2[backup.Row, error] {
	t, err := l.find(name)
	if err != nil {
		return failed(err)
	}
	return t.each(l.Loading.Rows(ctx, name), conversion.back)
}

func (t *plannedTable) each(rows iter.Seq2[backup.Row, error], convert func(conversion, cell.Value) (cell.Value, error)) iter.Seq2[backup.Row, error] {
	return func(yield func(backup.Row, error) bool) {
		var out []byte
		for row, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			var column int
			if out, column, err = t.translate(out[:0], row, convert); err != nil {
				yield(nil, inexact(t.Name, t.Columns[column].Name, err.Error()))
				return
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}
