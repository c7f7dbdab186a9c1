package cell

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A Value is one decoded cell.
type Value struct {
	Kind  Kind
	Int   int64   // Bool (0 or 1), Int, Date (days), Time (nanoseconds), DateTime and Instant (seconds)
	Uint  uint64  // Uint
	Float float64 // Float
	Nanos uint32  // DateTime and Instant
	Raw   []byte  // Decimal, Text, Bytes, JSON, Native; part of the row, valid as long as it is
}

var errShort = errors.New("cell: row ends inside a cell")

// Next decodes the first cell of row and returns what follows it. It refuses
// every encoding that the Append functions do not produce.
func Next(row []byte) (Value, []byte, error) {
	if len(row) == 0 {
		return Value{}, nil, errShort
	}
	v, rest := Value{Kind: Kind(row[0])}, row[1:]
	var err error
	switch v.Kind {
	case Null:
	case Bool:
		if len(rest) == 0 || rest[0] > 1 {
			return Value{}, nil, errors.New("cell: truth value is neither 0 nor 1")
		}
		v.Int, rest = int64(rest[0]), rest[1:]
	case Int, Date, Time:
		v.Int, rest, err = varint(rest)
	case Uint:
		v.Uint, rest, err = uvarint(rest)
		if err == nil && v.Uint <= math.MaxInt64 {
			err = errors.New("cell: small integer encoded as Uint")
		}
	case Float:
		v.Float, rest, err = float(rest)
	case Decimal, Text, Bytes, JSON, Native:
		v.Raw, rest, err = raw(rest)
	case DateTime, Instant:
		v.Int, v.Nanos, rest, err = moment(rest)
	default:
		return Value{}, nil, fmt.Errorf("cell: unknown kind %d", v.Kind)
	}
	if err != nil {
		return Value{}, nil, err
	}
	return v, rest, nil
}

func varint(b []byte) (int64, []byte, error) {
	u, rest, err := uvarint(b)
	return int64(u>>1) ^ -int64(u&1), rest, err
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n == 0:
		return 0, nil, errShort
	case n < 0:
		return 0, nil, errors.New("cell: integer overflows 64 bits")
	case n > 1 && b[n-1] == 0:
		return 0, nil, errors.New("cell: integer not in its shortest form")
	}
	return v, b[n:], nil
}

func float(b []byte) (float64, []byte, error) {
	if len(b) < 8 {
		return 0, nil, errShort
	}
	bits := binary.BigEndian.Uint64(b)
	v := math.Float64frombits(bits)
	if math.IsNaN(v) && bits != math.Float64bits(math.NaN()) {
		return 0, nil, errors.New("cell: NaN not in its one encoding")
	}
	return v, b[8:], nil
}

func raw(b []byte) ([]byte, []byte, error) {
	n, rest, err := uvarint(b)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(rest)) {
		return nil, nil, errShort
	}
	return rest[:n:n], rest[n:], nil
}

func moment(b []byte) (int64, uint32, []byte, error) {
	seconds, rest, err := varint(b)
	if err != nil {
		return 0, 0, nil, err
	}
	nanos, rest, err := uvarint(rest)
	if err != nil {
		return 0, 0, nil, err
	}
	if nanos > 999_999_999 {
		return 0, 0, nil, errors.New("cell: more nanoseconds than a second has")
	}
	return seconds, uint32(nanos), rest, nil
}
