package audit

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// A RawMode says what becomes of SQL text (db.Exec, db.Raw) that writes to a
// recorded table, past the callbacks that could tell rows and fields.
type RawMode uint8

const (
	// RefuseRaw lets no such text run, except under AllowRaw with a reason of
	// Config.RawReasons. It is the default.
	RefuseRaw RawMode = iota
	// FlagRaw runs it and records an event audit.raw with the fingerprint of
	// the statement and the number of rows.
	FlagRaw
)

// A RawSQLError refuses SQL text that would change recorded tables unseen. It is
// ErrInvalid.
type RawSQLError struct {
	Verb   string   // "update", or "?" where the text cannot be read with certainty
	Tables []string // those it names as its target, as far as it can be read
}

func (e *RawSQLError) Error() string {
	on := "recorded tables"
	if len(e.Tables) > 0 {
		on = strings.Join(e.Tables, ", ")
	}
	return fmt.Sprintf("audit: SQL text that writes (%s) to %s would go unrecorded: use Create, Updates or Delete, or audit.AllowRaw with a reason of Config.RawReasons, in a transaction", e.Verb, on)
}

// Unwrap makes the error an ErrInvalid.
func (e *RawSQLError) Unwrap() error { return ErrInvalid }

type rawKey struct{}

// AllowRaw returns a context under which SQL text may write to recorded tables,
// if the reason is one of Config.RawReasons. Each statement is recorded as
// audit.raw with the reason as its purpose.
func AllowRaw(ctx context.Context, reason string) context.Context {
	return context.WithValue(ctx, rawKey{}, reason)
}

// A rawWrite is what SQL text would change.
type rawWrite struct {
	verb   string
	tables []string
}

var (
	writeVerbs = []string{"insert", "update", "delete", "replace", "merge", "truncate", "copy", "load", "drop"}
	// dynamic runs text that is made elsewhere: where a statement begins, and as functions.
	dynamicVerbs     = []string{"execute", "prepare", "do", "call", "exec"}
	dynamicFunctions = []string{"query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "dblink", "dblink_exec", "load_extension"}
)

// writesIn finds out whether text changes rows of tables that are recorded. What
// it cannot read it takes for a write.
func (l *Log) writesIn(text, engine string) (w rawWrite, found bool) {
	tokens, clear := tokenize(text, engine)
	if !clear {
		for _, word := range words(text) {
			if slices.Contains(writeVerbs, word) || slices.Contains(dynamicVerbs, word) || slices.Contains(dynamicFunctions, word) {
				return rawWrite{verb: "?"}, true
			}
		}
		return w, false
	}
	for i := range tokens {
		verb, table, exact := writeAt(tokens, i, engine)
		if verb == "" || exact && l.ignores(table) {
			continue
		}
		if w.verb == "" {
			w.verb = verb
		}
		if table != "" && !slices.Contains(w.tables, table) {
			w.tables = append(w.tables, table)
		}
		found = true
	}
	return w, found
}

// writeAt tells whether a write begins at token i, and into which table. exact is
// false when it may reach others as well.
func writeAt(toks []token, i int, engine string) (verb, table string, exact bool) {
	t := toks[i]
	if t.kind != 'w' {
		return "", "", false
	}
	prev, next := at(toks, i-1), at(toks, i+1)
	begins := i == 0 || prev.is(";", "(")
	switch {
	case prev.is("."), next.is("."):
		return "", "", false // a column of that name
	case slices.Contains(dynamicFunctions, t.text) && next.is("("), begins && slices.Contains(dynamicVerbs, t.text):
		return t.text, "", false
	case !slices.Contains(writeVerbs, t.text), prev.is("for", "key", "on", "do"), next.is("(") && !begins:
		return "", "", false // FOR UPDATE, ON CONFLICT DO UPDATE, ON DELETE CASCADE, replace(…)
	case t.text == "drop" && !next.is("table"), prev.is("or") && t.text == "replace":
		return "", "", false
	}
	table, exact = target(toks, i, engine)
	return t.text, table, exact
}

func at(toks []token, i int) token {
	if i < 0 || i >= len(toks) {
		return token{}
	}
	return toks[i]
}

// target reads the table a write names. Anything but the plain forms is inexact.
func target(toks []token, i int, engine string) (table string, exact bool) {
	verb := toks[i].text
	i++
	for at(toks, i).is("or", "rollback", "abort", "fail", "ignore", "replace", "low_priority", "high_priority", "delayed", "quick", "only", "table", "into", "if", "exists") {
		i++
	}
	if verb == "delete" {
		if !at(toks, i).is("from") {
			return "", false
		}
		if i++; at(toks, i).is("only") {
			i++
		}
	}
	if verb == "load" || !at(toks, i).name() {
		return "", false
	}
	table = toks[i].text
	for i++; at(toks, i).is(".") && at(toks, i+1).name(); i += 2 {
		table = toks[i+1].text
	}
	rest := at(toks, i)
	switch verb {
	case "insert", "replace":
		return table, true
	case "update":
		if rest.is("as") {
			i++
		}
		return table, at(toks, i).is("set") || at(toks, i).name() && at(toks, i+1).is("set")
	case "delete":
		several := slices.ContainsFunc(toks[i:], func(t token) bool { return t.is("using", "join") })
		return table, !rest.is(",") && !(engine == "mysql" && several)
	case "truncate", "drop":
		return table, rest.kind == 0 || rest.is(";", "restrict", "restart")
	}
	return table, false
}

// beforeRaw looks at SQL text that somebody wrote before it runs.
func (l *Log) beforeRaw(op string) func(*gorm.DB) {
	return func(db *gorm.DB) {
		stmt := db.Statement
		if db.Error != nil || db.DryRun || stmt.SQL.Len() == 0 {
			return
		}
		w, found := l.writesIn(stmt.SQL.String(), db.Dialector.Name())
		if !found {
			return
		}
		if err := l.permitRaw(db, op, w); err != nil {
			stmt.SQL.Reset() // GORM logs what failed, with its values
			stmt.Vars = nil
			_ = db.AddError(err)
			if rows, ok := db.Get("rows"); op == "row" && ok && rows == false {
				stmt.Dest = stmt.ConnPool.QueryRowContext(refusedContext{stmt.Context, err}, "SELECT 1") // Row() must hold something
			}
		}
	}
}

// refusedContext is over before it began: database/sql returns its error without
// asking the database.
type refusedContext struct {
	context.Context
	err error
}

func (c refusedContext) Err() error { return c.err }

func (c refusedContext) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

const rawFound = "confide:audit:raw"

// permitRaw decides, and records what is about to run where nothing can be
// recorded afterwards: the rows of a query may still be open then.
func (l *Log) permitRaw(db *gorm.DB, op string, w rawWrite) error {
	reason, asked := db.Statement.Context.Value(rawKey{}).(string)
	allowed := asked && slices.Contains(l.cfg.RawReasons, reason)
	if !allowed && l.cfg.Raw != FlagRaw {
		return &RawSQLError{Verb: w.verb, Tables: w.tables}
	}
	if !allowed {
		reason = ""
	}
	if !isTx(db.Statement.ConnPool) {
		if op != "raw" {
			return fmt.Errorf("%w: SQL text that writes and returns rows must run in db.Transaction, where it can be recorded", ErrInvalid)
		}
		if err := beginOwn(db); err != nil {
			return err
		}
	}
	e := l.rawEvent(db, w, reason)
	if op != "raw" {
		return l.write(db, e)
	}
	query := db.Statement.SQL.String()
	end, err := l.mark(db.Statement.Context, db.Dialector.Name(), db.Statement.ConnPool, &query)
	if err != nil {
		return err
	}
	db.Statement.SQL.Reset()
	db.Statement.SQL.WriteString(query)
	db.InstanceSet(rawFound, rawDone{e, end})
	return nil
}

// rawDone is what is left to do when SQL text has run.
type rawDone struct {
	event Event
	end   func(error) error
}

func (l *Log) rawEvent(db *gorm.DB, w rawWrite, reason string) Event {
	e := Event{Action: "audit.raw", Result: "ok", Purpose: reason,
		Attrs: []slog.Attr{slog.String("verb", w.verb), slog.String("statement", fingerprint(db.Statement.SQL.String(), db.Dialector.Name()))}}
	if len(w.tables) == 1 && checkName("", w.tables[0]) == nil {
		e.Resource = w.tables[0]
	}
	if len(w.tables) > 1 {
		e.Attrs = append(e.Attrs, slog.String("tables", clean(strings.Join(w.tables, ","), maxText)))
	}
	return e
}

const ownTransaction = "confide:audit:own_transaction"

// beginOwn gives a statement that GORM runs without a transaction one, so that its
// event commits with it.
func beginOwn(db *gorm.DB) error {
	tx := db.Session(&gorm.Session{NewDB: true, Initialized: true, Context: db.Statement.Context}).Begin()
	if tx.Error != nil {
		return fmt.Errorf("audit: begin a transaction for SQL text: %w", tx.Error)
	}
	db.InstanceSet(ownTransaction, db.Statement.ConnPool)
	db.Statement.ConnPool = tx.Statement.ConnPool
	return nil
}

func (l *Log) recordRaw(db *gorm.DB, done rawDone) {
	_ = db.AddError(done.end(nil))
	if db.Error != nil {
		return
	}
	done.event.Attrs = append(done.event.Attrs, slog.Int64("count", db.RowsAffected))
	if err := l.write(db, done.event); err != nil {
		_ = db.AddError(fmt.Errorf("audit: SQL text was not recorded and is rolled back: %w", err))
	}
}

// afterRaw records what SQL text did, and ends the transaction it was given.
func (l *Log) afterRaw(db *gorm.DB) {
	if done, ok := db.InstanceGet(rawFound); ok {
		l.recordRaw(db, done.(rawDone))
	}
	before, ok := db.InstanceGet(ownTransaction)
	if !ok {
		return
	}
	tx := db.Session(&gorm.Session{NewDB: true, Initialized: true, Context: db.Statement.Context})
	if db.Error != nil {
		tx.Rollback()
	} else if err := tx.Commit().Error; err != nil {
		_ = db.AddError(err)
	}
	db.Statement.ConnPool = before.(gorm.ConnPool)
}
