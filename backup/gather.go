package backup

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/confide-go/confide/backup/cell"
)

// gather finds the selected rows, what refers to them, and what they need.
func (w *merge) gather(ctx context.Context) error {
	fresh, err := w.seeds(ctx)
	if err != nil {
		return err
	}
	if len(fresh) == 0 {
		return fmt.Errorf("%w: it has no row that is selected", ErrNoSnapshot)
	}
	for len(fresh) > 0 {
		children, err := w.children(ctx, fresh)
		if err != nil {
			return err
		}
		parents, err := w.parents(ctx, append(fresh, children...))
		if err != nil {
			return err
		}
		fresh = append(children, parents...)
	}
	return nil
}

// add keeps a row, unless it is there already. A row that was only needed becomes
// one that is wanted.
func (w *merge) add(t *Table, row Row, parent bool) *candidate {
	key := pick(t, row, keyNames(t))
	if w.found[t.Name] == nil {
		w.found[t.Name] = map[string]*candidate{}
	}
	if c := w.found[t.Name][string(key)]; c != nil {
		if !c.parent || parent {
			return nil
		}
		c.parent = false // its children are wanted now
		return c
	}
	c := &candidate{table: t, key: key, row: slices.Clone(row), parent: parent}
	w.found[t.Name][string(key)] = c
	w.order = append(w.order, c)
	return c
}

func (w *merge) seeds(ctx context.Context) (fresh []*candidate, err error) {
	used := make([]bool, len(w.opts.Select))
	for i := range w.rows.from.Schema.Tables {
		t := &w.rows.from.Schema.Tables[i]
		var chosen []Selection
		for n, s := range w.opts.Select {
			if (s.Table == "" || s.Table == t.Name) && s.fits(t) {
				chosen, used[n] = append(chosen, s), true
			}
		}
		if len(chosen) == 0 {
			continue
		}
		for row, err := range w.rows.table(ctx, t.Name) {
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(chosen, func(s Selection) bool { return s.holds(t, row) }) {
				fresh = append(fresh, w.add(t, row, false))
			}
		}
	}
	if n := slices.Index(used, false); n >= 0 {
		return nil, fmt.Errorf("no table of the snapshot has the columns that selection %d names", n+1)
	}
	return slices.DeleteFunc(fresh, func(c *candidate) bool { return c == nil }), nil
}

func (s Selection) fits(t *Table) bool {
	for name := range s.Where {
		if position(t, name) < 0 {
			return false
		}
	}
	return true
}

func (s Selection) holds(t *Table, row Row) bool {
	for name, want := range s.Where {
		if got, ok := textOf(pick(t, row, []string{name})); !ok || got != want {
			return false
		}
	}
	return true
}

// textOf is how a caller writes the value of one cell.
func textOf(one Row) (string, bool) {
	v, _, err := cell.Next(one)
	if err != nil {
		return "", false
	}
	switch v.Kind {
	case cell.Int:
		return strconv.FormatInt(v.Int, 10), true
	case cell.Uint:
		return strconv.FormatUint(v.Uint, 10), true
	case cell.Bool:
		return strconv.FormatBool(v.Int != 0), true
	case cell.Text, cell.Decimal, cell.Bytes, cell.JSON, cell.Native:
		return string(v.Raw), true
	}
	return "", false
}

// references are a table's, from all who declare some.
func (w *merge) references(t *Table) []Reference {
	var out []Reference
	add := func(r Reference) {
		parent := w.described(r.Table)
		if parent == nil {
			return // its rows are in no snapshot; the database itself must have them
		}
		r.Table = parent.Name
		if len(r.To) == 0 {
			r.To = keyNames(parent)
		}
		known := func(o Reference) bool {
			return o.Table == r.Table && slices.Equal(o.Columns, r.Columns) && slices.Equal(o.To, r.To)
		}
		if fits := len(r.To) == len(r.Columns) && !missing(t, r.Columns) && !missing(parent, r.To); fits && !slices.ContainsFunc(out, known) {
			out = append(out, r)
		}
	}
	for _, r := range append(slices.Clone(t.References), w.live.References(t.Name)...) {
		add(r)
	}
	for _, r := range w.opts.Relations {
		if r.Table == t.Name {
			add(r.Reference)
		}
	}
	return out
}

func missing(t *Table, columns []string) bool {
	return slices.ContainsFunc(columns, func(c string) bool { return position(t, c) < 0 })
}

func (w *merge) described(name string) *Table {
	for i := range w.rows.from.Schema.Tables {
		if t := &w.rows.from.Schema.Tables[i]; t.Name == name {
			return t
		}
	}
	return nil
}

// children brings the rows that refer to fresh ones.
func (w *merge) children(ctx context.Context, fresh []*candidate) (out []*candidate, err error) {
	if !w.opts.Children {
		return nil, nil
	}
	for i := range w.rows.from.Schema.Tables {
		t := &w.rows.from.Schema.Tables[i]
		wanted := map[int]map[string]bool{} // by reference: the values that are referred to
		references := w.references(t)
		for n, r := range references {
			for _, c := range fresh {
				if c.table.Name == r.Table && !c.parent {
					if wanted[n] == nil {
						wanted[n] = map[string]bool{}
					}
					wanted[n][string(pick(c.table, c.row, r.To))] = true
				}
			}
		}
		if len(wanted) == 0 {
			continue
		}
		for row, err := range w.rows.table(ctx, t.Name) {
			if err != nil {
				return nil, err
			}
			for n, values := range wanted {
				if values[string(pick(t, row, references[n].Columns))] {
					out = append(out, w.add(t, row, false))
				}
			}
		}
	}
	return slices.DeleteFunc(out, func(c *candidate) bool { return c == nil }), nil
}

// parents brings the rows that fresh ones refer to and the database lacks.
func (w *merge) parents(ctx context.Context, fresh []*candidate) (out []*candidate, err error) {
	type place struct{ table, columns string }
	needed := map[place]map[string]Reference{}
	for _, c := range fresh {
		for _, r := range w.references(c.table) {
			values := pick(c.table, c.row, r.Columns)
			if hasNull(values) || w.target(c, r) != nil {
				continue
			}
			row, err := w.live.Find(ctx, r.Table, r.To, values)
			if err != nil {
				return nil, err
			}
			if row == nil {
				at := place{r.Table, fmt.Sprint(r.To)}
				if needed[at] == nil {
					needed[at] = map[string]Reference{}
				}
				needed[at][string(values)] = Reference{Table: c.table.Name, To: r.To}
			}
		}
	}
	for at, values := range needed {
		parent := w.described(at.table)
		var to []string
		for _, r := range values {
			to = r.To
		}
		for row, err := range w.rows.table(ctx, at.table) {
			if err != nil {
				return nil, err
			}
			if value := string(pick(parent, row, to)); values[value].To != nil {
				out = append(out, w.add(parent, row, true))
				delete(values, value)
			}
		}
		for _, r := range values {
			return nil, fmt.Errorf("a row of table %q refers to a row of %q that is neither in the database nor in the snapshot", r.Table, at.table)
		}
	}
	return slices.DeleteFunc(out, func(c *candidate) bool { return c == nil }), nil
}

// target is the candidate that a reference of c names, if it is one.
func (w *merge) target(c *candidate, r Reference) *candidate {
	values := pick(c.table, c.row, r.Columns)
	if hasNull(values) {
		return nil
	}
	parent := w.described(r.Table)
	if slices.Equal(r.To, keyNames(parent)) {
		return w.found[r.Table][string(values)]
	}
	for _, other := range w.found[r.Table] {
		if bytes.Equal(pick(parent, other.row, r.To), values) {
			return other
		}
	}
	return nil
}

// arrange sorts the rows so that each comes after those it refers to.
func (w *merge) arrange() {
	const begun, done = 1, 2
	var order []*candidate
	var visit func(c *candidate)
	visit = func(c *candidate) {
		if c.state != 0 {
			return
		}
		c.state = begun
		for _, r := range w.references(c.table) {
			if target := w.target(c, r); target != nil {
				visit(target)
			}
		}
		c.state = done
		order = append(order, c)
	}
	for _, c := range w.order {
		visit(c)
	}
	w.order = order
}

func keyNames(t *Table) (names []string) {
	for _, i := range t.Key {
		names = append(names, t.Columns[i].Name)
	}
	return names
}

func position(t *Table, column string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column })
}

// cellsOf splits a row.
func cellsOf(row Row) (cells []Row) {
	for rest := []byte(row); len(rest) > 0; {
		_, after, err := cell.Next(rest)
		if err != nil {
			return nil
		}
		cells = append(cells, rest[:len(rest)-len(after):len(rest)-len(after)])
		rest = after
	}
	return cells
}

// pick returns some cells of a row.
func pick(t *Table, row Row, columns []string) Row {
	cells := cellsOf(row)
	var out Row
	for _, name := range columns {
		if i := position(t, name); i >= 0 && i < len(cells) {
			out = append(out, cells[i]...)
		}
	}
	return out
}

// without returns the row with some of its columns NULL.
func without(t *Table, row Row, columns []string) Row {
	var out Row
	for i, c := range cellsOf(row) {
		if slices.Contains(columns, t.Columns[i].Name) && !slices.Contains(t.Key, i) {
			c = Row(cell.AppendNull(nil))
		}
		out = append(out, c...)
	}
	return out
}

func hasNull(row Row) bool {
	return slices.ContainsFunc(cellsOf(row), func(c Row) bool { return cell.Kind(c[0]) == cell.Null })
}
