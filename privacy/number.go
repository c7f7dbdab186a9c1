package privacy

import (
	"context"
	"fmt"
	"strconv"
)

// Int is a whole number that is stored sealed: an amount in cents, a salary, a score. Like all sealed types
// it is absent, NULL or a value, and comes out of Reveal only; it is always shown as [sealed].
type Int struct{ sealed }

// NewInt returns n, to be sealed when the row it is assigned to is saved.
func NewInt(n int64) Int {
	return Int{sealed{plainCell(strconv.AppendInt(nil, n, 10), formInt)}}
}

// NullInt returns the value that is stored as NULL.
func NullInt() Int { return Int{sealed{nullCell()}} }

// Reveal returns the number under the same conditions as String.Reveal.
func (i Int) Reveal(ctx context.Context, purpose string) (int64, error) {
	b, err := i.c.reveal(ctx, purpose)
	if err != nil {
		return 0, err
	}
	n, ok := readInt(string(b))
	if !ok {
		return 0, formInt.misfit()
	}
	return n, nil
}

// Equal reports whether i and j are the same number, under the same rules as String.Equal.
func (i Int) Equal(j Int) bool { return i.c.equal(j.c) }

// UnmarshalJSON reads a new value from a whole JSON number or a string of its digits.
func (i *Int) UnmarshalJSON(data []byte) (err error) {
	i.c, err = cellOfJSON(data, formInt, i.c)
	return err
}

func (Int) form() form { return formInt }

// Decimal is an exact decimal number that is stored sealed, with at most 38 digits before and 38 behind
// the point. What counts is the number, not how it was written: 12.30 and 12.3 are equal and are stored as
// 12.3. It is always shown as [sealed].
type Decimal struct{ sealed }

// ParseDecimal reads a number such as -1234.50: digits with an optional sign and point, no exponent, no
// grouping.
func ParseDecimal(s string) (Decimal, error) {
	text, ok := canonicalDecimal(s)
	if !ok {
		return Decimal{}, fmt.Errorf("privacy: a decimal is digits with an optional sign and point, %d at most before and behind it, without exponent", decimalDigits)
	}
	return Decimal{sealed{plainCell([]byte(text), formDecimal)}}, nil
}

// NullDecimal returns the value that is stored as NULL.
func NullDecimal() Decimal { return Decimal{sealed{nullCell()}} }

// Reveal returns the number as exact text, such as -1234.5, under the same conditions as String.Reveal.
// big.Rat.SetString and the constructors of decimal packages take it; a float64 would change it.
func (d Decimal) Reveal(ctx context.Context, purpose string) (string, error) {
	b, err := d.c.reveal(ctx, purpose)
	if err != nil {
		return "", err
	}
	if err := formDecimal.check(b); err != nil {
		return "", err
	}
	return string(b), nil
}

// Equal reports whether d and e are the same number, under the same rules as String.Equal.
func (d Decimal) Equal(e Decimal) bool { return d.c.equal(e.c) }

// UnmarshalJSON reads a new value from a JSON number or a string of its digits.
func (d *Decimal) UnmarshalJSON(data []byte) (err error) {
	d.c, err = cellOfJSON(data, formDecimal, d.c)
	return err
}

func (Decimal) form() form { return formDecimal }
