package sqlsource

import (
	"context"
	"strings"

	"github.com/confide-go/confide/backup/cell"
)

func (sqlite) words() words {
	return words{quote: quoted, mark: func(int) string { return "?" }}
}

// open takes the one lock of writers at once, so that nobody changes a row between
// looking at it and writing it.
func (sqlite) open(ctx context.Context, s *session, write bool) error {
	if !write {
		return s.begin(ctx, "BEGIN")
	}
	// SQLite has no queue for its lock: writers that keep coming can have it every
	// time until the driver's patience is over.
	const tries = 10
	var err error
	for range tries {
		if err = s.begin(ctx, "BEGIN IMMEDIATE"); err == nil || !strings.Contains(err.Error(), "SQLITE_BUSY") {
			return err
		}
	}
	return err
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
