package sqlsource

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// mysqlSupported reports whether a type's values are read and written exactly.
func mysqlSupported(base string) bool {
	return mysqlKindOf(base) != cell.Null
}

// mysqlKindOf is the kind of a type's cells, Null if it is not supported.
func mysqlKindOf(base string) cell.Kind {
	switch base {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		return cell.Int
	case "float", "double":
		return cell.Float
	case "decimal":
		return cell.Decimal
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set":
		return cell.Text
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit":
		return cell.Bytes
	case "json":
		return cell.JSON
	case "date":
		return cell.Date
	case "time":
		return cell.Time
	case "datetime":
		return cell.DateTime
	case "timestamp":
		return cell.Instant
	case "uuid", "inet4", "inet6":
		return cell.Native
	}
	return cell.Null
}

func (mysql) rows(ctx context.Context, s *session, t *table, which selection) iter.Seq2[backup.Row, error] {
	kinds := make([]cell.Kind, len(t.columns))
	for i, c := range t.columns {
		kinds[i] = mysqlKindOf(c.base)
	}
	query := "SELECT " + t.list(func(c column) string {
		name := "t." + backticked(c.name)
		// As text these do not depend on the DSN's parseTime and loc, and 0000-00-00
		// stays what it is.
		if slices.Contains([]cell.Kind{cell.Date, cell.Time, cell.DateTime, cell.Instant, cell.Native}, mysqlKindOf(c.base)) {
			return "CAST(" + name + " AS CHAR)"
		}
		return name
	}) + " FROM " + backticked(t.name) + " AS t"
	query += which.clause(t.order(backticked))
	return s.scan(ctx, t, query, which.args, func(row []byte, i int, v any) ([]byte, error) {
		switch v := v.(type) {
		case nil:
			return cell.AppendNull(row), nil
		case int64:
			return cell.AppendInt(row, v), nil
		case uint64:
			return cell.AppendUint(row, v), nil
		case float32:
			return cell.AppendFloat(row, float64(v)), nil
		case float64:
			return cell.AppendFloat(row, v), nil
		case []byte:
			return appendMySQLText(row, kinds[i], v)
		case string:
			return appendMySQLText(row, kinds[i], []byte(v))
		}
		return nil, fmt.Errorf("driver returned a %T", v)
	})
}

func appendMySQLText(row []byte, kind cell.Kind, v []byte) ([]byte, error) {
	switch kind {
	case cell.Int:
		n, err := strconv.ParseUint(string(v), 10, 64) // above 2^63-1
		if err != nil {
			return nil, fmt.Errorf("driver returned no number for an integer")
		}
		return cell.AppendUint(row, n), nil
	case cell.Date, cell.DateTime, cell.Instant, cell.Time:
		return appendClock(row, kind, string(v)), nil
	}
	return cell.AppendRaw(row, kind, v), nil
}

// load inserts many rows at once and commits now and then: InnoDB's undo log of
// one huge transaction would slow it down, and atomicity is lost to the CREATE
// TABLE statements anyway.
func (mysql) load(ctx context.Context, s *session, t *table, rows iter.Seq2[backup.Row, error]) error {
	if err := s.begin(ctx, "START TRANSACTION"); err != nil {
		return err
	}
	const maxArgs, maxBytes = 8000, 1 << 20
	b := inserter{table: t, quote: backticked, maxRows: max(1, maxArgs/len(t.columns)), maxBytes: maxBytes, value: mysqlValue}
	if err := b.load(ctx, s, rows); err != nil {
		return err
	}
	return s.commit(ctx, "COMMIT")
}

func mysqlValue(_ column, v cell.Value) (any, error) {
	switch v.Kind {
	case cell.Null:
		return nil, nil
	case cell.Int:
		return v.Int, nil
	case cell.Uint:
		return v.Uint, nil
	case cell.Float:
		return v.Float, nil
	case cell.Bytes:
		return append([]byte{}, v.Raw...), nil
	case cell.Text, cell.Decimal, cell.JSON, cell.Native:
		return string(v.Raw), nil
	case cell.Date, cell.DateTime, cell.Instant, cell.Time:
		return formatClock(v), nil
	}
	return nil, fmt.Errorf("cell of kind %d does not come from MySQL", v.Kind)
}

func (mysql) commit(ctx context.Context, s *session) error {
	return s.commit(ctx, "DROP TABLE "+backticked(unfinished))
}

// abandon drops what was made. The database was empty of these tables before.
func (mysql) abandon(ctx context.Context, s *session, created []string) error {
	if s.inTx {
		if err := s.exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
		s.inTx = false
	}
	for _, name := range created {
		if err := s.exec(ctx, "DROP TABLE IF EXISTS "+backticked(name)); err != nil {
			return err
		}
	}
	return nil
}
