package sqlsource

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/confide-go/confide/backup/cell"
)

// A converter takes values of one column between an engine's own cells and
// portable ones. Each direction undoes the other or refuses, with a reason that
// contains no value.
type converter interface {
	lift(own cell.Value) (cell.Value, error)
	lower(portable cell.Value) (cell.Value, error)
}

var errKind = errors.New("holds a value of another kind than its type")

// fits checks what a shape demands of every engine.
func (s shape) fits(v cell.Value) error {
	if v.Kind != s.kind {
		if v.Kind == cell.Uint && s.kind == cell.Int {
			return errors.New("holds an unsigned number above 9223372036854775807")
		}
		if v.Kind == cell.Native {
			return errors.New("holds a value that only this engine has, such as an infinite or zero date")
		}
		return errKind
	}
	switch v.Kind {
	case cell.Int:
		if limit := int64(1) << (s.bits - 1); s.bits < 64 && (v.Int < -limit || v.Int >= limit) {
			return errors.New("holds a number out of the range of its type")
		}
	case cell.Float:
		if s.bits == 32 && !math.IsNaN(v.Float) && float64(float32(v.Float)) != v.Float {
			return errors.New("holds a number that single precision cannot")
		}
	case cell.Decimal:
		return s.fitsDecimal(v.Raw)
	case cell.JSON:
		if !utf8.Valid(v.Raw) || bytes.IndexByte(v.Raw, 0) >= 0 || !json.Valid(v.Raw) {
			return errors.New("holds text that is no JSON")
		}
	}
	return nil
}

func (s shape) fitsDecimal(text []byte) error {
	if !canonicalDecimal(text) {
		return errors.New("holds a number without digits, such as NaN")
	}
	if !s.fixed {
		return nil
	}
	whole, fraction, _ := bytes.Cut(bytes.TrimPrefix(text, []byte("-")), []byte("."))
	if len(fraction) != s.scale || len(bytes.TrimLeft(whole, "0"))+len(fraction) > s.precision {
		return errors.New("holds a number with more or fewer digits than its type")
	}
	return nil
}

// micros refuses times finer than both PostgreSQL and MySQL keep.
func micros(v cell.Value) error {
	if v.Nanos%1000 != 0 || v.Kind == cell.Time && v.Int%1000 != 0 {
		return errors.New("holds a time finer than a microsecond")
	}
	return nil
}

// pgConverter: PostgreSQL's cells are the portable ones.
type pgConverter struct{ shape }

func (c pgConverter) lift(v cell.Value) (cell.Value, error) { return v, c.fits(v) }

func (c pgConverter) lower(v cell.Value) (cell.Value, error) {
	if err := errors.Join(c.fits(v), micros(v)); err != nil {
		return v, err
	}
	switch v.Kind {
	case cell.Text:
		if !utf8.Valid(v.Raw) {
			return v, errors.New("holds text that is not valid UTF-8")
		}
		if bytes.IndexByte(v.Raw, 0) >= 0 {
			return v, errors.New("holds text with a NUL, which PostgreSQL cannot keep")
		}
	case cell.Time:
		if v.Int < 0 || v.Int > 24*int64(time.Hour) {
			return v, errors.New("holds a span of hours, which PostgreSQL's time cannot")
		}
	}
	return v, nil
}

type mysqlConverter struct{ shape }

func (c mysqlConverter) lift(v cell.Value) (cell.Value, error) {
	switch {
	case c.kind == cell.Bool && v.Kind == cell.Int && (v.Int == 0 || v.Int == 1):
		v.Kind = cell.Bool
	case c.kind == cell.JSON && v.Kind == cell.Text && !c.json:
		v.Kind = cell.JSON
	}
	return v, c.fits(v)
}

func (c mysqlConverter) lower(v cell.Value) (cell.Value, error) {
	if err := errors.Join(c.fits(v), micros(v), mysqlLimits(v)); err != nil {
		return v, err
	}
	switch v.Kind {
	case cell.Bool:
		v.Kind = cell.Int
	case cell.JSON:
		if !c.json {
			v.Kind = cell.Text
		}
	}
	return v, nil
}

func mysqlLimits(v cell.Value) error {
	const first, past = -62135596800, 253402300800 // 0001-01-01 and 10000-01-01
	switch v.Kind {
	case cell.Float:
		if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
			return errors.New("holds NaN or an infinity, which MySQL cannot keep")
		}
	case cell.Text:
		if !utf8.Valid(v.Raw) {
			return errors.New("holds text that is not valid UTF-8")
		}
	case cell.Date:
		if v.Int < first/86400 || v.Int >= past/86400 {
			return errors.New("holds a date outside of the years 1 to 9999")
		}
	case cell.DateTime:
		if v.Int < first || v.Int >= past {
			return errors.New("holds a time outside of the years 1 to 9999")
		}
	case cell.Instant:
		if v.Int < 1 || v.Int > math.MaxInt32 || v.Int == math.MaxInt32 && v.Nanos > 0 {
			return errors.New("holds a moment outside of 1970 to 2038, the range of MySQL's timestamp")
		}
	case cell.Time:
		if limit := int64(839*time.Hour - time.Second); v.Int > limit || v.Int < -limit {
			return errors.New("holds a span of more than 838 hours")
		}
	}
	return nil
}

// sqliteConverter: SQLite has integers, reals, text and blobs only.
type sqliteConverter struct{ shape }

func (c sqliteConverter) lift(v cell.Value) (cell.Value, error) {
	out, err := c.read(v)
	if err != nil {
		return v, err
	}
	return out, c.fits(out)
}

func (c sqliteConverter) read(v cell.Value) (cell.Value, error) {
	text := string(v.Raw)
	switch c.kind {
	case cell.Bool:
		if v.Kind == cell.Int && (v.Int == 0 || v.Int == 1) {
			v.Kind = cell.Bool
		}
		return v, nil
	case cell.Decimal:
		return c.readNumber(v)
	case cell.JSON:
		if v.Kind == cell.Text {
			v.Kind = cell.JSON
		}
		return v, nil
	case cell.Date, cell.DateTime, cell.Instant:
		if v.Kind != cell.Text {
			return v, errKind
		}
		t, err := time.Parse(c.clock(), text)
		if err != nil {
			return v, errors.New("holds text that is no date or time")
		}
		if c.kind == cell.Date {
			return cell.Value{Kind: cell.Date, Int: floorDiv(t.Unix(), 86400)}, nil
		}
		return cell.Value{Kind: c.kind, Int: t.Unix(), Nanos: uint32(t.Nanosecond())}, nil
	case cell.Time:
		nanos, ok := parseSpan(text)
		if v.Kind != cell.Text || !ok {
			return v, errors.New("holds text that is no time of day")
		}
		return cell.Value{Kind: cell.Time, Int: nanos}, nil
	}
	return v, nil
}

// clock is how SQLite's text of a date or time is written.
func (c sqliteConverter) clock() string {
	switch {
	case c.kind == cell.Date:
		return time.DateOnly
	case c.kind == cell.DateTime:
		return sqliteDateTime
	case c.layout != "":
		return c.layout
	}
	return sqliteInstant
}

// readNumber gives the digits of a number of any kind.
func (c sqliteConverter) readNumber(v cell.Value) (cell.Value, error) {
	switch v.Kind {
	case cell.Int:
		v.Raw = strconv.AppendInt(nil, v.Int, 10)
	case cell.Float:
		if math.IsInf(v.Float, 0) || math.Signbit(v.Float) && v.Float == 0 {
			return v, errors.New("holds an infinity or a negative zero")
		}
		v.Raw = []byte(realDigits(v.Float))
	case cell.Text:
	default:
		return v, errKind
	}
	v.Kind = cell.Decimal
	return v, nil
}

// realDigits writes a real so that it is told from an integer.
func realDigits(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func (c sqliteConverter) lower(v cell.Value) (cell.Value, error) {
	if err := c.fits(v); err != nil {
		return v, err
	}
	text := func(s string) (cell.Value, error) { return cell.Value{Kind: cell.Text, Raw: []byte(s)}, nil }
	switch v.Kind {
	case cell.Bool:
		v.Kind = cell.Int
	case cell.Float:
		if math.IsNaN(v.Float) || v.Float == 0 && math.Signbit(v.Float) {
			return v, errors.New("holds NaN or a negative zero, which SQLite cannot keep")
		}
	case cell.Decimal:
		if !c.fixed {
			return number(string(v.Raw)), nil
		}
		v.Kind = cell.Text
	case cell.JSON:
		v.Kind = cell.Text
	case cell.Time:
		return text(formatSpan(v.Int))
	case cell.Date:
		return c.written(time.Unix(v.Int*86400, 0))
	case cell.DateTime, cell.Instant:
		return c.written(time.Unix(v.Int, int64(v.Nanos)))
	}
	return v, nil
}

func (c sqliteConverter) written(t time.Time) (cell.Value, error) {
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return cell.Value{}, errors.New("holds a date outside of the years 1 to 9999")
	}
	return cell.Value{Kind: cell.Text, Raw: []byte(t.Format(c.clock()))}, nil
}

// number is a decimal as SQLite's own number if that keeps every digit.
func number(digits string) cell.Value {
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && strconv.FormatInt(n, 10) == digits {
		return cell.Value{Kind: cell.Int, Int: n}
	}
	if f, err := strconv.ParseFloat(digits, 64); err == nil && (f != 0 || digits == "0.0") && realDigits(f) == digits {
		return cell.Value{Kind: cell.Float, Float: f}
	}
	return cell.Value{Kind: cell.Text, Raw: []byte(digits)}
}

// appendValue encodes a decoded cell again.
func appendValue(dst []byte, v cell.Value) []byte {
	switch v.Kind {
	case cell.Bool:
		return cell.AppendBool(dst, v.Int != 0)
	case cell.Int:
		return cell.AppendInt(dst, v.Int)
	case cell.Uint:
		return cell.AppendUint(dst, v.Uint)
	case cell.Float:
		return cell.AppendFloat(dst, v.Float)
	case cell.Date:
		return cell.AppendDate(dst, v.Int)
	case cell.Time:
		return cell.AppendTime(dst, v.Int)
	case cell.DateTime:
		return cell.AppendDateTime(dst, v.Int, v.Nanos)
	case cell.Instant:
		return cell.AppendInstant(dst, v.Int, v.Nanos)
	case cell.Null:
		return cell.AppendNull(dst)
	}
	return cell.AppendRaw(dst, v.Kind, v.Raw)
}
