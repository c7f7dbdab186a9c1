package privacy

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/confide-go/confide/masking"
)

// A form is how the values of one type are written inside a cell, see FORMAT.md. Each value has one
// encoding only, so that equal values are equal bytes: for indexes, for Equal, and for leaving the
// ciphertext of an unchanged value alone.
type form uint8

const (
	formText form = iota
	formJSON
	formBytes
	formTime
	formDate
	formInt
	formDecimal
)

// bytesVersion stands in front of the content of Bytes, which unlike all others may hold anything, and
// must not be taken for a sealed cell or a later version.
const bytesVersion = 0x01

// timeLayout is RFC 3339 with as many digits of the second as are needed.
const timeLayout = "2006-01-02T15:04:05.999999999Z07:00"

// Limits of Decimal: the digits before and behind the point.
const decimalDigits = 38

var errMaskGiven = errors.New("privacy: a mask is not a value; leave the field out instead")

// typeName is the Go type of the form, and example how a value of it is made.
func (f form) typeName() string {
	return [...]string{"String", "Value", "Bytes", "Time", "Date", "Int", "Decimal"}[f]
}

func (f form) example() string {
	return [...]string{"privacy.New(…)", "privacy.NewValue(…)", "privacy.NewBytes(…)", "privacy.NewTime(…)", "privacy.NewDate(…)", "privacy.NewInt(…)", "privacy.ParseDecimal(…)"}[f]
}

// masks reports whether a mask of that kind says anything true about values of the form. Amounts,
// instants and bytes are hidden: any part of them tells how large they are.
func (f form) masks(k masking.Kind) bool {
	return f == formText || f == formDate && k == masking.KindBirthDate
}

// indexes reports whether values of the form can be found by that normaliser.
func (f form) indexes(norm string) bool {
	name, _, _ := strings.Cut(norm, "/")
	switch f {
	case formText, formJSON:
		return true
	case formTime:
		return false
	}
	return name == "exact"
}

// misfit is the error for what is in a cell and is no value of the form.
func (f form) misfit() error {
	return fmt.Errorf("%w: what is stored has not the form of a privacy.%s; was the field's type changed?", ErrUnreadable, f.typeName())
}

// check reports whether b is the one encoding of a value.
func (f form) check(b []byte) error {
	ok := true
	switch f {
	case formJSON:
		ok = json.Valid(b)
	case formBytes:
		ok = len(b) > 0 && b[0] == bytesVersion
	case formTime:
		_, ok = readTime(string(b))
	case formDate:
		_, ok = readDay(string(b))
	case formInt:
		_, ok = readInt(string(b))
	case formDecimal:
		var text string
		text, ok = canonicalDecimal(string(b))
		ok = ok && text == string(b)
	}
	if !ok {
		return f.misfit()
	}
	return nil
}

// shown is the value as RevealRows gives it.
func (f form) shown(b []byte) string {
	if f == formBytes && len(b) > 0 {
		b = b[1:]
	}
	return string(b)
}

// cellOfJSON reads a new value of the form from JSON. After an error it returns the old cell.
func cellOfJSON(data []byte, f form, old *cell) (*cell, error) {
	if string(data) == "null" {
		return nullCell(), nil
	}
	if isMask(data) {
		return old, errMaskGiven
	}
	if b, ok := f.fromJSON(data); ok {
		return plainCell(b, f), nil
	}
	return old, fmt.Errorf("privacy: a sealed value is read from %s or null", f.jsonShape())
}

func (f form) jsonShape() string {
	switch f {
	case formBytes:
		return "a JSON string in base64"
	case formTime:
		return "a JSON string in the form of RFC 3339"
	case formDate:
		return "a JSON string in the form 2006-01-02"
	case formInt:
		return "a whole JSON number, or a string of its digits, of 64 bits at most"
	case formDecimal:
		return "a JSON number, or a string of its digits, without exponent and with at most 38 digits before and behind the point"
	}
	return "a JSON string"
}

func (f form) fromJSON(data []byte) ([]byte, bool) {
	text, ok := jsonText(data)
	if !ok && (f == formInt || f == formDecimal) && json.Valid(data) {
		text, ok = strings.TrimSpace(string(data)), true
	}
	if !ok {
		return nil, false
	}
	switch f {
	case formBytes:
		b, err := base64.StdEncoding.DecodeString(text)
		return append([]byte{bytesVersion}, b...), err == nil
	case formTime:
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, false
		}
		return writeTime(t)
	case formDate:
		_, ok = readDay(text)
	case formInt:
		var n int64
		n, ok = readInt(text)
		text = strconv.FormatInt(n, 10)
	case formDecimal:
		text, ok = canonicalDecimal(text)
	}
	return []byte(text), ok
}

// writeTime keeps the instant to the nanosecond and the offset from UTC in minutes. An offset that
// RFC 3339 cannot write, such as the local mean times before 1900, becomes UTC.
func writeTime(t time.Time) ([]byte, bool) {
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		t = t.UTC()
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return nil, false
	}
	return []byte(t.Format(timeLayout)), true
}

func readTime(s string) (time.Time, bool) {
	if len(s) > len("2006-01-02T15:04:05.999999999+07:00") {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation(timeLayout, s, time.UTC)
	if err != nil {
		return time.Time{}, false
	}
	b, ok := writeTime(t)
	return t, ok && string(b) == s
}

func readInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == s
}

// canonicalDecimal writes a number without superfluous zeros and signs: +012.30 is 12.3, -0.0 is 0. There
// are no exponents: a few characters must not stand for a million digits.
func canonicalDecimal(s string) (string, bool) {
	if len(s) > 2*decimalDigits+2 {
		return "", false
	}
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	whole, fraction, point := strings.Cut(s, ".")
	if !allDigits(whole) || point && !allDigits(fraction) {
		return "", false
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if len(whole) > decimalDigits || len(fraction) > decimalDigits {
		return "", false
	}
	out := whole
	if whole == "" {
		out = "0"
	}
	if fraction != "" {
		out += "." + fraction
	}
	if negative && out != "0" {
		out = "-" + out
	}
	return out, true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
