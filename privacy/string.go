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

// String is text that is stored sealed. Whatever prints it shows a mask; the text itself comes out of
// Reveal only.
//
// Its zero value is absent: Create stores NULL for it and every update leaves the stored value alone, so
// that saving a row that was read in part loses nothing. Null stores NULL. New("") is a value.
type String struct{ c *cell }

// New returns s, to be sealed when the row it is assigned to is saved.
func New(s string) String { return String{plainCell([]byte(s))} }

// Null returns the value that is stored as NULL.
func Null() String { return String{nullCell()} }

// Reveal returns the text if the vault's gate lets the caller in ctx see it and the vault's recorder has
// written down that and why. The purpose must not be empty.
func (s String) Reveal(ctx context.Context, purpose string) (string, error) {
	b, err := s.c.reveal(ctx, purpose)
	return string(b), err
}

// Valid reports whether there is a value: not absent, not NULL, not erased.
func (s String) Valid() bool { return s.c.valid() }

// IsNull reports whether the value is NULL.
func (s String) IsNull() bool { return s.c != nil && s.c.state == stateNull }

// IsZero reports whether the value is absent: never set, or not read from the database.
func (s String) IsZero() bool { return s.c == nil }

// IsErased reports whether the person whose value it was has been erased.
func (s String) IsErased() bool { return s.c != nil && s.c.state == stateErased }

// MaskAt returns what a reader with that level may see. A sealed value is never shown above Partial: the
// text leaves through Reveal only.
func (s String) MaskAt(l masking.Level) string { return s.c.text(l) }

// String returns the mask.
func (s String) String() string { return s.c.text(masking.Partial) }

// GoString returns the mask.
func (s String) GoString() string { return s.c.goString() }

// Format writes the mask for every verb.
func (s String) Format(f fmt.State, verb rune) { s.c.format(f, verb) }

// LogValue returns the mask.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes an object that no client can mistake for the text: {"masked":true,"hint":"138****8000"}.
func (s String) MarshalJSON() ([]byte, error) { return s.c.marshalJSON() }

// UnmarshalJSON reads a new value from a JSON string, NULL from null, and refuses a mask.
func (s *String) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*s = Null()
		return nil
	}
	var text string
	if len(data) == 0 || data[0] != '"' || json.Unmarshal(data, &text) != nil {
		return fmt.Errorf("privacy: a sealed value is read from a JSON string or null; a mask is not a value, leave the field out instead")
	}
	*s = New(text)
	return nil
}

// MarshalText writes the mask.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GobEncode fails: a mask must not come back as a value, and gob has no way to tell them apart.
func (s String) GobEncode() ([]byte, error) { return nil, errNoGob }

// GobDecode fails.
func (s *String) GobDecode([]byte) error { return errNoGob }

// Value is for database/sql. It returns ciphertext or an error, never the text.
func (s String) Value() (driver.Value, error) { return s.c.driverValue() }

// Scan is for database/sql. It stores the ciphertext; the plugin binds it to its row after the query.
func (s *String) Scan(src any) (err error) {
	s.c, err = scannedCell(src)
	return err
}

// GormDataType is for GORM.
func (String) GormDataType() string { return string(schema.Bytes) }

// GormDBDataType is for GORM's migrator.
func (String) GormDBDataType(db *gorm.DB, _ *schema.Field) string { return cellColumnType(db) }

func (s *String) sealedCell() *cell     { return s.c }
func (s *String) setSealedCell(c *cell) { s.c = c }
