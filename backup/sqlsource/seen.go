package sqlsource

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// A form is one way in which text may be more than text.
type form int

const (
	isDate form = iota
	isTime
	isDateTime
	isInstant
	isRFC3339
	isDecimal
	isJSON
	forms
)

// seen is what a survey has learned about the values of one column.
type seen struct {
	kinds  uint32 // one bit a kind, without Null
	truth  bool   // all are 0 or 1
	runes  int    // of the longest text
	bytes  int    // of the longest text or bytes
	isNot  [forms]bool
	scales scales
}

// scales is what decimals have behind the point.
type scales struct {
	known, differ bool
	scale, whole  int // digits behind and before
}

func (s *seen) add(v cell.Value) {
	if v.Kind == cell.Null {
		return
	}
	if s.kinds == 0 {
		s.truth = true
	}
	s.kinds |= 1 << v.Kind
	s.truth = s.truth && v.Kind == cell.Int && (v.Int == 0 || v.Int == 1)
	s.bytes = max(s.bytes, len(v.Raw))
	switch v.Kind {
	case cell.Text:
		s.runes = max(s.runes, utf8.RuneCount(v.Raw))
		for f := range forms {
			s.isNot[f] = s.isNot[f] || !f.holds(v.Raw)
		}
	case cell.Decimal:
		s.scales.add(string(v.Raw))
	}
}

func (s *scales) add(text string) {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	s.differ = s.differ || s.known && s.scale != len(fraction)
	s.known, s.scale, s.whole = true, len(fraction), max(s.whole, len(whole))
}

func (s *seen) empty() bool { return s.kinds == 0 }

// only reports whether there is nothing but values of these kinds.
func (s *seen) only(kinds ...cell.Kind) bool {
	left := s.kinds
	for _, k := range kinds {
		left &^= 1 << k
	}
	return left == 0
}

// text reports whether all text has one form.
func (s *seen) text(f form) bool { return !s.isNot[f] }

func (s *seen) names() string {
	var names []string
	for _, k := range []struct {
		kind cell.Kind
		name string
	}{{cell.Int, "integer"}, {cell.Float, "real"}, {cell.Text, "text"}, {cell.Bytes, "blob"}} {
		if s.kinds&(1<<k.kind) != 0 {
			names = append(names, k.name)
		}
	}
	return strings.Join(names, ", ")
}

const (
	sqliteInstant  = "2006-01-02 15:04:05.999999-07:00"
	sqliteRFC3339  = "2006-01-02T15:04:05.999999Z07:00"
	sqliteDateTime = "2006-01-02 15:04:05.999999"
)

// holds reports whether text is a value of this form in the one way it is
// written.
func (f form) holds(text []byte) bool {
	layout := ""
	switch f {
	case isDate:
		layout = time.DateOnly
	case isDateTime:
		layout = sqliteDateTime
	case isInstant:
		layout = sqliteInstant
	case isRFC3339:
		layout = sqliteRFC3339
	case isTime:
		nanos, ok := parseSpan(string(text))
		return ok && formatSpan(nanos) == string(text)
	case isDecimal:
		return canonicalDecimal(text)
	case isJSON:
		return utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 && json.Valid(text)
	}
	t, err := time.Parse(layout, string(text))
	return err == nil && t.UTC().Format(layout) == string(text)
}

// canonicalDecimal accepts digits as engines write them: no plus, no exponent,
// no leading zeros, no negative zero.
func canonicalDecimal(text []byte) bool {
	rest, negative := bytes.CutPrefix(text, []byte("-"))
	whole, fraction, point := bytes.Cut(rest, []byte("."))
	digits := func(b []byte) bool {
		return len(b) > 0 && bytes.IndexFunc(b, func(r rune) bool { return r < '0' || r > '9' }) < 0
	}
	switch {
	case !digits(whole), len(whole) > 1 && whole[0] == '0', point && !digits(fraction):
		return false
	}
	return !negative || len(bytes.Trim(rest, "0.")) > 0
}

// look reads a table once.
func look(columns int, rows iter.Seq2[backup.Row, error]) ([]*seen, error) {
	out := make([]*seen, columns)
	for i := range out {
		out[i] = &seen{}
	}
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		rest := []byte(row)
		for _, s := range out {
			v, after, err := cell.Next(rest)
			if err != nil {
				return nil, err
			}
			s.add(v)
			rest = after
		}
	}
	return out, nil
}
