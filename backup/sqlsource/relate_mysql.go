package sqlsource

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/confide-go/confide/backup"
)

// relate describes indexes, references and counter of a table for other engines.
func (e mysql) relate(ctx context.Context, s *session, t *table) error {
	if err := e.rules(ctx, s, t); err != nil {
		return err
	}
	if err := e.indexes(ctx, s, t); err != nil {
		return err
	}
	return e.references(ctx, s, t)
}

func (mysql) rules(ctx context.Context, s *session, t *table) error {
	create := t.schema.Create[0]
	checks := strings.Count(create, "CHECK (")
	stored := 0
	// MariaDB writes the default of a column that has none as the word NULL.
	query := `SELECT column_name, is_nullable = 'NO', COALESCE(generation_expression, '') <> '', extra LIKE '%auto_increment%',
			COALESCE(column_default, 'NULL') <> 'NULL'
		FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`
	err := s.each(ctx, query, []any{t.name}, func(scan func(...any) error) error {
		var name string
		var notNull, computed, auto, fallback bool
		if err := scan(&name, &notNull, &computed, &auto, &fallback); err != nil {
			return err
		}
		if computed {
			t.local("computed column", name)
			return nil
		}
		c := &t.columns[stored]
		stored++
		c.notNull = notNull
		if auto && len(t.key) == 1 && t.columns[t.key[0]].name == name {
			t.schema.Counter = &backup.Counter{Column: name, Last: autoIncrement(create) - 1}
		}
		if fallback {
			t.local("default", name)
		}
		if strings.Contains(create, "CHECK (json_valid("+backticked(name)+"))") {
			c.form = "json"
			checks--
		}
		return nil
	})
	if checks > 0 {
		t.local("check", t.name)
	}
	return err
}

// autoIncrement reads the next number from the options of CREATE TABLE.
func autoIncrement(create string) int64 {
	options := create[strings.LastIndex(create, "\n)")+1:]
	m := regexp.MustCompile(` AUTO_INCREMENT=(\d+)`).FindStringSubmatch(options)
	if m == nil {
		return 1
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 1
	}
	return n
}

func (mysql) indexes(ctx context.Context, s *session, t *table) error {
	query := `SELECT index_name, non_unique = 0, sub_part IS NOT NULL OR index_type <> 'BTREE', COALESCE(column_name, '')
		FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? AND index_name <> 'PRIMARY'
		ORDER BY index_name, seq_in_index`
	return t.readIndexes(ctx, s, query, t.name)
}

func (mysql) references(ctx context.Context, s *session, t *table) error {
	query := `SELECT u.constraint_name, u.column_name, u.referenced_table_name, u.referenced_column_name, r.delete_rule, r.update_rule
		FROM information_schema.key_column_usage u JOIN information_schema.referential_constraints r
			ON r.constraint_schema = u.constraint_schema AND r.constraint_name = u.constraint_name AND r.table_name = u.table_name
		WHERE u.table_schema = DATABASE() AND u.table_name = ? AND u.referenced_table_name IS NOT NULL
		ORDER BY u.constraint_name, u.ordinal_position`
	return t.readReferences(ctx, s, query, t.name)
}
