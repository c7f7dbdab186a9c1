package sqlsource

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/confide-go/confide/backup/cell"
)

func (postgres) words() words {
	return words{quote: quoted, mark: func(n int) string { return "$" + strconv.Itoa(n) }, lock: " FOR UPDATE", overwrite: " OVERRIDING SYSTEM VALUE"}
}

func (e postgres) open(ctx context.Context, s *session, write bool) error {
	if err := e.driver(s); err != nil {
		return err
	}
	begin := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	if write {
		begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
	}
	if err := s.begin(ctx, begin); err != nil {
		return err
	}
	return e.settings(ctx, s)
}

func (e postgres) describe(ctx context.Context, s *session, names []string) ([]*table, error) {
	rs, err := e.relations(ctx, s)
	if err != nil {
		return nil, err
	}
	sequences, err := e.sequences(ctx, s)
	if err != nil {
		return nil, err
	}
	have := rs.tables()
	var out []*table
	for _, name := range names {
		if !slices.Contains(have, name) {
			continue
		}
		t, err := e.table(ctx, s, rs.find(name), sequences)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (postgres) argument(v cell.Value) (any, error) { return pgText(v) }

func (postgres) change(ctx context.Context, s *session, statement string, values []cell.Value) error {
	params, err := pgParams(values)
	if err != nil {
		return err
	}
	err = s.pgx(func(conn *pgx.Conn) error {
		return conn.PgConn().ExecParams(ctx, statement, params, nil, nil, nil).Read().Err
	})
	if err != nil {
		return fmt.Errorf("sqlsource: %s: %w", brief(statement), withoutValues(err))
	}
	return alive(ctx)
}

// pgParams writes values as text, whose type the server infers.
func pgParams(values []cell.Value) ([][]byte, error) {
	out := make([][]byte, len(values))
	for i, v := range values {
		if v.Kind == cell.Null {
			continue
		}
		text, err := pgText(v)
		if err != nil {
			return nil, err
		}
		out[i] = []byte(text)
	}
	return out, nil
}
