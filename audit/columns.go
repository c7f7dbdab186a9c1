package audit

import (
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm/clause"
)

// bareTable takes the verb off what stands before SET, or FROM off what follows DELETE.
func (w *watch) bareTable() string {
	if text, ok := strings.CutPrefix(w.table, "FROM "); ok {
		return text
	}
	text := strings.TrimPrefix(w.table, "UPDATE ")
	if u, ok := w.stmt.Clauses["UPDATE"].Expression.(clause.Update); ok && u.Modifier != "" {
		text = strings.TrimPrefix(text, u.Modifier+" ")
	}
	return text
}

// orderAndLimit lets two statements take their rows in one order, so that they
// wait for each other instead of dead-locking, and stops reading past the bound.
func (w *watch) orderAndLimit() string {
	var text string
	_, ordered := w.stmt.Clauses["ORDER BY"]
	_, limited := w.stmt.Clauses["LIMIT"]
	mysql := w.stmt.Dialector.Name() == "mysql" // the only engine that limits writes
	if !mysql || !ordered && !limited {
		text = " ORDER BY " + w.quoteAll(w.plan.keys)
	}
	if !mysql || !limited {
		text += " LIMIT " + strconv.Itoa(w.l.cfg.MostRows+1)
	}
	return text + w.forUpdate()
}

func (w *watch) forUpdate() string {
	if w.stmt.Dialector.Name() == "sqlite" {
		return "" // its transactions have the database to themselves
	}
	return " FOR UPDATE"
}

func (w *watch) quoteAll(columns []string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = w.stmt.Quote(clause.Column{Name: c})
	}
	return strings.Join(list, ",")
}

func (w *watch) columnList() string { return w.quoteAll(w.columns()) }

// columns are the keys, and what else has to be read: the columns that change,
// and that of the subject.
func (w *watch) columns() []string {
	if w.plan.rules == nil {
		return w.plan.keys
	}
	columns := slices.Clone(w.plan.keys)
	add := func(names []string) {
		for _, c := range names {
			if !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		}
	}
	if w.plan.subject != "" {
		add([]string{w.plan.subject})
	}
	add(w.fields())
	return columns
}

// fields are the columns the statement writes; a delete takes them all away.
func (w *watch) fields() []string {
	var fields []string
	switch {
	case w.verb == "create":
		if values, ok := w.stmt.Clauses["VALUES"].Expression.(clause.Values); ok {
			for _, c := range values.Columns {
				fields = append(fields, c.Name)
			}
		}
		fields = append(fields, w.updates...)
	case len(w.set) > 0:
		for _, a := range w.set {
			fields = append(fields, a.Column.Name)
		}
	case w.plan.rules != nil && w.stmt.Schema != nil:
		fields = slices.Clone(w.stmt.Schema.DBNames)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}
