package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

var _ gorm.Plugin = (*Log)(nil)

// Name implements gorm.Plugin.
func (l *Log) Name() string { return "confide:audit" }

// Initialize implements gorm.Plugin: db.Use(log) records every create, update
// and delete that goes through GORM's callbacks, in the transaction of the
// statement, with the same connection, and looks at SQL text (Config.Raw).
func (l *Log) Initialize(db *gorm.DB) error {
	if db.SkipDefaultTransaction {
		return fmt.Errorf("%w: gorm.Config.SkipDefaultTransaction is set, so a write and its event could not be one; unset it", ErrInvalid)
	}
	listen(db)
	cb := db.Callback()
	create, update, remove := cb.Create(), cb.Update(), cb.Delete()
	// The watch stands directly around GORM's own callback, and inside the guard of
	// package rbac, which must find its own on the outside.
	place := func(get func(string) func(*gorm.DB), verb string) string {
		if guard := "confide:rbac:" + verb; get(guard) != nil {
			return guard
		}
		return "gorm:" + verb
	}
	return errors.Join(
		create.Before(place(create.Get, "create")).Register("confide:audit:create_watch", l.watch("create")),
		update.Before(place(update.Get, "update")).Register("confide:audit:update_watch", l.watch("update")),
		remove.Before(place(remove.Get, "delete")).Register("confide:audit:delete_watch", l.watch("delete")),
		// Recorded before what is associated, and before hooks that may change the row again.
		create.After("gorm:create").Before("gorm:save_after_associations").Register("confide:audit:create", l.wrote),
		update.After("gorm:update").Before("gorm:save_after_associations").Register("confide:audit:update", l.wrote),
		remove.After("gorm:delete").Before("gorm:after_delete").Register("confide:audit:delete", l.wrote),
		cb.Raw().Before("gorm:raw").Register("confide:audit:raw", l.beforeRaw("raw")),
		cb.Raw().After("gorm:raw").Register("confide:audit:raw_done", l.afterRaw),
		cb.Row().Before("gorm:row").Register("confide:audit:row", l.beforeRaw("row")),
		cb.Query().Before("gorm:query").Register("confide:audit:query", l.beforeRaw("query")),
	)
}

// ignores tells whether changes of a table are not recorded.
func (l *Log) ignores(table string) bool {
	table = bare(table)
	return own(table) || slices.Contains(l.cfg.Ignore, table)
}

// watch refuses a write that is not in a transaction (were the process killed
// after it, the event would be missing) and puts the gate around the others.
func (l *Log) watch(verb string) func(*gorm.DB) {
	return func(db *gorm.DB) {
		stmt := db.Statement
		if db.Error != nil || db.DryRun {
			return
		}
		if stmt.SQL.Len() > 0 { // db.Raw("UPDATE …").Updates(x) runs the text
			l.beforeRaw("query")(db)
			return
		}
		table := tableOf(stmt)
		if l.ignores(table) {
			return
		}
		if !isTx(stmt.ConnPool) {
			_ = db.AddError(fmt.Errorf("%w: a write to %s without a transaction cannot be recorded with it; do not use SkipDefaultTransaction, or wrap it in db.Transaction", ErrInvalid, table))
			return
		}
		p, err := l.planFor(stmt, table)
		if err != nil {
			_ = db.AddError(err)
			return
		}
		inner := stmt.ConnPool
		if outer := watchOf(inner); outer != nil {
			inner = outer.inner // a statement of a hook
		}
		w := &watch{l: l, stmt: stmt, inner: inner, verb: verb, plan: p, ctx: stmt.Context}
		w.conflicts()
		stmt.Settings.Store(watchKey{}, w)
		stmt.ConnPool = w.gated()
	}
}

// wrote records what the statement under watch has done.
func (l *Log) wrote(db *gorm.DB) {
	w := watchOfStatement(db.Statement)
	if w == nil {
		return
	}
	db.Statement.Settings.Delete(watchKey{})
	w.release()
	if w.unmark != nil {
		_ = db.AddError(w.unmark(nil))
	}
	if db.Error != nil || db.RowsAffected == 0 {
		return
	}
	verb := w.verb
	if w.upserts {
		verb = "upsert"
	}
	action := resourceOf(db) + "." + verb
	if err := w.record(db, action); err != nil {
		_ = db.AddError(fmt.Errorf("audit: %s was not recorded and is rolled back: %w", action, err))
	}
}

// conflicts notes what an insert does about rows in its way: MySQL's dialect
// rewrites the clause.
func (w *watch) conflicts() {
	on, ok := w.stmt.Clauses["ON CONFLICT"].Expression.(clause.OnConflict)
	if !ok || w.verb != "create" {
		return
	}
	w.upserts = !on.DoNothing
	for _, a := range on.DoUpdates {
		w.updates = append(w.updates, a.Column.Name)
	}
}

// poolOf is the statement's connection, without what other statements put around it.
func poolOf(stmt *gorm.Statement) gorm.ConnPool {
	if w := watchOf(stmt.ConnPool); w != nil {
		return w.inner
	}
	return stmt.ConnPool
}

// Marker is what statements of this log carry for the triggers to see.
func (l *Log) Marker() string {
	return hex.EncodeToString(l.mac([]byte("confide audit trigger marker v1"))[:8])
}
