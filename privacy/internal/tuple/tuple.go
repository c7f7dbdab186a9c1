// Package tuple makes one byte string of several strings, for associated data: a version byte, then for each
// string its length in four bytes, big endian, and the string. It is injective, whatever the strings hold.
// The first string names the use, so that no encoding serves two.
package tuple

import "encoding/binary"

const version = 0x01

// Encode returns the encoding of parts.
func Encode(parts ...string) []byte {
	n := 1
	for _, p := range parts {
		n += 4 + len(p)
	}
	b := make([]byte, 1, n)
	b[0] = version
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
