package audit

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"gorm.io/gorm"
)

// record writes the events of a statement, in parts that fit into one.
func (w *watch) record(db *gorm.DB, action string) error {
	e := Event{Action: action, Resource: resourceOf(db), Result: "ok", Fields: w.fields()}
	if w.verb == "delete" && len(w.set) > 0 {
		e.Attrs = append(e.Attrs, slog.Bool("soft", true))
	}
	rows, exact, err := w.rowsOf(db.Statement)
	if err != nil {
		return err
	}
	if exact && len(rows) == 0 {
		return nil // it left every value as it was
	}
	if !exact && int64(len(rows)) != db.RowsAffected {
		e.Attrs = append(e.Attrs, slog.Int64("count", db.RowsAffected))
	}
	if len(rows) == 0 && w.from > 0 {
		e.Attrs = append(e.Attrs, slog.String("where", w.predicate()))
	}
	rows = inOrder(rows)
	for first := true; first || len(rows) > 0; first = false {
		n := fitting(rows)
		if err := w.l.writeRows(db, e, rows[:n], w.bulkChanges(rows, exact)); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// inOrder sorts rows, one order for all, so that two batches cannot dead-lock on
// their revisions. A row that is there twice (one moved to the key another left) is
// named once.
func inOrder(rows []changedRow) []changedRow {
	slices.SortFunc(rows, func(a, b changedRow) int {
		return cmp.Or(cmp.Compare(a.id, b.id), len(b.fields)-len(a.fields))
	})
	return slices.CompactFunc(rows, func(a, b changedRow) bool { return a.id == b.id })
}

// rowsOf lists the rows the statement changed. exact is false if other conditions
// may have spared some of them, or if none are known.
func (w *watch) rowsOf(stmt *gorm.Statement) (rows []changedRow, exact bool, err error) {
	if w.plan.rules != nil && (w.before != nil || w.verb == "create" && w.insertsAll()) {
		rows, err = w.changed()
		return rows, true, err
	}
	var ids []string
	switch {
	case w.verb == "create":
		ids = createdRows(stmt)
	case w.before != nil:
		for id := range w.before.rows {
			ids = append(ids, id)
		}
	case !w.many:
		ids = whereRows(stmt)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		rows = append(rows, changedRow{id: clean(id, maxID)})
	}
	return rows, false, nil
}

// insertsAll tells whether the key of every inserted row is known.
func (w *watch) insertsAll() bool {
	return len(insertedKeys(w.stmt)) > 0
}

// predicate is the fingerprint of the statement's conditions.
func (w *watch) predicate() string {
	text := w.stmt.SQL.String()
	end := w.end
	if end == 0 {
		end = len(text)
	}
	return fingerprint(text[min(w.from, end):end], w.stmt.Dialector.Name())
}

const (
	eventBudget = 40 << 10 // of rows and changes, so that the rest fits below maxEvent
	changeSize  = 4 + 4 + 2*(1+32)
)

// fitting returns how many of the rows one event takes.
func fitting(rows []changedRow) int {
	size := 0
	for n, r := range rows {
		size += 12 + len(r.id)
		for _, c := range r.fields {
			size += changeSize
			if c.rule.form != Committed {
				size += 2*4 + min(len(c.before.text), maxPlain) + min(len(c.after.text), maxPlain)
			}
		}
		if n == maxRows || n > 0 && size > eventBudget {
			return n
		}
	}
	return len(rows)
}

// bulkChanges are the values a statement gave to rows that nobody counted one by one.
func (w *watch) bulkChanges(rows []changedRow, exact bool) []fieldChange {
	if exact || len(rows) > 0 || w.plan.rules == nil {
		return nil
	}
	var list []fieldChange
	for _, a := range w.set {
		c := fieldChange{a.Column.Name, w.plan.rules.of(a.Column.Name), sideText{state: Unknown}, sideText{state: Unknown}}
		if a.Value == nil || bindable(a.Value) {
			if text, null, err := valueText(a.Value); err == nil {
				c.after = sideText{Plain, text}
				if null {
					c.after = sideText{state: Null}
				}
			}
		}
		if c.rule.form != Absent {
			list = append(list, c)
		}
	}
	return list
}

// writeRows records one event: the rows get their revisions, the commitments
// their secrets, all in the transaction of the statement.
func (l *Log) writeRows(db *gorm.DB, e Event, rows []changedRow, bulk []fieldChange) error {
	ctx := withPool(db.Statement.Context, poolOf(db.Statement))
	e.Actor, e.Purpose = l.actor(ctx), cmp.Or(e.Purpose, SourceOf(ctx).Purpose)
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.id
	}
	if err := l.revise(ctx, &e, ids); err != nil {
		return err
	}
	tenant, err := tenantOf(e.Actor)
	if err != nil {
		return err
	}
	var secrets []Secret
	add := func(row int, id, subject string, fields []fieldChange) error {
		key, err := newSecret()
		if err != nil {
			return err
		}
		used := false
		for _, f := range fields {
			c := Change{Row: row, Field: f.column,
				Before: formed(f.before, f.rule, key, e.Resource, id, f.column, false),
				After:  formed(f.after, f.rule, key, e.Resource, id, f.column, true)}
			used = used || c.Before.State == Committed || c.After.State == Committed
			e.Changes = append(e.Changes, c)
		}
		if used {
			secrets = append(secrets, Secret{Log: tenant, Subject: subject, Row: row, Key: key})
		}
		return nil
	}
	for i, r := range rows {
		if err := add(i, r.id, r.subject, r.fields); err != nil {
			return err
		}
	}
	if len(rows) == 0 && len(bulk) > 0 {
		if err := add(AllRows, "", clean(e.Resource+":", maxID), bulk); err != nil {
			return err
		}
	}
	return l.store(ctx, &e, secrets)
}

// store completes an event and puts it, with its secrets, where the sealer finds it.
func (l *Log) store(ctx context.Context, e *Event, secrets []Secret) error {
	p, err := l.encode(e)
	if err != nil {
		return err
	}
	if len(secrets) > 0 {
		keeper, err := l.secretStore()
		if err != nil {
			return err
		}
		for i := range secrets {
			secrets[i].Event = p.Event
		}
		if err := keeper.Keep(ctx, secrets); err != nil {
			return err
		}
	}
	return l.cfg.Store.Enqueue(ctx, []Pending{p})
}

// write records an event without rows in the transaction of the statement.
func (l *Log) write(db *gorm.DB, e Event) error { return l.writeRows(db, e, nil, nil) }
