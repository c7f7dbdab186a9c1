package privacy

import (
	"context"
	"encoding/json"
	"fmt"
)

// Value is any value that is stored sealed, as JSON. Like String it prints as a mask, its zero value is
// absent, and it comes out of Reveal only. It is always shown as [sealed]: the mask of a JSON text would
// mean nothing.
type Value[T any] struct{ sealed }

// NewValue returns v, to be sealed when the row it is assigned to is saved. A v that JSON cannot hold makes
// saving fail.
func NewValue[T any](v T) Value[T] {
	b, err := json.Marshal(v)
	if err != nil {
		// The error of encoding/json may quote the value.
		return Value[T]{sealed{brokenCell(fmt.Errorf("%w: JSON cannot hold a %T", ErrUnreadable, v))}}
	}
	return Value[T]{sealed{plainCell(b, formJSON)}}
}

// NullValue returns the value that is stored as NULL.
func NullValue[T any]() Value[T] { return Value[T]{sealed{nullCell()}} }

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

// UnmarshalJSON reads a new value, and refuses a mask.
func (v *Value[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*v = NullValue[T]()
		return nil
	}
	if isMask(data) {
		return errMaskGiven
	}
	var in T
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("privacy: the JSON does not fit a %T", in)
	}
	*v = NewValue(in)
	return nil
}

func (Value[T]) form() form { return formJSON }
