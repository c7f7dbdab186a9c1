package intake

import (
	"bytes"
	"database/sql/driver"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// MaxSize is the largest submission in bytes.
const MaxSize = 1 << 20

// Stored format, see FORMAT.md.
const (
	magic0  = 0xC0
	magic1  = 0xDB
	version = 0x01
	// overhead is header, Tink prefix, encapsulated key and tag.
	overhead = 3 + 5 + 32 + 16
)

const shown = "[sealed]"

// A Box is a sealed submission, and the type of the column that holds it. Whatever prints it shows [sealed]; its
// zero value is absent and stored as NULL. It only comes from PublicKey.Seal, ParseBox and the database.
type Box struct{ b []byte }

// ParseBox takes a box that somebody else has made. It checks the shape; whether it opens only the keys tell.
func ParseBox(b []byte) (Box, error) {
	if err := checkShape(b); err != nil {
		return Box{}, err
	}
	return Box{bytes.Clone(b)}, nil
}

func checkShape(b []byte) error {
	switch {
	case len(b) > MaxSize+overhead:
		return fmt.Errorf("%w: a box has at most %d bytes", ErrTooLarge, MaxSize+overhead)
	case len(b) < 2 || b[0] != magic0 || b[1] != magic1:
		return fmt.Errorf("%w: the bytes do not begin like one", ErrBox)
	case len(b) > 2 && b[2] != version:
		return fmt.Errorf("%w: format version %d is none that this program knows", ErrBox, b[2])
	case len(b) < overhead:
		return fmt.Errorf("%w: the bytes are cut short", ErrBox)
	case b[3] != 0x01:
		return fmt.Errorf("%w: the key's prefix is none that this program knows", ErrBox)
	}
	return nil
}

// IsZero reports whether there is no box.
func (b Box) IsZero() bool { return b.b == nil }

// Bytes is the box as stored.
func (b Box) Bytes() []byte { return bytes.Clone(b.b) }

// KeyID names the key that opens the box, in 8 hexadecimal digits.
func (b Box) KeyID() string {
	if b.IsZero() {
		return ""
	}
	return hex.EncodeToString(b.b[4:8])
}

// String returns [sealed], or nothing for no box.
func (b Box) String() string {
	if b.IsZero() {
		return ""
	}
	return shown
}

// GoString is String.
func (b Box) GoString() string { return "intake(" + b.String() + ")" }

// Format writes the same for every verb.
func (b Box) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = io.WriteString(f, b.GoString())
		return
	}
	_, _ = io.WriteString(f, b.String())
}

// LogValue is String.
func (b Box) LogValue() slog.Value { return slog.StringValue(b.String()) }

// MaskAt is String, whatever the level.
func (b Box) MaskAt(masking.Level) string { return b.String() }

// MarshalText is String.
func (b Box) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// MarshalJSON writes the mask as an object, as privacy.String does.
func (b Box) MarshalJSON() ([]byte, error) {
	if b.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(masking.Shown{Text: shown, Level: masking.Partial})
}

// UnmarshalJSON reads a box from standard base64, as a browser or a partner sends it.
func (b *Box) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*b = Box{}
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) != nil {
		return fmt.Errorf("%w: it is read from base64 or null", ErrBox)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%w: it is read from base64 or null", ErrBox)
	}
	*b, err = ParseBox(raw)
	return err
}

var errNoGob = errors.New("intake: gob cannot carry a box; carry the submission's id and load it")

// GobEncode fails.
func (b Box) GobEncode() ([]byte, error) { return nil, errNoGob }

// GobDecode fails.
func (b *Box) GobDecode([]byte) error { return errNoGob }

// Value is for database/sql.
func (b Box) Value() (driver.Value, error) {
	if b.IsZero() {
		return nil, nil
	}
	return b.b, nil
}

// Scan is for database/sql. What is no box is an error: somebody wrote into the column past this type.
func (b *Box) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*b = Box{}
		return nil
	case []byte:
		box, err := ParseBox(v)
		*b = box
		return err
	case string:
		box, err := ParseBox([]byte(v))
		*b = box
		return err
	}
	return fmt.Errorf("%w: its column holds bytes, not %T", ErrBox, src)
}

// GormDataType is for GORM.
func (Box) GormDataType() string { return string(schema.Bytes) }

// GormDBDataType is for GORM's migrator. The column refuses what is no box, because an update by map or raw SQL does
// not pass this type.
func (Box) GormDBDataType(db *gorm.DB, f *schema.Field) string {
	column := db.Statement.Quote(f.DBName)
	switch db.Name() {
	case "postgres":
		return fmt.Sprintf(`bytea CHECK (%[1]s IS NULL OR (octet_length(%[1]s) >= %[2]d AND substring(%[1]s FROM 1 FOR 3) = '\xc0db01'))`, column, overhead)
	case "mysql":
		return fmt.Sprintf("mediumblob CHECK (%[1]s IS NULL OR (octet_length(%[1]s) >= %[2]d AND hex(left(%[1]s, 3)) = 'C0DB01'))", column, overhead)
	}
	return fmt.Sprintf("blob CHECK (%[1]s IS NULL OR (typeof(%[1]s) = 'blob' AND length(%[1]s) >= %[2]d AND hex(substr(%[1]s, 1, 3)) = 'C0DB01'))", column, overhead)
}
