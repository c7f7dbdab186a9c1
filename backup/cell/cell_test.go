package cell_test

import (
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/backup/cell"
)

// frozen is the encoding of one value of each kind and of the edges. It only grows.
func frozen() map[string][]byte {
	return map[string][]byte{
		"00":                     cell.AppendNull(nil),
		"0100":                   cell.AppendBool(nil, false),
		"0101":                   cell.AppendBool(nil, true),
		"0200":                   cell.AppendInt(nil, 0),
		"0201":                   cell.AppendInt(nil, -1),
		"0202":                   cell.AppendUint(nil, 1),
		"02feffffffffffffffff01": cell.AppendUint(nil, math.MaxInt64),
		"02ffffffffffffffffff01": cell.AppendInt(nil, math.MinInt64),
		"0380808080808080808001": cell.AppendUint(nil, math.MaxInt64+1),
		"03ffffffffffffffffff01": cell.AppendUint(nil, math.MaxUint64),
		"043ff8000000000000":     cell.AppendFloat(nil, 1.5),
		"048000000000000000":     cell.AppendFloat(nil, math.Copysign(0, -1)),
		"047ff8000000000001":     cell.AppendFloat(nil, math.Float64frombits(0xfff8000000000123)),
		"0504312e3530":           cell.AppendRaw(nil, cell.Decimal, "1.50"),
		"0600":                   cell.AppendRaw(nil, cell.Text, ""),
		"0603e4b8ad":             cell.AppendRaw(nil, cell.Text, "中"),
		"070200ff":               cell.AppendRaw(nil, cell.Bytes, []byte{0, 255}),
		"08027b7d":               cell.AppendRaw(nil, cell.JSON, "{}"),
		"0901":                   cell.AppendDate(nil, -1),
		"0a01":                   cell.AppendTime(nil, -1),
		"0b01ff93ebdc03":         cell.AppendDateTime(nil, -1, 999_999_999),
		"0c0200":                 cell.AppendInstant(nil, 1, 0),
		"0d0130":                 cell.AppendRaw(nil, cell.Native, "0"),
	}
}

func TestFrozenEncodings(t *testing.T) {
	for want, got := range frozen() {
		require.Equal(t, want, hex.EncodeToString(got))
		_, rest, err := cell.Next(got)
		require.NoError(t, err)
		require.Empty(t, rest)
	}
}

func TestOtherEncodingsAreRefused(t *testing.T) {
	for bad, text := range map[string]string{
		"":                       "ends inside a cell",
		"02":                     "ends inside a cell",
		"0280":                   "ends inside a cell",
		"0603e4b8":               "ends inside a cell",
		"04000000":               "ends inside a cell",
		"0b02":                   "ends inside a cell",
		"0102":                   "neither 0 nor 1",
		"01":                     "neither 0 nor 1",
		"028000":                 "not in its shortest form",
		"0301":                   "small integer encoded as Uint",
		"047ff8000000000002":     "not in its one encoding",
		"0c0080948ebdc03f":       "more nanoseconds than a second has",
		"02ffffffffffffffffff7f": "overflows 64 bits",
		"06ffffffffffffffffff01": "ends inside a cell",
		"0e":                     "unknown kind 14",
		"ff":                     "unknown kind 255",
	} {
		b, err := hex.DecodeString(bad)
		require.NoError(t, err)
		_, _, err = cell.Next(b)
		require.ErrorContains(t, err, text, bad)
	}
}

func TestWhatIsDecodedIsWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, u, f := rapid.Int64().Draw(t, "i"), rapid.Uint64().Draw(t, "u"), rapid.Float64().Draw(t, "f")
		raw, nanos := rapid.SliceOf(rapid.Byte()).Draw(t, "raw"), rapid.Uint32Range(0, 999_999_999).Draw(t, "nanos")
		row := cell.AppendInstant(cell.AppendRaw(cell.AppendFloat(cell.AppendUint(cell.AppendInt(nil, i), u), f), cell.Bytes, raw), i, nanos)

		v, row, err := cell.Next(row)
		require.NoError(t, err)
		require.Equal(t, i, v.Int)
		v, row, err = cell.Next(row)
		require.NoError(t, err)
		if v.Kind == cell.Int {
			v.Uint = uint64(v.Int)
		}
		require.Equal(t, u, v.Uint)
		v, row, err = cell.Next(row)
		require.NoError(t, err)
		require.Equal(t, math.Float64bits(f), math.Float64bits(v.Float))
		v, row, err = cell.Next(row)
		require.NoError(t, err)
		require.Equal(t, string(raw), string(v.Raw))
		v, row, err = cell.Next(row)
		require.NoError(t, err)
		require.Equal(t, cell.Value{Kind: cell.Instant, Int: i, Nanos: nanos}, v)
		require.Empty(t, row)
	})
}

// FuzzNext looks for input that is accepted in two forms.
func FuzzNext(f *testing.F) {
	for _, row := range frozen() {
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		v, rest, err := cell.Next(row)
		if err != nil {
			return
		}
		require.Equal(t, row[:len(row)-len(rest)], encode(v))
	})
}

func encode(v cell.Value) []byte {
	switch v.Kind {
	case cell.Null:
		return cell.AppendNull(nil)
	case cell.Bool:
		return cell.AppendBool(nil, v.Int == 1)
	case cell.Int:
		return cell.AppendInt(nil, v.Int)
	case cell.Uint:
		return cell.AppendUint(nil, v.Uint)
	case cell.Float:
		return cell.AppendFloat(nil, v.Float)
	case cell.Date:
		return cell.AppendDate(nil, v.Int)
	case cell.Time:
		return cell.AppendTime(nil, v.Int)
	case cell.DateTime:
		return cell.AppendDateTime(nil, v.Int, v.Nanos)
	case cell.Instant:
		return cell.AppendInstant(nil, v.Int, v.Nanos)
	}
	return cell.AppendRaw(nil, v.Kind, v.Raw)
}
