package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// Coverage says what this log sees of a database, and what goes past it.
type Coverage struct {
	Tables []TableCoverage // by name

	// Drift names triggers that are missing, disabled or not ours; with
	// Config.Triggers only.
	Drift []string

	Outside int // events audit.outofband: writes that triggers saw and the plugin did not
	Raw     int // events audit.raw: writes by SQL text
	Waiting int // writes that triggers saw and nobody has collected yet; at most 500
}

// TableCoverage says how changes of one table are recorded.
type TableCoverage struct {
	Name     string
	Recorded bool     // false: named in Config.Ignore, or no model was given
	Diff     bool     // events carry commitments
	Personal []string // columns that hold personal data, as far as tags and names tell
}

// Gap tells whether personal data changes here without a trace.
func (t TableCoverage) Gap() bool { return !t.Recorded && len(t.Personal) > 0 }

// A TriggerStore is a Store that can compare its triggers with those it would make.
type TriggerStore interface {
	TriggerDrift(ctx context.Context, db *gorm.DB, marker string, models ...any) ([]string, error)
}

// Coverage compares what is recorded, for the tenant of the actor in ctx, with
// the models and with the tables of the database. A table without a model is
// judged by the names of its columns.
func (l *Log) Coverage(ctx context.Context, db *gorm.DB, models ...any) (Coverage, error) {
	c := Coverage{}
	seen := map[string]bool{}
	for _, model := range models {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(model); err != nil {
			return c, fmt.Errorf("audit: coverage: %w", err)
		}
		p, err := l.planFor(stmt, stmt.Schema.Table)
		if err != nil {
			return c, err
		}
		seen[stmt.Schema.Table] = true
		c.Tables = append(c.Tables, TableCoverage{Name: stmt.Schema.Table, Recorded: !l.ignores(stmt.Schema.Table), Diff: p.rules != nil && !l.ignores(stmt.Schema.Table), Personal: personal(stmt.Schema)})
	}
	if err := l.unknownTables(ctx, db, seen, &c); err != nil {
		return c, err
	}
	slices.SortFunc(c.Tables, func(a, b TableCoverage) int { return strings.Compare(a.Name, b.Name) })
	var err error
	if store, ok := l.cfg.Store.(TriggerStore); ok && l.cfg.Triggers {
		if c.Drift, err = store.TriggerDrift(ctx, db, l.Marker(), models...); err != nil {
			return c, err
		}
	}
	return c, l.countEvents(ctx, &c)
}

func (l *Log) countEvents(ctx context.Context, c *Coverage) error {
	count := func(q Query, n *int) error {
		for _, err := range l.Events(ctx, q) {
			if err != nil {
				return err
			}
			*n++
		}
		return nil
	}
	err := errors.Join(count(Query{Action: "audit.raw"}, &c.Raw), count(Query{Action: outsideAction}, &c.Outside))
	if tenant, terr := tenantOf(l.cfg.Actor(ctx)); terr == nil && tenant != MainTenant {
		err = errors.Join(err, count(Query{Action: outsideAction, Tenant: MainTenant}, &c.Outside))
	}
	if err != nil {
		return err
	}
	if store, ok := l.cfg.Store.(OutsideStore); ok {
		waiting, err := store.Outside(ctx, outsidePage)
		c.Waiting = len(waiting)
		return wrapOutside(err)
	}
	return nil
}

// unknownTables adds tables of the database that no model was given for: raw SQL
// and other programs may fill them, GORM statements on them are recorded by name.
func (l *Log) unknownTables(ctx context.Context, db *gorm.DB, seen map[string]bool, c *Coverage) error {
	tables, err := db.WithContext(ctx).Migrator().GetTables()
	if err != nil {
		return fmt.Errorf("audit: coverage: list the tables: %w", err)
	}
	for _, table := range tables {
		if seen[table] || own(table) || strings.HasPrefix(table, "sqlite_") {
			continue
		}
		columns, err := db.WithContext(ctx).Migrator().ColumnTypes(table)
		if err != nil {
			return fmt.Errorf("audit: coverage: list the columns of %s: %w", table, err)
		}
		t := TableCoverage{Name: table}
		for _, column := range columns {
			if masking.KindOfName(column.Name()) != "" {
				t.Personal = append(t.Personal, column.Name())
			}
		}
		c.Tables = append(c.Tables, t)
	}
	return nil
}

// personal lists the columns that a tag calls personal, or whose name does.
func personal(s *schema.Schema) []string {
	var list []string
	for _, f := range s.Fields {
		if f.DBName == "" || f.Tag.Get("audit") == "plain" {
			continue
		}
		if f.Tag.Get("privacy") != "" || f.Tag.Get("mask") != "" || strings.HasPrefix(f.Tag.Get("audit"), "mask") || masking.KindOfName(f.DBName) != "" {
			list = append(list, f.DBName)
		}
	}
	return list
}
