package privacy

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"gorm.io/gorm/schema"
)

// Padding hides how long a value is, up to the size of a block. It is that of ISO/IEC 7816-4: a byte 0x80
// and zeros, inside the ciphertext. A padded cell has its own version, which its associated data names, so
// that no cell can be passed off as the other kind.

const (
	padLeast = 8
	padMost  = 4096
)

func readPad(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < padLeast || n > padMost {
		return 0, fmt.Errorf("pad= is a number of bytes from %d to %d", padLeast, padMost)
	}
	return n, nil
}

// pad returns value, one byte 0x80 and zeros up to the next multiple of n.
func pad(value []byte, n int) []byte {
	out := make([]byte, (len(value)/n+1)*n)
	copy(out, value)
	out[len(value)] = 0x80
	return out
}

var errPadding = errors.New("no padding")

// unpad does not need the size of the block, which may have changed since.
func unpad(b []byte) ([]byte, error) {
	b = bytes.TrimRight(b, "\x00")
	if len(b) == 0 || b[len(b)-1] != 0x80 {
		return nil, errPadding
	}
	return b[:len(b)-1], nil
}

// cellVersion is the version of the cells that are written for the field.
func (f *sealedField) cellVersion() byte {
	if f.pad > 0 {
		return cellPadded
	}
	return cellVersion
}

// takes refuses a value of another type than the field's: stored, it could not be read, and searched for,
// it would never be found.
func (f *sealedField) takes(c *cell) error {
	if c.state == stateNull || c.holds() == f.form {
		return nil
	}
	return refuse(f.logical, "holds a "+f.form.typeName()+", and a "+c.holds().typeName()+" was given", "give it "+f.form.example())
}

// formOf returns the form of a sealed field.
func formOf(f *schema.Field) form {
	return reflect.New(f.IndirectFieldType).Interface().(holder).form()
}
