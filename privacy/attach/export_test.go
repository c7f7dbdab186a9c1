package attach

import (
	"context"
	"encoding/json"
	"io"

	"github.com/tink-crypto/tink-go/v2/keyset"
)

// For the tests of the stored formats.

const (
	HeaderSize = headerSize
	Overhead   = overhead
)

// CheckHeader reads a header and reports whether writing it again gives the same bytes.
func CheckHeader(b []byte) (same bool, err error) {
	s, err := parseHeader(b)
	if err != nil {
		return false, err
	}
	return string(s.header()) == string(b[:headerSize]) && s.checkHeader(b[:headerSize]) == nil, nil
}

// Exposed is the JSON that lies inside of the sealed value.
func Exposed(r Ref) ([]byte, error) {
	r.sealing = true
	return json.Marshal(r)
}

// SealAs is Seal with a given id and key.
func (f *Files) SealAs(ctx context.Context, name string, r io.Reader, id string, h *keyset.Handle) (Ref, error) {
	return f.seal(ctx, name, r, id, h)
}
