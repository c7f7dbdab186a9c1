package privacy

import (
	"fmt"

	"github.com/confide-go/confide/privacy/internal/tuple"
)

// Stored formats, see FORMAT.md. Every first byte below is one that UTF-8 never uses, so that no text at
// all, whatever its encoding, can pass for a sealed cell or an index cell.
const (
	cellMagic0  = 0xC0
	cellMagic1  = 0xDE
	cellVersion = 0x01
	cellPadded  = 0x02 // the value is padded, see padding.go
	cellHeader  = 3
	// cellMin is header, Tink prefix, nonce and tag around an empty value.
	cellMin = cellHeader + 5 + 12 + 16

	indexVersion = 0xC1
	// bucketVersion begins the cell of a truncated index.
	bucketVersion = 0xF5
	indexSize     = 1 + 16
)

// encode is the one way in which several strings become one.
func encode(parts ...string) []byte { return tuple.Encode(parts...) }

func cellAAD(tenant, field, row, subject string) []byte {
	return encode("confide.cell", tenant, field, row, subject)
}

func keyAAD(k KeyName, version int) []byte {
	return encode("confide.key", k.Tenant, k.Subject, k.Purpose, fmt.Sprint(version))
}

// looksSealed reports whether b starts like a cell of any version.
func looksSealed(b []byte) bool {
	return len(b) >= 2 && b[0] == cellMagic0 && b[1] == cellMagic1
}

// versionOf returns the version of a cell, 0 for what is too short to have one.
func versionOf(box []byte) byte {
	if len(box) <= 2 {
		return 0
	}
	return box[2]
}

// cellBody returns the ciphertext inside a cell, whose version is box[2].
func cellBody(box []byte) ([]byte, error) {
	switch {
	case !looksSealed(box):
		return nil, fmt.Errorf("%w: the stored bytes are not a sealed value", ErrUnreadable)
	case len(box) > 2 && box[2] != cellVersion && box[2] != cellPadded:
		return nil, fmt.Errorf("%w: format version %d is none that this program knows", ErrUnreadable, box[2])
	case len(box) < cellMin:
		return nil, fmt.Errorf("%w: the stored bytes are cut short", ErrUnreadable)
	}
	return box[cellHeader:], nil
}
