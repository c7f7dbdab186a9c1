package sqlsource

import (
	"context"
	"slices"

	"github.com/confide-go/confide/backup/cell"
)

func (mysql) words() words {
	return words{quote: backticked, mark: func(int) string { return "?" }, lock: " FOR UPDATE"}
}

func (e mysql) open(ctx context.Context, s *session, write bool) error {
	if err := e.settings(ctx, s, "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES"); err != nil {
		return err
	}
	if err := s.exec(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return err
	}
	if write {
		return s.begin(ctx, "START TRANSACTION")
	}
	return s.begin(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
}

func (e mysql) describe(ctx context.Context, s *session, names []string) ([]*table, error) {
	_, have, err := e.tables(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []*table
	for _, name := range names {
		if !slices.Contains(have, name) {
			continue
		}
		t, err := e.table(ctx, s, name)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (mysql) argument(v cell.Value) (any, error) { return mysqlValue(column{}, v) }

func (e mysql) change(ctx context.Context, s *session, statement string, values []cell.Value) error {
	args, err := arguments(values, e.argument)
	if err != nil {
		return err
	}
	return s.exec(ctx, statement, args...)
}
