package sqlsource

import (
	"context"
	"fmt"
	"iter"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

func (sqlite) rows(ctx context.Context, s *session, t *table, which selection) iter.Seq2[backup.Row, error] {
	// The driver turns text in columns declared DATE or TIMESTAMP into times and
	// so loses how it was written. A unary plus changes nothing about a value and
	// hides the declared type.
	query := "SELECT " + t.list(func(c column) string { return "+t." + quoted(c.name) }) + " FROM main." + quoted(t.name) + " AS t"
	query += which.clause(t.order(func(name string) string { return quoted(name) + " COLLATE BINARY" }))
	return s.scan(ctx, t, query, which.args, func(row []byte, _ int, v any) ([]byte, error) {
		switch v := v.(type) {
		case nil:
			return cell.AppendNull(row), nil
		case int64:
			return cell.AppendInt(row, v), nil
		case float64:
			return cell.AppendFloat(row, v), nil
		case string:
			return cell.AppendRaw(row, cell.Text, v), nil
		case []byte:
			return cell.AppendRaw(row, cell.Bytes, v), nil
		}
		return nil, fmt.Errorf("driver returned a %T", v)
	})
}

// load inserts many rows with one statement: the driver compiles it each time.
func (sqlite) load(ctx context.Context, s *session, t *table, rows iter.Seq2[backup.Row, error]) error {
	const maxArgs, maxBytes = 2000, 4 << 20
	b := inserter{table: t, quote: quoted, maxRows: max(1, maxArgs/len(t.columns)), maxBytes: maxBytes, value: sqliteValue}
	return b.load(ctx, s, rows)
}

func sqliteValue(_ column, v cell.Value) (any, error) {
	switch v.Kind {
	case cell.Null:
		return nil, nil
	case cell.Int:
		return v.Int, nil
	case cell.Float:
		return v.Float, nil
	case cell.Text:
		return string(v.Raw), nil
	case cell.Bytes:
		return append([]byte{}, v.Raw...), nil
	}
	return nil, fmt.Errorf("cell of kind %d does not come from SQLite", v.Kind)
}
