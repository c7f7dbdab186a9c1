package sqlsource

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// copyBinary is COPY's binary form: each value as the receive function of its
// type takes it. It saves both sides the writing and reading of text.
type copyBinary struct {
	columns []column
	encode  []pgEncoder
}

// A pgEncoder appends a value that is not NULL, without its length.
type pgEncoder func(dst []byte, v cell.Value) ([]byte, error)

func newCopyBinary(columns []column) (copyBinary, bool) {
	out := copyBinary{columns: columns}
	for _, c := range columns {
		encode := pgEncoderOf(c)
		if encode == nil {
			return copyBinary{}, false
		}
		out.encode = append(out.encode, encode)
	}
	return out, true
}

// pgEncoderOf returns nil for a type whose binary form is not known here.
func pgEncoderOf(c column) pgEncoder {
	if c.enum {
		return pgRaw(cell.Native) // its label
	}
	switch c.oid {
	case pgtype.BoolOID:
		return pgBool
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		return pgInt(pgSize(c.oid))
	case pgtype.Float4OID, pgtype.Float8OID:
		return pgFloat(pgSize(c.oid))
	case pgtype.NumericOID:
		return pgNumeric
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID:
		return pgRaw(cell.Text)
	case pgtype.ByteaOID:
		return pgRaw(cell.Bytes)
	case pgtype.JSONOID:
		return pgRaw(cell.JSON)
	case pgtype.JSONBOID:
		return pgJSONB
	case pgtype.UUIDOID:
		return pgUUID
	case pgtype.DateOID:
		return pgDate
	case pgtype.TimeOID:
		return pgTime
	case pgtype.TimestampOID:
		return pgMoment(cell.DateTime)
	case pgtype.TimestamptzOID:
		return pgMoment(cell.Instant)
	}
	return nil
}

func (copyBinary) options() string { return "FORMAT binary, FREEZE" }

// begin: signature, flags, no extension of the header.
func (copyBinary) begin(dst []byte) []byte {
	return append(dst, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

func (copyBinary) end(dst []byte) []byte { return append(dst, 0xff, 0xff) }

func (c copyBinary) row(dst []byte, row backup.Row) ([]byte, error) {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(c.columns)))
	rest := []byte(row)
	for i, encode := range c.encode {
		v, after, err := cell.Next(rest)
		if err != nil {
			return dst, err
		}
		rest = after
		at := len(dst)
		dst = append(dst, 0xff, 0xff, 0xff, 0xff) // NULL
		if v.Kind == cell.Null {
			continue
		}
		if dst, err = encode(dst, v); err != nil {
			return dst, fmt.Errorf("sqlsource: column %q %w", c.columns[i].name, err)
		}
		size := len(dst) - at - 4
		if size > math.MaxInt32 {
			return dst, fmt.Errorf("sqlsource: column %q holds a value that is too large", c.columns[i].name)
		}
		binary.BigEndian.PutUint32(dst[at:], uint32(size))
	}
	return dst, nil
}

var errRange = errors.New("holds a value out of the range of its type")

func pgBool(dst []byte, v cell.Value) ([]byte, error) {
	if v.Kind != cell.Bool {
		return dst, errKind
	}
	return append(dst, byte(v.Int)), nil
}

func pgInt(size int) pgEncoder {
	return func(dst []byte, v cell.Value) ([]byte, error) {
		switch {
		case v.Kind != cell.Int:
			return dst, errKind
		case size < 8 && v.Int>>(8*size-1) != v.Int>>63:
			return dst, errRange
		}
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(v.Int))
		return append(dst, b[8-size:]...), nil
	}
}

func pgFloat(size int) pgEncoder {
	return func(dst []byte, v cell.Value) ([]byte, error) {
		switch {
		case v.Kind != cell.Float:
			return dst, errKind
		case size == 8:
			return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float)), nil
		}
		single := float32(v.Float)
		if float64(single) != v.Float && !math.IsNaN(v.Float) {
			return dst, errRange
		}
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(single)), nil
	}
}

func pgRaw(kind cell.Kind) pgEncoder {
	return func(dst []byte, v cell.Value) ([]byte, error) {
		if v.Kind != kind {
			return dst, errKind
		}
		return append(dst, v.Raw...), nil
	}
}

// pgJSONB writes version 1, which is the text.
func pgJSONB(dst []byte, v cell.Value) ([]byte, error) {
	if v.Kind != cell.JSON {
		return dst, errKind
	}
	return append(append(dst, 1), v.Raw...), nil
}

func pgUUID(dst []byte, v cell.Value) ([]byte, error) {
	if v.Kind != cell.Text || len(v.Raw) != 36 {
		return dst, errKind
	}
	var digits [32]byte
	n := 0
	for i, c := range v.Raw {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return dst, errKind
			}
			continue
		}
		digits[n] = c
		n++
	}
	dst, err := hex.AppendDecode(dst, digits[:])
	if err != nil {
		return dst, errKind
	}
	return dst, nil
}

// pgInfinite tells the infinities of dates and times.
func pgInfinite(v cell.Value) (sign int, ok bool) {
	switch {
	case v.Kind != cell.Native:
		return 0, false
	case bytes.Equal(v.Raw, []byte("infinity")):
		return 1, true
	case bytes.Equal(v.Raw, []byte("-infinity")):
		return -1, true
	}
	return 0, false
}

func pgDate(dst []byte, v cell.Value) ([]byte, error) {
	days := v.Int - pgEpochDays
	sign, infinite := pgInfinite(v)
	switch {
	case infinite && sign > 0:
		days = math.MaxInt32
	case infinite:
		days = math.MinInt32
	case v.Kind != cell.Date:
		return dst, errKind
	case days <= math.MinInt32 || days >= math.MaxInt32:
		return dst, errRange
	}
	return binary.BigEndian.AppendUint32(dst, uint32(int32(days))), nil
}

func pgTime(dst []byte, v cell.Value) ([]byte, error) {
	switch {
	case v.Kind != cell.Time:
		return dst, errKind
	case v.Int < 0 || v.Int%1000 != 0:
		return dst, errRange
	}
	return binary.BigEndian.AppendUint64(dst, uint64(v.Int/1000)), nil
}

func pgMoment(kind cell.Kind) pgEncoder {
	const limit = math.MaxInt64/1_000_000 - 1 // seconds whose microseconds fit
	return func(dst []byte, v cell.Value) ([]byte, error) {
		var micros int64
		sign, infinite := pgInfinite(v)
		switch {
		case infinite && sign > 0:
			micros = math.MaxInt64
		case infinite:
			micros = math.MinInt64
		case v.Kind != kind:
			return dst, errKind
		case v.Int < pgEpoch-limit || v.Int > pgEpoch+limit || v.Nanos%1000 != 0:
			return dst, errRange
		default:
			micros = (v.Int-pgEpoch)*1e6 + int64(v.Nanos/1000)
		}
		return binary.BigEndian.AppendUint64(dst, uint64(micros)), nil
	}
}
