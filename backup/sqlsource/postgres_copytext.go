package sqlsource

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// copyText is COPY's text form, which every type can read.
type copyText struct{ columns []column }

func (copyText) options() string { return "FREEZE" }

func (copyText) begin(dst []byte) []byte { return dst }

func (copyText) end(dst []byte) []byte { return dst }

func (c copyText) row(dst []byte, row backup.Row) ([]byte, error) {
	rest := []byte(row)
	for i := range c.columns {
		v, after, err := cell.Next(rest)
		if err != nil {
			return dst, err
		}
		rest = after
		if i > 0 {
			dst = append(dst, '\t')
		}
		if dst, err = appendCopy(dst, v); err != nil {
			return dst, fmt.Errorf("sqlsource: column %q: %w", c.columns[i].name, err)
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
		return appendInstant(dst, v), nil
	case cell.Date, cell.DateTime, cell.Time:
		return appendClockText(dst, v), nil
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
