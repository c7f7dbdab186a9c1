package sqlsource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

var _ backup.Live = (*Database)(nil)

// A merger is how an engine takes single rows.
type merger interface {
	// open begins a transaction.
	open(ctx context.Context, s *session, write bool) error
	// describe describes the tables of these names that there are.
	describe(ctx context.Context, s *session, names []string) ([]*table, error)
	// change runs a statement; args replace its marks.
	change(ctx context.Context, s *session, statement string, args []cell.Value) error
	// argument is a value as the engine's rows take it for a mark.
	argument(cell.Value) (any, error)
	// words are what differs in the statements: identifiers, marks, locks.
	words() words
}

type words struct {
	quote     func(string) string
	mark      func(n int) string // the mark of argument n, from 1
	lock      string             // ends a SELECT whose row nobody else may change
	overwrite string             // in an INSERT: also into columns that number themselves
}

// Merge implements backup.Live.
func (d *Database) Merge(ctx context.Context, schema backup.Schema, write bool) (backup.Merging, error) {
	if schema.Engine != d.cfg.Engine {
		return nil, fmt.Errorf("%w: the snapshot is of engine %q and the database is %q; restore it into a new database and take the rows from there", backup.ErrUnsupported, schema.Engine, d.cfg.Engine)
	}
	s, err := openSession(ctx, d.cfg.DB)
	if err != nil {
		return nil, err
	}
	m := &merging{engine: d.engine, session: s, write: write, tables: map[string]*table{}, references: map[string][]backup.Reference{}}
	if err := m.begin(ctx, d.filter(), schema); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// merging is a merge under way.
type merging struct {
	engine     engine
	session    *session
	write      bool
	tables     map[string]*table // with the columns of the snapshot, in its order
	references map[string][]backup.Reference
	lacking    map[string]string // why a table cannot take rows
}

func (m *merging) begin(ctx context.Context, f filter, schema backup.Schema) error {
	if err := m.engine.open(ctx, m.session, m.write); err != nil {
		return err
	}
	var names []string
	for _, t := range schema.Tables {
		if f.covers(t.Name) {
			names = append(names, t.Name)
		}
	}
	live, err := m.engine.describe(ctx, m.session, names)
	if err != nil {
		return err
	}
	m.lacking = map[string]string{}
	for _, want := range schema.Tables {
		i := slices.IndexFunc(live, func(t *table) bool { return t.name == want.Name })
		if i < 0 {
			m.lacking[want.Name] = "does not exist, or is not covered by the Config"
			continue
		}
		m.references[want.Name] = live[i].schema.References
		t, why := live[i].as(want)
		if why != "" {
			m.lacking[want.Name] = why
			continue
		}
		m.tables[want.Name] = t
	}
	return nil
}

// as returns the table with the columns of a snapshot only.
func (t *table) as(want backup.Table) (*table, string) {
	out := &table{name: t.name, key: want.Key}
	for _, c := range want.Columns {
		i := slices.IndexFunc(t.columns, func(have column) bool { return have.name == c.Name })
		if i < 0 {
			return nil, fmt.Sprintf("has no column %q any more", c.Name)
		}
		out.columns = append(out.columns, t.columns[i])
	}
	var mine, theirs []string
	for _, i := range t.key {
		mine = append(mine, t.columns[i].name)
	}
	for _, i := range want.Key {
		theirs = append(theirs, want.Columns[i].Name)
	}
	if !slices.Equal(mine, theirs) {
		return nil, "has another primary key than in the snapshot"
	}
	return out, ""
}

func (m *merging) find(name string) (*table, error) {
	if t := m.tables[name]; t != nil {
		return t, nil
	}
	why := m.lacking[name]
	if why == "" {
		why = "is not in the snapshot"
	}
	return nil, fmt.Errorf("%w: table %q of the database %s", backup.ErrUnsupported, name, why)
}

func (m *merging) References(name string) []backup.Reference { return m.references[name] }

func (m *merging) Find(ctx context.Context, name string, columns []string, values backup.Row) (backup.Row, error) {
	t, err := m.find(name)
	if err != nil {
		return nil, err
	}
	args, err := decode(values, len(columns))
	if err != nil {
		return nil, err
	}
	w := m.engine.words()
	which := selection{where: w.equal(columns, 0, " AND ")}
	if m.write {
		which.where += w.lock
	}
	if which.args, err = arguments(args, m.engine.argument); err != nil {
		return nil, err
	}
	var found backup.Row
	for row, err := range m.engine.rows(ctx, m.session, t, which) {
		if err != nil {
			return nil, err
		}
		found = slices.Clone(row)
	}
	return found, nil
}

// equal writes column = mark for each column, the marks counted from first.
func (w words) equal(columns []string, first int, between string) string {
	var parts []string
	for i, c := range columns {
		parts = append(parts, w.quote(c)+" = "+w.mark(first+i+1))
	}
	return strings.Join(parts, between)
}

func decode(row backup.Row, n int) ([]cell.Value, error) {
	var out []cell.Value
	rest := []byte(row)
	for range n {
		v, after, err := cell.Next(rest)
		if err != nil {
			return nil, err
		}
		out, rest = append(out, v), after
	}
	return out, nil
}

func (m *merging) Put(ctx context.Context, name string, row backup.Row, replace bool) error {
	t, err := m.find(name)
	if err != nil {
		return err
	}
	values, err := decode(row, len(t.columns))
	if err != nil {
		return err
	}
	if replace {
		return m.update(ctx, t, values)
	}
	w := m.engine.words()
	var names, marks []string
	for i, c := range t.columns {
		names, marks = append(names, w.quote(c.name)), append(marks, w.mark(i+1))
	}
	return m.engine.change(ctx, m.session, "INSERT INTO "+w.quote(name)+" ("+strings.Join(names, ", ")+")"+w.overwrite+" VALUES ("+strings.Join(marks, ", ")+")", values)
}

func (m *merging) update(ctx context.Context, t *table, values []cell.Value) error {
	w := m.engine.words()
	var set, key []string
	var args, keys []cell.Value
	for i, c := range t.columns {
		if slices.Contains(t.key, i) {
			key, keys = append(key, c.name), append(keys, values[i])
		} else {
			set, args = append(set, c.name), append(args, values[i])
		}
	}
	if len(set) == 0 {
		return nil
	}
	statement := "UPDATE " + w.quote(t.name) + " SET " + w.equal(set, 0, ", ") + " WHERE " + w.equal(key, len(set), " AND ")
	return m.engine.change(ctx, m.session, statement, append(args, keys...))
}

func (m *merging) Commit(ctx context.Context) error { return m.session.commit(ctx, "COMMIT") }

func (m *merging) Close() error { return m.session.end() }

// arguments converts cells for a statement.
func arguments(values []cell.Value, convert func(cell.Value) (any, error)) ([]any, error) {
	var out []any
	for _, v := range values {
		arg, err := convert(v)
		if err != nil {
			return nil, err
		}
		out = append(out, arg)
	}
	return out, nil
}
