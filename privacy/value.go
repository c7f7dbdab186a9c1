package privacy

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"log/slog"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// Value is any value that is stored sealed, as JSON. Like String it prints as a mask, its zero value is
// absent, and it comes out of Reveal only. It is always shown as [sealed]: the mask of a JSON text would
// mean nothing.
type Value[T any] struct{ c *cell }

// NewValue returns v, to be sealed when the row it is assigned to is saved. A v that JSON cannot hold makes
// saving fail.
func NewValue[T any](v T) Value[T] {
	b, err := json.Marshal(v)
	if err != nil {
		// The error of encoding/json may quote the value.
		return Value[T]{&cell{state: stateBroken, why: fmt.Errorf("%w: JSON cannot hold a %T", ErrUnreadable, v)}}
	}
	return Value[T]{plainCell(b)}
}

// NullValue returns the value that is stored as NULL.
func NullValue[T any]() Value[T] { return Value[T]{nullCell()} }

// Reveal returns the value under the same conditions as String.Reveal.
func (v Value[T]) Reveal(ctx context.Context, purpose string) (T, error) {
	var out T
	b, err := v.c.reveal(ctx, purpose)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(b, &out); err != nil {
		var zero T
		return zero, fmt.Errorf("%w: the stored JSON does not fit a %T; was the field's type changed?", ErrUnreadable, out)
	}
	return out, nil
}

// Valid reports whether there is a value: not absent, not NULL, not erased.
func (v Value[T]) Valid() bool { return v.c.valid() }

// IsNull reports whether the value is NULL.
func (v Value[T]) IsNull() bool { return v.c != nil && v.c.state == stateNull }

// IsZero reports whether the value is absent.
func (v Value[T]) IsZero() bool { return v.c == nil }

// IsErased reports whether the person whose value it was has been erased.
func (v Value[T]) IsErased() bool { return v.c != nil && v.c.state == stateErased }

// MaskAt returns a mask, whatever the level.
func (v Value[T]) MaskAt(masking.Level) string { return v.c.text(masking.Hidden) }

// String returns the mask.
func (v Value[T]) String() string { return v.c.text(masking.Hidden) }

// GoString returns the mask.
func (v Value[T]) GoString() string { return v.c.goString() }

// Format writes the mask for every verb.
func (v Value[T]) Format(f fmt.State, verb rune) { v.c.format(f, verb) }

// LogValue returns the mask.
func (v Value[T]) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalJSON writes the mask as an object.
func (v Value[T]) MarshalJSON() ([]byte, error) { return v.c.marshalJSON() }

// UnmarshalJSON reads a new value, and refuses a mask.
func (v *Value[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*v = NullValue[T]()
		return nil
	}
	if isMask(data) {
		return fmt.Errorf("privacy: a mask is not a value; leave the field out instead")
	}
	var in T
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("privacy: the JSON does not fit a %T", in)
	}
	*v = NewValue(in)
	return nil
}

// MarshalText writes the mask.
func (v Value[T]) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// GobEncode fails, see String.GobEncode.
func (v Value[T]) GobEncode() ([]byte, error) { return nil, errNoGob }

// GobDecode fails.
func (v *Value[T]) GobDecode([]byte) error { return errNoGob }

// Value is for database/sql. It returns ciphertext or an error, never the value.
func (v Value[T]) Value() (driver.Value, error) { return v.c.driverValue() }

// Scan is for database/sql.
func (v *Value[T]) Scan(src any) (err error) {
	v.c, err = scannedCell(src)
	return err
}

// GormDataType is for GORM.
func (Value[T]) GormDataType() string { return string(schema.Bytes) }

// GormDBDataType is for GORM's migrator.
func (Value[T]) GormDBDataType(db *gorm.DB, _ *schema.Field) string { return cellColumnType(db) }

func (v *Value[T]) sealedCell() *cell     { return v.c }
func (v *Value[T]) setSealedCell(c *cell) { v.c = c }
