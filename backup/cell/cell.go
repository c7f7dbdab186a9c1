// Package cell is the canonical encoding of one database value inside a backup:
// the same value always gives the same bytes, whichever engine and driver it
// came from, so that rows can be compared by hash.
//
// A row is its cells one after the other, in the order of the table's columns.
// A cell is one byte for its kind followed by the payload of that kind:
//
//	Null                          nothing
//	Bool                          0 or 1
//	Int                           zigzag varint
//	Uint                          varint, only for values above 2^63-1
//	Float                         8 bytes, IEEE 754, most significant first
//	Decimal Text Bytes JSON
//	Native                        varint length, bytes
//	Date                          zigzag varint, days since 1970-01-01
//	Time                          zigzag varint, nanoseconds; may be negative
//	DateTime Instant              zigzag varint seconds since 1970, varint nanoseconds
//
// Varints are in their shortest form. Decimal keeps its digits as text, so 1.50
// and 1.5 differ. DateTime is a wall clock without a zone, Instant a moment.
// Native is the engine's own text form of a value that has no portable kind
// (an interval, an array, the date 0000-00-00); only the same engine reads it.
package cell

import (
	"encoding/binary"
	"math"
)

// A Kind says how a cell is encoded. The numbers are part of the format.
type Kind byte

// The kinds of a cell.
const (
	Null     Kind = 0
	Bool     Kind = 1
	Int      Kind = 2
	Uint     Kind = 3
	Float    Kind = 4
	Decimal  Kind = 5
	Text     Kind = 6
	Bytes    Kind = 7
	JSON     Kind = 8
	Date     Kind = 9
	Time     Kind = 10
	DateTime Kind = 11
	Instant  Kind = 12
	Native   Kind = 13
)

// AppendNull appends the absent value.
func AppendNull(dst []byte) []byte { return append(dst, byte(Null)) }

// AppendBool appends a truth value.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, byte(Bool), 1)
	}
	return append(dst, byte(Bool), 0)
}

// AppendInt appends a signed integer.
func AppendInt(dst []byte, v int64) []byte {
	return binary.AppendVarint(append(dst, byte(Int)), v)
}

// AppendUint appends an unsigned integer; one that fits int64 is encoded as Int.
func AppendUint(dst []byte, v uint64) []byte {
	if v <= math.MaxInt64 {
		return AppendInt(dst, int64(v))
	}
	return binary.AppendUvarint(append(dst, byte(Uint)), v)
}

// AppendFloat appends a floating point number; every NaN has one encoding.
func AppendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) {
		v = math.NaN()
	}
	return binary.BigEndian.AppendUint64(append(dst, byte(Float)), math.Float64bits(v))
}

// AppendRaw appends a value whose payload is text or bytes: kind is Decimal,
// Text, Bytes, JSON or Native.
func AppendRaw[S ~string | ~[]byte](dst []byte, kind Kind, v S) []byte {
	dst = binary.AppendUvarint(append(dst, byte(kind)), uint64(len(v)))
	return append(dst, v...)
}

// AppendDate appends a day, counted from 1970-01-01.
func AppendDate(dst []byte, days int64) []byte {
	return binary.AppendVarint(append(dst, byte(Date)), days)
}

// AppendTime appends a time of day or a span of hours, in nanoseconds.
func AppendTime(dst []byte, nanos int64) []byte {
	return binary.AppendVarint(append(dst, byte(Time)), nanos)
}

// AppendDateTime appends a wall clock reading, as if it were in UTC. Nanos is
// between 0 and 999,999,999 also before 1970.
func AppendDateTime(dst []byte, seconds int64, nanos uint32) []byte {
	return appendMoment(dst, DateTime, seconds, nanos)
}

// AppendInstant appends a moment in UTC.
func AppendInstant(dst []byte, seconds int64, nanos uint32) []byte {
	return appendMoment(dst, Instant, seconds, nanos)
}

func appendMoment(dst []byte, kind Kind, seconds int64, nanos uint32) []byte {
	dst = binary.AppendVarint(append(dst, byte(kind)), seconds)
	return binary.AppendUvarint(dst, uint64(nanos))
}
