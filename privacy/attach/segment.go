package attach

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/confide-go/confide/privacy/internal/tuple"
)

// Stored format, see FORMAT.md.
const (
	magic0     = 0xC0
	magic1     = 0xDF
	version    = 0x01
	headerSize = 2 + 1 + 4 + idSize
	idSize     = 16

	// overhead is Tink's prefix, nonce and tag around a segment.
	overhead = 5 + 12 + 16

	minSegment     = 4 << 10
	maxSegment     = 4 << 20
	defaultSegment = 64 << 10

	// largest is what any file may have; with it no sum below overflows, and a file's key stays far below the
	// 2^32 messages of AES-GCM.
	largest     = 1 << 40
	defaultSize = 64 << 20
)

// A shape is what the bytes of an object are bound to.
type shape struct {
	id      string // hexadecimal
	segment int64  // bytes of a whole segment, opened
}

func (s shape) header() []byte {
	b := append(make([]byte, 0, headerSize), magic0, magic1, version)
	b = binary.BigEndian.AppendUint32(b, uint32(s.segment))
	raw, _ := hex.DecodeString(s.id)
	return append(b, raw...)
}

// parseHeader reads the beginning of an object.
func parseHeader(b []byte) (shape, error) {
	switch {
	case len(b) < headerSize:
		return shape{}, errors.New("its header is cut short")
	case b[0] != magic0 || b[1] != magic1:
		return shape{}, errors.New("it does not begin like a sealed file")
	case b[2] != version:
		return shape{}, fmt.Errorf("format version %d is none that this program knows", b[2])
	}
	s := shape{id: hex.EncodeToString(b[7:headerSize]), segment: int64(binary.BigEndian.Uint32(b[3:7]))}
	if err := checkSegment(s.segment); err != nil {
		return shape{}, err
	}
	return s, nil
}

// checkHeader compares the whole header with what the reference says.
func (s shape) checkHeader(b []byte) error {
	got, err := parseHeader(b)
	switch {
	case err != nil:
		return err
	case got.id != s.id:
		return errors.New("it is another file's object")
	case !bytes.Equal(b, s.header()):
		return errors.New("its header was changed")
	}
	return nil
}

func checkSegment(n int64) error {
	if n < minSegment || n > maxSegment {
		return fmt.Errorf("a segment of %d bytes is not between %d and %d", n, minSegment, maxSegment)
	}
	return nil
}

// segments is how many segments a file of size bytes has. An empty file has one, which is empty.
func (s shape) segments(size int64) int64 { return max(1, (size+s.segment-1)/s.segment) }

// place is where segment n of a file of size bytes lies in its object.
func (s shape) place(n, size int64) (offset, length int64) {
	plain := min(s.segment, size-n*s.segment)
	return headerSize + n*(s.segment+overhead), plain + overhead
}

// aad is the associated data of segment n; size is the file's for the last one and negative for the others.
func (s shape) aad(n, size int64) []byte {
	last := ""
	if size >= 0 {
		last = strconv.FormatInt(size, 10)
	}
	return tuple.Encode("confide.attach", s.id, strconv.FormatInt(s.segment, 10), strconv.FormatInt(n, 10), last)
}

// validID reports whether id is one that this package makes; it is what keeps a Dir in its directory.
func validID(id string) bool {
	if len(id) != 2*idSize {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
