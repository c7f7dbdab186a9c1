package audit

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// ownTables is the prefix of the tables of this library, which are never recorded.
const ownTables = "confide_"

var _ gorm.Plugin = (*Log)(nil)

// Name implements gorm.Plugin.
func (l *Log) Name() string { return "confide:audit" }

// Initialize implements gorm.Plugin: db.Use(log) records every create, update
// and delete that goes through GORM's callbacks, in the transaction of the
// statement, with the same connection.
func (l *Log) Initialize(db *gorm.DB) error {
	if db.SkipDefaultTransaction {
		return fmt.Errorf("%w: gorm.Config.SkipDefaultTransaction is set, so a write and its event could not be one; unset it", ErrInvalid)
	}
	captureSet(db)
	create, update, remove := db.Callback().Create(), db.Callback().Update(), db.Callback().Delete()
	for _, err := range []error{
		create.After("gorm:begin_transaction").Before("gorm:create").Register("confide:audit:create_guard", l.guard),
		update.After("gorm:begin_transaction").Before("gorm:update").Register("confide:audit:update_guard", l.guard),
		remove.After("gorm:begin_transaction").Before("gorm:delete").Register("confide:audit:delete_guard", l.guard),
		create.After("gorm:after_create").Before("gorm:commit_or_rollback_transaction").Register("confide:audit:create", l.created),
		update.After("gorm:after_update").Before("gorm:commit_or_rollback_transaction").Register("confide:audit:update", l.updated),
		remove.After("gorm:after_delete").Before("gorm:commit_or_rollback_transaction").Register("confide:audit:delete", l.deleted),
	} {
		if err != nil {
			return fmt.Errorf("audit: register callbacks: %w", err)
		}
	}
	return nil
}

func (l *Log) covers(db *gorm.DB) bool {
	table := db.Statement.Table
	return !db.DryRun && !strings.HasPrefix(table, ownTables) && !slices.Contains(l.cfg.Ignore, table)
}

// guard refuses a write that is not in a transaction: were the process killed
// after it, the event would be missing.
func (l *Log) guard(db *gorm.DB) {
	if db.Error == nil && l.covers(db) && !isTx(db.Statement.ConnPool) {
		_ = db.AddError(fmt.Errorf("%w: a write to %s without a transaction cannot be recorded with it; do not use SkipDefaultTransaction, or wrap it in db.Transaction", ErrInvalid, db.Statement.Table))
	}
}

// setKey is where captureSet leaves the columns of a SET clause.
type setKey struct{}

// captureSet listens to the building of SET clauses: GORM throws them away
// before an after-callback could read which columns were written.
func captureSet(db *gorm.DB) {
	next := db.ClauseBuilders["SET"]
	db.ClauseBuilders["SET"] = func(c clause.Clause, b clause.Builder) {
		if set, ok := c.Expression.(clause.Set); ok {
			if stmt, ok := b.(*gorm.Statement); ok {
				columns := make([]string, len(set))
				for i, a := range set {
					columns[i] = a.Column.Name
				}
				stmt.Settings.Store(setKey{}, columns)
			}
		}
		if next != nil {
			next(c, b)
			return
		}
		c.Build(b)
	}
}

func (l *Log) created(db *gorm.DB) {
	if !l.happened(db) {
		return
	}
	verb := "create"
	if c, ok := db.Statement.Clauses["ON CONFLICT"]; ok {
		if on, ok := c.Expression.(clause.OnConflict); ok && !on.DoNothing {
			verb = "upsert"
		}
	}
	var fields []string
	if values, ok := db.Statement.Clauses["VALUES"].Expression.(clause.Values); ok {
		for _, c := range values.Columns {
			fields = append(fields, c.Name)
		}
	}
	l.wrote(db, verb, fields, createdRows(db.Statement), nil)
}

func (l *Log) updated(db *gorm.DB) {
	if l.happened(db) {
		l.wrote(db, "update", capturedSet(db), whereRows(db.Statement), nil)
	}
}

func (l *Log) deleted(db *gorm.DB) {
	if !l.happened(db) {
		return
	}
	var attrs []slog.Attr
	fields := capturedSet(db)
	if len(fields) > 0 {
		attrs = append(attrs, slog.Bool("soft", true))
	}
	l.wrote(db, "delete", fields, whereRows(db.Statement), attrs)
}

func (l *Log) happened(db *gorm.DB) bool {
	return db.Error == nil && db.RowsAffected != 0 && l.covers(db)
}

func capturedSet(db *gorm.DB) []string {
	v, _ := db.Statement.Settings.LoadAndDelete(setKey{})
	columns, _ := v.([]string)
	return columns
}

// wrote records what a statement did, in parts of at most maxRows rows.
func (l *Log) wrote(db *gorm.DB, verb string, fields, rows []string, attrs []slog.Attr) {
	resource := resourceOf(db)
	slices.Sort(fields)
	fields = slices.Compact(fields)
	if int64(len(rows)) != db.RowsAffected {
		attrs = append(attrs, slog.Int64("count", db.RowsAffected))
	}
	for first := true; first || len(rows) > 0; first = false {
		n := min(len(rows), maxRows)
		e := Event{Action: resource + "." + verb, Resource: resource, Result: "ok", Fields: fields, Attrs: attrs}
		if err := l.write(db, e, rows[:n]); err != nil {
			_ = db.AddError(fmt.Errorf("audit: %s was not recorded and is rolled back: %w", e.Action, err))
			return
		}
		rows = rows[n:]
	}
}

func (l *Log) write(db *gorm.DB, e Event, rows []string) error {
	ctx := withPool(db.Statement.Context, db.Statement.ConnPool)
	e.Actor, e.Purpose = l.actor(ctx), SourceOf(ctx).Purpose
	if err := l.revise(ctx, &e, rows); err != nil {
		return err
	}
	p, err := l.encode(&e)
	if err != nil {
		return err
	}
	return l.cfg.Store.Enqueue(ctx, []Pending{p})
}
