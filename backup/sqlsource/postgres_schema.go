package sqlsource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
)

// enums returns the statements that make the enum types of the covered columns.
func (postgres) enums(ctx context.Context, s *session, tables []*table) ([]string, error) {
	var oids []uint32
	for _, t := range tables {
		for _, c := range t.columns {
			if !slices.Contains(oids, c.oid) {
				oids = append(oids, c.oid)
			}
		}
	}
	var out []string
	query := `SELECT 'CREATE TYPE ' || quote_ident(ty.typname) || ' AS ENUM (' || string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) || ')'
		FROM pg_type ty JOIN pg_enum e ON e.enumtypid = ty.oid JOIN pg_namespace n ON n.oid = ty.typnamespace
		WHERE n.nspname = current_schema() AND (ty.oid = $1 OR ty.typarray = $1)
		GROUP BY ty.oid, ty.typname`
	for _, oid := range oids {
		statements, err := s.names(ctx, query, int64(oid))
		if err != nil {
			return nil, err
		}
		for _, statement := range statements {
			if !slices.Contains(out, statement) {
				out = append(out, statement)
			}
		}
	}
	return out, nil
}

// A sequence of the schema, and whose it is.
type sequence struct {
	oid           uint32
	name          string
	options       string // as in CREATE SEQUENCE
	typ           string
	table, column string // its owner, if any
	identity      bool
	users         []string // tables with a default that calls it
}

func (postgres) sequences(ctx context.Context, s *session) ([]*sequence, error) {
	var out []*sequence
	query := `SELECT c.oid::bigint, c.relname::text, format_type(q.seqtypid, NULL),
			format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s', q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache) || CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END,
			COALESCE(o.relname::text, ''), COALESCE(a.attname::text, ''), COALESCE(d.deptype = 'i', false),
			COALESCE((SELECT string_agg(DISTINCT u.relname::text, E'\t') FROM pg_depend du JOIN pg_attrdef ad ON du.classid = 'pg_attrdef'::regclass AND ad.oid = du.objid
				JOIN pg_class u ON u.oid = ad.adrelid WHERE du.refclassid = 'pg_class'::regclass AND du.refobjid = c.oid), '')
		FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
		LEFT JOIN pg_class o ON o.oid = d.refobjid LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		WHERE n.nspname = current_schema() ORDER BY c.relname::text COLLATE "C"`
	err := s.each(ctx, query, nil, func(scan func(...any) error) error {
		q, users := &sequence{}, ""
		err := scan(&q.oid, &q.name, &q.typ, &q.options, &q.table, &q.column, &q.identity, &users)
		if users != "" {
			q.users = strings.Split(users, "\t")
		}
		out = append(out, q)
		return err
	})
	return out, err
}

// placeSequences adds the sequences that the covered tables use, or that nobody
// owns, and makes them go on where they were. A sequence is not part of a
// snapshot: its value may be newer, never older, than the rows.
func (postgres) placeSequences(ctx context.Context, s *session, c *catalog, f filter, sequences []*sequence) error {
	has := func(name string) bool {
		_, err := c.find(name)
		return err == nil
	}
	for _, q := range sequences {
		if ours(q.table) {
			continue
		}
		free := q.table == "" && len(q.users) == 0 && len(f.include) == 0
		if !has(q.table) && !slices.ContainsFunc(q.users, has) && !free {
			c.schema.Omitted = append(c.schema.Omitted, backup.Omission{Kind: "sequence", Name: q.name, Reason: "belongs to a table that is not covered"})
			continue
		}
		if !q.identity {
			c.schema.Before = append(c.schema.Before, "CREATE SEQUENCE "+quoted(q.name)+" AS "+q.typ+" "+q.options)
			if has(q.table) {
				c.schema.After = append(c.schema.After, "ALTER SEQUENCE "+quoted(q.name)+" OWNED BY "+quoted(q.table)+"."+quoted(q.column))
			}
		}
		var last int64
		var called bool
		if err := s.one(ctx, "SELECT last_value, is_called FROM "+quoted(q.name), nil, &last, &called); err != nil {
			return err
		}
		c.schema.After = append(c.schema.After, fmt.Sprintf("SELECT setval(%s::regclass, %d, %t)", literal(quoted(q.name)), last, called))
	}
	return nil
}

// foreignKeys adds the foreign keys, which come last: rows may refer to each
// other in circles.
func (postgres) foreignKeys(ctx context.Context, s *session, c *catalog, rs relations, covered []string) error {
	query := `SELECT k.conname::text, pg_get_constraintdef(k.oid, true), r.relname::text, n.nspname = current_schema()
		FROM pg_constraint k JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
		WHERE k.conrelid = $1 AND k.contype = 'f' ORDER BY k.conname::text COLLATE "C"`
	for _, name := range covered {
		err := s.each(ctx, query, []any{int64(rs.find(name).oid)}, func(scan func(...any) error) error {
			var constraint, definition, target string
			var local bool
			if err := scan(&constraint, &definition, &target, &local); err != nil {
				return err
			}
			add := "ALTER TABLE " + quoted(name) + " ADD CONSTRAINT " + quoted(constraint) + " " + definition
			if !local || !slices.Contains(covered, target) {
				// Another data set may have that table, on a schedule of its own.
				c.schema.Omitted = append(c.schema.Omitted, backup.Omission{Kind: "foreign key", Name: constraint,
					Reason: fmt.Sprintf("table %q refers to %q, which is not covered; after a restore of both: %s", name, target, add)})
				return nil
			}
			c.schema.After = append(c.schema.After, add)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
