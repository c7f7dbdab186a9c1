package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// secretLength is the size of a commitment's key. A fixed size below HMAC's block
// keeps keys and their padded twins apart.
const secretLength = 32

// newSecret makes the key of the commitments to one row's values in one event.
func newSecret() ([]byte, error) {
	b := make([]byte, secretLength)
	_, err := rand.Read(b)
	return b, err
}

// commit returns the commitment to one side of a change; see FORMAT.md.
func commit(secret []byte, resource, row, field string, after bool, text string) (sum [sha256.Size]byte) {
	b := make([]byte, 0, 128)
	for _, s := range [...]string{"confide audit commitment v1", resource, row, field} {
		b = appendText(b, s)
	}
	b = append(b, 0)
	if after {
		b[len(b)-1] = 1
	}
	h := hmac.New(sha256.New, secret)
	h.Write(appendText(b, text))
	h.Sum(sum[:0])
	return sum
}

// Proves tells whether value is what the field had before the change, and whether
// it is what it has had since. Log.Secrets gives the secret of the change's row;
// without the right one nothing is proved. nil stands for NULL. A value is compared
// by its text, so 5 and "5" are one; give times as time.Time.
func (e Event) Proves(c Change, secret []byte, value any) (before, after bool) {
	row := ""
	if c.Row >= 0 && c.Row < len(e.Rows) {
		row = e.Rows[c.Row].ID
	}
	text, null, err := valueText(value)
	if err != nil {
		return false, false
	}
	is := func(v Value, after bool) bool {
		switch v.State {
		case Null:
			return null
		case Plain:
			return !null && clean(text, maxPlain) == v.Text
		case Committed:
			sum := commit(secret, e.Resource, row, c.Field, after, text)
			return !null && len(secret) == secretLength && hmac.Equal(sum[:], v.Sum[:])
		}
		return false
	}
	return is(c.Before, false), is(c.After, true)
}

// valueText is the text a commitment is made of, the same for what a driver
// reads and for what a program holds.
func valueText(v any) (text string, null bool, err error) {
	if valuer, ok := v.(driver.Valuer); ok {
		if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
			return "", true, nil
		}
		if v, err = valuer.Value(); err != nil {
			return "", false, fmt.Errorf("audit: a value of type %T has no database form: %w", valuer, err)
		}
	}
	switch v := v.(type) {
	case nil:
		return "", true, nil
	case []byte:
		return string(v), v == nil, nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), false, nil
	}
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Pointer:
		if rv.IsNil() {
			return "", true, nil
		}
		return valueText(rv.Elem().Interface())
	case reflect.String:
		return rv.String(), false, nil
	case reflect.Bool:
		if rv.Bool() {
			return "1", false, nil
		}
		return "0", false, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(rv.Int(), 10), false, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(rv.Uint(), 10), false, nil
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(rv.Float(), 'g', -1, rv.Type().Bits()), false, nil
	}
	return "", false, fmt.Errorf("%w: a value of type %T has no text", ErrInvalid, v)
}
