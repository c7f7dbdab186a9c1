package sqlsource

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// load uses COPY in its text form, which every type can read.
func (postgres) load(ctx context.Context, s *session, t *table, rows iter.Seq2[backup.Row, error]) error {
	next, stop := iter.Pull2(rows)
	defer stop()
	from := &copyReader{columns: len(t.columns), next: next}
	statement := "COPY " + quoted(t.name) + " (" + t.list(func(c column) string { return quoted(c.name) }) + ") FROM STDIN"
	err := s.pgx(func(conn *pgx.Conn) error {
		_, err := conn.PgConn().CopyFrom(ctx, from, statement)
		return err
	})
	if from.err != nil {
		return from.err
	}
	if err != nil {
		return fmt.Errorf("sqlsource: %w", withoutValues(err))
	}
	return nil
}

// copyReader writes rows in COPY's text form as they are asked for.
type copyReader struct {
	columns int
	next    func() (backup.Row, error, bool)
	buf     []byte
	pos     int
	err     error
	done    bool
}

const copyAhead = 64 << 10

func (r *copyReader) Read(p []byte) (int, error) {
	if r.pos == len(r.buf) {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.pos:])
	r.pos += n
	return n, nil
}

func (r *copyReader) fill() error {
	r.buf, r.pos = r.buf[:0], 0
	for len(r.buf) < copyAhead && !r.done && r.err == nil {
		row, err, ok := r.next()
		switch {
		case !ok:
			r.done = true
		case err != nil:
			r.err = err
		default:
			r.buf, r.err = appendCopyRow(r.buf, row, r.columns)
		}
	}
	if r.err != nil {
		return r.err
	}
	if len(r.buf) == 0 {
		return io.EOF
	}
	return nil
}

func appendCopyRow(dst []byte, row backup.Row, columns int) ([]byte, error) {
	rest := []byte(row)
	for i := range columns {
		v, after, err := cell.Next(rest)
		if err != nil {
			return dst, err
		}
		rest = after
		if i > 0 {
			dst = append(dst, '\t')
		}
		if dst, err = appendCopy(dst, v); err != nil {
			return dst, err
		}
	}
	return append(dst, '\n'), nil
}

func appendCopy(dst []byte, v cell.Value) ([]byte, error) {
	switch v.Kind {
	case cell.Null:
		return append(dst, `\N`...), nil
	case cell.Bool:
		return append(dst, "ft"[v.Int]), nil
	case cell.Int:
		return strconv.AppendInt(dst, v.Int, 10), nil
	case cell.Float:
		return appendCopyFloat(dst, v.Float), nil
	case cell.Decimal, cell.Text, cell.JSON, cell.Native:
		return appendCopyText(dst, v.Raw), nil
	case cell.Bytes:
		return hex.AppendEncode(append(dst, `\\x`...), v.Raw), nil
	case cell.Instant:
		return append(dst, formatInstant(v)...), nil
	case cell.Date, cell.DateTime, cell.Time:
		return append(dst, formatClock(v)...), nil
	}
	return dst, fmt.Errorf("cell of kind %d does not come from PostgreSQL", v.Kind)
}

func appendCopyFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

// appendCopyText escapes what COPY would take for structure.
func appendCopyText(dst, text []byte) []byte {
	start := 0
	for i, c := range text {
		var escaped byte
		switch c {
		case '\\':
			escaped = '\\'
		case '\t':
			escaped = 't'
		case '\n':
			escaped = 'n'
		case '\r':
			escaped = 'r'
		default:
			continue
		}
		dst = append(append(dst, text[start:i]...), '\\', escaped)
		start = i + 1
	}
	return append(dst, text[start:]...)
}
