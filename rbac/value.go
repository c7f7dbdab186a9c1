package rbac

import (
	"database/sql/driver"
	"time"
)

// kind is the type of a value in a condition. There is no floating point: it rounds differently in Go and
// in each database.
type kind uint8

const (
	null kind = iota
	text
	integer
	boolean
	instant // whole seconds since 1970: the databases keep different fractions
	texts
	integers // only as a list of literals
	period   // whole seconds
	address  // of the client; only to be looked for in a network
	cell     // of a blind index: a sealed column as conditions compare it
)

func (k kind) String() string {
	return [...]string{"null", "string", "int64", "bool", "time", "[]string", "[]int64", "duration", "address", "sealed string"}[k]
}

// value is a value of one kind; list is set for lists only. The zero value is null, that is: unknown.
type value struct {
	kind kind
	huge bool // an unsigned integer above every int64
	i    int64
	s    string
	list []string
}

// kindOf says of which kind an attribute is; null means none.
func kindOf(v any) kind {
	switch v.(type) {
	case string:
		return text
	case int64:
		return integer
	case bool:
		return boolean
	case []string:
		return texts
	}
	return null
}

// compare orders two values of the same kind.
func compare(a, b value) int {
	switch {
	case a.kind == text || a.kind == cell:
		if a.s == b.s {
			return 0
		}
		if a.s < b.s {
			return -1
		}
		return 1
	case a.huge != b.huge:
		if a.huge {
			return 1
		}
		return -1
	case a.i < b.i: // two huge ones are both negative here, and in the right order
		return -1
	case a.i > b.i:
		return 1
	}
	return 0
}

// bind returns what the database gets for v.
func (v value) bind() any {
	switch v.kind {
	case text:
		return v.s
	case cell:
		return boundCell(v.s)
	case boolean:
		return v.i != 0
	case instant:
		return time.Unix(v.i, 0).UTC()
	}
	return v.i
}

// boundCell is bytes that GORM does not take for a list, as it does behind a parenthesis.
type boundCell string

// Value is for database/sql.
func (c boundCell) Value() (driver.Value, error) { return []byte(c), nil }
