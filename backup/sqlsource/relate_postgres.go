package sqlsource

import (
	"context"

	"github.com/confide-go/confide/backup"
)

// relate describes indexes, references and counter of a table for other engines.
func (e postgres) relate(ctx context.Context, s *session, r relation, t *table, columns []pgColumn, sequences []*sequence) error {
	stored := 0
	for _, c := range columns {
		owned := c.identity != ""
		for _, q := range sequences {
			owned = owned || q.table == r.name && q.column == c.name
		}
		switch {
		case c.generated != "":
			t.local("computed column", c.name)
			continue
		case c.fallback != "" && !owned:
			t.local("default", c.name)
		}
		if c.collation != "" {
			t.local("collate", c.name)
		}
		t.columns[stored].notNull = c.notNull
		stored++
	}
	checks, err := s.names(ctx, `SELECT conname::text FROM pg_constraint WHERE conrelid = $1 AND contype IN ('c', 'x') ORDER BY conname::text COLLATE "C"`, int64(r.oid))
	if err != nil {
		return err
	}
	for _, name := range checks {
		t.local("check", name)
	}
	if err := e.indexes(ctx, s, r, t); err != nil {
		return err
	}
	if err := e.references(ctx, s, r, t); err != nil {
		return err
	}
	return e.counter(ctx, s, t, sequences)
}

func (postgres) indexes(ctx context.Context, s *session, r relation, t *table) error {
	query := `SELECT c.relname::text, i.indisunique, i.indpred IS NOT NULL, COALESCE(a.attname::text, '')
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, pos)
		LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
		WHERE i.indrelid = $1 AND i.indisvalid AND NOT i.indisprimary AND NOT i.indisexclusion AND k.pos <= i.indnkeyatts
		ORDER BY c.relname::text COLLATE "C", k.pos`
	return t.readIndexes(ctx, s, query, int64(r.oid))
}

func (postgres) references(ctx context.Context, s *session, r relation, t *table) error {
	query := `SELECT k.conname::text, a.attname::text, p.relname::text, b.attname::text,
			CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'r' THEN 'RESTRICT' WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END,
			CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'r' THEN 'RESTRICT' WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END
		FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY u(x, y, pos)
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.y
		WHERE k.conrelid = $1 AND k.contype = 'f' ORDER BY k.conname::text COLLATE "C", u.pos`
	return t.readReferences(ctx, s, query, int64(r.oid))
}

// counter reads where the table's own sequence stands.
func (postgres) counter(ctx context.Context, s *session, t *table, sequences []*sequence) error {
	for _, q := range sequences {
		if q.table != t.name || len(t.key) != 1 || t.columns[t.key[0]].name != q.column {
			continue
		}
		var last int64
		var called bool
		if err := s.one(ctx, "SELECT last_value, is_called FROM "+quoted(q.name), nil, &last, &called); err != nil {
			return err
		}
		if !called {
			last--
		}
		t.schema.Counter = &backup.Counter{Column: q.column, Last: last}
	}
	return nil
}
