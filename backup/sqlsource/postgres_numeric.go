package sqlsource

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/confide-go/confide/backup/cell"
)

// What stands for the sign of a numeric in its binary form.
const (
	numericPlus     = 0x0000
	numericMinus    = 0x4000
	numericNaN      = 0xC000
	numericInfinity = 0xD000
	numericNegative = 0xF000 // infinity
)

var errDigits = errors.New("holds a number that is not written as PostgreSQL writes it")

// pgNumeric writes a numeric in its binary form: the number of digits to the base
// of 10,000, the weight of the first of them, the sign, how many decimal digits
// show behind the point, and the digits. The server drops zeros at both ends.
func pgNumeric(dst []byte, v cell.Value) ([]byte, error) {
	if v.Kind != cell.Decimal {
		return dst, errKind
	}
	switch string(v.Raw) {
	case "NaN":
		return numericHead(dst, 0, 0, numericNaN, 0), nil
	case "Infinity":
		return numericHead(dst, 0, 0, numericInfinity, 0), nil
	case "-Infinity":
		return numericHead(dst, 0, 0, numericNegative, 0), nil
	}
	if !canonicalDecimal(v.Raw) {
		return dst, errDigits
	}
	text, negative := bytes.CutPrefix(v.Raw, []byte("-"))
	sign := numericPlus
	if negative {
		sign = numericMinus
	}
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	// Far more than PostgreSQL's 131,072 and 16,383, and all the numbers below fit.
	if len(whole) > 1<<17 || len(fraction) > 1<<14 {
		return dst, errRange
	}
	groups := (len(whole) + 3) / 4
	dst = numericHead(dst, groups+(len(fraction)+3)/4, groups-1, sign, len(fraction))
	return appendFraction(appendWhole(dst, whole), fraction), nil
}

func numericHead(dst []byte, digits, weight, sign, scale int) []byte {
	for _, n := range []int{digits, weight, sign, scale} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	return dst
}

// appendWhole groups digits by four from their end.
func appendWhole(dst, digits []byte) []byte {
	for len(digits) > 0 {
		n := (len(digits)-1)%4 + 1
		dst = appendBase10000(dst, digits[:n])
		digits = digits[n:]
	}
	return dst
}

// appendFraction groups digits by four from their beginning.
func appendFraction(dst, digits []byte) []byte {
	for len(digits) > 0 {
		var group [4]byte
		n := copy(group[:], digits)
		copy(group[n:], "0000")
		dst = appendBase10000(dst, group[:])
		digits = digits[n:]
	}
	return dst
}

func appendBase10000(dst, digits []byte) []byte {
	n := uint16(0)
	for _, d := range digits {
		n = n*10 + uint16(d-'0')
	}
	return binary.BigEndian.AppendUint16(dst, n)
}
