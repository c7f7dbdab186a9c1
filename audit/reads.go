package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Reads is a GORM plugin that records what queries of some tables return, by
// Seen: db.Use(audit.Reads{Log: log, Tables: []string{"customers"}}). It sees
// Find, First, Take, Scan and their like, not Rows and Raw statements without a model. A
// result that is not of the table's own type is recorded with a count, without row ids.
// If the event cannot be recorded, as Config.Class wants it, the query fails and shows nothing.
type Reads struct {
	Log    *Log
	Tables []string
}

var _ gorm.Plugin = Reads{}

// Name implements gorm.Plugin.
func (Reads) Name() string { return "confide:audit:reads" }

// Initialize implements gorm.Plugin.
func (r Reads) Initialize(db *gorm.DB) error {
	if r.Log == nil || len(r.Tables) == 0 {
		return fmt.Errorf("%w: audit.Reads needs a Log and the Tables to watch", ErrInvalid)
	}
	if err := db.Callback().Query().After("gorm:after_query").Register("confide:audit:read", r.read); err != nil {
		return fmt.Errorf("audit: register callbacks: %w", err)
	}
	return nil
}

func (r Reads) read(db *gorm.DB) {
	stmt := db.Statement
	if (db.Error != nil && !errors.Is(db.Error, gorm.ErrRecordNotFound)) || db.RowsAffected == 0 || db.DryRun || !slices.Contains(r.Tables, stmt.Table) {
		return
	}
	rows := createdRows(stmt)
	var attrs []slog.Attr
	if int64(len(rows)) != db.RowsAffected {
		attrs = append(attrs, slog.Int64("count", db.RowsAffected))
	}
	if err := r.Log.Seen(stmt.Context, resourceOf(db), rows, readFields(stmt), attrs...); err != nil {
		if stmt.ReflectValue.CanSet() {
			stmt.ReflectValue.Set(reflect.Zero(stmt.ReflectValue.Type()))
		}
		_ = db.AddError(fmt.Errorf("audit: the reading of %s was not recorded, and nothing is shown: %w", stmt.Table, err))
	}
}

// readFields are the columns a query read. What is no column of the model is an
// expression, whose text might hold a value: it is only called that.
func readFields(stmt *gorm.Statement) []string {
	if stmt.Schema == nil {
		return nil
	}
	chosen, _ := stmt.Clauses["SELECT"].Expression.(clause.Select)
	if len(chosen.Columns) == 0 {
		return slices.Clone(stmt.Schema.DBNames)
	}
	var fields []string
	for _, c := range chosen.Columns {
		name := "expression"
		if f := stmt.Schema.LookUpField(c.Name); f != nil && f.DBName != "" {
			name = f.DBName
		} else if c.Name == "*" {
			fields = append(fields, stmt.Schema.DBNames...)
			continue
		}
		fields = append(fields, name)
	}
	return fields
}
