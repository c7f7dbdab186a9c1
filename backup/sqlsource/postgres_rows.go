package sqlsource

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// driver refuses a database that was not opened with pgx: only there can rows
// be had as the server sends them.
func (postgres) driver(s *session) error {
	return s.pgx(func(*pgx.Conn) error { return nil })
}

// pgx runs f with the session's pgx connection.
func (s *session) pgx(f func(*pgx.Conn) error) error {
	return s.conn.Raw(func(c any) error {
		conn, ok := c.(*stdlib.Conn)
		if !ok {
			return errors.New("sqlsource: the PostgreSQL database was not opened with pgx; use gorm.io/driver/postgres or github.com/jackc/pgx/v5/stdlib")
		}
		return f(conn.Conn())
	})
}

// pgBinary reports whether a type is read in its binary form; all others are
// read as text.
func pgBinary(oid uint32) bool {
	switch oid {
	case pgtype.BoolOID, pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID,
		pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.ByteaOID, pgtype.JSONOID, pgtype.UUIDOID,
		pgtype.DateOID, pgtype.TimeOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return true
	}
	return false
}

func (postgres) rows(ctx context.Context, s *session, t *table, which selection) iter.Seq2[backup.Row, error] {
	query := "SELECT " + t.list(func(c column) string {
		if pgBinary(c.oid) {
			return "t." + quoted(c.name)
		}
		return "t." + quoted(c.name) + "::text"
	}) + " FROM ONLY " + quoted(t.name) + " AS t"
	query += which.clause(t.order(quoted))
	params := make([][]byte, len(which.args))
	for i, arg := range which.args {
		params[i] = []byte(arg.(string)) // as within made them
	}
	return func(yield func(backup.Row, error) bool) {
		err := s.pgx(func(conn *pgx.Conn) error { return pgScan(ctx, conn, t, query, params, yield) })
		if err != nil {
			yield(nil, fmt.Errorf("sqlsource: read table %q: %w", t.name, cancelled(ctx, withoutValues(err))))
		}
	}
}

// pgScan asks for binary results below pgx's query modes: in the simple protocol,
// which a DSN may choose, everything would come as text.
func pgScan(ctx context.Context, conn *pgx.Conn, t *table, query string, params [][]byte, yield func(backup.Row, error) bool) (err error) {
	formats := make([]int16, len(t.columns))
	for i := range formats {
		formats[i] = pgx.BinaryFormatCode
	}
	result := conn.PgConn().ExecParams(ctx, query, params, nil, nil, formats)
	stopped := false
	defer func() {
		if _, closed := result.Close(); err == nil && !stopped {
			err = closed
		}
	}()
	var row []byte
	for result.NextRow() {
		row = row[:0]
		for i, raw := range result.Values() {
			if row, err = appendPG(row, t.columns[i].oid, raw); err != nil {
				return fmt.Errorf("column %q: %w", t.columns[i].name, err)
			}
		}
		if !yield(row, nil) {
			stopped = true
			return nil
		}
	}
	return nil
}

// pgEpoch is 2000-01-01 in seconds since 1970; pgEpochDays the same in days.
const (
	pgEpoch     = 946684800
	pgEpochDays = 10957
)

// appendPG encodes one value as the server sent it.
func appendPG(row []byte, oid uint32, raw []byte) ([]byte, error) {
	if raw == nil {
		return cell.AppendNull(row), nil
	}
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID:
		return cell.AppendRaw(row, cell.Text, raw), nil
	case pgtype.ByteaOID:
		return cell.AppendRaw(row, cell.Bytes, raw), nil
	case pgtype.JSONOID, pgtype.JSONBOID:
		return cell.AppendRaw(row, cell.JSON, raw), nil
	case pgtype.NumericOID:
		return cell.AppendRaw(row, cell.Decimal, raw), nil
	}
	if !pgBinary(oid) {
		return cell.AppendRaw(row, cell.Native, raw), nil
	}
	if len(raw) != pgSize(oid) {
		return nil, fmt.Errorf("the server sent %d bytes for a value of %d", len(raw), pgSize(oid))
	}
	switch oid {
	case pgtype.BoolOID:
		return cell.AppendBool(row, raw[0] != 0), nil
	case pgtype.Int2OID:
		return cell.AppendInt(row, int64(int16(binary.BigEndian.Uint16(raw)))), nil
	case pgtype.Int4OID:
		return cell.AppendInt(row, int64(int32(binary.BigEndian.Uint32(raw)))), nil
	case pgtype.Float4OID:
		return cell.AppendFloat(row, float64(math.Float32frombits(binary.BigEndian.Uint32(raw)))), nil
	case pgtype.UUIDOID:
		return cell.AppendRaw(row, cell.Text, fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])), nil
	case pgtype.DateOID:
		return appendPGDate(row, int32(binary.BigEndian.Uint32(raw))), nil
	}
	n := int64(binary.BigEndian.Uint64(raw))
	switch oid {
	case pgtype.Int8OID:
		return cell.AppendInt(row, n), nil
	case pgtype.Float8OID:
		return cell.AppendFloat(row, math.Float64frombits(uint64(n))), nil
	case pgtype.TimeOID:
		return cell.AppendTime(row, n*1000), nil
	}
	return appendPGMoment(row, oid, n), nil
}

func pgSize(oid uint32) int {
	switch oid {
	case pgtype.BoolOID:
		return 1
	case pgtype.Int2OID:
		return 2
	case pgtype.Int4OID, pgtype.Float4OID, pgtype.DateOID:
		return 4
	case pgtype.UUIDOID:
		return 16
	}
	return 8
}

func appendPGDate(row []byte, days int32) []byte {
	switch days {
	case math.MaxInt32:
		return cell.AppendRaw(row, cell.Native, "infinity")
	case math.MinInt32:
		return cell.AppendRaw(row, cell.Native, "-infinity")
	}
	return cell.AppendDate(row, int64(days)+pgEpochDays)
}

func appendPGMoment(row []byte, oid uint32, micros int64) []byte {
	switch micros {
	case math.MaxInt64:
		return cell.AppendRaw(row, cell.Native, "infinity")
	case math.MinInt64:
		return cell.AppendRaw(row, cell.Native, "-infinity")
	}
	seconds := floorDiv(micros, 1e6)
	nanos := uint32(micros-seconds*1e6) * 1000
	if oid == pgtype.TimestamptzOID {
		return cell.AppendInstant(row, seconds+pgEpoch, nanos)
	}
	return cell.AppendDateTime(row, seconds+pgEpoch, nanos)
}
