package sqlsource

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
)

// postgres reads one schema, the first of the search path.
type postgres struct{}

// settings makes text forms independent of the server's configuration. They end
// with the transaction.
func (postgres) settings(ctx context.Context, s *session) error {
	for _, setting := range []string{
		"row_security = off", // an error instead of silently fewer rows
		"timezone = 'UTC'", "datestyle = 'ISO, YMD'", "intervalstyle = 'postgres'",
		"extra_float_digits = 1", "bytea_output = 'hex'", "lc_monetary = 'C'",
		"standard_conforming_strings = on", "statement_timeout = 0", "idle_in_transaction_session_timeout = 0",
	} {
		if err := s.exec(ctx, "SET LOCAL "+setting); err != nil {
			return err
		}
	}
	return nil
}

// begin locks the covered tables before the snapshot is taken: TRUNCATE and
// rewriting ALTER TABLE are not transactional for older snapshots, which would
// see an empty table.
func (e postgres) begin(ctx context.Context, s *session, f filter) (*catalog, error) {
	if err := e.driver(s); err != nil {
		return nil, err
	}
	for range 3 {
		before, err := e.relations(ctx, s)
		if err != nil {
			return nil, err
		}
		covered, omitted, err := f.split(before.tables())
		if err != nil {
			return nil, err
		}
		if err := s.begin(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
			return nil, err
		}
		if err := e.lock(ctx, s, covered); err != nil {
			return nil, err
		}
		after, err := e.relations(ctx, s)
		if err != nil {
			return nil, err
		}
		if before.same(after) {
			c, err := e.catalog(ctx, s, f, covered, after)
			if err != nil {
				return nil, err
			}
			c.schema.Omitted = append(omitted, c.schema.Omitted...)
			return c, nil
		}
		// A table came or went while we looked.
		if err := s.exec(ctx, "ROLLBACK"); err != nil {
			return nil, err
		}
		s.inTx = false
	}
	return nil, errors.New("sqlsource: tables are being created or dropped all the time; run again when the migration is over")
}

func (e postgres) lock(ctx context.Context, s *session, tables []string) error {
	if err := e.settings(ctx, s); err != nil {
		return err
	}
	if len(tables) == 0 {
		return nil
	}
	var names []string
	for _, name := range tables {
		names = append(names, quoted(name))
	}
	return s.exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN ACCESS SHARE MODE")
}

// A relation is one entry of pg_class.
type relation struct {
	oid      uint32
	name     string
	kind     string // r, p, v, m, f, S
	unlogged bool
	inherits bool
	rows     int64
}

type relations []relation

func (postgres) relations(ctx context.Context, s *session) (relations, error) {
	var out relations
	query := `SELECT c.oid::bigint, c.relname::text, c.relkind::text, c.relpersistence = 'u',
			EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid), GREATEST(c.reltuples, 0)::bigint
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
			AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		ORDER BY c.relname::text COLLATE "C"`
	err := s.each(ctx, query, nil, func(scan func(...any) error) error {
		var r relation
		err := scan(&r.oid, &r.name, &r.kind, &r.unlogged, &r.inherits, &r.rows)
		out = append(out, r)
		return err
	})
	return out, err
}

// tables are the relations that hold rows of their own.
func (rs relations) tables() []string {
	var out []string
	for _, r := range rs {
		if r.kind == "r" || r.kind == "p" {
			out = append(out, r.name)
		}
	}
	return out
}

func (rs relations) same(other relations) bool {
	return slices.EqualFunc(rs, other, func(a, b relation) bool { return a.oid == b.oid && a.name == b.name && a.kind == b.kind })
}

func (rs relations) find(name string) relation {
	i := slices.IndexFunc(rs, func(r relation) bool { return r.name == name })
	return rs[i]
}

// catalog describes the covered tables.
func (e postgres) catalog(ctx context.Context, s *session, f filter, covered []string, rs relations) (*catalog, error) {
	c := &catalog{schema: backup.Schema{Engine: Postgres}}
	sequences, err := e.sequences(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, name := range covered {
		r := rs.find(name)
		switch {
		case r.kind == "p":
			return nil, refuse(name, "is partitioned", "use a plain table")
		case r.inherits:
			return nil, refuse(name, "takes part in inheritance", "use a plain table")
		}
		t, err := e.table(ctx, s, r, sequences)
		if err != nil {
			return nil, err
		}
		c.tables = append(c.tables, t)
	}
	if c.schema.Before, err = e.enums(ctx, s, c.tables); err != nil {
		return nil, err
	}
	if err := e.placeSequences(ctx, s, c, f, sequences); err != nil {
		return nil, err
	}
	if err := e.foreignKeys(ctx, s, c, rs, covered); err != nil {
		return nil, err
	}
	for _, t := range c.tables {
		c.schema.Tables = append(c.schema.Tables, t.describe())
	}
	others, err := e.others(ctx, s)
	c.schema.Omitted = append(c.schema.Omitted, others...)
	return c, err
}

// others lists what holds no rows of its own.
func (postgres) others(ctx context.Context, s *session) ([]backup.Omission, error) {
	var out []backup.Omission
	query := `WITH ns AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
		SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END, c.relname::text
			FROM pg_class c JOIN ns ON c.relnamespace = ns.oid WHERE c.relkind IN ('v', 'm', 'f')
			AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		UNION ALL SELECT 'trigger', t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN ns ON c.relnamespace = ns.oid WHERE NOT t.tgisinternal
		UNION ALL SELECT 'policy', p.polname::text FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN ns ON c.relnamespace = ns.oid
		UNION ALL SELECT 'routine', p.proname::text FROM pg_proc p JOIN ns ON p.pronamespace = ns.oid
			WHERE NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`
	err := s.each(ctx, query, nil, func(scan func(...any) error) error {
		o := backup.Omission{Reason: "holds no rows of its own; make it again after a restore"}
		err := scan(&o.Kind, &o.Name)
		if !ours(o.Name) {
			out = append(out, o)
		}
		return err
	})
	return out, err
}

func (e postgres) prepare(ctx context.Context, s *session, check func([]string) error) ([]string, error) {
	if err := e.driver(s); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	if err := e.settings(ctx, s); err != nil {
		return nil, err
	}
	rs, err := e.relations(ctx, s)
	if err != nil {
		return nil, err
	}
	var existing []string
	for _, r := range rs {
		if r.kind != "S" { // a sequence in the way makes CREATE fail by itself
			existing = append(existing, r.name)
		}
	}
	return nil, check(existing)
}

func (e postgres) reread(ctx context.Context, s *session, names []string) ([]*table, error) {
	rs, err := e.relations(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []*table
	for _, name := range names {
		t := &table{name: name}
		if _, err := e.columns(ctx, s, rs.find(name).oid, t); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (postgres) commit(ctx context.Context, s *session) error {
	return s.commit(ctx, "COMMIT")
}

func (postgres) abandon(context.Context, *session, []string) error { return nil } // the rollback does it
