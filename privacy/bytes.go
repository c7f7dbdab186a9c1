package privacy

import "context"

// Bytes is binary data that is stored sealed, such as a scanned signature. It is always shown as [sealed].
// It is held in memory whole, and MySQL's column takes 64 KiB.
type Bytes struct{ sealed }

// NewBytes returns a copy of b, to be sealed when the row it is assigned to is saved. A nil b is an empty
// value; NULL is NullBytes.
func NewBytes(b []byte) Bytes {
	return Bytes{sealed{plainCell(append([]byte{bytesVersion}, b...), formBytes)}}
}

// NullBytes returns the value that is stored as NULL.
func NullBytes() Bytes { return Bytes{sealed{nullCell()}} }

// Reveal returns a copy of the bytes, never nil, under the same conditions as String.Reveal.
func (b Bytes) Reveal(ctx context.Context, purpose string) ([]byte, error) {
	v, err := b.c.reveal(ctx, purpose)
	if err != nil {
		return nil, err
	}
	if err := formBytes.check(v); err != nil {
		return nil, err
	}
	return append([]byte{}, v[1:]...), nil
}

// Equal reports whether b and c are the same bytes, under the same rules as String.Equal.
func (b Bytes) Equal(c Bytes) bool { return b.c.equal(c.c) }

// UnmarshalJSON reads a new value from a JSON string in base64.
func (b *Bytes) UnmarshalJSON(data []byte) (err error) {
	b.c, err = cellOfJSON(data, formBytes, b.c)
	return err
}

func (Bytes) form() form { return formBytes }
