package sqlsource

import (
	"context"

	"github.com/confide-go/confide/backup/cell"
)

func (sqlite) words() words {
	return words{quote: quoted, mark: func(int) string { return "?" }}
}

// open takes the lock of writers at once, so that nobody changes a row between
// looking at it and writing it.
func (e sqlite) open(ctx context.Context, s *session, write bool) error {
	if write {
		return e.beginWrite(ctx, s)
	}
	return s.begin(ctx, "BEGIN")
}

func (e sqlite) describe(ctx context.Context, s *session, names []string) ([]*table, error) {
	objects, err := e.objects(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []*table
	for _, name := range names {
		for _, o := range objects {
			if o.typ != "table" || o.name != name {
				continue
			}
			t, err := e.table(ctx, s, name, objects)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		}
	}
	return out, nil
}

func (sqlite) argument(v cell.Value) (any, error) { return sqliteValue(column{}, v) }

func (e sqlite) change(ctx context.Context, s *session, statement string, values []cell.Value) error {
	args, err := arguments(values, e.argument)
	if err != nil {
		return err
	}
	return s.exec(ctx, statement, args...)
}
